//! Feeling: the body's own sense of itself as the state, for bodies that need no picture.

use mindseye_interface::Observation;
use mindseye_interface::error::require_finite;

use super::Perception;
use crate::Result;
use crate::configurator::Directive;
use crate::latent::Latent;

/// Takes proprioception as the latent, `[1, P]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProprioceptivePerception;

impl Perception for ProprioceptivePerception {
    fn perceive(&self, observation: &Observation, _directive: &Directive) -> Result<Option<Latent>> {
        require_finite("proprioception", &observation.proprioception)?;
        let felt = &observation.proprioception;
        Ok((!felt.is_empty()).then(|| Latent::global(felt.clone())))
    }
}
