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

/// Control steps over which the strict predicate has to hold at the end, as in evaluations.
const HOLD_STEPS: usize = 5;

/// Whether the predicates held after each control step since the reset to pair number `pair`.
#[derive(Default)]
struct Checks {
    pair: usize,
    moderate: Vec<bool>,
    strict: Vec<bool>,
}

/// push_t, whose reset with the seed `n` is the start of pair number `n`.
struct Pairs {
    world: Box<dyn Simulator>,
    pairs: Vec<StartGoal>,
    checks: Arc<Mutex<Checks>>,
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

fn world() -> Box<dyn Simulator> {
    mindseye_sim::make("push_t", &SceneOptions::with_side(64).unwrap()).unwrap()
}

impl Body {
    /// Serves the starts of `pairs`, with a pipe for `fps` images a second in `folder`.
    pub fn serve(folder: &Path, pairs: &[StartGoal], fps: f64) -> Self {
        let pipe = folder.join("eye");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let checks: Arc<Mutex<Checks>> = Arc::default();
        let body = Pairs { world: world(), pairs: pairs.to_vec(), checks: checks.clone() };
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
        let (mut world, pair) = (world(), &self.pairs[number]);
        world.reset(pair.episode).unwrap();
        let goal = world.set_state(&pair.goal).unwrap();
        let path = folder.join("goal.png");
        std::fs::write(&path, encode_png(goal.image().unwrap()).unwrap()).unwrap();
        path
    }

    /// Whether pair number `number` was reached: moderate at any step, strict over the last ones.
    pub fn reached(&self, number: usize) -> (bool, bool) {
        let checks = self.checks.lock().unwrap();
        if checks.pair != number {
            return (false, false);
        }
        let held = checks.strict.iter().rev().take(HOLD_STEPS).filter(|strict| **strict).count();
        (checks.moderate.contains(&true), held == HOLD_STEPS)
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().into_iter().for_each(|thread| thread.join().unwrap());
    }
}
