//! The cross-entropy method (Rubinstein 1999) as LeWorldModel plans with it: white noise, no memory between ticks.

use mindseye_interface::config::require_range;
use mindseye_interface::{Result as BorderResult, Rng};
use rand_distr::{Distribution, StandardNormal};
use serde::{Deserialize, Serialize};

use super::population::{Best, fit, judged};
use super::{Actor, Choice, Deadline, Imagination};
use crate::Result;
use crate::latent::Plan;

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

/// The planner.
pub struct Cem {
    config: CemConfig,
}

impl Cem {
    /// A planner.
    pub fn new(config: CemConfig) -> Self {
        Self { config }
    }
}

impl Actor for Cem {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        let directive = imagination.directive;
        let fallback = Plan::zeros(directive.horizon_blocks, directive.block_width());
        let mut mean = fallback.values().to_vec();
        let mut std = vec![self.config.initial_std; mean.len()];
        let mut best = Best::default();
        for _ in 0..self.config.iterations {
            if deadline.passed() {
                break;
            }
            // The mean itself is a candidate, so that a converged search cannot get worse.
            let mut sequences = vec![mean.iter().map(|value| value.clamp(-1.0, 1.0)).collect::<Vec<f32>>()];
            while sequences.len() < self.config.samples {
                let mut draw = |(mean, std): (&f32, &f32)| -> f32 {
                    let noise: f32 = StandardNormal.sample(rng);
                    (mean + std * noise).clamp(-1.0, 1.0)
                };
                sequences.push(mean.iter().zip(&std).map(&mut draw).collect());
            }
            let mut candidates = judged(imagination, sequences)?;
            best.offer(&candidates[0]);
            candidates.truncate(self.config.elites);
            (mean, std) = fit(&candidates);
        }
        best.into_choice(fallback)
    }

    fn reset(&mut self) {}
}
