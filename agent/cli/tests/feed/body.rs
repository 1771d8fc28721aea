//! A simulated body whose starts are those of an evaluation, and which knows whether its goals were reached.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use mindseye_episodes::image_codec::encode_png;
use mindseye_interface::{Action, ActionSpace, Environment, Observation, Result, Seed, Simulator, StartGoal, Step};
use mindseye_serving::body::{FrameOutput, RealTime, serve_environment};
use mindseye_sim::SceneOptions;

/// Control steps over which the strict predicate has to hold, as in evaluations.
const HOLD_STEPS: usize = 5;

/// Whether the predicates held after each control step since the reset to pair number `pair`.
#[derive(Default)]
struct Checks {
    pair: usize,
    moderate: Vec<bool>,
    strict: Vec<bool>,
}

/// push_t, whose reset with the seed `n` is the start of pair number `n`.
pub struct Pairs {
    world: Box<dyn Simulator>,
    pairs: Vec<StartGoal>,
    checks: Arc<Mutex<Checks>>,
}

impl Pairs {
    /// A world with these starts.
    pub fn new(pairs: &[StartGoal]) -> Self {
        Self { world: world(), pairs: pairs.to_vec(), checks: Arc::default() }
    }

    /// Whether the pair of the newest reset was reached: moderate at any step, strict for long enough.
    pub fn reached(&self) -> (bool, bool) {
        self.checks.lock().unwrap().reached()
    }
}

impl Checks {
    fn reached(&self) -> (bool, bool) {
        // As in evaluations: they end once the one held and the other has been held for long enough.
        let first = self.moderate.iter().position(|moderate| *moderate);
        let held = first.is_some_and(|first| {
            let ends = self.strict.windows(HOLD_STEPS).enumerate().map(|(from, held)| (from + HOLD_STEPS, held));
            ends.filter(|(end, _)| *end > first).any(|(_, held)| held.iter().all(|strict| *strict))
        });
        (first.is_some(), held)
    }
}

impl Environment for Pairs {
    fn reset(&mut self, seed: Seed) -> Result<Observation> {
        let number = seed.value() as usize;
        *self.checks.lock().unwrap() = Checks { pair: number, ..Checks::default() };
        let pair = &self.pairs[number];
        self.world.reset(pair.episode)?;
        self.world.set_state(&pair.start)
    }

    fn observe(&mut self) -> Result<Observation> {
        self.world.observe()
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        let step = self.world.step(action)?;
        let mut checks = self.checks.lock().unwrap();
        let check = self.world.check_goal(&self.pairs[checks.pair].goal);
        checks.moderate.push(check.moderate);
        checks.strict.push(check.strict);
        Ok(step)
    }

    fn action_space(&self) -> &ActionSpace {
        self.world.action_space()
    }

    fn control_step_secs(&self) -> f64 {
        self.world.control_step_secs()
    }
}

/// The body, served at an address, with its camera in a pipe, until it is dropped.
pub struct Body {
    address: SocketAddr,
    pipe: PathBuf,
    pairs: Vec<StartGoal>,
    checks: Arc<Mutex<Checks>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The image of the goal of `pair`.
pub fn goal_of(pair: &StartGoal) -> Observation {
    let mut world = world();
    world.reset(pair.episode).unwrap();
    world.set_state(&pair.goal).unwrap()
}

fn world() -> Box<dyn Simulator> {
    mindseye_sim::make("push_t", &SceneOptions::with_side(64).unwrap()).unwrap()
}

impl Body {
    /// Serves the starts of `pairs`, with a pipe for `fps` images a second in `folder`.
    pub fn serve(folder: &Path, pairs: &[StartGoal], fps: f64) -> Self {
        let pipe = folder.join("eye");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let body = Pairs::new(pairs);
        let checks = body.checks.clone();
        let body = RealTime::new(Box::new(body)).unwrap();
        FrameOutput::new(&pipe).unwrap().publish(body.view(), fps, |_| ()).unwrap();
        let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread =
            std::thread::spawn(move || serve_environment(Box::new(body), free, None, &stopped, &|_| ()).unwrap());
        Self { address: free, pipe, pairs: pairs.to_vec(), checks, stop, thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("ws://{}", self.address)
    }

    pub fn pipe(&self) -> &Path {
        &self.pipe
    }

    /// The image of the goal of pair number `number`, in a file.
    pub fn goal(&self, folder: &Path, number: usize) -> PathBuf {
        let goal = goal_of(&self.pairs[number]);
        let path = folder.join("goal.png");
        std::fs::write(&path, encode_png(goal.image().unwrap()).unwrap()).unwrap();
        path
    }

    /// Whether pair number `number` was reached: moderate at any step, strict for long enough.
    pub fn reached(&self, number: usize) -> (bool, bool) {
        let checks = self.checks.lock().unwrap();
        if checks.pair == number { checks.reached() } else { (false, false) }
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| thread.join().unwrap());
    }
}
