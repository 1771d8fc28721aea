//! A critic that expects no change.

use std::sync::Arc;

use super::{CRITIC, CostModule, Critic, Reduction};
use crate::Result;
use crate::configurator::Directive;
use crate::latent::{Plans, Rollouts};

/// Expects that everything goes on costing what the last state costs: the end of a plan that leads nowhere else.
#[derive(Clone)]
pub struct SteadyCritic {
    cost: Arc<CostModule>,
}

impl SteadyCritic {
    /// By the terms of `cost`, in the directive's weights.
    pub fn new(cost: CostModule) -> Self {
        Self { cost: Arc::new(cost) }
    }

    /// The states `[N, P * D]` as the ends of plans of one block that does nothing, and a directive that looks at nothing else.
    fn ends(states: &[f32], directive: &Directive) -> Result<(Rollouts, Plans, Directive)> {
        let mut directive = directive.clone();
        directive.weights.retain(|(name, _)| name != CRITIC);
        directive.reduction = Reduction::Last;
        let (tokens, width) = (directive.goal.tokens(), directive.goal.width());
        let count = states.len() / (tokens * width).max(1);
        let plans = Plans::new(count, 1, directive.block_width(), vec![0.0; count * directive.block_width()])?;
        Ok((Rollouts::new([count, 1, 1, tokens, width], states.to_vec())?, plans, directive))
    }
}

impl Critic for SteadyCritic {
    fn future_energy(&self, states: &[f32], directive: &Directive) -> Result<Vec<f32>> {
        let (ends, plans, directive) = Self::ends(states, directive)?;
        self.cost.judge(&ends, &plans, &directive)
    }

    fn future_energy_and_slopes(&self, states: &[f32], directive: &Directive) -> Result<(Vec<f32>, Vec<f32>)> {
        let (ends, plans, directive) = Self::ends(states, directive)?;
        let (energies, slopes) = self.cost.judge_with_slopes(&ends, &plans, &directive)?;
        Ok((energies, slopes.states))
    }
}
