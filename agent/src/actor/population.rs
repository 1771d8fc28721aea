//! Candidates with their energies, and the distributions that new ones are drawn from.

use mindseye_interface::Rng;

use super::ColoredNoise;
use crate::{Error, Result};

/// A scored sequence of normalised actions, `[H * A]`.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub actions: Vec<f32>,
    pub energy: f32,
}

/// The sequences with finite energies, best first (equal energies in the order of the sequences).
pub(super) fn ranked(sequences: Vec<Vec<f32>>, energies: Vec<f32>) -> Result<Vec<Candidate>> {
    let count = sequences.len();
    let pairs = sequences.into_iter().zip(energies);
    let mut candidates: Vec<Candidate> = pairs
        .map(|(actions, energy)| Candidate { actions, energy })
        .filter(|candidate| candidate.energy.is_finite())
        .collect();
    if candidates.is_empty() {
        return Err(Error::NoFiniteEnergy { candidates: count });
    }
    candidates.sort_by(|a, b| a.energy.total_cmp(&b.energy));
    Ok(candidates)
}

/// Mean and standard deviation of the elites, value by value.
pub(super) fn fit(elites: &[Candidate]) -> (Vec<f32>, Vec<f32>) {
    let count = elites.len().max(1) as f32;
    let length = elites.first().map_or(0, |elite| elite.actions.len());
    let mean_of = |of: &dyn Fn(usize, f32) -> f32| -> Vec<f32> {
        let sum = |index: usize| elites.iter().map(|elite| of(index, elite.actions[index])).sum::<f32>();
        (0..length).map(|index| sum(index) / count).collect()
    };
    let mean = mean_of(&|_, value| value);
    let std = mean_of(&|index, value| (value - mean[index]).powi(2)).into_iter().map(f32::sqrt).collect();
    (mean, std)
}

/// Draws around means: white noise of unit variance, or coloured in time (the same length again is computed once).
#[derive(Debug)]
pub(super) struct Noise {
    beta: f64,
    colored: Option<ColoredNoise>,
}

impl Noise {
    /// Noise whose power falls as `1 / f^beta`.
    pub fn new(beta: f64) -> Self {
        Self { beta, colored: None }
    }

    /// A sequence around `mean [H * A]` with standard deviations `std`, for actions of `action_width` numbers, within
    /// [-1, 1].
    pub fn around(&mut self, mean: &[f32], std: &[f32], action_width: usize, rng: &mut Rng) -> Vec<f32> {
        let steps = mean.len() / action_width.max(1);
        let beta = self.beta;
        if self.colored.as_ref().is_none_or(|noise| noise.length() != steps) {
            self.colored = Some(ColoredNoise::new(steps, beta));
        }
        let mut draw = vec![0.0; mean.len()];
        if let Some(noise) = &self.colored {
            (0..action_width).for_each(|part| noise.add_to(&mut draw, part, action_width, rng));
        }
        mean.iter().zip(std).zip(draw).map(|((mean, std), draw)| (mean + std * draw).clamp(-1.0, 1.0)).collect()
    }
}
