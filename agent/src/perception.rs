//! Perception: estimates the state of the world from what is observed (LeCun 2022, section 3).

mod background;
mod model;
mod proprioceptive;

pub use background::BackgroundAdaptation;
pub use model::ModelPerception;
pub use proprioceptive::ProprioceptivePerception;

use mindseye_interface::Observation;

use crate::Result;
use crate::directive::Directive;
pub use crate::directive::{MissingFrames, StateSource};
use crate::latent::Latent;

/// From an observation to a latent state.
pub trait Perception: Send {
    /// The state behind `observation`; `None` when nothing was observed (a dropped frame): the agent then continues
    /// from the world model's prediction.
    ///
    /// # Errors
    /// When the observation does not fit the perception (another image size, a value that is not finite).
    fn perceive(&self, observation: &Observation, directive: &Directive) -> Result<Option<Latent>>;

    /// The state that `goal` shows, as the goal distance compares it with perceived ones; `None` where it shows
    /// nothing.
    ///
    /// # Errors
    /// As [`Perception::perceive`].
    fn encode_goal(&self, goal: &Observation) -> Result<Option<Latent>>;
}
