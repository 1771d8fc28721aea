//! One goal after the other: on to the next when one is reached or has taken too long.

use std::sync::Arc;

use super::{Aims, Configurator, Directive, ModeConfig, SubGoals, Task};
use crate::latent::Latent;
use crate::memory::Memory;
use crate::{Error, Result};

/// Pursues goals in their order; the last one is kept for ever.
pub struct SequenceConfigurator {
    directives: Vec<Directive>,
    sub_goals: SubGoals,
    mode: ModeConfig,
}

impl SequenceConfigurator {
    /// Pursues `goals` as `task` says, with actions of `action_width` numbers, `action_block` control steps a block.
    ///
    /// # Errors
    /// [`Error::Shape`] without a goal.
    pub fn new(task: &Task, goals: Vec<Latent>, action_block: usize, action_width: usize) -> Result<Self> {
        let goals = goals.into_iter().map(|goal| (goal, Aims::default())).collect();
        Self::with_aims(task, goals, action_block, action_width)
    }

    /// The same with aims beside every goal. A goal that is no picture has an empty latent.
    ///
    /// # Errors
    /// [`Error::Shape`] without a goal.
    pub fn with_aims(
        task: &Task,
        goals: Vec<(Latent, Aims)>,
        action_block: usize,
        action_width: usize,
    ) -> Result<Self> {
        if goals.is_empty() {
            return Err(Error::Shape {
                operation: "configurator",
                expected: "at least one goal".into(),
                got: "none".into(),
            });
        }
        let name: Arc<str> = task.name.as_str().into();
        let directive = |(sub_goal, (goal, aims)): (usize, (Latent, Aims))| Directive {
            task: name.clone(),
            goal: Arc::new(goal),
            goal_term: task.goal.term(),
            aims: Arc::new(aims),
            sub_goal,
            horizon_blocks: task.horizon_blocks,
            action_block,
            action_width,
            weights: task.weights.iter().map(|(name, weight)| (name.clone(), *weight)).collect(),
            reduction: task.reduction,
            risk: task.futures.as_ref().map_or(0.0, |futures| futures.risk),
            budget_secs: task.budget_ms / 1e3,
            completion: task.completion,
            adaptation: task.adaptation,
            mode: super::ModeOrder::Use(super::Mode::Mode2, super::ModeReason::Task),
        };
        Ok(Self {
            directives: goals.into_iter().enumerate().map(directive).collect(),
            sub_goals: task.sub_goals.clone(),
            mode: task.mode,
        })
    }

    /// Number of goals.
    pub fn goals(&self) -> usize {
        self.directives.len()
    }

    /// The directive of the next tick, where this task's sub-goals are numbered from `first` on; what was pursued under lower numbers was
    /// another task's.
    pub(super) fn configure_from(&self, first: usize, memory: &dyn Memory) -> Directive {
        let newest = memory.recent(1).first().copied().filter(|moment| moment.sub_goal >= first);
        let index = newest.map_or(0, |moment| {
            let energy = moment.energy(self.directives[0].goal_term);
            let reached = energy.is_some_and(|energy| energy < self.sub_goals.reached_energy);
            let pursued = memory.recent(self.sub_goals.timeout_ticks);
            let timed_out = pursued.len() == self.sub_goals.timeout_ticks
                && pursued.iter().all(|earlier| earlier.sub_goal == moment.sub_goal);
            moment.sub_goal - first + usize::from((reached || timed_out) && !self.sub_goals.frozen)
        });
        let index = index.min(self.directives.len() - 1);
        Directive { sub_goal: first + index, mode: self.mode.order(memory), ..self.directives[index].clone() }
    }
}

impl Configurator for SequenceConfigurator {
    fn configure(&self, memory: &dyn Memory) -> Directive {
        self.configure_from(0, memory)
    }
}
