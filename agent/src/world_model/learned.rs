//! The learned world model: the fast rollout engine behind the seam.

use mindseye_world_model::{Jepa, RolloutEngine};

use super::WorldModel;
use crate::Result;
use crate::latent::{Latent, Plans, Rollouts};

/// A JEPA's predictor, one future per plan.
#[derive(Debug, Clone)]
pub struct LearnedWorldModel {
    engine: RolloutEngine,
    threads: usize,
}

impl LearnedWorldModel {
    /// The predictor of `model`, on `threads` threads of the current rayon pool.
    ///
    /// # Errors
    /// When the weights cannot be read.
    pub fn new(model: &Jepa, threads: usize) -> Result<Self> {
        Ok(Self { engine: RolloutEngine::new(model)?, threads })
    }
}

impl WorldModel for LearnedWorldModel {
    fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts> {
        let values = self.engine.rollout(start.values(), plans.values(), plans.horizon(), self.threads)?;
        Rollouts::new([plans.count(), 1, plans.horizon(), 1, self.engine.latent_width()], values)
    }
}
