//! World model: predicts what will be, given what is and what is done (LeCun 2022, section 3 and 4).

mod ensemble;
mod futures;
mod learned;
mod lewm;
mod seen_simulator;
mod simulator;
mod unchanging;

pub use ensemble::Ensemble;
pub use futures::BranchingWorldModel;
pub use learned::LearnedWorldModel;
pub use lewm::LewmWorldModel;
pub use seen_simulator::SeenSimulator;
pub use simulator::SimulatorWorldModel;
pub use unchanging::Unchanging;

use mindseye_world_model::{Adaptation, AdaptationConfig, Experience};

use crate::latent::{Latent, Plans, Rollouts};
use crate::{Error, Result};

/// Says what slopes an energy has on imagined states `[N, S, H, P, D]`, given those states.
pub type Judge<'a> = dyn FnMut(&Rollouts) -> Result<Vec<f32>> + 'a;

/// Imagines. One coarse call: all plans at once, whatever is fast is behind it.
pub trait WorldModel: Send + Sync {
    /// The futures of `plans [N, H, A]` from `start [P, D]`, `[N, S, H, P, D]`. Equal arguments give equal bits, on any number of
    /// threads.
    ///
    /// # Errors
    /// When the shapes do not fit the model.
    fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts>;

    /// The slopes `[N, H, A]` of an energy on `plans`, through the futures that follow from them; `judge` says its slopes on those futures.
    ///
    /// # Errors
    /// [`Error::NoSlopes`] where a model can only be sampled; else as [`WorldModel::imagine`], and `judge`'s.
    fn differentiate(&self, _start: &Latent, _plans: &Plans, _judge: &mut Judge<'_>) -> Result<Vec<f32>> {
        Err(Error::NoSlopes { part: "world model" })
    }

    /// Learns from what has just been lived; `None` where a model stays as it is.
    ///
    /// # Errors
    /// When the experience does not fit the model.
    fn adapt(&mut self, _experience: &Experience, _config: &AdaptationConfig) -> Result<Option<Adaptation>> {
        Ok(None)
    }
}

impl<T: WorldModel + ?Sized> WorldModel for std::sync::Arc<T> {
    fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts> {
        (**self).imagine(start, plans)
    }

    fn differentiate(&self, start: &Latent, plans: &Plans, judge: &mut Judge<'_>) -> Result<Vec<f32>> {
        (**self).differentiate(start, plans, judge)
    }
}
