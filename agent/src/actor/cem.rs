//! The cross-entropy method (Rubinstein 1999) as LeWorldModel plans with it: white noise, no memory between ticks.

use mindseye_interface::config::require_range;
use mindseye_interface::{Result as BorderResult, Rng};
use serde::{Deserialize, Serialize};

use super::population::{fit, white};
use super::search::{LastPlan, Search, bounded};
use super::{Actor, Choice, Deadline, Imagination};
use crate::Result;

/// Settings of CEM; the defaults are LeWorldModel's (arXiv 2603.19312).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CemConfig {
    /// Plans imagined per iteration.
    pub samples: usize,
    /// Rounds of sampling and refitting.
    pub iterations: usize,
    /// Best plans that the next distribution is fitted to.
    pub elites: usize,
    /// Spread at the start, in normalised actions.
    pub initial_std: f32,
}

impl Default for CemConfig {
    fn default() -> Self {
        Self { samples: 300, iterations: 30, elites: 30, initial_std: 1.0 }
    }
}

impl CemConfig {
    pub(crate) fn validate(&self) -> BorderResult<()> {
        require_range("planner.samples", self.samples, 2, 1_000_000)?;
        require_range("planner.iterations", self.iterations, 1, 1000)?;
        require_range("planner.elites", self.elites, 1, self.samples)?;
        require_range("planner.initial_std", self.initial_std, 1e-6, 100.0)
    }
}

/// The planner. Every tick searches afresh; the last plan is only what it falls back on.
pub struct Cem {
    config: CemConfig,
    last: LastPlan,
}

impl Cem {
    /// A planner.
    pub fn new(config: CemConfig) -> Self {
        Self { config, last: LastPlan::default() }
    }
}

impl Actor for Cem {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        let mut search = Search::new(imagination, deadline, &self.last);
        let mut mean = vec![0.0; search.plan_len()];
        let mut std = vec![self.config.initial_std; mean.len()];
        let mut proposals: Vec<Vec<f32>> = imagination.proposals().iter().map(|plan| bounded(plan.values())).collect();
        for _ in 0..self.config.iterations {
            // The mean itself is a candidate, so that a converged search cannot get worse.
            let mut sequences = vec![bounded(&mean)];
            sequences.append(&mut proposals);
            while sequences.len() < self.config.samples {
                sequences.push(white(&mean, &std, rng));
            }
            let Some(mut candidates) = search.judge(sequences)? else { break };
            candidates.truncate(self.config.elites);
            (mean, std) = fit(&candidates);
        }
        search.finish(&mut self.last)
    }

    fn reset(&mut self) {
        self.last.forget();
    }
}
