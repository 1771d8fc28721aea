//! From the energies of a rollout's chunks to one number.

use serde::{Deserialize, Serialize};

/// How the energies of a plan's chunks become one number.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Reduction {
    /// The last chunk only: what counts is where the plan ends.
    #[default]
    Last,
    /// The mean over chunks: what counts is to be near soon.
    Mean,
    /// The mean over chunks plus `weight` times the last chunk.
    MeanPlusLast {
        /// Weight of the last chunk.
        weight: f32,
    },
    /// The minimum over chunks, where every chunk that passes before counts `step_cost`: what counts is to be there
    /// once, and soon. What a plan does after its best chunk does not count.
    #[serde(alias = "soonest")]
    MinOverHorizon {
        /// Price of a chunk of waiting; 1 is the mean goal distance of one action chunk.
        #[serde(alias = "per_block")]
        step_cost: f32,
    },
    /// `(1 - discount)` times the sum over chunks, each of which counts `discount` times what the one before it does;
    /// what a critic says of the end counts as all chunks after it: the discounted mean energy.
    Discounted {
        /// Between 0 and 1: about `1 / (1 - discount)` chunks count.
        discount: f32,
    },
}

impl Reduction {
    /// One number of the energies `[H]` of one sample.
    pub fn reduce(self, energies: &[f32]) -> f32 {
        let last = energies.last().copied().unwrap_or(0.0);
        let mean = || energies.iter().sum::<f32>() / energies.len().max(1) as f32;
        match self {
            Self::Last => last,
            Self::Mean => mean(),
            Self::MeanPlusLast { weight } => mean() + weight * last,
            Self::MinOverHorizon { step_cost } => {
                let priced = energies.iter().enumerate().map(|(chunk, energy)| energy + step_cost * chunk as f32);
                // `f32::min` would forget a NaN.
                priced.reduce(|a, b| if b < a || b.is_nan() { b } else { a }).unwrap_or(0.0)
            }
            Self::Discounted { discount } => {
                (1.0 - discount) * energies.iter().rev().fold(0.0, |later, energy| energy + discount * later)
            }
        }
    }

    /// What the energy that a critic expects after `horizon` chunks counts.
    pub fn tail(self, horizon: usize) -> f32 {
        match self {
            Self::Discounted { discount } => discount.powi(i32::try_from(horizon).unwrap_or(i32::MAX)),
            _ => 1.0,
        }
    }

    /// The gradient of [`Reduction::reduce`] on every energy `[H]`.
    pub fn gradients(self, energies: &[f32]) -> Vec<f32> {
        let (count, last) = (energies.len(), energies.len().saturating_sub(1));
        let at = |one: usize| (0..count).map(|chunk| f32::from(u8::from(chunk == one))).collect::<Vec<f32>>();
        let mean = 1.0 / count.max(1) as f32;
        match self {
            Self::Last => at(last),
            Self::Mean => vec![mean; count],
            Self::MeanPlusLast { weight } => at(last).into_iter().map(|last| mean + weight * last).collect(),
            Self::MinOverHorizon { step_cost } => {
                let priced = |chunk: usize| energies[chunk] + step_cost * chunk as f32;
                at((0..count).min_by(|&a, &b| priced(a).total_cmp(&priced(b))).unwrap_or(0))
            }
            Self::Discounted { discount } => {
                std::iter::successors(Some(1.0 - discount), |gradient| Some(gradient * discount)).take(count).collect()
            }
        }
    }
}
