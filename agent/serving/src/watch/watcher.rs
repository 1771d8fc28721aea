//! One tick of watching: a function of what was seen so far.

use std::path::Path;
use std::sync::Arc;

use mindseye_cameras::{DrivenAction, FrameSet};
use mindseye_interface::{ActionSpace, Image, Observation};
use mindseye_world_model::surprise::{Alarm, AlarmRule, KINDS, RawScores, SurpriseCalibration, SurpriseMeter};
use mindseye_world_model::{Checkpoint, Model, StateProbeEngine};
use serde::Serialize;

use crate::{Error, Result};

/// A model that watches.
pub struct Watcher {
    checkpoint: Checkpoint,
    calibration: SurpriseCalibration,
    meter: SurpriseMeter,
    alarm: Alarm,
    probe: Option<StateProbeEngine>,
    /// Numbers of the frames of the newest look.
    looked_at: Vec<u64>,
    was_stale: bool,
    newest: Option<Vec<f32>>,
    goal: Option<Vec<f32>>,
}

/// What a tick is about.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum Look {
    /// A new frame was seen.
    Seen(Box<Seen>),
    /// The camera has given no newer frame since the tick before: nothing to judge.
    Same,
    /// There is no frame to trust: no surprise, and no calm either.
    Stale {
        /// Why.
        reason: String,
    },
}

/// What a new frame shows.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Seen {
    /// The score: 1 is what 99 of 100 normal ticks do not exceed; against `band`.
    pub score: f64,
    /// The scores that it is the largest of: predictions and errors over 1, 2, ... chunks, and the shell.
    pub scores: [Option<f64>; KINDS],
    /// The same, not divided by anything.
    pub raw: RawScores,
    /// Named values that the state probe reads, where there is one.
    pub read_outs: Vec<(String, f32)>,
    /// Distance to the view that was taken as the goal, in usual steps of one chunk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal_distance: Option<f64>,
    /// State that is expected one chunk from now.
    #[serde(skip)]
    pub expected: Vec<f32>,
}

/// One tick.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tick {
    /// When it was, seconds of the clock.
    pub at_secs: f64,
    /// What it saw.
    #[serde(flatten)]
    pub look: Look,
    /// Score above which a tick is surprising.
    pub band: f64,
    /// Whether an event begins.
    pub event: bool,
    /// Whether one goes on.
    pub alarm: bool,
}

impl Watcher {
    /// The watcher with the model in `folder`, which has a calibration of its surprise. `band` replaces that of the
    /// calibration.
    ///
    /// # Errors
    /// When the checkpoint is broken, has no calibration, or its model takes more than images.
    pub fn load(folder: &Path, band: Option<f64>) -> Result<Self> {
        let checkpoint = Checkpoint::load(folder)?;
        let calibration = SurpriseCalibration::load(folder, checkpoint.fingerprint())?.ok_or_else(|| {
            let advice = "mindseye train surprise --checkpoint CHECKPOINT --data RECORDINGS makes it";
            let file = folder.join(SurpriseCalibration::FILE);
            Error::place(file.display(), format!("expected a calibration of surprise, got none ({advice})"))
        })?;
        Self::new(checkpoint, calibration, band)
    }

    /// The watcher with a model and its calibration.
    ///
    /// # Errors
    /// As [`Watcher::load`].
    pub fn new(checkpoint: Checkpoint, calibration: SurpriseCalibration, band: Option<f64>) -> Result<Self> {
        let own = checkpoint.config.model.proprioception_width;
        if own > 0 {
            return Err(Error::field(
                "--checkpoint",
                "a model of images alone",
                format!("{own} of proprioception too"),
            ));
        }
        let rule = AlarmRule { band: band.unwrap_or(calibration.rule.band), ..calibration.rule };
        rule.validate()?;
        let meter = SurpriseMeter::new(&checkpoint, &calibration, idle(&checkpoint.config.action_space))?;
        let probe = checkpoint.state_probe.as_ref().map(StateProbeEngine::new).transpose()?;
        let (looked_at, alarm) = (Vec::new(), Alarm::new(rule));
        let calibration = SurpriseCalibration { rule, ..calibration };
        Ok(Self { checkpoint, calibration, meter, alarm, probe, looked_at, was_stale: false, newest: None, goal: None })
    }

