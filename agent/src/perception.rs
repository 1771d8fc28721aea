//! Perception: estimates the state of the world from what is observed (LeCun 2022, section 3).

mod jepa;
mod lewm;
mod proprioceptive;

pub use jepa::JepaPerception;
pub use lewm::LewmPerception;
pub use proprioceptive::ProprioceptivePerception;

use mindseye_interface::Observation;

use crate::Result;
use crate::configurator::Directive;
use crate::latent::Latent;

/// From an observation to a latent state.
pub trait Perception: Send {
    /// The state behind `observation`; `None` when there is nothing to see (a dropped frame): the agent then goes on from what
    /// the world model predicted.
    ///
    /// # Errors
    /// When the observation does not fit the perception (another image size, a value that is not finite).
    fn perceive(&self, observation: &Observation, directive: &Directive) -> Result<Option<Latent>>;
}

impl<T: Perception + Sync + ?Sized> Perception for std::sync::Arc<T> {
    fn perceive(&self, observation: &Observation, directive: &Directive) -> Result<Option<Latent>> {
        (**self).perceive(observation, directive)
    }
}
