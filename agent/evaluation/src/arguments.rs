//! Arguments of all commands that evaluate: how starts and goals are chosen, how many episodes there are.

use clap::{Args, ValueEnum};
use mindseye_interface::GoalKind;
use mindseye_interface::config::require_range;

use crate::{Protocol, Result};

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

/// How many held-out episodes are played, and which.
#[derive(Debug, Args)]
pub struct ProtocolArguments {
    /// Episodes per seed.
    #[arg(long, default_value_t = 100)]
    pub episodes: usize,
    /// Number of seeds.
    #[arg(long, default_value_t = 3)]
    seeds: u64,
    /// First root seed; the others follow it.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Episodes played at the same time; the results do not depend on it.
    #[arg(long, default_value_t = default_threads())]
    pub threads: usize,
}

impl ProtocolArguments {
    /// Refuses numbers that make no sense.
    ///
    /// # Errors
    /// Naming the argument.
    pub fn validate(&self) -> Result<()> {
        require_range("--episodes", self.episodes, 1, 1_000_000)?;
        require_range("--seeds", self.seeds, 1, 1000)?;
        require_range("--seed", self.seed, 0, u64::MAX - 1000)?;
        Ok(require_range("--threads", self.threads, 1, 1024)?)
    }

    /// The protocol with goals of a kind, and the usual budget for them.
    pub fn with_goals(&self, goals: GoalKind) -> Protocol {
        Protocol {
            goals,
            budget_steps: goals.default_budget(),
            episodes: self.episodes,
            seeds: self.seeds(),
            warmup_episodes: 0,
            threads: self.threads,
        }
    }

    /// The root seeds.
    pub fn seeds(&self) -> Vec<u64> {
        (self.seed..self.seed + self.seeds).collect()
    }
}

/// As many as there are processors.
fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
