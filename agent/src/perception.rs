//! Perception: estimates the state of the world from what is observed (LeCun 2022, section 3).

mod background;
mod jepa;
mod lewm;
mod proprioceptive;

pub use background::BackgroundAdaptation;
pub use jepa::JepaPerception;
pub use lewm::LewmPerception;
pub use proprioceptive::ProprioceptivePerception;

use mindseye_interface::Observation;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::configurator::Directive;
use crate::latent::Latent;

/// How a state became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sight {
    /// It was seen.
    #[default]
    Seen,
    /// Nothing was seen: it is the one that had been predicted.
    Dropped,
    /// What was seen was not believed: it is the one that had been predicted.
    Doubted,
}

/// What is believed when a picture is missing or cannot be true (LeCun 2022, section 3: perception and the world model complete each other).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Completion {
    /// Where nothing is seen, the state is the one that the world model predicted for now. Without, it is the last one that was seen.
    pub predict: bool,
    /// A view that is farther than this from what was predicted is not believed: something may be in front of the camera. Mean squared
    /// difference per dimension of the latent, as [`crate::agent::TickReport::surprise`]; without, every view is believed.
    pub doubt_above: Option<f32>,
    /// After so many doubted ticks in a row the view is believed: the world is another one.
    pub patience_ticks: usize,
}

impl Default for Completion {
    fn default() -> Self {
        Self { predict: true, doubt_above: None, patience_ticks: 3 }
    }
}

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