    /// The model and what lies beside it.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Its calibration, with the band that counts.
    pub fn calibration(&self) -> &SurpriseCalibration {
        &self.calibration
    }

    /// From `action.received_secs` on this action, in the units of the model's recordings, is executed.
    ///
    /// # Errors
    /// When it has another width than the model's.
    pub fn act(&mut self, action: &DrivenAction) -> Result<()> {
        let physical: Vec<f64> = action.values.iter().map(|&value| f64::from(value)).collect();
        let normalised = self.checkpoint.config.action_space.normalise(&physical)?;
        self.meter.act(action.received_secs, normalised.values().to_vec());
        Ok(())
    }

    /// From `at_secs` on, seconds of the clock of actions, nobody says any more what is executed: the robot is taken to
    /// hold still, as without a driver.
    pub fn release(&mut self, at_secs: f64) {
        self.meter.act(at_secs, idle(&self.checkpoint.config.action_space));
    }

    /// Looks at the newest frames at `at_secs`, or hears why there are none.
    ///
    /// # Errors
    /// The model's: frames of another size than it takes.
    pub fn look(&mut self, at_secs: f64, frames: std::result::Result<&FrameSet, String>) -> Result<Tick> {
        let look = match frames {
            Err(reason) => {
                self.was_stale = true;
                Look::Stale { reason }
            }
            Ok(set) => {
                let numbers: Vec<u64> = set.frames.iter().map(|frame| frame.sequence).collect();
                if numbers == self.looked_at {
                    Look::Same
                } else {
                    self.looked_at = numbers;
                    Look::Seen(Box::new(self.judge(set)?))
                }
            }
        };
        let event = matches!(&look, Look::Seen(seen) if self.alarm.takes(seen.score));
        Ok(Tick { at_secs, look, band: self.calibration.rule.band, event, alarm: self.alarm.is_active() })
    }

    fn judge(&mut self, set: &FrameSet) -> Result<Seen> {
        if std::mem::take(&mut self.was_stale) {
            self.meter.forget();
            self.alarm.forget();
        }
        let captured = set.frames.iter().map(|frame| frame.captured_secs).fold(f64::NEG_INFINITY, f64::max);
        let latent = self.encode(set)?;
        let measured = self.meter.observe(captured, &latent)?;
        let read_outs = match &self.probe {
            Some(probe) => probe.names().iter().cloned().zip(probe.read(&latent)?).collect(),
            None => Vec::new(),
        };
        let goal_distance = self.goal.as_ref().map(|goal| self.meter.distance(&latent, goal));
        self.newest = Some(latent);
        let raw = measured.raw;
        let (score, scores) = (self.calibration.score(&raw), self.calibration.scores(&raw));
        Ok(Seen { score, scores, raw, read_outs, goal_distance, expected: measured.expected })
    }

    fn encode(&self, set: &FrameSet) -> Result<Vec<f32>> {
        let observation = Observation { frames: set.observed(0.0), ..Observation::default() };
        let model: &dyn Model = &self.checkpoint.model;
        let latent = model.encode(std::slice::from_ref(&observation))?.pop();
        Ok(latent.ok_or_else(|| Error::field("camera", "a frame", "none"))?.values().to_vec())
    }

    /// Takes the newest view as the goal: ticks then say how far it is. `false` before anything was seen.
    pub fn take_as_goal(&mut self) -> bool {
        self.goal.clone_from(&self.newest);
        self.goal.is_some()
    }

    /// What a state looks like, where there is a decoder.
    ///
    /// # Errors
    /// The decoder's.
    pub fn draw(&self, state: &[f32]) -> Result<Option<Arc<Image>>> {
        let Some(decoder) = &self.checkpoint.decoder else { return Ok(None) };
        Ok(decoder.draw(state)?.pop().map(Arc::new))
    }
}

/// The normalised action that holds still, as far as it is known without proprioception.
fn idle(space: &ActionSpace) -> Vec<f32> {
    space.hold(&[]).map_or_else(|_| vec![0.0; space.width()], |action| action.values().to_vec())
}
