//! Dynamics of a JEPA: its predictor, one sample per plan.

use super::network::Jepa;
use super::plan_gradient::{PlanGradient, PlanRecording};
use super::predictor::Predictor;
use super::rollout::RolloutEngine;
use crate::Result;
use crate::cancel::Cancel;
use crate::latent::{LatentShape, Plans, Rollouts};
use crate::model::{Context, Dynamics, InferenceOptions, Recording, require_one_each, require_plans};

/// A predictor of global latents. It depends on the current state only: older states of a context are ignored.
#[derive(Debug, Clone)]
pub struct JepaDynamics {
    engine: RolloutEngine,
    gradients: PlanGradient,
    threads: usize,
}

impl JepaDynamics {
    /// The predictor of `model`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(model: &Jepa, options: &InferenceOptions) -> Result<Self> {
        let config = model.config();
        Self::of_predictor(model.predictor(), config.latent_width, config.chunk_width(), options)
    }

    /// A predictor of latents `[D]` and chunks `[A]` that need not be a model's own, for example a member of an
    /// ensemble.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn of_predictor(
        predictor: &Predictor,
        latent_width: usize,
        chunk_width: usize,
        options: &InferenceOptions,
    ) -> Result<Self> {
        Ok(Self {
            engine: RolloutEngine::of_predictor(predictor, latent_width, chunk_width, options.precision)?,
            gradients: PlanGradient::of_predictor(predictor, latent_width, chunk_width)?,
            threads: options.threads,
        })
    }

    /// Values of the current state, `[D]`.
    fn start<'a>(&self, context: &Context<'a>, plans: &Plans) -> Result<&'a [f32]> {
        const OPERATION: &str = "rollout";
        require_plans(OPERATION, plans, self.engine.chunk_width())?;
        let shape = LatentShape::global(self.engine.latent_width());
        Ok(context.current(OPERATION, shape, self.engine.chunk_width())?.values())
    }

    fn rollouts(&self, plans: &Plans, values: Vec<f32>) -> Result<Rollouts> {
        Rollouts::new([plans.count(), 1, plans.horizon(), 1, self.engine.latent_width()], values)
    }
}

impl Dynamics for JepaDynamics {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Result<Rollouts> {
        let start = self.start(context, plans)?;
        let (horizon, cancel) = (plans.horizon(), context.cancel);
        self.rollouts(plans, self.engine.rollout_until(start, plans.values(), horizon, self.threads, cancel)?)
    }

    fn rollout_each(&self, contexts: &[Context<'_>], plans: &Plans) -> Result<Rollouts> {
        require_one_each(contexts, plans)?;
        let mut starts = Vec::with_capacity(contexts.len() * self.engine.latent_width());
        for context in contexts {
            starts.extend_from_slice(self.start(context, plans)?);
        }
        self.rollouts(plans, self.engine.rollout(&starts, plans.values(), plans.horizon(), self.threads)?)
    }

    fn rollout_recorded(&self, context: &Context<'_>, plans: &Plans) -> Result<(Rollouts, Recording)> {
        let start = self.start(context, plans)?;
        let (horizon, cancel) = (plans.horizon(), context.cancel);
        let (values, recording) =
            self.gradients.rollout_recorded(start, plans.values(), horizon, self.threads, cancel)?;
        Ok((self.rollouts(plans, values)?, Recording::new(recording)))
    }

    fn vjp(&self, recording: Recording, upstream: &[f32], cancel: Cancel<'_>) -> Result<Vec<f32>> {
        self.gradients.vjp(recording.open::<PlanRecording>()?, upstream, cancel)
    }
}
