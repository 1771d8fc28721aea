//! One goal after the other: on to the next when one is reached or has taken too long.

use std::sync::Arc;

use super::{Configurator, Directive, SubGoals, Task};
use crate::cost::GoalDistance;
use crate::latent::Latent;
use crate::memory::Memory;
use crate::{Error, Result};

/// Pursues goals in their order; the last one is kept for ever.
pub struct SequenceConfigurator {
    directives: Vec<Directive>,
    sub_goals: SubGoals,
}

impl SequenceConfigurator {
    /// Pursues `goals` as `task` says, with actions of `action_width` numbers, `action_block` control steps a block.
    ///
    /// # Errors
    /// [`Error::Shape`] without a goal.
    pub fn new(task: &Task, goals: Vec<Latent>, action_block: usize, action_width: usize) -> Result<Self> {
        if goals.is_empty() {
            return Err(Error::Shape {
                operation: "configurator",
                expected: "at least one goal".into(),
                got: "none".into(),
            });
        }
        let directive = |(sub_goal, goal): (usize, Latent)| Directive {
            goal: Arc::new(goal),
            sub_goal,
            horizon_blocks: task.horizon_blocks,
            action_block,
            action_width,
            weights: task.weights.iter().map(|(name, weight)| (name.clone(), *weight)).collect(),
            reduction: task.reduction,
            budget_secs: task.budget_ms / 1e3,
            completion: task.completion,
        };
        Ok(Self {
            directives: goals.into_iter().enumerate().map(directive).collect(),
            sub_goals: task.sub_goals.clone(),
        })
    }
}

impl Configurator for SequenceConfigurator {
    fn configure(&self, memory: &dyn Memory) -> Directive {
        let newest = memory.recent(1);
        let index = newest.first().map_or(0, |moment| {
            let reached =
                moment.energy(GoalDistance::NAME).is_some_and(|energy| energy < self.sub_goals.reached_energy);
            let pursued = memory.recent(self.sub_goals.timeout_ticks);
            let timed_out = pursued.len() == self.sub_goals.timeout_ticks
                && pursued.iter().all(|earlier| earlier.sub_goal == moment.sub_goal);
            moment.sub_goal + usize::from(reached || timed_out)
        });
        self.directives[index.min(self.directives.len() - 1)].clone()
    }
}
