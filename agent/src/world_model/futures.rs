//! A world model that says what may follow, not only what follows on average: a predictor with codes behind the seam.

use mindseye_interface::Seed;
use mindseye_world_model::futures::{Draws, FuturesEngine, Imagined};
use mindseye_world_model::{Futures, Part, PlanSlopes, Precision};

use super::{Judge, WorldModel};
use crate::Result;
use crate::latent::{Latent, Plans, Rollouts};

/// Futures of a plan that differ by the codes they draw, as probable as the predictor's prior says. All plans draw by the same numbers, in every call:
/// what is imagined is a function of the weights and of what is asked.
#[derive(Debug, Clone)]
pub struct BranchingWorldModel {
    engine: FuturesEngine,
    slopes: PlanSlopes,
    draws: Draws,
    threads: usize,
}

impl BranchingWorldModel {
    /// `samples` futures per plan by `futures` with weights in `precision`, on `threads` threads of the current rayon pool. Slopes are always exact.
    ///
    /// # Errors
    /// When the weights cannot be read.
    pub fn new(futures: &Futures, precision: Precision, samples: usize, threads: usize) -> Result<Self> {
        let config = futures.config();
        let joined = config.block_width + config.codes;
        Ok(Self {
            engine: FuturesEngine::new(futures, precision)?,
            slopes: PlanSlopes::of_predictor(futures.predictor(), config.latent_width, joined)?,
            draws: Draws::new(samples, Seed::new(0).child("futures")),
            threads,
        })
    }

    fn imagined(&self, start: &Latent, plans: &Plans) -> Result<Imagined> {
        let (values, horizon) = (plans.values(), plans.horizon());
        Ok(self.engine.imagine(start.values(), values, horizon, &self.draws, self.threads)?)
    }

    fn rollouts(&self, plans: &Plans, latents: Vec<f32>) -> Result<Rollouts> {
        let futures = self.draws.futures();
        Rollouts::new([plans.count(), futures, plans.horizon(), 1, self.engine.latent_width()], latents)
    }
}

impl WorldModel for BranchingWorldModel {
    fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts> {
        self.rollouts(plans, self.imagined(start, plans)?.latents)
    }

    /// The slopes along the futures that were drawn: each keeps its codes, as if they did not depend on the plan.
    fn differentiate(&self, start: &Latent, plans: &Plans, judge: &mut Judge<'_>) -> Result<Vec<f32>> {
        let (block, codes) = (plans.block_width(), self.engine.codes());
        let drawn = self.imagined(start, plans)?.codes;
        let mut joined = Vec::with_capacity(drawn.len() * (block + codes));
        for (index, &code) in drawn.iter().enumerate() {
            let (future, at) = (index / plans.horizon(), index % plans.horizon());
            let first = (future / self.draws.futures() * plans.horizon() + at) * block;
            joined.extend_from_slice(&plans.values()[first..first + block]);
            joined.extend((0..codes).map(|one| f32::from(u8::from(one == code))));
        }
        let judge = |latents| judge(&self.rollouts(plans, latents)?);
        let on_joined = self.slopes.of(start.values(), &joined, plans.horizon(), self.threads, judge)?;
        let mut slopes = vec![0.0; plans.values().len()];
        for (index, row) in on_joined.chunks_exact(block + codes).enumerate() {
            let (future, at) = (index / plans.horizon(), index % plans.horizon());
            let first = (future / self.draws.futures() * plans.horizon() + at) * block;
            slopes[first..first + block].iter_mut().zip(row).for_each(|(sum, slope)| *sum += slope);
        }
        Ok(slopes)
    }
}
