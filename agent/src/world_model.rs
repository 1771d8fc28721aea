//! World model: predicts the next states from a state and action chunks (LeCun 2022, section 3 and 4).
//!
//! Predictions come from [`Dynamics`], the seam of the world models. The module adds what an agent needs beside them:
//! how much context a prediction takes, and online adaptation.

mod copy_last;
mod model_dynamics;
mod rendered_simulator;
mod simulator;

pub use copy_last::CopyLast;
pub use model_dynamics::ModelDynamics;
pub use rendered_simulator::RenderedSimulator;
pub use simulator::SimulatorWorldModel;

use mindseye_world_model::{Adaptation, AdaptationConfig, Transitions};
pub use mindseye_world_model::{Cancel, Context, Dynamics, Recording};

use crate::Result;

/// Dynamics that an agent plans with.
pub trait WorldModel: Dynamics {
    /// Most states of a context that a prediction depends on, 1 or more.
    fn context_states(&self) -> usize {
        1
    }

    /// Numbers of proprioception that a context needs; 0: none.
    fn proprioception(&self) -> usize {
        0
    }

    /// Whether rollouts begin at the state of any context; not those of a simulator, which begin at its own state.
    fn starts_anywhere(&self) -> bool {
        true
    }

    /// Corrects the model by observed transitions; `None` where a model cannot be corrected.
    ///
    /// # Errors
    /// When the transitions do not fit the model.
    fn adapt(&mut self, _transitions: &Transitions, _config: &AdaptationConfig) -> Result<Option<Adaptation>> {
        Ok(None)
    }
}
