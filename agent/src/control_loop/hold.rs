//! Holding a body still when something is wrong, until a person resumes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mindseye_interface::{ImageSize, Observation};

use super::Run;
use crate::{Agent, Error, Result, TickReport};

/// When a body is held still until a person says so: what failed once may fail again, and nobody may stand where it
/// would move by itself.
///
/// A run with a latch begins with the command that holds still, and so does what follows each time that it is resumed.
/// It holds for every error of the environment (a camera without fresh frames, a body that does not answer), for
/// measurements that are no numbers, for a tick that failed, and for what the fields say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Latch {
    /// Surprise from which on it holds; none: never.
    pub surprise: Option<f32>,
    /// Longest time of a tick, seconds; none: any.
    pub tick_secs: Option<f64>,
    /// Why the run begins held, for example because there is no goal yet; none: it begins at once.
    pub at_start: Option<String>,
}

/// Why a run cannot go on as it is.
pub(super) enum Fault {
    /// Something failed: what holds still is [`mindseye_interface::Environment::stop`].
    Failed(Error),
    /// Everything answers, but what is observed or planned cannot be trusted.
    Unsafe(String),
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<mindseye_interface::Error> for Fault {
    fn from(error: mindseye_interface::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Latch {
    /// Why `report`, which was made for `observation`, is not to be executed.
    pub(super) fn reason(&self, observation: &Observation, report: &TickReport) -> Option<String> {
        if let Some(reason) = not_finite(observation) {
            return Some(reason);
        }
        if let Some(error) = &report.error {
            return Some(error.clone());
        }
        if let (Some(most), Some(surprise)) = (self.surprise, report.surprise) {
            // A NaN is not within the band.
            if !matches!(surprise.partial_cmp(&most), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)) {
                return Some(format!("surprise: expected at most {most}, got {surprise}"));
            }
        }
        match self.tick_secs {
            Some(most) if report.planning_ms > 1e3 * most => {
                Some(format!("planning: expected at most {:.0} ms, got {:.0}", 1e3 * most, report.planning_ms))
            }
            _ => None,
        }
    }
}

/// What is wrong with the numbers of an observation.
fn not_finite(observation: &Observation) -> Option<String> {
    let value = observation.proprioception.iter().find(|value| !value.is_finite())?;
    Some(format!("proprioception: expected finite numbers, got {value}"))
}

/// Names and sizes of the images of an observation, and how many measurements there are.
type Shape = (Vec<(Arc<str>, ImageSize)>, usize);

/// What the observations of a body look like: those before say it.
#[derive(Debug, Default)]
pub(super) struct Known {
    shape: Option<Shape>,
}

impl Known {
    /// How `observation` differs from those before, or what is wrong with its numbers.
    pub fn unlike(&mut self, observation: &Observation) -> Option<String> {
        if let Some(reason) = not_finite(observation) {
            return Some(reason);
        }
        let images = observation.frames.iter().map(|frame| (frame.camera.clone(), frame.image.size())).collect();
        let shape = (images, observation.proprioception.len());
        let described = |(images, numbers): &Shape| {
            let image = |(camera, size): &(Arc<str>, ImageSize)| format!("{camera} {}x{}", size.width(), size.height());
            let images: Vec<String> = images.iter().map(image).collect();
            format!("images [{}] and {numbers} measurements", images.join(", "))
        };
        match &self.shape {
            Some(before) if *before == shape => None,
            Some(before) => {
                let reason =
                    format!("observation: expected {} as before, got {}", described(before), described(&shape));
                Some(reason)
            }
            None => {
                self.shape = Some(shape);
                None
            }
        }
    }
}

impl Run<'_> {
    /// The first observation of a run, or after it was resumed. With a latch the body is commanded to be where it is
    /// before anything else.
    pub(super) fn begin(&mut self, agent: &mut Agent) -> Result<Observation> {
        let Some(latch) = self.limits.latch.clone() else { return self.worker.observe(self.listener) };
        let is_first = self.summary.ticks == 0 && self.summary.holds.is_empty();
        if let Some(reason) = latch.at_start.filter(|_| is_first) {
            self.hold(agent, Fault::Unsafe(reason), &Observation::default())?;
        }
        loop {
            let held = self.worker.observe(self.listener).and_then(|observation| {
                self.hold_at(&observation)?;
                Ok(observation)
            });
            match held {
                Ok(observation) => return Ok(observation),
                Err(_) if self.stop.load(Ordering::Relaxed) => return Ok(Observation::default()),
                Err(error) => self.hold(agent, Fault::Failed(error), &Observation::default())?,
            }
        }
    }

    /// Holds the body still, where it can be told to, until a person resumes. The error that `fault` is where the run
    /// has no latch, or nobody can resume it.
    pub(super) fn hold(&mut self, agent: &mut Agent, fault: Fault, observation: &Observation) -> Result<()> {
        let reason = match fault {
            Fault::Failed(error) if self.limits.latch.is_none() => return Err(error),
            Fault::Failed(error) => error.to_string(),
            Fault::Unsafe(reason) => {
                // Bodies that keep their last command need another one; that it fails is said by the next call. Where
                // observations come late, the newest one does not show where the body is.
                let newest = (self.lag > 0).then(|| self.worker.observe(self.listener).ok()).flatten();
                let _ = self.hold_at(newest.as_ref().unwrap_or(observation));
                reason
            }
        };
        let stopped = self.worker.stop(self.listener);
        self.listener.on_held(&reason);
        self.summary.holds.push(reason.clone());
        if let Err(error) = stopped {
            self.summary.refused_commands.push(format!("stopping: {error}"));
        }
        if !self.wait_for_resume(agent) {
            return Err(Error::Held { reason });
        }
        if !self.stop.load(Ordering::Relaxed) {
            self.listener.on_resumed();
        }
        agent.start_episode();
        Ok(())
    }

    /// One control step of the command that holds still where `observation` shows the body.
    fn hold_at(&mut self, observation: &Observation) -> Result<()> {
        let still = self.space.hold(&observation.proprioception)?;
        self.commanded = Some(still.values().to_vec());
        self.worker.step(still, self.listener).map(drop)
    }

    /// Where commands must not jump: takes holding still as the command before the first.
    pub(super) fn know_command(&mut self, observation: &Observation) -> Result<()> {
        if self.limits.max_change.is_some() && self.commanded.is_none() {
            self.commanded = Some(self.space.hold(&observation.proprioception)?.values().to_vec());
        }
        Ok(())
    }

    /// `values` as near to the command before as it may be.
    pub(super) fn within_reach(&self, values: &[f32]) -> Vec<f32> {
        self.reachable(values, self.commanded.as_deref())
    }

    /// `values` as near to the command `before` as it may be.
    pub(super) fn reachable(&self, values: &[f32], before: Option<&[f32]>) -> Vec<f32> {
        match (self.limits.max_change, before) {
            (Some(most), Some(before)) => {
                let near = |(value, before): (&f32, &f32)| value.clamp(before - most.max(0.0), before + most.max(0.0));
                values.iter().zip(before).map(near).collect()
            }
            _ => values.to_vec(),
        }
    }
}
