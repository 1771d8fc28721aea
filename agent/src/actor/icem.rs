//! iCEM (Pinneri et al. 2020): cross-entropy search with coloured noise, kept elites, and a warm start from the last plan.

use mindseye_interface::config::require_range;
use mindseye_interface::{Result as BorderResult, Rng};
use serde::{Deserialize, Serialize};

use super::population::{Best, Candidate, fit, judged};
use super::{Actor, Choice, ColoredNoise, Deadline, Imagination};
use crate::Result;
use crate::latent::Plan;

/// Settings of iCEM.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IcemConfig {
    /// Plans imagined per iteration.
    pub samples: usize,
    /// Rounds of sampling and refitting.
    pub iterations: usize,
    /// Best plans that the next distribution is fitted to.
    pub elites: usize,
    /// Share of the elites that take part in the next round and, shifted, in the next tick.
    pub kept_elites: f32,
    /// Share of the old mean and spread that survives a refit.
    pub momentum: f32,
    /// Colour of the noise: power falls as `1 / f^beta`.
    pub noise_beta: f64,
    /// Spread at the start of a tick, in normalised actions.
    pub initial_std: f32,
    /// Smallest spread.
    pub least_std: f32,
}

impl Default for IcemConfig {
    fn default() -> Self {
        Self {
            samples: 64,
            iterations: 5,
            elites: 10,
            kept_elites: 0.3,
            momentum: 0.1,
            noise_beta: 2.0,
            initial_std: 1.0,
            least_std: 0.05,
        }
    }
}

impl IcemConfig {
    pub(crate) fn validate(&self) -> BorderResult<()> {
        require_range("planner.samples", self.samples, 2, 1_000_000)?;
        require_range("planner.iterations", self.iterations, 1, 1000)?;
        require_range("planner.elites", self.elites, 1, self.samples)?;
        require_range("planner.kept_elites", self.kept_elites, 0.0, 1.0)?;
        require_range("planner.momentum", self.momentum, 0.0, 0.999)?;
        require_range("planner.noise_beta", self.noise_beta, 0.0, 10.0)?;
        require_range("planner.initial_std", self.initial_std, 1e-6, 100.0)?;
        require_range("planner.least_std", self.least_std, 0.0, 100.0)
    }
}

/// The planner; between ticks it keeps its last plan and elites.
pub struct Icem {
    config: IcemConfig,
    noise: Option<ColoredNoise>,
    last: Option<Plan>,
    elites: Vec<Candidate>,
}

impl Icem {
    /// A planner that has not planned yet.
    pub fn new(config: IcemConfig) -> Self {
        Self { config, noise: None, last: None, elites: Vec::new() }
    }

    fn kept(&self) -> usize {
        (self.config.kept_elites * self.config.elites as f32).round() as usize
    }

    /// The plan to start from: the last one, shifted, if it fits.
    fn warm_start(&self, horizon: usize, block_width: usize) -> Option<Plan> {
        let last = self.last.as_ref().filter(|last| (last.horizon(), last.block_width()) == (horizon, block_width));
        last.map(Plan::shifted)
    }
}

impl Actor for Icem {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        let directive = imagination.directive;
        let (horizon, block_width, action_width) =
            (directive.horizon_blocks, directive.block_width(), directive.action_width);
        let warm = self.warm_start(horizon, block_width);
        let is_warm = warm.is_some();
        let fallback = warm.unwrap_or_else(|| Plan::zeros(horizon, block_width));
        let mut mean = fallback.values().to_vec();
        let mut std = vec![self.config.initial_std; mean.len()];
        let moments = mean.len() / action_width.max(1);
        let beta = self.config.noise_beta;
        if self.noise.as_ref().is_none_or(|noise| noise.length() != moments) {
            self.noise = Some(ColoredNoise::new(moments, beta));
        }
        let mut kept: Vec<Vec<f32>> = Vec::new();
        if is_warm {
            for elite in self.elites.iter().take(self.kept()) {
                kept.push(Plan::new(horizon, block_width, elite.actions.clone())?.shifted().values().to_vec());
            }
            kept.push(mean.clone());
        }
        let mut best = Best::default();
        for iteration in 0..self.config.iterations {
            if deadline.passed() {
                break;
            }
            let mut sequences = std::mem::take(&mut kept);
            if iteration > 0 && iteration + 1 == self.config.iterations {
                sequences.push(mean.clone());
            }
            while sequences.len() < self.config.samples {
                let mut draw = vec![0.0; mean.len()];
                if let Some(noise) = &self.noise {
                    (0..action_width).for_each(|part| noise.add_to(&mut draw, part, action_width, rng));
                }
                let place = mean.iter().zip(&std).zip(draw);
                sequences.push(place.map(|((mean, std), draw)| (mean + std * draw).clamp(-1.0, 1.0)).collect());
            }
            let mut candidates = judged(imagination, sequences)?;
            best.offer(&candidates[0]);
            candidates.truncate(self.config.elites);
            let (fitted_mean, fitted_std) = fit(&candidates);
            let blend = |old: &mut Vec<f32>, new: Vec<f32>, least: f32| {
                let momentum = self.config.momentum;
                old.iter_mut()
                    .zip(new)
                    .for_each(|(old, new)| *old = (momentum * *old + (1.0 - momentum) * new).max(least));
            };
            blend(&mut mean, fitted_mean, f32::NEG_INFINITY);
            blend(&mut std, fitted_std, self.config.least_std);
            kept.extend(candidates.iter().take(self.kept()).map(|candidate| candidate.actions.clone()));
            self.elites = candidates;
        }
        if best.is_empty() {
            self.elites.clear(); // no round was in time: they belong to a plan that is a block old
        }
        let choice = best.into_choice(fallback)?;
        self.last = Some(choice.plan.clone());
        Ok(choice)
    }

    fn reset(&mut self) {
        self.noise = None;
        self.last = None;
        self.elites.clear();
    }
}
