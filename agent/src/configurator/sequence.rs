//! One goal after the other: on to the next when one is reached or has taken too long.

use std::sync::Arc;

use super::{Configurator, ModeConfig, SubGoals, Task};
use crate::directive::{Directive, Imputation, StateGoals, terms};
use crate::latent::Latent;
use crate::memory::Memory;
use crate::{Error, Result};

/// One goal, ready for the cost.
#[derive(Debug, Clone, PartialEq)]
pub struct SubGoal {
    /// The state to bring about, `[P, D]`; empty where the goal is no image.
    pub latent: Latent,
    /// Name of the cost term that measures the distance to it.
    pub term: &'static str,
    /// What is wanted and forbidden of named dimensions of the state.
    pub state_goals: StateGoals,
}

/// Pursues goals in their order and keeps the last one. Goals may be set at any time.
pub struct SequenceConfigurator {
    /// What all sub-goals have in common.
    common: Directive,
    /// Weights of the terms that do not depend on the goal's kind.
    weights: Vec<(String, f32)>,
    /// What the term of a goal of another kind than the task's weighs: as much as that of the task's goal, or 1.
    goal_weight: f32,
    goals: Vec<Directive>,
    /// Number of the first of them.
    first: usize,
    sub_goals: SubGoals,
    keep_first: bool,
    imputation: Imputation,
    mode: ModeConfig,
}

impl SequenceConfigurator {
    /// Pursues goal states `goals` as `task` says, with actions of `action_width` numbers, `action_chunk` control steps
    /// a chunk.
    ///
    /// # Errors
    /// [`Error::Shape`] without a goal.
    pub fn new(task: &Task, goals: Vec<Latent>, action_chunk: usize, action_width: usize) -> Result<Self> {
        let goals = goals.into_iter().map(|goal| (goal, StateGoals::default())).collect();
        Self::with_state_goals(task, goals, action_chunk, action_width)
    }

    /// The same with goals of named dimensions beside every goal state. A goal that is no image has an empty latent.
    ///
    /// # Errors
    /// [`Error::Shape`] without a goal.
    pub fn with_state_goals(
        task: &Task,
        goals: Vec<(Latent, StateGoals)>,
        action_chunk: usize,
        action_width: usize,
    ) -> Result<Self> {
        let mut configurator = Self::without_goal(task, action_chunk, action_width);
        let term = task.goal.term();
        let goals = goals.into_iter().map(|(latent, state_goals)| SubGoal { latent, term, state_goals });
        configurator.set_goals(goals.collect())?;
        Ok(configurator)
    }

    /// Pursues nothing until [`Configurator::set_goals`].
    pub fn without_goal(task: &Task, action_chunk: usize, action_width: usize) -> Self {
        let none = Latent::global(Vec::new());
        let is_goal_term = |name: &str| terms::GOAL_TERMS.contains(&name);
        let goal_weight = task.weights.get(task.goal.term()).copied().unwrap_or(1.0);
        let others = task.weights.iter().filter(|(name, _)| !is_goal_term(name));
        let common = Directive {
            task: task.name.as_str().into(),
            goal_term: task.goal.term(),
            weights: task.weights.iter().map(|(name, weight)| (name.clone(), *weight)).collect(),
            reduction: task.reduction,
            risk: task.samples.as_ref().map_or(0.0, |samples| samples.risk),
            budget_secs: task.budget_ms / 1e3,
            replan_every: task.replan_every.unwrap_or(action_chunk),
            switch_margin: task.switch_margin,
            missing_frames: task.missing_frames,
            adaptation: task.adaptation,
            ..Directive::towards(none, task.horizon_chunks, (action_chunk, action_width))
        };
        Self {
            common,
            weights: others.map(|(name, weight)| (name.clone(), *weight)).collect(),
            goal_weight,
            goals: Vec::new(),
            first: 0,
            sub_goals: task.sub_goals.clone(),
            keep_first: false,
            imputation: Imputation::default(),
            mode: task.mode,
        }
    }

    /// Keeps the first goal for ever: for measuring what it is worth to move on.
    #[must_use]
    pub fn keeping_first(self, keep_first: bool) -> Self {
        Self { keep_first, ..self }
    }

    /// What stands in for states that were not observed.
    #[must_use]
    pub fn imputing(self, imputation: Imputation) -> Self {
        Self { imputation, ..self }
    }

    /// The directive of `goal`: its term takes over the weight of the task's own goal term.
    fn directive(&self, goal: SubGoal) -> Directive {
        let mut weights = self.common.weights.clone();
        if goal.term != self.common.goal_term {
            weights = self.weights.clone();
            weights.push((goal.term.to_owned(), self.goal_weight));
        }
        Directive {
            goal: Arc::new(goal.latent),
            goal_term: goal.term,
            state_goals: Arc::new(goal.state_goals),
            weights,
            ..self.common.clone()
        }
    }

    /// Index of the goal to pursue, by what is remembered. What was pursued under lower numbers was another goal.
    fn index(&self, memory: &dyn Memory) -> usize {
        let newest = memory.recent(1).first().copied().filter(|newest| newest.sub_goal >= self.first);
        let index = newest.map_or(0, |newest| {
            let current = newest.sub_goal - self.first;
            let term = self.goals.get(current).map_or(self.common.goal_term, |goal| goal.goal_term);
            let reached = newest.energy(term).is_some_and(|energy| energy < self.sub_goals.success_energy);
            let pursued = memory.recent(self.sub_goals.timeout_ticks);
            let timed_out = pursued.len() == self.sub_goals.timeout_ticks
                && pursued.iter().all(|earlier| earlier.sub_goal == newest.sub_goal);
            current + usize::from((reached || timed_out) && !self.keep_first)
        });
        index.min(self.goals.len().saturating_sub(1))
    }
}

impl Configurator for SequenceConfigurator {
    fn configure(&self, memory: &dyn Memory) -> Directive {
        let index = self.index(memory);
        let directive = self.goals.get(index).unwrap_or(&self.common).clone();
        let mode = self.mode.order(memory);
        Directive { sub_goal: self.first + index, imputation: self.imputation, mode, ..directive }
    }

    fn has_goal(&self) -> bool {
        !self.goals.is_empty()
    }

    fn set_goals(&mut self, goals: Vec<SubGoal>) -> Result<()> {
        if goals.is_empty() {
            let (expected, got) = ("at least one goal".into(), "none".into());
            return Err(Error::Shape { operation: "setting goals", expected, got });
        }
        self.first += self.goals.len();
        self.goals = goals.into_iter().map(|goal| self.directive(goal)).collect();
        Ok(())
    }
}
