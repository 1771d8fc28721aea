//! MPPI (Williams et al. 2017): the next plan is the mean of all plans, weighted by the exponential of how good they
//! are.

use mindseye_interface::config::require_range;
use mindseye_interface::{Result as InterfaceResult, Rng};
use serde::{Deserialize, Serialize};

use super::pace::Paces;
use super::population::{Candidate, Noise};
use super::previous_plan::PreviousPlan;
use super::search::Search;
use super::{Actor, Choice, Deadline, Imagination};
use crate::Result;

/// Settings of MPPI.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MppiConfig {
    /// Plans imagined per iteration.
    pub samples: usize,
    /// Rounds of sampling and averaging.
    pub iterations: usize,
    /// Best plans that take part in the mean.
    pub elites: usize,
    /// A plan whose energy is higher than the best's by so much weighs `1/e` of it, in units of the energies' mean
    /// distance from the best among the elites.
    pub temperature: f32,
    /// Standard deviation of the plans around the mean, in normalised actions. It stays as it is.
    pub initial_std: f32,
    /// Colour of the noise: power falls as `1 / f^beta`.
    pub noise_beta: f64,
}

impl Default for MppiConfig {
    fn default() -> Self {
        Self { samples: 64, iterations: 5, elites: 30, temperature: 0.5, initial_std: 0.5, noise_beta: 2.0 }
    }
}

impl MppiConfig {
    pub(crate) fn validate(&self) -> InterfaceResult<()> {
        require_range("planner.samples", self.samples, 2, 1_000_000)?;
        require_range("planner.iterations", self.iterations, 1, 1000)?;
        require_range("planner.elites", self.elites, 1, self.samples)?;
        require_range("planner.temperature", self.temperature, 1e-6, 1e6)?;
        require_range("planner.initial_std", self.initial_std, 1e-6, 100.0)?;
        require_range("planner.noise_beta", self.noise_beta, 0.0, 10.0)
    }
}

/// The planner; between ticks it keeps its previous plan.
pub struct Mppi {
    config: MppiConfig,
    noise: Noise,
    previous: PreviousPlan,
    paces: Paces,
}

impl Mppi {
    /// A planner that has not planned yet.
    pub fn new(config: MppiConfig) -> Self {
        let noise = Noise::new(config.noise_beta);
        Self { config, noise, previous: PreviousPlan::default(), paces: Paces::default() }
    }
}

impl Actor for Mppi {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        let Self { config, noise, previous, paces } = self;
        let action_width = imagination.directive.action_width;
        let mut search = Search::new(imagination, deadline, previous, paces);
        let mut mean = search.centre();
        let std = vec![config.initial_std; mean.len()];
        let mut proposals = search.proposals();
        for _ in 0..config.iterations {
            let proposed = 1 + proposals.len();
            let mut draw = |index: usize| match index {
                0 => mean.clone(),
                _ if index < proposed => proposals[index - 1].clone(),
                _ => noise.around(&mean, &std, action_width, rng),
            };
            let count = config.samples.max(proposed);
            let Some(candidates) = search.score(config.elites, count, &mut draw)? else { break };
            proposals.clear();
            let values = candidates.len() * mean.len();
            let Some(next) = search.refit(values, || weighted_mean(&candidates, config.temperature)) else { break };
            mean = next;
        }
        search.score(1, 1, &mut |_| mean.clone())?;
        search.finish(previous)
    }

    fn reset(&mut self) {
        self.previous.forget();
    }
}

/// The mean of `candidates` (best first), each weighing `exp(-(energy - best) / (temperature * mean distance))`.
fn weighted_mean(candidates: &[Candidate], temperature: f32) -> Vec<f32> {
    let best = candidates.first().map_or(0.0, |candidate| candidate.energy);
    let above = || candidates.iter().map(|candidate| candidate.energy - best);
    let distance = above().sum::<f32>() / candidates.len().max(1) as f32;
    let unit = (temperature * distance).max(f32::MIN_POSITIVE);
    let weights: Vec<f32> = above().map(|above| (-above / unit).exp()).collect();
    let total: f32 = weights.iter().sum();
    let length = candidates.first().map_or(0, |candidate| candidate.actions.len());
    let mean = |index: usize| {
        let sum = candidates.iter().zip(&weights).map(|(candidate, weight)| weight * candidate.actions[index]);
        sum.sum::<f32>() / total
    };
    (0..length).map(mean).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cold_mean_is_the_best_and_a_hot_one_the_plain_mean() {
        let candidate = |action: f32, energy| Candidate { actions: vec![action], energy };
        let candidates = [candidate(0.1, 1.0), candidate(0.4, 2.0), candidate(1.0, 4.0)];
        assert!((weighted_mean(&candidates, 1e-4)[0] - 0.1).abs() < 1e-6);
        assert!((weighted_mean(&candidates, 1e6)[0] - 0.5).abs() < 1e-3);
        // Energies above the best: 0, 1, 3; their mean 4/3; at temperature 0.75 the unit is 1.
        let (second, third) = ((-1f32).exp(), (-3f32).exp());
        let by_hand = (0.1 + 0.4 * second + third) / (1.0 + second + third);
        assert!((weighted_mean(&candidates, 0.75)[0] - by_hand).abs() < 1e-6);
        assert_eq!(weighted_mean(&candidates[..1], 0.5), [0.1], "equal energies are at no distance");
    }
}
