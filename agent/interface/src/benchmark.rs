//! Benchmarks: an environment with pairs of a start and a goal, for the evaluation protocol.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Error, GoalSource, Result, ScriptSource, Seed, Simulator};

/// How starts and goals are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum GoalKind {
    /// States of the same held-out episode, this many control steps apart. Where there is an object, the goal asks for
    /// it to be moved.
    Offset {
        /// Control steps from start to goal.
        goal_offset: usize,
    },
    /// As [`GoalKind::Offset`], but every object is already at its goal: only the robot has to move.
    RobotOnly {
        /// Control steps from start to goal.
        goal_offset: usize,
    },
    /// The benchmark's hard pairs, where it has any: in `two_room` any start and any goal in the other room; in
    /// `bridge` from one side of the river to the other.
    Hard,
    /// Three goals to be reached one after the other: states of the same held-out episode as the start, each this many
    /// control steps after the one before.
    Sequence {
        /// Control steps from one to the next.
        goal_offset: usize,
    },
}

/// The seed of held-out episode `index` under `root`. It is never that of a [`recorded_episode`], for any roots.
pub fn held_out_episode(root: Seed, index: u64) -> Seed {
    root.child("held out").index(index)
}

/// The seed of recorded episode `index` under `root`.
pub fn recorded_episode(root: Seed, index: u64) -> Seed {
    root.child("recorded").index(index)
}

/// Goals of a [`GoalKind::Sequence`].
pub const SEQUENCE_GOALS: usize = 3;

impl GoalKind {
    /// Control steps given by default: twice the offset (of every goal in a sequence), or 100.
    pub fn default_budget(self) -> usize {
        match self {
            Self::Offset { goal_offset } | Self::RobotOnly { goal_offset } => 2 * goal_offset,
            Self::Hard => 100,
            Self::Sequence { goal_offset } => 2 * SEQUENCE_GOALS * goal_offset,
        }
    }
}

impl std::fmt::Display for GoalKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Offset { goal_offset } => write!(formatter, "goals {goal_offset} control steps away"),
            Self::RobotOnly { goal_offset } => {
                write!(formatter, "goals {goal_offset} control steps away, objects already in place")
            }
            Self::Hard => write!(formatter, "hard goals"),
            Self::Sequence { goal_offset } => {
                write!(formatter, "{SEQUENCE_GOALS} goals in turn, {goal_offset} control steps from one to the next")
            }
        }
    }
}

/// A start and a goal in the world of one held-out episode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StartGoal {
    /// Root seed.
    pub seed: u64,
    /// Number of the pair under this seed.
    pub index: usize,
    /// Seed of the episode: layout, colours and sizes follow from it.
    #[serde(skip)]
    pub episode: Seed,
    /// Where the episode starts, the true state `[K]`.
    pub start: Vec<f64>,
    /// Goals to be reached before the last one, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<Vec<f64>>,
    /// The last goal, the true state `[K]`.
    pub goal: Vec<f64>,
    /// What the goal asks for, by name, as far as the benchmark measures it: in `push_t` how far the block has to move
    /// and to turn (`block_distance_m`, `block_rotation_rad`), and 1 or 0 for whether the goal asks for a move at all
    /// (`block_needed`). Empty for sequences.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<&'static str, f64>,
}

/// Which pairs are wanted.
#[derive(Clone, Copy)]
pub struct PairSearch<'a> {
    /// What lies between start and goal.
    pub kind: GoalKind,
    /// How many.
    pub count: usize,
    /// Root seed.
    pub seed: u64,
    /// A test of true states `[K]`: starts and goals that fail it are left out, and others drawn.
    pub allowed: &'a dyn Fn(&[f64]) -> bool,
    /// Receives the number of pairs found so far, once for every episode that is tried; `false` ends the search with
    /// these.
    pub found: &'a dyn Fn(usize) -> bool,
}

impl PairSearch<'_> {
    /// `count` pairs of a kind under `seed`: every state is allowed, and the search goes on to its end.
    pub fn new(kind: GoalKind, count: usize, seed: u64) -> Self {
        Self { kind, count, seed, allowed: &|_| true, found: &|_| true }
    }
}

/// An environment with held-out pairs of a start and a goal.
pub trait Benchmark: Sync {
    /// Its name, for example `push_t`.
    fn name(&self) -> &str;

    /// A text that is equal where the worlds are the same program with the same settings: results are kept under it.
    /// The name (the default) is enough where the program is this one.
    fn identity(&self) -> String {
        self.name().to_owned()
    }

    /// A new world of the benchmark.
    ///
    /// # Errors
    /// When the world cannot be built.
    fn environment(&self) -> Result<Box<dyn Simulator>>;

    /// The pairs that `search` asks for, none of them solved at the start; fewer where [`PairSearch::found`] ended it.
    /// Episodes are held out: recording never uses their seeds.
    ///
    /// # Errors
    /// When the benchmark has no pairs of this kind, or too few of them.
    fn start_goal_pairs(&self, search: &PairSearch<'_>) -> Result<Vec<StartGoal>>;

    /// Whether there are pairs of [`GoalKind::Hard`].
    fn has_hard_pairs(&self) -> bool {
        false
    }

    /// The scripts called `policy`, for recordings.
    ///
    /// # Errors
    /// [`Error::Field`] where there are no such scripts; the error lists those there are.
    fn scripts(&self, policy: &str) -> Result<Box<dyn ScriptSource + '_>> {
        Err(Error::field("policy", format!("one of those that {} has (none)", self.name()), policy))
    }

    /// Where starts and goals come from recordings: from now on from these episodes alone, by their places in them. In
    /// other benchmarks nothing happens.
    fn keep_recorded(&mut self, _episodes: Vec<usize>) {}

    /// The recorded episodes that goals of an agent's own collection come from. `None` (the default): what scripts
    /// reach in a copy of the world.
    fn recorded_goals(&self) -> Option<Box<dyn GoalSource + '_>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_budgets_are_twice_the_offset_of_every_goal() {
        assert_eq!(GoalKind::Offset { goal_offset: 25 }.default_budget(), 50);
        assert_eq!(GoalKind::RobotOnly { goal_offset: 50 }.default_budget(), 100);
        assert_eq!(GoalKind::Hard.default_budget(), 100);
        assert_eq!(GoalKind::Sequence { goal_offset: 25 }.default_budget(), 150);
    }

    #[test]
    fn no_recorded_episode_is_held_out() {
        for root in (0..20).map(Seed::new) {
            for index in 0..20 {
                assert!((0..20).all(|other| held_out_episode(root, index) != recorded_episode(root, other)));
            }
        }
    }
}
