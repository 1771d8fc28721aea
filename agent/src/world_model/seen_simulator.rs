//! The true world as the learned agent would see it: tells what is wrong with a model's dynamics from what is wrong with its latent.

use std::sync::Arc;

use mindseye_world_model::Checkpoint;

use super::{SimulatorWorldModel, WorldModel};
use crate::latent::{Latent, Plans, Rollouts};
use crate::{Error, Result};

/// Plans are rolled out in the simulator, and every state reached is rendered and encoded: perfect dynamics in a learned latent
/// space. Slow (a picture per imagined state), for diagnosis only.
pub struct SeenSimulator {
    simulator: Arc<SimulatorWorldModel>,
    checkpoint: Arc<Checkpoint>,
}

impl SeenSimulator {
    /// `simulator` seen through the encoder of `checkpoint`.
    pub fn new(simulator: Arc<SimulatorWorldModel>, checkpoint: Arc<Checkpoint>) -> Self {
        Self { simulator, checkpoint }
    }
}

impl WorldModel for SeenSimulator {
    fn imagine(&self, _start: &Latent, plans: &Plans) -> Result<Rollouts> {
        let latents = self.simulator.roll_out(plans, &|world, latents| {
            latents.extend(self.checkpoint.model.encode_image(&world.render()).map_err(Error::from)?);
            Ok(())
        })?;
        let width = self.checkpoint.config.model.latent_width;
        Rollouts::new([plans.count(), 1, plans.horizon(), 1, width], latents)
    }
}
