//! A body that is seen by cameras beside it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use mindseye_cameras::{CameraSet, FrameSet, SharedClock};
use mindseye_interface::{Action, ActionSpace, Environment, Error, Frame, Observation, Result, Seed, Step};

use super::latencies::Latencies;

/// A body whose images come from cameras, if there are any. Cameras take time to deliver: a control step returns, when
/// it ends, the images that show how it began.
pub struct CameraBody {
    body: Box<dyn Environment>,
    cameras: Option<CameraSet>,
    /// Names of the model's cameras, in the order of the set.
    names: Vec<Arc<str>>,
    clock: SharedClock,
    max_age: Duration,
    step_secs: f64,
    latencies: Latencies,
    /// What was measured of the body when the newest control step began.
    proprioception: Vec<f32>,
    own: OwnImages,
}

/// What is known of the images that a body without cameras beside it sends.
#[derive(Debug, Default)]
struct OwnImages {
    has_images: bool,
    /// Its newest time, and when that came, seconds.
    time: Option<(f64, f64)>,
}

/// Pause before the next look for a newer frame.
const LOOK: Duration = Duration::from_millis(2);
/// Share of a control step that is left after it is observed, for the next command to come in time.
const LEFT: f64 = 0.04;

impl CameraBody {
    /// `body`, seen by `cameras` whose frames are called `names`; without cameras by its own. Frames are at most
    /// `max_age` old. Control steps take `step_secs`.
    pub fn new(
        body: Box<dyn Environment>,
        cameras: Option<(CameraSet, Vec<Arc<str>>)>,
        clock: SharedClock,
        max_age: Duration,
        step_secs: f64,
    ) -> Self {
        let (cameras, names) = cameras.map_or((None, Vec::new()), |(cameras, names)| (Some(cameras), names));
        let latencies = Latencies::default();
        latencies.starts(clock.now_secs());
        let (proprioception, own) = (Vec::new(), OwnImages::default());
        Self { body, cameras, names, clock, max_age, step_secs, latencies, proprioception, own }
    }

    /// What is measured of it.
    pub fn latencies(&self) -> Latencies {
        self.latencies.clone()
    }

    /// `observation` of the body, with the frames of the cameras that `look` finds.
    fn seen(
        &mut self,
        mut observation: Observation,
        look: impl FnOnce(&CameraSet) -> mindseye_cameras::Result<FrameSet>,
    ) -> Result<Observation> {
        let started_secs = self.latencies.started_secs();
        let Some(cameras) = &self.cameras else {
            self.trust_own(&observation)?;
            // The body's clock is not ours: its images count from when they came.
            let now_secs = self.clock.now_secs();
            observation.frames.iter_mut().for_each(|frame| frame.captured_secs = now_secs - started_secs);
            self.latencies.seen(now_secs, now_secs);
            return Ok(observation);
        };
        let set = look(cameras);
        let set = set.map_err(|error| Error::Environment { operation: "seeing", reason: error.to_string() })?;
        let oldest = set.frames.iter().map(|frame| frame.captured_secs).fold(f64::INFINITY, f64::min);
        self.latencies.seen(oldest, self.clock.now_secs());
        let frames = set.observed(started_secs);
        let named = frames.into_iter().zip(&self.names).map(|(frame, name)| Frame { camera: name.clone(), ..frame });
        observation.frames = named.collect();
        Ok(observation)
    }
}

impl CameraBody {
    /// Refuses images of the body's own that are missing where there were some, or old by its own clock.
    fn trust_own(&mut self, observation: &Observation) -> Result<()> {
        let refused = |reason: String| Err(Error::Environment { operation: "seeing", reason });
        if observation.frames.is_empty() {
            return if self.own.has_images { refused("expected the body's images, got none".into()) } else { Ok(()) };
        }
        self.own.has_images = true;
        let oldest = observation.frames.iter().map(|frame| frame.captured_secs).fold(f64::INFINITY, f64::min);
        let (age, most) = (observation.time_secs - oldest, self.max_age.as_secs_f64());
        match age <= most {
            true => Ok(()),
            false => refused(format!("expected images of at most {most:.3} s, got one of {age:.3} s")),
        }
    }

    /// Refuses a body whose own clock stands still while it moves: its images are those of one time.
    fn trust_clock(&mut self, time_secs: f64) -> Result<()> {
        let now_secs = self.clock.now_secs();
        match self.own.time {
            Some((before, since)) if time_secs <= before => {
                let (stood, most) = (now_secs - since, self.max_age.as_secs_f64());
                let reason = format!("expected the body's time to go on, got {time_secs} s for {stood:.3} s");
                if stood <= most { Ok(()) } else { Err(Error::Environment { operation: "seeing", reason }) }
            }
            _ => {
                self.own.time = Some((time_secs, now_secs));
                Ok(())
            }
        }
    }
}

/// Frames of all cameras that were captured after `since_secs`, where they come within `wait_secs`; else the newest.
fn newest(
    cameras: &CameraSet,
    clock: &SharedClock,
    max_age: Duration,
    since_secs: f64,
    wait_secs: f64,
) -> mindseye_cameras::Result<FrameSet> {
    let until_secs = clock.now_secs() + wait_secs;
    loop {
        let read = cameras.read_latest(max_age);
        let is_new = |set: &FrameSet| set.frames.iter().all(|frame| frame.captured_secs >= since_secs);
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
        self.latencies.starts(since_secs);
        self.own.time = None;
        self.proprioception.clone_from(&observation.proprioception);
        // The cameras need a while to show where it is now.
        let (clock, max_age) = (self.clock.clone(), self.max_age);
        self.seen(observation, |cameras| newest(cameras, &clock, max_age, since_secs, max_age.as_secs_f64()))
    }

    fn observe(&mut self) -> Result<Observation> {
        let observation = self.body.observe()?;
        self.proprioception.clone_from(&observation.proprioception);
        let max_age = self.max_age;
        self.seen(observation, |cameras| cameras.read_latest(max_age))
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        let (sent, sent_secs) = (Instant::now(), self.clock.now_secs());
        self.latencies.sent(sent_secs);
        let Step { mut observation, terminated } = self.body.step(action)?;
        if self.cameras.is_none() {
            self.trust_clock(observation.time_secs)?;
            return Ok(Step { observation: self.seen(observation, |cameras| cameras.read_latest(LOOK))?, terminated });
        }
        std::mem::swap(&mut observation.proprioception, &mut self.proprioception);
        let ends = Duration::from_secs_f64((1.0 - LEFT) * self.step_secs);
        std::thread::sleep(ends.saturating_sub(sent.elapsed()));
        let max_age = self.max_age;
        let observation = self.seen(observation, |cameras| cameras.read_from(sent_secs, max_age))?;
        Ok(Step { observation, terminated })
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

    fn observation_lag_steps(&self) -> usize {
        if self.cameras.is_some() { 1 } else { self.body.observation_lag_steps() }
    }
}
