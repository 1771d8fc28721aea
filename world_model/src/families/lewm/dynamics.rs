//! Dynamics of a LeWM: its predictor with up to as many frames as its history, one sample per plan.

use super::engine::LewmEngine;
use super::network::Lewm;
use crate::latent::{LatentShape, Plans, Rollouts};
use crate::model::{Context, Dynamics, InferenceOptions, require_plans};
use crate::{Error, Result};

/// A LeWM's predictor. It uses the newest states of a context, at most as many as the model's history. Its authors plan
/// from one frame.
#[derive(Debug, Clone)]
pub struct LewmDynamics {
    engine: LewmEngine,
    history: usize,
    gain: Vec<f32>,
    offset: Vec<f32>,
    threads: usize,
}

impl LewmDynamics {
    /// The predictor of `model`. LeWMs are trained on standardised actions: value `i` of a chunk of normalised actions
    /// `[A]` times `gain[i]` plus `offset[i]`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are `A` gains and offsets.
    pub fn new(model: &Lewm, gain: Vec<f32>, offset: Vec<f32>, options: &InferenceOptions) -> Result<Self> {
        let engine = LewmEngine::with_precision(model, options.precision)?;
        if gain.len() != engine.chunk_width() || offset.len() != engine.chunk_width() {
            return Err(Error::Shape {
                operation: "standardising actions",
                expected: format!("{} gains and offsets", engine.chunk_width()),
                got: format!("{} and {}", gain.len(), offset.len()),
            });
        }
        Ok(Self { engine, history: model.config().predictor.history, gain, offset, threads: options.threads })
    }

    /// Normalised chunks `[.., A]` → standardised ones.
    fn standardised(&self, chunks: &[f32]) -> Vec<f32> {
        let mut standardised = chunks.to_vec();
        for chunk in standardised.chunks_exact_mut(self.gain.len()) {
            let terms = self.gain.iter().zip(&self.offset);
            chunk.iter_mut().zip(terms).for_each(|(value, (gain, offset))| *value = *value * gain + offset);
        }
        standardised
    }
}

impl Dynamics for LewmDynamics {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Result<Rollouts> {
        const OPERATION: &str = "rollout";
        let (width, chunk_width) = (self.engine.width(), self.engine.chunk_width());
        require_plans(OPERATION, plans, chunk_width)?;
        context.current(OPERATION, LatentShape::global(width), chunk_width)?;
        let context = context.newest(self.history, chunk_width);
        let frames: Vec<f32> = context.latents.iter().flat_map(|latent| latent.values()).copied().collect();
        let past = self.standardised(context.actions);
        let chunks = self.standardised(plans.values());
        let (horizon, threads, cancel) = (plans.horizon(), self.threads, context.cancel);
        let values = self.engine.rollout_until(&frames, &past, &chunks, horizon, threads, cancel)?;
        Rollouts::new([plans.count(), 1, plans.horizon(), 1, width], values)
    }
}
