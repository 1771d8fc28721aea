//! Surprise while it happens: what is seen against what was predicted from the actions since.

use std::collections::VecDeque;

use super::{RawScores, STEPS, SurpriseCalibration, SurpriseMetric};
use crate::families::jepa::RolloutEngine;
use crate::{Checkpoint, Result};

/// Most states kept: at a hundred ticks a second those of ten seconds.
const MOST_STATES: usize = 1000;

/// What a tick shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// The scores, not divided by anything.
    pub raw: RawScores,
    /// The state that the model expects one chunk from now, if the newest action goes on; `[D]`.
    pub expected: Vec<f32>,
}

/// Compares states with predictions of them. Times are seconds of any clock; ticks need not be regular: a prediction
/// counts for the state that is seen within half a control step of its time.
#[derive(Debug)]
pub struct SurpriseMeter {
    engine: RolloutEngine,
    metric: SurpriseMetric,
    step_secs: f64,
    chunk: usize,
    /// Which action counts before any came, normalised `[A]` of one control step.
    idle: Vec<f32>,
    states: VecDeque<(f64, Vec<f32>)>,
    /// When each action began.
    actions: VecDeque<(f64, Vec<f32>)>,
}

impl SurpriseMeter {
    /// The meter of a checkpoint. While no action is given, `idle` counts: the normalised action `[A]` that holds
    /// still.
    ///
    /// # Errors
    /// When the weights are not on the CPU, or the calibration does not fit the model.
    pub fn new(checkpoint: &Checkpoint, calibration: &SurpriseCalibration, idle: Vec<f32>) -> Result<Self> {
        Ok(Self {
            engine: RolloutEngine::new(&checkpoint.model)?,
            metric: SurpriseMetric::new(&checkpoint.statistics, &calibration.error_factor)?,
            step_secs: checkpoint.config.control_step_secs,
            chunk: checkpoint.config.model.action_chunk,
            idle,
            states: VecDeque::new(),
            actions: VecDeque::new(),
        })
    }

    /// From `at_secs` on the normalised action `[A]` is executed.
    pub fn act(&mut self, at_secs: f64, action: Vec<f32>) {
        if self.actions.back().is_some_and(|(_, newest)| *newest == action) {
            return;
        }
        self.actions.push_back((at_secs, action));
        let oldest = at_secs - self.horizon_secs() - self.step_secs;
        while self.actions.len() > MOST_STATES || self.actions.get(1).is_some_and(|(began, _)| *began < oldest) {
            self.actions.pop_front();
        }
    }

    /// What follows does not follow from what was seen: nothing was seen for a while.
    pub fn forget(&mut self) {
        self.states.clear();
    }

    /// Takes the state `[D]` that was captured at `at_secs`.
    ///
    /// # Errors
    /// The model's.
    pub fn observe(&mut self, at_secs: f64, latent: &[f32]) -> Result<Measured> {
        let mut raw = RawScores { radius: self.metric.radius(latent), ..RawScores::default() };
        for step in 0..STEPS {
            let chunks = step + 1;
            let ago = (chunks * self.chunk) as f64 * self.step_secs;
            let Some((began, state)) = self.state_at(at_secs - ago) else { continue };
            let predicted = self.engine.rollout(state, &self.plan(*began, chunks), chunks, 1)?;
            let predicted = &predicted[step * latent.len()..];
            let difference: Vec<f32> = predicted.iter().zip(latent).map(|(predicted, seen)| predicted - seen).collect();
            raw.prediction[step] = Some(self.metric.distance(predicted, latent));
            raw.error[step] = Some(self.metric.error(&difference));
        }
        let newest = self.actions.back().map_or(&self.idle, |(_, action)| action);
        let expected = self.engine.rollout(latent, &newest.repeat(self.chunk), 1, 1)?;
        let oldest = at_secs - self.horizon_secs() - self.step_secs;
        while self.states.len() >= MOST_STATES || self.states.front().is_some_and(|(seen, _)| *seen < oldest) {
            self.states.pop_front();
        }
        self.states.push_back((at_secs, latent.to_vec()));
        Ok(Measured { raw, expected })
    }

    /// Distance between two states `[D]`, in usual steps of one chunk.
    pub fn distance(&self, one: &[f32], other: &[f32]) -> f64 {
        self.metric.distance(one, other)
    }

    fn horizon_secs(&self) -> f64 {
        (STEPS * self.chunk) as f64 * self.step_secs
    }

    /// The state that was seen within half a control step of `at_secs`, nearest to it.
    fn state_at(&self, at_secs: f64) -> Option<&(f64, Vec<f32>)> {
        let distance = |state: &&(f64, Vec<f32>)| (state.0 - at_secs).abs();
        let nearest = self.states.iter().min_by(|a, b| distance(a).total_cmp(&distance(b)))?;
        (distance(&nearest) <= self.step_secs / 2.0).then_some(nearest)
    }

    /// The actions of `chunks` chunks from `began_secs` on, `[chunks, A]`: of every control step the one in its middle.
    fn plan(&self, began_secs: f64, chunks: usize) -> Vec<f32> {
        let at = |step: usize| {
            let middle = began_secs + (step as f64 + 0.5) * self.step_secs;
            let action = self.actions.iter().rev().find(|(began, _)| *began <= middle);
            action.map_or(&self.idle, |(_, action)| action)
        };
        (0..chunks * self.chunk).flat_map(at).copied().collect()
    }
}
