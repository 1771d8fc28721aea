//! A critic that expects no change.

use std::sync::Arc;

use super::{CostModule, Critic};
use crate::Result;
use crate::directive::{Directive, Reduction, terms::CRITIC};
use crate::latent::{Plans, Rollouts};

/// Expects that the last state's cost persists (hold-last), while the agent holds still.
#[derive(Clone)]
pub struct PersistenceCritic {
    cost: Arc<CostModule>,
}

impl PersistenceCritic {
    /// By the terms of `cost`, in the directive's weights.
    pub fn new(cost: CostModule) -> Self {
        Self { cost: Arc::new(cost) }
    }

    /// The states `[N, P * D]` as the ends of plans of one chunk that holds still, and a directive that scores them
    /// without a critic.
    fn ends(states: &[f32], directive: &Directive) -> Result<(Rollouts, Plans, Directive)> {
        let mut directive = directive.clone();
        directive.weights.retain(|(name, _)| name != CRITIC);
        directive.reduction = Reduction::Last;
        let (tokens, width) = (directive.goal.tokens(), directive.goal.width());
        let count = states.len() / (tokens * width).max(1);
        let plans = Plans::new(count, 1, directive.chunk_width(), directive.hold_chunk().repeat(count))?;
        Ok((Rollouts::new([count, 1, 1, tokens, width], states.to_vec())?, plans, directive))
    }
}

impl Critic for PersistenceCritic {
    fn future_energy(&self, states: &[f32], directive: &Directive) -> Result<Vec<f32>> {
        let (ends, plans, directive) = Self::ends(states, directive)?;
        self.cost.energies(&ends, &plans, &directive)
    }

    fn future_energy_and_gradients(&self, states: &[f32], directive: &Directive) -> Result<(Vec<f32>, Vec<f32>)> {
        let (ends, plans, directive) = Self::ends(states, directive)?;
        let (energies, gradients) = self.cost.energies_and_gradients(&ends, &plans, &directive)?;
        Ok((energies, gradients.states))
    }
}
