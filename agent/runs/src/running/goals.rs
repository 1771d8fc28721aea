//! The goals of a run, one after the other.

use mindseye_agent::configurator::GoalConfig;
use mindseye_agent::{RunGoal, Task};
use mindseye_evaluation::GoalState;
use mindseye_interface::Simulator;

use crate::Result;

/// Goals in their order, and which of them is pursued; never empty.
#[derive(Debug, Clone)]
pub(super) struct Goals {
    first: Vec<GoalState>,
    last: GoalState,
    position: usize,
}

impl Goals {
    /// One goal.
    pub fn one(last: GoalState) -> Self {
        Self { first: Vec::new(), last, position: 0 }
    }

    /// `first` and then `last`.
    pub fn sequence(first: Vec<GoalState>, last: GoalState) -> Self {
        Self { first, last, position: 0 }
    }

    /// The one that is pursued.
    pub fn current(&self) -> &GoalState {
        self.first.get(self.position).unwrap_or(&self.last)
    }

    /// Goes on to the next, if there is one.
    pub fn advance(&mut self) {
        self.position = (self.position + 1).min(self.first.len());
    }

    /// Those that are left, as an agent takes them; `names` are those of the state.
    pub fn left(&self, names: &[String]) -> Vec<RunGoal> {
        let run_goal = |goal: &GoalState| RunGoal {
            observation: goal.observation.clone(),
            state: names.iter().cloned().zip(goal.state.iter().copied()).collect(),
        };
        self.first.iter().chain([&self.last]).skip(self.position).map(run_goal).collect()
    }
}

/// The goal `state [K]` as `world` shows it. Values that the task itself gives replace those of the state.
pub(super) fn goal_at(
    task: &Task,
    names: &[String],
    mut state: Vec<f64>,
    world: &mut dyn Simulator,
) -> Result<GoalState> {
    if let GoalConfig::Pose { values, .. } = &task.goal {
        for (name, value) in names.iter().zip(&mut state) {
            *value = values.get(name).copied().unwrap_or(*value);
        }
    }
    Ok(GoalState { observation: world.set_state(&state)?, state })
}
