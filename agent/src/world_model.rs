//! World model: predicts what will be, given what is and what is done (LeCun 2022, section 3 and 4).

mod learned;
mod lewm;
mod seen_simulator;
mod simulator;

pub use learned::LearnedWorldModel;
pub use lewm::LewmWorldModel;
pub use seen_simulator::SeenSimulator;
pub use simulator::SimulatorWorldModel;

use crate::Result;
use crate::latent::{Latent, Plans, Rollouts};

/// Imagines. One coarse call: all plans at once, whatever is fast is behind it.
pub trait WorldModel: Send + Sync {
    /// The futures of `plans [N, H, A]` from `start [P, D]`, `[N, S, H, P, D]`. Equal arguments give equal bits, on any number of
    /// threads.
    ///
    /// # Errors
    /// When the shapes do not fit the model.
    fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts>;
}

impl<T: WorldModel + ?Sized> WorldModel for std::sync::Arc<T> {
    fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts> {
        (**self).imagine(start, plans)
    }
}
