//! A body that is seen by cameras beside it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use mindseye_cameras::{CameraSet, FrameSet, SharedClock};
use mindseye_interface::{Action, ActionSpace, Environment, Error, Frame, Observation, Result, Seed, Step};

/// Times from the capture of an image until the first command that follows from it is sent.
#[derive(Debug, Clone, Default)]
pub struct Latencies {
    /// Milliseconds.
    measured: Arc<Mutex<Vec<f64>>>,
    /// A plan was made, and no command of it has been sent.
    is_planned: Arc<AtomicBool>,
}

impl Latencies {
    /// A plan was made from the newest observation.
    pub fn planned(&self) {
        self.is_planned.store(true, Ordering::Relaxed);
    }

    /// All measured ones, milliseconds.
    pub fn milliseconds(&self) -> Vec<f64> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn sent(&self, captured_secs: f64, now_secs: f64) {
        if self.is_planned.swap(false, Ordering::Relaxed) {
            let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
            measured.push(1e3 * (now_secs - captured_secs));
        }
    }
}

/// A body whose images come from cameras, if there are any, and whose control steps last their time.
pub struct CameraBody {
    body: Box<dyn Environment>,
    cameras: Option<CameraSet>,
    /// Names of the model's cameras, in the order of the set.
    names: Vec<Arc<str>>,
    clock: SharedClock,
    max_age: Duration,
    step_secs: f64,
    /// How long before the end of a control step its observation is made, seconds: planning takes so long.
    lead_secs: f64,
    latencies: Latencies,
    started_secs: f64,
    captured_secs: f64,
}

/// Pause before the next look for a newer frame.
const LOOK: Duration = Duration::from_millis(2);

impl CameraBody {
    /// `body`, seen by `cameras` whose frames are called `names`; without cameras by its own. Frames are at most
    /// `max_age` old. Control steps take `step_secs`, and are observed `lead_secs` before they end.
    pub fn new(
        body: Box<dyn Environment>,
        cameras: Option<(CameraSet, Vec<Arc<str>>)>,
        clock: SharedClock,
        max_age: Duration,
        (step_secs, lead_secs): (f64, f64),
    ) -> Self {
        let (cameras, names) = cameras.map_or((None, Vec::new()), |(cameras, names)| (Some(cameras), names));
        let (latencies, started_secs) = (Latencies::default(), clock.now_secs());
        let captured_secs = started_secs;
        Self { body, cameras, names, clock, max_age, step_secs, lead_secs, latencies, started_secs, captured_secs }
    }

    /// What is measured of it.
    pub fn latencies(&self) -> Latencies {
        self.latencies.clone()
    }

    /// `observation` of the body, with the newest frames of the cameras.
    fn seen(&mut self, mut observation: Observation, since_secs: Option<f64>) -> Result<Observation> {
        let Some(cameras) = &self.cameras else {
            self.captured_secs = self.clock.now_secs();
            return Ok(observation);
        };
        let set = newest(cameras, &self.clock, self.max_age, since_secs, self.lead_secs);
        let set = set.map_err(|error| Error::Environment { operation: "seeing", reason: error.to_string() })?;
        let oldest = set.frames.iter().map(|frame| frame.captured_secs).fold(f64::INFINITY, f64::min);
        self.captured_secs = oldest;
        let frames = set.observed(self.started_secs);
        let named = frames.into_iter().zip(&self.names).map(|(frame, name)| Frame { camera: name.clone(), ..frame });
        observation.frames = named.collect();
        Ok(observation)
    }
}

/// Frames of all cameras that were captured after `since_secs`, where they come within `wait_secs`; else the newest.
fn newest(
    cameras: &CameraSet,
    clock: &SharedClock,
    max_age: Duration,
    since_secs: Option<f64>,
    wait_secs: f64,
) -> mindseye_cameras::Result<FrameSet> {
    let until_secs = clock.now_secs() + wait_secs;
    loop {
        let read = cameras.read_latest(max_age);
        let is_new =
            |set: &FrameSet| since_secs.is_none_or(|since| set.frames.iter().all(|frame| frame.captured_secs >= since));
        match read {
            Ok(set) if is_new(&set) => return Ok(set),
            read if clock.now_secs() >= until_secs => return read,
            _ => std::thread::sleep(LOOK),
        }
    }
}

impl Environment for CameraBody {
    fn reset(&mut self, seed: Seed) -> Result<Observation> {
        let observation = self.body.reset(seed)?;
        let since_secs = self.clock.now_secs();
        self.started_secs = since_secs;
        self.seen(observation, Some(since_secs))
    }

    fn observe(&mut self) -> Result<Observation> {
        let observation = self.body.observe()?;
        self.seen(observation, None)
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        let (sent, sent_secs) = (Instant::now(), self.clock.now_secs());
        self.latencies.sent(self.captured_secs, sent_secs);
        let step = self.body.step(action)?;
        if self.cameras.is_some() {
            let ends = Duration::from_secs_f64((self.step_secs - self.lead_secs).max(0.0));
            std::thread::sleep(ends.saturating_sub(sent.elapsed()));
        }
        let observation = self.seen(step.observation, Some(sent_secs))?;
        Ok(Step { observation, terminated: step.terminated })
    }

    fn stop(&mut self) -> Result<()> {
        self.body.stop()
    }

    fn action_space(&self) -> &ActionSpace {
        self.body.action_space()
    }

    fn control_step_secs(&self) -> f64 {
        self.step_secs
    }
}
