//! Mode-1: what the policy proposes is done, without imagining anything (LeCun 2022, section 3.1).

use std::sync::Arc;

use mindseye_interface::Rng;
use mindseye_world_model::Checkpoint;

use super::search::bounded;
use super::{Actor, Choice, Deadline, Fallback, Imagination};
use crate::Result;
use crate::configurator::Directive;
use crate::latent::{Latent, Plan};

/// Proposes plans without imagining: for Mode-1, and as a start of the search in Mode-2.
pub trait Policy: Send {
    /// Plans for getting from `state` to the goal of `directive`, the best guess first; none where it knows nothing.
    ///
    /// # Errors
    /// When the state does not fit the policy.
    fn propose(&self, state: &Latent, directive: &Directive) -> Result<Vec<Plan>>;
}

/// The policy that was distilled from a planner and lies beside its model.
#[derive(Debug, Clone)]
pub struct DistilledPolicy {
    checkpoint: Arc<Checkpoint>,
}

impl DistilledPolicy {
    /// The policy of `checkpoint`; `None` if it has none.
    pub fn of(checkpoint: &Arc<Checkpoint>) -> Option<Self> {
        checkpoint.policy.as_ref().map(|_| Self { checkpoint: checkpoint.clone() })
    }
}

impl Policy for DistilledPolicy {
    fn propose(&self, state: &Latent, directive: &Directive) -> Result<Vec<Plan>> {
        let Some(policy) = &self.checkpoint.policy else { return Ok(Vec::new()) };
        if directive.goal.values().is_empty() {
            return Ok(Vec::new()); // it knows pictures only
        }
        let guesses = policy.guesses(state.values(), directive.goal.values())?;
        let plan = |mut plan: Vec<f32>| {
            // A policy of another horizon knows the beginning, or leaves the end to the search.
            plan.resize(directive.horizon_blocks * directive.block_width(), 0.0);
            Plan::new(directive.horizon_blocks, directive.block_width(), plan)
        };
        guesses.into_iter().flatten().map(plan).collect()
    }
}

/// Does the first thing that the policy proposes; without a policy it holds still.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reactive;

impl Actor for Reactive {
    fn act(&mut self, imagination: &Imagination<'_>, _rng: &mut Rng, _deadline: &Deadline<'_>) -> Result<Choice> {
        let directive = imagination.directive;
        let (horizon, block_width) = (directive.horizon_blocks, directive.block_width());
        match imagination.proposals().first() {
            Some(plan) => Ok(Choice::unthinking(Plan::new(horizon, block_width, bounded(plan.values()))?)),
            None => Ok(Choice {
                fallback: Some(Fallback::HoldStill),
                ..Choice::unthinking(Plan::zeros(horizon, block_width))
            }),
        }
    }

    fn reset(&mut self) {}
}
