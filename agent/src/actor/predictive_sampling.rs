//! Predictive sampling (Howell et al. 2022, "Predictive sampling: real-time behaviour synthesis with MuJoCo"): the best
//! of some plans around the previous one is the next.

use mindseye_interface::config::require_range;
use mindseye_interface::{Result as InterfaceResult, Rng};
use serde::{Deserialize, Serialize};

use super::pace::Paces;
use super::population::Noise;
use super::previous_plan::PreviousPlan;
use super::search::Search;
use super::{Actor, Choice, Deadline, Imagination};
use crate::Result;

/// Settings of predictive sampling.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PredictiveSamplingConfig {
    /// Plans imagined per iteration.
    pub samples: usize,
    /// Rounds of sampling around the best plan so far.
    pub iterations: usize,
    /// Standard deviation of the plans around the best so far, in normalised actions.
    pub initial_std: f32,
    /// Colour of the noise: power falls as `1 / f^beta`.
    pub noise_beta: f64,
}

impl Default for PredictiveSamplingConfig {
    fn default() -> Self {
        Self { samples: 64, iterations: 5, initial_std: 0.5, noise_beta: 2.0 }
    }
}

impl PredictiveSamplingConfig {
    pub(crate) fn validate(&self) -> InterfaceResult<()> {
        require_range("planner.samples", self.samples, 2, 1_000_000)?;
        require_range("planner.iterations", self.iterations, 1, 1000)?;
        require_range("planner.initial_std", self.initial_std, 1e-6, 100.0)?;
        require_range("planner.noise_beta", self.noise_beta, 0.0, 10.0)
    }
}

/// The planner; between ticks it keeps its previous plan.
pub struct PredictiveSampling {
    config: PredictiveSamplingConfig,
    noise: Noise,
    previous: PreviousPlan,
    paces: Paces,
}

impl PredictiveSampling {
    /// A planner that has not planned yet.
    pub fn new(config: PredictiveSamplingConfig) -> Self {
        let noise = Noise::new(config.noise_beta);
        Self { config, noise, previous: PreviousPlan::default(), paces: Paces::default() }
    }
}

impl Actor for PredictiveSampling {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        let Self { config, noise, previous, paces } = self;
        let action_width = imagination.directive.action_width;
        let mut search = Search::new(imagination, deadline, previous, paces);
        let mut nominal = search.centre();
        let std = vec![config.initial_std; nominal.len()];
        let mut proposals = search.proposals();
        for _ in 0..config.iterations {
            let proposed = 1 + proposals.len();
            let mut draw = |index: usize| match index {
                0 => nominal.clone(),
                _ if index < proposed => proposals[index - 1].clone(),
                _ => noise.around(&nominal, &std, action_width, rng),
            };
            let count = config.samples.max(proposed);
            let Some(mut candidates) = search.score(1, count, &mut draw)? else { break };
            proposals.clear();
            nominal = candidates.swap_remove(0).actions;
        }
        search.finish(previous)
    }

    fn reset(&mut self) {
        self.previous.forget();
    }
}
