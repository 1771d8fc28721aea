//! Success rates of methods on the same pairs.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::EpisodeResult;
use crate::interval::SuccessRate;

/// Success of one method.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MethodReport {
    /// The task's predicate held at some step.
    pub moderate: SuccessRate,
    /// The tighter predicate held over the last control steps.
    pub strict: SuccessRate,
    /// The benchmark's further predicates by name: each held at some step. In `push_t`, `block`: the block was at its
    /// goal, wherever the robot was.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, SuccessRate>,
    /// Where the task asks for a region: the true state was in it at some step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<SuccessRate>,
    /// Where the task forbids states: how often they occurred.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub violations: Option<Violations>,
}

/// How often the true state was one that the task forbids.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Violations {
    /// Share of the control steps, 0 to 1.
    pub steps: f64,
    /// Episodes in which it happened at all.
    pub episodes: SuccessRate,
}

/// Success of the method under test and of its baselines on the same pairs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Rates {
    /// The method under test.
    #[serde(flatten)]
    pub model: MethodReport,
    /// The baselines by name; empty where none ran.
    pub baselines: BTreeMap<String, MethodReport>,
}

/// Ticks in which a method held still because of an error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TickErrors {
    /// Ticks with an error, of all episodes.
    pub ticks: usize,
    /// Episodes with such a tick.
    pub episodes: usize,
    /// Text of the first error; none without errors.
    pub first: Option<String>,
}

impl MethodReport {
    /// Counts successes.
    pub fn of(results: &[&EpisodeResult]) -> Self {
        let rate = |holds: &dyn Fn(&EpisodeResult) -> bool| {
            SuccessRate::of(results.iter().filter(|result| holds(result)).count(), results.len())
        };
        let names = results.iter().flat_map(|result| result.reached.keys());
        let metrics =
            names.map(|name| (name.clone(), rate(&|result| result.reached.get(name) == Some(&true)))).collect();
        let has_region = results.iter().any(|result| result.region.is_some());
        Self {
            moderate: rate(&|result| result.first_success_step.is_some()),
            strict: rate(&|result| result.strict),
            metrics,
            region: has_region.then(|| rate(&|result| result.region == Some(true))),
            violations: Violations::of(results),
        }
    }
}

impl Violations {
    fn of(results: &[&EpisodeResult]) -> Option<Self> {
        let violating: Vec<usize> = results.iter().filter_map(|result| result.violating_steps).collect();
        let steps: usize = results.iter().map(|result| result.steps).sum();
        let episodes = violating.iter().filter(|steps| **steps > 0).count();
        (!violating.is_empty()).then(|| Self {
            steps: violating.iter().sum::<usize>() as f64 / steps.max(1) as f64,
            episodes: SuccessRate::of(episodes, results.len()),
        })
    }
}

impl TickErrors {
    /// Counts errors.
    pub fn of(results: &[EpisodeResult]) -> Self {
        Self {
            ticks: results.iter().map(|result| result.error_ticks).sum(),
            episodes: results.iter().filter(|result| result.error.is_some()).count(),
            first: results.iter().find_map(|result| result.error.clone()),
        }
    }
}
