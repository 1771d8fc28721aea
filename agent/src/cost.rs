//! Cost: energies of imagined states (LeCun 2022, section 3.2). Intrinsic terms are fixed, named and weighted; a critic
//! may add the energy still to come beyond the horizon.

mod action_limits;
pub mod critic_training;
mod curiosity;
mod effort;
mod fingerprint;
mod goal_distance;
mod learned_critic;
mod module;
mod persistence_critic;
mod risk;
mod saturating;
mod smoothness;
mod state_cost;
mod state_estimator;
mod true_goal_distance;

pub use action_limits::ActionLimits;
pub use curiosity::Curiosity;
pub use effort::Effort;
pub use fingerprint::Fingerprint;
pub use goal_distance::GoalDistance;
pub use learned_critic::LearnedCritic;
pub use module::CostModule;
pub use persistence_critic::PersistenceCritic;
pub use saturating::Saturating;
pub use smoothness::Smoothness;
pub use state_cost::StateCost;
pub use state_estimator::{LearnedEstimator, PrivilegedState, SharedEstimator, StateEstimator};
pub use true_goal_distance::TrueGoalDistance;

pub use crate::directive::Reduction;
pub use crate::directive::terms::CRITIC;
use crate::directive::{Directive, terms};
use crate::latent::{Plans, Rollouts};
use crate::{Error, Result};

/// One fixed, named source of discomfort.
pub trait IntrinsicTerm: Send + Sync {
    /// The name under which weights and reports know the term; those of this crate are in [`terms`].
    fn name(&self) -> &'static str;

    /// Energies `[N, S, H]` of the states in `rollouts` reached by `plans`; lower is better.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn energy(&self, rollouts: &Rollouts, plans: &Plans, directive: &Directive) -> Result<Vec<f32>>;

    /// Adds the gradients of the sum of all energies, each times its `upstream [N, S, H]`, to `gradients`.
    ///
    /// # Errors
    /// When the shapes do not fit; [`Error::NotDifferentiable`] where a term has none.
    fn add_gradients(
        &self,
        rollouts: &Rollouts,
        plans: &Plans,
        directive: &Directive,
        upstream: &[f32],
        gradients: &mut Gradients,
    ) -> Result<()>;

    /// Whether the term counts in every chunk of a plan, added up, whatever the directive's reduction: for safety,
    /// where a plan must not compensate for a violation later.
    fn every_chunk(&self) -> bool {
        false
    }

    /// Adds the name and every parameter: a term does not change while an agent exists.
    fn describe(&self, fingerprint: &mut Fingerprint);
}

/// Gradients of an energy.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradients {
    /// On imagined states, `[N, S, H, P, D]`.
    pub states: Vec<f32>,
    /// On the plans themselves, `[N, H, A]`.
    pub plans: Vec<f32>,
}

impl Gradients {
    /// All zero.
    pub fn level(rollouts: &Rollouts, plans: &Plans) -> Self {
        Self { states: vec![0.0; rollouts.values().len()], plans: vec![0.0; plans.values().len()] }
    }
}

/// Predicts the intrinsic energy still to come from a state (LeCun 2022, section 3.2: the trainable critic), as the
/// directive weighs it.
pub trait Critic: Send + Sync {
    /// Energies to come `[N]` from the states `[N, P, D]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn future_energy(&self, states: &[f32], directive: &Directive) -> Result<Vec<f32>>;

    /// The energies, and their gradients on the states, `[N, P, D]`.
    ///
    /// # Errors
    /// When the shapes do not fit; [`Error::NotDifferentiable`] where a critic has none.
    fn future_energy_and_gradients(&self, _states: &[f32], _directive: &Directive) -> Result<(Vec<f32>, Vec<f32>)> {
        Err(Error::NotDifferentiable { part: terms::CRITIC })
    }
}
