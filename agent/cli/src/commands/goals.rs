//! Arguments of all commands that evaluate: how starts and goals are chosen.

use anyhow::Result;
use clap::{Args, ValueEnum};
use mindseye_interface::GoalKind;
use mindseye_interface::config::require_range;

/// How starts and goals are chosen.
#[derive(Debug, Args)]
pub struct GoalArguments {
    /// How starts and goals are chosen.
    #[arg(long, alias = "pairs", value_enum, default_value_t = Goals::Offset)]
    goals: Goals,
    /// Control steps from start to goal.
    #[arg(long, default_value_t = 25)]
    goal_offset: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Goals {
    /// States of the same held-out episode; the block (if any) has to be moved.
    Offset,
    /// States of the same held-out episode between which only the robot has to move.
    #[value(alias = "still")]
    RobotOnly,
    /// The scene's hard pairs: in two_room any start, any goal in the other room; in bridge from the left of the
    /// river to the right.
    #[value(alias = "cross")]
    Hard,
    /// Three states of the same held-out episode, to be reached one after the other.
    Sequence,
}

impl GoalArguments {
    /// The kind of goals.
    ///
    /// # Errors
    /// When the offset makes no sense.
    pub fn kind(&self) -> Result<GoalKind> {
        let goal_offset = self.goal_offset;
        require_range("--goal-offset", goal_offset, 1, 100_000)?;
        Ok(match self.goals {
            Goals::Offset => GoalKind::Offset { goal_offset },
            Goals::RobotOnly => GoalKind::RobotOnly { goal_offset },
            Goals::Hard => GoalKind::Hard,
            Goals::Sequence => GoalKind::Sequence { goal_offset },
        })
    }
}
