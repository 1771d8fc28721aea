//! Starts and goals from held-out episodes.

use anyhow::{Context, Result, bail};
use mindseye_interface::{BlockMove, Seed, Simulator};
use mindseye_sim::SceneOptions;
use rand::Rng;
use serde::Serialize;

/// How starts and goals are chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum PairKind {
    /// States of the same held-out episode, this many control steps apart. In scenes with a block, the goal asks for the block to
    /// be moved.
    Offset {
        /// Control steps from start to goal.
        goal_offset: usize,
    },
    /// As [`PairKind::Offset`], in scenes with a block, but the block is where it should be from the start: only the body has to move
    /// (and the block to be left alone).
    Still {
        /// Control steps from start to goal.
        goal_offset: usize,
    },
    /// The scene's hard pairs: in `two_room` any start, any goal in the other room; in `bridge` from the left of the river to the right.
    Cross,
    /// Three goals to be reached one after the other: states of the same held-out episode as the start, each this many control steps after the one
    /// before. None is reached where the one before is.
    Sequence {
        /// Control steps from one to the next.
        goal_offset: usize,
    },
}

/// Goals of a sequence.
const GOALS: usize = 3;

impl std::fmt::Display for PairKind {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Offset { goal_offset } => write!(formatter, "goals {goal_offset} control steps away"),
            Self::Still { goal_offset } => {
                write!(formatter, "goals {goal_offset} control steps away, the block already in place")
            }
            Self::Cross => write!(formatter, "goals on the other side"),
            Self::Sequence { goal_offset } => {
                write!(formatter, "{GOALS} goals in turn, {goal_offset} control steps from one to the next")
            }
        }
    }
}

impl PairKind {
    /// Control steps given by default: twice the offset (of every goal in turn), or 100.
    pub fn default_budget(self) -> usize {
        match self {
            Self::Offset { goal_offset } | Self::Still { goal_offset } => 2 * goal_offset,
            Self::Cross => 100,
            Self::Sequence { goal_offset } => 2 * GOALS * goal_offset,
        }
    }
}

/// A start and a goal in one held-out episode's world.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Pair {
    /// Root seed.
    pub seed: u64,
    /// Number of the pair under this seed.
    pub index: usize,
    /// Seed of the episode: walls, colours and sizes follow from it.
    #[serde(skip)]
    pub episode: Seed,
    /// Where the agent starts, the true state `[K]`.
    pub start: Vec<f64>,
    /// Where it should be before, in this order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<Vec<f64>>,
    /// Where it should be, the true state `[K]`.
    pub goal: Vec<f64>,
    /// In scenes with a block: how far it has to go. Not said of sequences.
    pub block: Option<BlockMove>,
}

/// Rotation beyond which a pair counts as one that asks for turning the block, radians: 20 degrees.
const TURN_RAD: f64 = std::f64::consts::PI / 9.0;

impl Pair {
    /// Whether the goal asks for turning the block by more than 20 degrees; `None` in scenes without a block.
    pub fn turns_block(&self) -> Option<bool> {
        self.block.map(|block| block.rotation_rad > TURN_RAD)
    }
}

/// Length of a held-out episode, control steps.
const EPISODE_STEPS: usize = 100;

/// The seed of held-out episode `index`: never one that `record` uses, whatever the root seeds.
pub fn held_out_episode(root: Seed, index: u64) -> Seed {
    root.child("held out").index(index)
}

/// Draws `count` pairs of a kind under `seed`. Pairs of another kind, or solved at the start, are dropped and others drawn.
///
/// # Errors
/// When the scene cannot be built, or almost all pairs are solved at the start.
pub fn draw_pairs(scene: &str, options: &SceneOptions, kind: PairKind, count: usize, seed: u64) -> Result<Vec<Pair>> {
    draw_allowed_pairs(scene, options, kind, count, seed, &|_| true)
}

