//! An agent that drives a body while it sees the feed: the shipped model of push_t, and what the body was told.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::{Sender, bounded};
use mindseye_agent::control_loop::{Command, Latch, Limits, RunSummary, TickListener, run_with_commands};
use mindseye_agent::{Agent, RunGoal, Task, TickReport};
use mindseye_cameras::{CameraSet, SharedClock, Sources, State};
use mindseye_interface::{
    Action, ActionSpace, Clock, Environment, Observation, Result, Seed, Step, SystemClock, config,
};
use mindseye_serving::act::CameraBody;
use mindseye_sim::{SceneOptions, make};
use mindseye_world_model::AnyCheckpoint;

use super::feed::Feed;

/// Duration of a control step, seconds: 20 Hz.
pub const STEP_SECS: f64 = 0.05;
/// Oldest frame that is acted on.
pub const MAX_AGE: Duration = Duration::from_millis(200);
/// Longest pause of the camera before it connects anew, and longest time without a frame, seconds.
pub const RETRY_SECS: f64 = 0.4;
pub const TIMEOUT_SECS: f64 = 0.5;

/// A clock that can jump ahead.
#[derive(Clone)]
struct Jumping(SystemClock, Arc<AtomicU64>);

impl Clock for Jumping {
    fn now_secs(&self) -> f64 {
        self.0.now_secs() + self.1.load(Ordering::SeqCst) as f64
    }
}

/// What the body was told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Told {
    Move(Instant),
    Still(Instant),
    Stop(Instant),
}

struct Recorder {
    space: ActionSpace,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Environment for Recorder {
    fn reset(&mut self, _seed: Seed) -> Result<Observation> {
        self.observe()
    }

    fn observe(&mut self) -> Result<Observation> {
        Ok(Observation { proprioception: vec![0.5, 0.5], ..Observation::default() })
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        let still = action.values().iter().all(|value| value.abs() < 1e-6);
        let now = Instant::now();
        self.told.lock().unwrap().push(if still { Told::Still(now) } else { Told::Move(now) });
        Ok(Step { observation: self.observe()?, terminated: false })
    }

    fn stop(&mut self) -> Result<()> {
        self.told.lock().unwrap().push(Told::Stop(Instant::now()));
        Ok(())
    }

    fn action_space(&self) -> &ActionSpace {
        &self.space
    }

    fn control_step_secs(&self) -> f64 {
        STEP_SECS
    }
}

/// Notes when the body was held, and why.
struct Holds(Arc<Mutex<Vec<(Instant, String)>>>);

impl TickListener for Holds {
    fn on_tick(&mut self, _observation: &Observation, _report: &TickReport) {}

    fn on_held(&mut self, reason: &str) {
        self.0.lock().unwrap().push((Instant::now(), reason.to_owned()));
    }
}

/// The model and the task of all robots.
pub struct Model(Arc<AnyCheckpoint>, Task, ActionSpace, Observation);

impl Model {
    pub fn load() -> Self {
        let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets");
        let checkpoint = Arc::new(AnyCheckpoint::load(&assets.join("checkpoints/push_t")).unwrap());
        let task: Task = config::load(&assets.join("tasks/push_t.toml")).unwrap();
        let mut world = make("push_t", &SceneOptions::with_side(64).unwrap()).unwrap();
        let goal = world.reset(Seed::new(1)).unwrap();
        Self(checkpoint, Task { budget_ms: 25.0, ..task }, world.action_space().clone(), goal)
    }
}

/// A running agent, its camera, and another one at the same feed that is only looked at.
pub struct Robot {
    pub feed: Feed,
    pub told: Arc<Mutex<Vec<Told>>>,
    pub holds: Arc<Mutex<Vec<(Instant, String)>>>,
    watched: mindseye_cameras::Camera,
    jump_secs: Arc<AtomicU64>,
    commands: Sender<Command>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<mindseye_agent::Result<RunSummary>>>,
}

impl Robot {
    pub fn start(model: &Model) -> Self {
        let feed = Feed::start();
        let (jump_secs, clock) = (Arc::new(AtomicU64::new(0)), SystemClock::start());
        let clock: SharedClock = Arc::new(Jumping(clock, jump_secs.clone()));
        let sources = Sources::standard().with_clock(clock.clone());
        let settings = format!(
            "frozen_frames=4,stale_s={},timeout_s={TIMEOUT_SECS},retry_s={RETRY_SECS},latency_s=0.01,width=64,\
             height=64",
            MAX_AGE.as_secs_f64()
        );
        let camera = |name: &str| {
            let uri = format!("http://{}/x.mjpg#name={name},{settings}", feed.address);
            let camera = sources.open(&uri.parse().unwrap()).unwrap();
            camera.wait_until_live(Duration::from_secs(20)).unwrap();
            camera
        };
        let (used, watched) = (camera("used"), camera("watched"));
        let told: Arc<Mutex<Vec<Told>>> = Arc::default();
        let holds: Arc<Mutex<Vec<(Instant, String)>>> = Arc::default();
        let (checkpoint, task) = (model.0.clone(), model.1.clone());
        let body = Box::new(Recorder { space: model.2.clone(), told: told.clone() });
        let set = (CameraSet::new(vec![used], MAX_AGE).unwrap(), vec!["top".into()]);
        let mut body = CameraBody::new(body, Some(set), clock, MAX_AGE, STEP_SECS);
        let goal = RunGoal { observation: model.3.clone(), ..RunGoal::default() };
        let (commands, received) = bounded(4);
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, mut listener) = (stop.clone(), Holds(holds.clone()));
        let thread = std::thread::spawn(move || {
            let mut agent = Agent::from_checkpoint(&checkpoint, &task, Seed::new(0))?;
            agent.set_run_goals(&[goal])?;
            let limits = Limits { latch: Some(Latch::default()), plan_ahead: 1, ..Limits::default() };
            run_with_commands(&mut agent, &mut body, &limits, &mut listener, &stopped, &received)
        });
        Self { feed, told, holds, watched, jump_secs, commands, stop, thread: Some(thread) }
    }

    /// The state of the camera that is only looked at.
    pub fn state(&self) -> State {
        self.watched.status().state
    }

    /// Age of its newest frame, seconds.
    pub fn age_secs(&self) -> f64 {
        self.watched.status().age_secs.unwrap_or(f64::INFINITY)
    }

    pub fn jump(&self, secs: u64) {
        self.jump_secs.fetch_add(secs, Ordering::SeqCst);
    }

    pub fn resume(&self) {
        let _ = self.commands.try_send(Command::Resume);
    }

    /// When it was told to move after `since`, last and first.
    pub fn moves(&self, since: Instant) -> Option<(Instant, Instant)> {
        let told = self.told.lock().unwrap();
        let moves = told.iter().filter_map(|told| match told {
            Told::Move(at) if *at > since => Some(*at),
            _ => None,
        });
        moves.fold(None, |found, at| Some((found.map_or(at, |(first, _)| first), at)))
    }

    /// Ends the run; what it says.
    pub fn end(mut self) -> std::result::Result<RunSummary, String> {
        self.stop.store(true, Ordering::SeqCst);
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(Ok(summary))) => Ok(summary),
            Some(Ok(Err(error))) => Err(error.to_string()),
            _ => Err("a panic".into()),
        }
    }
}
