//! Dynamics of a predictor with a discrete latent variable: several samples per plan.

use mindseye_interface::Seed;

use super::{Draws, StochasticEngine, StochasticPredictor, StochasticRollouts};
use crate::Result;
use crate::cancel::Cancel;
use crate::families::jepa::{PlanGradient, PlanRecording};
use crate::heads::Head;
use crate::latent::{LatentShape, Plans, Rollouts};
use crate::model::{Context, Dynamics, InferenceOptions, Recording, require_plans};

/// Samples of a plan differ by the codes that they draw, with the probabilities of the predictor's prior. All plans
/// draw by the same numbers, in every call: the prediction is a function of weights and arguments.
#[derive(Debug, Clone)]
pub struct StochasticDynamics {
    engine: StochasticEngine,
    gradients: PlanGradient,
    draws: Draws,
    threads: usize,
}

/// What [`Dynamics::vjp`] needs: which sample has which plan follows from the shape `[N, S, H]`.
struct StochasticRecording {
    through_predictor: PlanRecording,
    plans: usize,
    horizon: usize,
}

impl StochasticDynamics {
    /// `samples` samples per plan of `predictor`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(predictor: &StochasticPredictor, samples: usize, options: &InferenceOptions) -> Result<Self> {
        let config = predictor.config();
        let joined = config.chunk_width + config.codes;
        Ok(Self {
            engine: StochasticEngine::new(predictor, options.precision)?,
            gradients: PlanGradient::of_predictor(predictor.predictor(), config.latent_width, joined)?,
            draws: Draws::new(samples, Seed::new(0).child("futures")), // the name of a random stream: fixed
            threads: options.threads,
        })
    }

    /// Values of the current state, `[D]`.
    fn start<'a>(&self, context: &Context<'a>, plans: &Plans) -> Result<&'a [f32]> {
        const OPERATION: &str = "rollout of samples";
        require_plans(OPERATION, plans, self.engine.chunk_width())?;
        let shape = LatentShape::global(self.engine.latent_width());
        Ok(context.current(OPERATION, shape, self.engine.chunk_width())?.values())
    }

    fn sampled(&self, start: &[f32], plans: &Plans, cancel: Cancel<'_>) -> Result<StochasticRollouts> {
        self.engine.rollout_until(start, plans.values(), plans.horizon(), &self.draws, self.threads, cancel)
    }

    fn rollouts(&self, plans: &Plans, values: Vec<f32>) -> Result<Rollouts> {
        Rollouts::new([plans.count(), self.draws.samples(), plans.horizon(), 1, self.engine.latent_width()], values)
    }

    /// Where the chunk of entry `index` of `[N, S, H]` begins in the plans.
    fn first_of(&self, index: usize, horizon: usize) -> usize {
        let (sample, at) = (index / horizon, index % horizon);
        (sample / self.draws.samples() * horizon + at) * self.engine.chunk_width()
    }
}

impl Dynamics for StochasticDynamics {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Result<Rollouts> {
        let start = self.start(context, plans)?;
        self.rollouts(plans, self.sampled(start, plans, context.cancel)?.latents)
    }

    /// Every sample keeps its codes: the gradients treat them as independent of the plan.
    fn rollout_recorded(&self, context: &Context<'_>, plans: &Plans) -> Result<(Rollouts, Recording)> {
        let start = self.start(context, plans)?;
        let (chunk, codes, horizon) = (plans.chunk_width(), self.engine.codes(), plans.horizon());
        let (threads, cancel) = (self.threads, context.cancel);
        let drawn = self.sampled(start, plans, cancel)?.codes;
        let mut joined = Vec::with_capacity(drawn.len() * (chunk + codes));
        for (index, &code) in drawn.iter().enumerate() {
            joined.extend_from_slice(&plans.values()[self.first_of(index, horizon)..][..chunk]);
            joined.extend((0..codes).map(|one| f32::from(u8::from(one == code))));
        }
        let (values, through_predictor) = self.gradients.rollout_recorded(start, &joined, horizon, threads, cancel)?;
        let recording = StochasticRecording { through_predictor, plans: plans.count(), horizon };
        Ok((self.rollouts(plans, values)?, Recording::new(recording)))
    }

    fn vjp(&self, recording: Recording, upstream: &[f32], cancel: Cancel<'_>) -> Result<Vec<f32>> {
        let StochasticRecording { through_predictor, plans, horizon } = recording.open()?;
        let on_joined = self.gradients.vjp(through_predictor, upstream, cancel)?;
        let chunk = self.engine.chunk_width();
        let mut gradients = vec![0.0; plans * horizon * chunk];
        for (index, row) in on_joined.chunks_exact(chunk + self.engine.codes()).enumerate() {
            let sums = &mut gradients[self.first_of(index, horizon)..][..chunk];
            sums.iter_mut().zip(row).for_each(|(sum, gradient)| *sum += gradient);
        }
        Ok(gradients)
    }
}
