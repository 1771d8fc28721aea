//! The learned world model: the fast rollout engine behind the seam.

use mindseye_world_model::predictor::Predictor;
use mindseye_world_model::{
    Adaptation, AdaptationConfig, Adapter, Experience, Jepa, PlanSlopes, Precision, RolloutEngine,
};

use super::{Judge, WorldModel};
use crate::Result;
use crate::latent::{Latent, Plans, Rollouts};

/// A JEPA's predictor, one future per plan.
#[derive(Debug, Clone)]
pub struct LearnedWorldModel {
    engine: RolloutEngine,
    slopes: PlanSlopes,
    adapter: Adapter,
    threads: usize,
}

impl LearnedWorldModel {
    /// The predictor of `model` with weights in `precision`, on `threads` threads of the current rayon pool. Slopes are always exact.
    ///
    /// # Errors
    /// When the weights cannot be read.
    pub fn new(model: &Jepa, precision: Precision, threads: usize) -> Result<Self> {
        let config = model.config();
        Self::of_predictor(model.predictor(), (config.latent_width, config.block_width()), precision, threads)
    }

    /// As [`LearnedWorldModel::new`], of a predictor of latents `[D]` and blocks `[A]` that is not a model's own: a member of an ensemble.
    ///
    /// # Errors
    /// When the weights cannot be read.
    pub fn of_predictor(
        predictor: &Predictor,
        (latent_width, block_width): (usize, usize),
        precision: Precision,
        threads: usize,
    ) -> Result<Self> {
        Ok(Self {
            engine: RolloutEngine::of_predictor(predictor, latent_width, block_width, precision)?,
            slopes: PlanSlopes::of_predictor(predictor, latent_width, block_width)?,
            adapter: Adapter::new(predictor, latent_width, block_width)?,
            threads,
        })
    }
}

impl LearnedWorldModel {
    fn rollouts(&self, plans: &Plans, values: Vec<f32>) -> Result<Rollouts> {
        Rollouts::new([plans.count(), 1, plans.horizon(), 1, self.engine.latent_width()], values)
    }
}

impl WorldModel for LearnedWorldModel {
    fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts> {
        let values = self.engine.rollout(start.values(), plans.values(), plans.horizon(), self.threads)?;
        self.rollouts(plans, values)
    }

    fn differentiate(&self, start: &Latent, plans: &Plans, judge: &mut Judge<'_>) -> Result<Vec<f32>> {
        let judge = |values| judge(&self.rollouts(plans, values)?);
        self.slopes.of(start.values(), plans.values(), plans.horizon(), self.threads, judge)
    }

    fn adapt(&mut self, experience: &Experience, config: &AdaptationConfig) -> Result<Option<Adaptation>> {
        let (layer, adaptation) = self.adapter.adapt(experience, config)?;
        self.engine = self.engine.with_last_layer(&layer)?;
        self.slopes = self.slopes.with_last_layer(&layer)?;
        Ok(Some(adaptation))
    }
}
