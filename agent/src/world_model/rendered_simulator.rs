//! True dynamics in a learned latent space: separates errors of a model's dynamics from errors of its latent.

use mindseye_world_model::{Context, Dynamics, Plans, Result, Rollouts};

use super::{SimulatorWorldModel, WorldModel};
use crate::model_source::ModelSource;

/// Plans are rolled out in the simulator, and every state reached is observed and encoded: perfect dynamics in a
/// learned latent space. Slow (an image per predicted state), for diagnosis only.
#[derive(Debug)]
pub struct RenderedSimulator {
    simulator: SimulatorWorldModel,
    source: ModelSource,
}

impl RenderedSimulator {
    /// `simulator`, whose observations the model of `source` encodes.
    pub fn new(simulator: SimulatorWorldModel, source: impl Into<ModelSource>) -> Self {
        Self { simulator, source: source.into() }
    }
}

impl Dynamics for RenderedSimulator {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Result<Rollouts> {
        let model = self.source.model();
        let latents = self.simulator.roll_out(plans, &|world, latents| {
            context.cancel.check()?;
            for latent in model.encode(&[world.observe()?])? {
                latents.extend_from_slice(latent.values());
            }
            Ok(())
        })?;
        let shape = model.spec().latent;
        Rollouts::new([plans.count(), 1, plans.horizon(), shape.tokens, shape.width], latents)
    }
}

impl WorldModel for RenderedSimulator {
    fn starts_anywhere(&self) -> bool {
        false
    }
}
