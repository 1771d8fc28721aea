//! What an evaluation does: which pairs, how many episodes, how long, on which seeds.

use mindseye_interface::config::require_range;
use mindseye_interface::{GoalKind, StartGoal};
use serde::{Deserialize, Serialize};

use crate::Result;

/// How an evaluation is set up, apart from the benchmark, the task and the methods.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Protocol {
    /// How starts and goals are chosen.
    pub goals: GoalKind,
    /// Control steps per episode.
    pub budget_steps: usize,
    /// Episodes per seed.
    pub episodes: usize,
    /// Root seeds of the held-out episodes. Choose settings on other seeds than those that are reported.
    pub seeds: Vec<u64>,
    /// Episodes that the method under test acts in before each that counts, in the same world and on other pairs. It
    /// keeps what it learns there. Baselines have none.
    #[serde(default)]
    pub warmup_episodes: usize,
    /// Episodes that run at the same time; the results do not depend on it.
    pub threads: usize,
}

/// Episodes per seed unless told otherwise.
const STANDARD_EPISODES: usize = 100;
/// Seeds unless told otherwise.
const STANDARD_SEEDS: u64 = 3;
/// Distance between the root seed of an evaluation and that of its warm-up episodes.
const WARMUP_SEED_OFFSET: u64 = 1_000_000;
/// Rotation beyond which a pair belongs to the subset that asks for turning, radians: 20 degrees.
const LARGE_ROTATION_RAD: f64 = std::f64::consts::PI / 9.0;
/// Ending of the names of metrics that are angles.
const ANGLE_ENDING: &str = "_rad";
/// Step budgets at which success is reported, as parts of the whole budget.
const WITHIN_PARTS: usize = 5;

impl Protocol {
    /// 100 episodes on each of three seeds with goals of a kind, as many episodes at a time as there are processors.
    pub fn standard(goals: GoalKind) -> Self {
        Self {
            goals,
            budget_steps: goals.default_budget(),
            episodes: STANDARD_EPISODES,
            seeds: (0..STANDARD_SEEDS).collect(),
            warmup_episodes: 0,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
        }
    }

    pub(crate) fn validate(&self) -> Result<()> {
        require_range("budget_steps", self.budget_steps, 1, 1_000_000)?;
        require_range("episodes", self.episodes, 1, 1_000_000)?;
        require_range("number of seeds", self.seeds.len(), 1, 1000)?;
        require_range("warmup_episodes", self.warmup_episodes, 0, 10_000)?;
        Ok(require_range("threads", self.threads, 1, 1024)?)
    }

    /// Root seed of the warm-up episodes of `seed`.
    pub(crate) fn warmup_seed(seed: u64) -> u64 {
        seed.wrapping_add(WARMUP_SEED_OFFSET)
    }

    /// Numbers of control steps at which success is reported: every fifth of the budget.
    pub(crate) fn within_steps(&self) -> Vec<usize> {
        (1..=WITHIN_PARTS).map(|part| (self.budget_steps * part).div_ceil(WITHIN_PARTS)).collect()
    }
}

/// The subsets of pairs that are reported apart, by name, with the pairs' places in `pairs`: for every angle that the
/// benchmark measures of its pairs, those that ask for more than 20 degrees and those that do not.
pub(crate) fn subsets(pairs: &[StartGoal]) -> Vec<(String, Vec<usize>)> {
    let mut angles: Vec<&'static str> = pairs.iter().flat_map(|pair| pair.metrics.keys().copied()).collect();
    angles.retain(|name| name.ends_with(ANGLE_ENDING));
    angles.sort_unstable();
    angles.dedup();
    let mut subsets = Vec::new();
    for angle in angles {
        let name = angle.trim_end_matches(ANGLE_ENDING);
        let places = |wanted: &dyn Fn(f64) -> bool| {
            let measured =
                pairs.iter().enumerate().filter_map(|(place, pair)| Some((place, *pair.metrics.get(angle)?)));
            measured.filter(|(_, rad)| wanted(*rad)).map(|(place, _)| place).collect()
        };
        subsets.push((format!("{name}_above_20_degrees"), places(&|rad| rad > LARGE_ROTATION_RAD)));
        subsets.push((format!("{name}_up_to_20_degrees"), places(&|rad| rad <= LARGE_ROTATION_RAD)));
    }
    subsets
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use mindseye_interface::Seed;

    use super::*;

    fn pair(index: usize, metrics: &[(&'static str, f64)]) -> StartGoal {
        StartGoal {
            seed: 0,
            index,
            episode: Seed::new(0),
            start: vec![0.0],
            via: Vec::new(),
            goal: vec![1.0],
            metrics: metrics.iter().copied().collect::<BTreeMap<_, _>>(),
        }
    }

    #[test]
    fn pairs_split_at_twenty_degrees_of_every_angle_and_unmeasured_pairs_are_in_no_subset() {
        let turn = |degrees: f64| [("block_rotation_rad", degrees.to_radians()), ("block_distance_m", 3.0)];
        let pairs = [pair(0, &turn(21.0)), pair(1, &turn(19.0)), pair(2, &[]), pair(3, &turn(90.0))];
        let expected = vec![
            ("block_rotation_above_20_degrees".to_owned(), vec![0, 3]),
            ("block_rotation_up_to_20_degrees".to_owned(), vec![1]),
        ];
        assert_eq!(subsets(&pairs), expected);
        assert_eq!(subsets(&pairs[2..3]), Vec::new());
    }

    #[test]
    fn success_is_reported_at_fifths_of_the_budget_that_end_with_the_whole() {
        let protocol = Protocol { budget_steps: 12, ..Protocol::standard(GoalKind::Hard) };
        assert_eq!(protocol.within_steps(), [3, 5, 8, 10, 12]);
    }

    #[test]
    fn a_protocol_without_episodes_is_refused() {
        let protocol = Protocol { episodes: 0, ..Protocol::standard(GoalKind::Hard) };
        let error = protocol.validate().unwrap_err().to_string();
        assert!(error.contains("episodes") && error.contains("got 0"), "{error}");
    }
}
