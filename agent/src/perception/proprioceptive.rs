//! Proprioception as the state, for bodies that need no image.

use mindseye_interface::Observation;
use mindseye_interface::error::require_finite;

use super::Perception;
use crate::Result;
use crate::directive::Directive;
use crate::latent::Latent;

/// Takes proprioception as the latent, `[1, D]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProprioceptivePerception;

impl Perception for ProprioceptivePerception {
    fn perceive(&self, observation: &Observation, _directive: &Directive) -> Result<Option<Latent>> {
        self.encode_goal(observation)
    }

    fn encode_goal(&self, goal: &Observation) -> Result<Option<Latent>> {
        require_finite("proprioception", &goal.proprioception)?;
        let values = &goal.proprioception;
        Ok((!values.is_empty()).then(|| Latent::global(values.clone())))
    }
}