/// As [`draw_pairs`]; pairs with a start or a goal that is not `allowed` are dropped, too.
///
/// # Errors
/// As [`draw_pairs`].
pub fn draw_allowed_pairs(
    scene: &str,
    options: &SceneOptions,
    kind: PairKind,
    count: usize,
    seed: u64,
    allowed: &dyn Fn(&[f64]) -> bool,
) -> Result<Vec<Pair>> {
    let mut simulator = mindseye_sim::make(scene, options)?;
    let mut demonstrator = mindseye_sim::demonstrator(scene, "mixture", options)?;
    let mut pairs = Vec::with_capacity(count);
    let root = Seed::new(seed);
    for index in 0..(100 * count as u64).max(1000) {
        if pairs.len() == count {
            return Ok(pairs);
        }
        let episode = held_out_episode(root, index);
        let (offset, goals) = match kind {
            PairKind::Offset { goal_offset } | PairKind::Still { goal_offset } => (goal_offset, 1),
            PairKind::Sequence { goal_offset } => (goal_offset, GOALS),
            PairKind::Cross => (0, 1),
        };
        let mut states = if kind == PairKind::Cross {
            simulator.reset(episode)?;
            let (start, goal) = mindseye_sim::cross_pair(scene, options, episode)?;
            vec![start, goal]
        } else {
            let steps = EPISODE_STEPS.max(goals * offset + 1);
            let moments = mindseye_sim::demonstrate(simulator.as_mut(), demonstrator.as_mut(), episode, steps, true)?;
            let first = episode.child("pair").rng().random_range(0..steps - goals * offset);
            (0..=goals).map(|goal| moments[first + goal * offset].state.clone()).collect()
        };
        let mut wanted = states.iter().all(|state| allowed(state));
        let mut block = None;
        for leg in states.windows(2) {
            block = simulator.block_move(&leg[0], &leg[1]);
            wanted &= match (kind, block) {
                (PairKind::Still { .. }, None) => bail!("pairs: expected a scene with a block, got {scene}"),
                (PairKind::Still { .. }, Some(block)) => !block.needed,
                (_, block) => block.is_none_or(|block| block.needed),
            };
            wanted = wanted && !solved_at_start(simulator.as_mut(), &leg[0], &leg[1])?;
        }
        if let (true, Some(goal)) = (wanted, states.pop()) {
            let via = states.split_off(1);
            let block = block.filter(|_| via.is_empty());
            pairs.extend(states.pop().map(|start| Pair { seed, index: pairs.len(), episode, start, via, goal, block }));
        }
    }
    if pairs.len() < count {
        bail!("pairs: expected {count} that are not solved at the start, got {}", pairs.len());
    }
    Ok(pairs)
}

fn solved_at_start(simulator: &mut dyn Simulator, start: &[f64], goal: &[f64]) -> Result<bool> {
    simulator.set_state(start).context("start of a pair")?;
    Ok(simulator.check_goal(goal).moderate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_follow_from_their_seed_and_are_not_solved() {
        let options = SceneOptions::with_side(16).unwrap();
        let draw = |seed| draw_pairs("two_room", &options, PairKind::Offset { goal_offset: 25 }, 20, seed).unwrap();
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1)[0].start, draw(2)[0].start);
        for pair in draw(1) {
            let distance = (pair.start[0] - pair.goal[0]).hypot(pair.start[1] - pair.goal[1]);
            assert!(distance >= 16.0 / 224.0, "{pair:?}");
        }
    }

    #[test]
    fn goals_of_a_sequence_lie_apart_and_only_where_they_may() -> Result<()> {
        let options = SceneOptions::with_side(16)?;
        let kind = PairKind::Sequence { goal_offset: 25 };
        let left = |state: &[f64]| state[0] < 0.7;
        for pair in draw_allowed_pairs("two_room", &options, kind, 10, 0, &left)? {
            let states: Vec<_> = [&pair.start].into_iter().chain(&pair.via).chain([&pair.goal]).collect();
            assert_eq!(states.len(), 4);
            assert!(states.iter().all(|state| left(state)), "{pair:?}");
            for leg in states.windows(2) {
                assert!((leg[0][0] - leg[1][0]).hypot(leg[0][1] - leg[1][1]) >= 16.0 / 224.0, "{pair:?}");
            }
        }
        Ok(())
    }

    #[test]
    fn cross_pairs_lie_in_different_rooms() {
        let options = SceneOptions::with_side(16).unwrap();
        for pair in draw_pairs("two_room", &options, PairKind::Cross, 20, 0).unwrap() {
            assert!((pair.start[0] < 0.5) != (pair.goal[0] < 0.5), "{pair:?}");
        }
    }

    #[test]
    fn a_block_moves_in_all_pairs_or_in_none() {
        let options = SceneOptions::with_side(16).unwrap();
        let draw = |kind| draw_pairs("push_t", &options, kind, 20, 0).unwrap();
        for pair in draw(PairKind::Offset { goal_offset: 25 }) {
            let block = pair.block.unwrap();
            assert!(block.needed && (block.distance_m >= 20.0 / 512.0 || block.rotation_rad >= TURN_RAD), "{pair:?}");
        }
        for pair in draw(PairKind::Still { goal_offset: 25 }) {
            let block = pair.block.unwrap();
            assert!(!block.needed && pair.turns_block() == Some(false), "{pair:?}");
        }
        assert!(draw_pairs("two_room", &options, PairKind::Still { goal_offset: 25 }, 1, 0).is_err());
    }

    #[test]
    fn no_recording_uses_a_held_out_episode() {
        for root in 0..20 {
            for index in 0..20 {
                let held_out = held_out_episode(Seed::new(root), index);
                assert!((0..20).all(|other| held_out != crate::commands::record::episode_seed(Seed::new(root), other)));
            }
        }
    }
}
