//! LeWorldModel's predictor behind the seam.

use mindseye_world_model::lewm::LewmEngine;
use mindseye_world_model::{Lewm, Precision};

use super::WorldModel;
use crate::latent::{Latent, Plans, Rollouts};
use crate::{Error, Result};

/// A LeWM's predictor, one future per plan, from one frame (as its authors plan).
#[derive(Debug, Clone)]
pub struct LewmWorldModel {
    engine: LewmEngine,
    gain: Vec<f32>,
    offset: Vec<f32>,
    threads: usize,
}

impl LewmWorldModel {
    /// The predictor of `model` with weights in `precision`, on `threads` threads of the current rayon pool. LeWMs are trained on standardised actions: of a block of
    /// normalised actions `[A]`, value `i` times `gain[i]` plus `offset[i]` is what the model knows.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there are `A` gains and offsets.
    pub fn new(model: &Lewm, gain: Vec<f32>, offset: Vec<f32>, precision: Precision, threads: usize) -> Result<Self> {
        let engine = LewmEngine::with_precision(model, precision)?;
        if gain.len() != engine.block_width() || offset.len() != engine.block_width() {
            return Err(Error::Shape {
                operation: "standardising actions",
                expected: format!("{} gains and offsets", engine.block_width()),
                got: format!("{} and {}", gain.len(), offset.len()),
            });
        }
        Ok(Self { engine, gain, offset, threads })
    }

    /// What rolls plans out.
    pub fn engine(&self) -> &LewmEngine {
        &self.engine
    }
}

impl WorldModel for LewmWorldModel {
    fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts> {
        if plans.block_width() != self.engine.block_width() {
            return Err(Error::Shape {
                operation: "imagining",
                expected: format!("blocks of {} values", self.engine.block_width()),
                got: plans.block_width().to_string(),
            });
        }
        let mut blocks = plans.values().to_vec();
        for block in blocks.chunks_exact_mut(self.gain.len()) {
            let known = self.gain.iter().zip(&self.offset);
            block.iter_mut().zip(known).for_each(|(value, (gain, offset))| *value = *value * gain + offset);
        }
        let values = self.engine.rollout(start.values(), &[], &blocks, plans.horizon(), self.threads)?;
        Rollouts::new([plans.count(), 1, plans.horizon(), 1, self.engine.width()], values)
    }
}
