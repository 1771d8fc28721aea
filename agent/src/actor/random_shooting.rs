//! Random shooting: the best of many random plans. What every other search has to beat.

use mindseye_interface::config::require_range;
use mindseye_interface::{Result as BorderResult, Rng};
use serde::{Deserialize, Serialize};

use super::population::Noise;
use super::search::{LastPlan, Search};
use super::{Actor, Choice, Deadline, Imagination};
use crate::Result;

/// Settings of random shooting.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandomShootingConfig {
    /// Plans imagined per tick.
    pub samples: usize,
    /// Spread of the plans around doing nothing, in normalised actions.
    pub initial_std: f32,
    /// Colour of the noise: power falls as `1 / f^beta`.
    pub noise_beta: f64,
}

impl Default for RandomShootingConfig {
    fn default() -> Self {
        Self { samples: 300, initial_std: 1.0, noise_beta: 2.0 }
    }
}

impl RandomShootingConfig {
    pub(crate) fn validate(&self) -> BorderResult<()> {
        require_range("planner.samples", self.samples, 1, 1_000_000)?;
        require_range("planner.initial_std", self.initial_std, 1e-6, 100.0)?;
        require_range("planner.noise_beta", self.noise_beta, 0.0, 10.0)
    }
}

/// The planner; the last plan, shifted, takes part.
pub struct RandomShooting {
    config: RandomShootingConfig,
    noise: Noise,
    last: LastPlan,
}

impl RandomShooting {
    /// A planner that has not planned yet.
    pub fn new(config: RandomShootingConfig) -> Self {
        let noise = Noise::new(config.noise_beta);
        Self { config, noise, last: LastPlan::default() }
    }
}

impl Actor for RandomShooting {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        let mut search = Search::new(imagination, deadline, &self.last);
        let (still, std) = (vec![0.0; search.plan_len()], vec![self.config.initial_std; search.plan_len()]);
        let mut sequences = search.guesses();
        while sequences.len() < self.config.samples {
            sequences.push(self.noise.around(&still, &std, imagination.directive.action_width, rng));
        }
        search.judge(sequences)?;
        search.finish(&mut self.last)
    }

    fn reset(&mut self) {
        self.last.forget();
    }
}
