//! Every scene is a benchmark: starts and goals are states of held-out episodes that its demonstrators play.

use std::collections::BTreeMap;

use mindseye_interface::{
    Benchmark, Error, GoalKind, PairSearch, Result, SEQUENCE_GOALS, ScriptSource, Seed, Simulator, StartGoal,
    held_out_episode,
};
use rand::Rng;

use crate::demonstration::{Demonstrator, demonstrate};
use crate::scenes::{ObjectMove, Scene, SceneOptions, scene};

/// Name of the demonstrator that plays held-out episodes.
const DEMONSTRATOR: &str = "mixture";
/// Smallest length of a held-out episode, control steps.
const MIN_EPISODE_STEPS: usize = 100;
/// Episodes that are tried per pair before the search for pairs is given up.
const EPISODES_PER_PAIR: u64 = 100;
/// Episodes that are tried in any case.
const MIN_EPISODES: u64 = 1000;

/// A scene as a benchmark.
#[derive(Debug)]
pub struct SceneBenchmark {
    scene: &'static Scene,
    options: SceneOptions,
}

/// The benchmark of the scene called `name`, built with `options`.
///
/// # Errors
/// [`Error::Field`] when there is no such scene, or the scene has no such factor; the error lists what there is.
pub fn benchmark(name: &str, options: &SceneOptions) -> Result<SceneBenchmark> {
    let scene = scene(name)?;
    scene.require_factors(&options.factors)?;
    Ok(SceneBenchmark { scene, options: options.clone() })
}

impl SceneBenchmark {
    /// The scene.
    pub fn scene(&self) -> &'static Scene {
        self.scene
    }

    /// What the scene is built with.
    pub fn options(&self) -> &SceneOptions {
        &self.options
    }

    /// Start and goals of one held-out episode, true states `[K]` in their order.
    fn states(
        &self,
        kind: GoalKind,
        simulator: &mut dyn Simulator,
        demonstrator: &mut dyn Demonstrator,
        episode: Seed,
    ) -> Result<Vec<Vec<f64>>> {
        let (offset, goals) = match kind {
            GoalKind::Offset { goal_offset } | GoalKind::RobotOnly { goal_offset } => (goal_offset, 1),
            GoalKind::Sequence { goal_offset } => (goal_offset, SEQUENCE_GOALS),
            GoalKind::Hard => {
                simulator.reset(episode)?;
                let (start, goal) = self.scene.hard_pair(&self.options.factors, episode)?;
                return Ok(vec![start, goal]);
            }
        };
        let steps = MIN_EPISODE_STEPS.max(goals * offset + 1);
        let timesteps = demonstrate(simulator, demonstrator, episode, steps, true)?;
        let first = episode.child("pair").rng().random_range(0..steps - goals * offset);
        Ok((0..=goals).map(|goal| timesteps[first + goal * offset].state.clone()).collect())
    }

    /// Whether the move that a goal requires, if any, is one that pairs of this kind require.
    fn is_of_kind(&self, kind: GoalKind, object: Option<&ObjectMove>) -> Result<bool> {
        match (kind, object) {
            (GoalKind::RobotOnly { .. }, None) => {
                Err(Error::field("robot-only pairs", "a scene with an object", self.scene.name))
            }
            (GoalKind::RobotOnly { .. }, Some(object)) => Ok(!object.needed),
            (_, object) => Ok(object.is_none_or(|object| object.needed)),
        }
    }
}

impl Benchmark for SceneBenchmark {
    fn name(&self) -> &str {
        self.scene.name
    }

    fn environment(&self) -> Result<Box<dyn Simulator>> {
        self.scene.make(&self.options)
    }

    fn has_hard_pairs(&self) -> bool {
        self.scene.has_hard_pairs()
    }

    /// The scene's demonstrators.
    fn scripts(&self, policy: &str) -> Result<Box<dyn ScriptSource + '_>> {
        let policy = policy.to_owned();
        self.scene.demonstrator(&policy, &self.options.factors)?;
        Ok(Box::new(move || self.scene.demonstrator(&policy, &self.options.factors)))
    }

    fn start_goal_pairs(&self, search: &PairSearch<'_>) -> Result<Vec<StartGoal>> {
        let &PairSearch { kind, count, seed, allowed, found } = search;
        let mut simulator = self.environment()?;
        let mut demonstrator = self.scene.demonstrator(DEMONSTRATOR, &self.options.factors)?;
        let mut pairs = Vec::with_capacity(count);
        let root = Seed::new(seed);
        for index in 0..(EPISODES_PER_PAIR * count as u64).max(MIN_EPISODES) {
            if pairs.len() == count {
                break;
            }
            if !found(pairs.len()) {
                return Ok(pairs);
            }
            let episode = held_out_episode(root, index);
            let mut states = self.states(kind, simulator.as_mut(), demonstrator.as_mut(), episode)?;
            let mut fits = states.iter().all(|state| allowed(state));
            let mut object = None;
            for leg in states.windows(2) {
                object = self.scene.object_move(&leg[0], &leg[1]);
                fits &= self.is_of_kind(kind, object.as_ref())?;
                fits = fits && !solved_at_start(simulator.as_mut(), &leg[0], &leg[1])?;
            }
            if !fits {
                continue;
            }
            if let Some(goal) = states.pop() {
                let via = states.split_off(1);
                let object = object.filter(|_| via.is_empty());
                let metrics = object.map_or_else(BTreeMap::new, |object| object.metrics);
                let index = pairs.len();
                pairs.extend(states.pop().map(|start| StartGoal { seed, index, episode, start, via, goal, metrics }));
            }
        }
        if pairs.len() < count {
            let expected = format!("{count} that are not solved at the start");
            return Err(Error::field(format!("{} pairs of {}", self.scene.name, kind), expected, pairs.len()));
        }
        Ok(pairs)
    }
}

fn solved_at_start(simulator: &mut dyn Simulator, start: &[f64], goal: &[f64]) -> Result<bool> {
    simulator.set_state(start)?;
    Ok(simulator.check_goal(goal).moderate)
}
