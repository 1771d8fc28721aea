//! Online adaptation: what the body makes of an action ([`Actuation`]), and the predictor's last layer, learn from what has just been lived.
//!
//! Where the world is not as it was when the model was trained (more friction, a heavier pusher), predictions miss by something that follows from
//! what the predictor knows of the situation. Ridge regression of the misses on the activations before the last layer finds it in one step from a few
//! dozen moments, in closed form. Whether it helps is judged by leaving out one moment at a time, also in closed form (Allen 1974, the PRESS statistic): a correction
//! that does not foresee what it has not seen is not made.

mod actuation;

pub use actuation::Actuation;

use mindseye_interface::config::{Validate, require_range};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::layers::Linear;
use crate::ops::with_values;
use crate::predictor::Predictor;
use crate::rollout::RolloutEngine;
use crate::{Error, Precision, Result};

/// Settings of online adaptation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptationConfig {
    /// Learns what the body makes of actions.
    pub actuation: bool,
    /// Learns the predictor's last layer, too (docs/experiments.md has what it was worth).
    pub last_layer: bool,
    /// Moments learnt from, the newest ones.
    pub moments: usize,
    /// Fewer are not learnt from.
    pub least_moments: usize,
    /// Strength of the pull towards the weights as they were trained, relative to the mean square of the activations.
    pub ridge: f32,
    /// The correction is no longer than this share of the trained weights (Frobenius norms).
    pub largest_step: f32,
    /// It must foresee moments that it has not seen better than the trained weights do, by this share of their mean square error.
    pub gain: f32,
    /// Adapts only after a tick that was more surprising than this (mean squared difference per dimension of the latent).
    pub surprise_above: f32,
}

impl Default for AdaptationConfig {
    fn default() -> Self {
        Self {
            actuation: true,
            last_layer: false,
            moments: 60,
            least_moments: 4,
            ridge: 0.3,
            largest_step: 0.5,
            gain: 0.02,
            surprise_above: 0.0,
        }
    }
}

impl Validate for AdaptationConfig {
    fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("adaptation.moments", self.moments, 1, 4096)?;
        require_range("adaptation.least_moments", self.least_moments, 2, 4096)?;
        require_range("adaptation.ridge", self.ridge, 1e-6, 1e6)?;
        require_range("adaptation.largest_step", self.largest_step, 0.0, 1e3)?;
        require_range("adaptation.gain", self.gain, 0.0, 1.0)?;
        require_range("adaptation.surprise_above", self.surprise_above, 0.0, 1e9)
    }
}

/// Moments to learn from, `N` of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Experience {
    /// `[N, D]`.
    pub states: Vec<f32>,
    /// What was done, `[N, A]`.
    pub blocks: Vec<f32>,
    /// What came of it, `[N, D]`.
    pub next: Vec<f32>,
}

impl Experience {
    /// Adds a moment: a state `[D]`, what was done there `[A]`, and what came of it `[D]`.
    pub fn push(&mut self, state: &[f32], block: &[f32], next: &[f32]) {
        self.states.extend_from_slice(state);
        self.blocks.extend_from_slice(block);
        self.next.extend_from_slice(next);
    }
}

/// What came of an adaptation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Adaptation {
    /// Mean square error, per dimension, of the weights as they were trained.
    pub before: f32,
    /// That of what was learnt, on moments that it was not learnt from: each half from the other (what actions do), or one left out at a time (the last
    /// layer).
    pub after: f32,
    /// Whether the correction is in use; otherwise the weights are those that were trained.
    pub adopted: bool,
}

/// A predictor whose last layer can be corrected.
#[derive(Debug, Clone)]
pub struct Adapter {
    /// The predictor as it was trained.
    engine: RolloutEngine,
    /// Weights `[D, W]` and bias `[D]` of its last layer.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

/// Weights and bias of a last layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LastLayer {
    /// `[D, W]`.
    pub weight: Vec<f32>,
    /// `[D]`.
    pub bias: Vec<f32>,
}

impl LastLayer {
    pub(crate) fn require(&self, outputs: usize, inputs: usize) -> Result<()> {
        if (self.weight.len(), self.bias.len()) == (outputs * inputs, outputs) {
            return Ok(());
        }
        Err(Error::Shape {
            operation: "another last layer",
            expected: format!("{outputs} x {inputs} weights and {outputs} of a bias"),
            got: format!("{} and {}", self.weight.len(), self.bias.len()),
        })
    }
}

impl Adapter {
    /// For `predictor` of latents `[D]` and blocks `[A]`.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub fn new(predictor: &Predictor, latent_width: usize, block_width: usize) -> Result<Self> {
        let Linear { weight, bias } = &predictor.output;
        Ok(Self {
            engine: RolloutEngine::of_predictor(predictor, latent_width, block_width, Precision::F32)?,
            weight: with_values(weight, <[f32]>::to_vec)?,
            bias: with_values(bias, <[f32]>::to_vec)?,
        })
    }

    /// The last layer as it was trained.
    pub fn trained(&self) -> LastLayer {
        LastLayer { weight: self.weight.clone(), bias: self.bias.clone() }
    }

    /// How many moments `experience` has.
    fn moments(&self, experience: &Experience) -> Result<usize> {
        let width = self.engine.latent_width();
        let count = experience.states.len() / width;
        let sizes = (experience.states.len(), experience.blocks.len(), experience.next.len());
        if count > 0 && sizes == (count * width, count * self.engine.block_width(), count * width) {
            return Ok(count);
        }
        Err(Error::Shape {
            operation: "adapting",
            expected: format!("moments of {width} and {} and {width} values", self.engine.block_width()),
            got: format!("{}, {} and {} values", sizes.0, sizes.1, sizes.2),
        })
    }

    /// What the last layer should be after `experience`, and how much better it foresees.
    ///
    /// # Errors
    /// [`Error::Shape`] when the experience does not fit the predictor.
    pub fn adapt(&self, experience: &Experience, config: &AdaptationConfig) -> Result<(LastLayer, Adaptation)> {
        let (width, count) = (self.engine.latent_width(), self.moments(experience)?);
        let (hidden, predicted) = self.engine.activations(&experience.states, &experience.blocks)?;
        let wide = |values: &[f32], columns: usize| {
            DMatrix::from_row_iterator(values.len() / columns, columns, values.iter().map(|&value| f64::from(value)))
        };
        // The last column is the bias's.
        let hidden = wide(&hidden, hidden.len() / count).insert_column(hidden.len() / count, 1.0);
        let misses = wide(&experience.next, width) - wide(&predicted, width);
        let mean_square = hidden.norm_squared() / hidden.len() as f64;
        let ridge = f64::from(config.ridge) * mean_square * hidden.ncols() as f64 / 10.0;
        let gram = &hidden * hidden.transpose() + DMatrix::identity(count, count) * ridge;
        let before = misses.norm_squared() / misses.len() as f64;
        let kept =
            |after: f64| (self.trained(), Adaptation { before: before as f32, after: after as f32, adopted: false });
        let Some(inverse) = gram.cholesky().map(|factor| factor.inverse()) else { return Ok(kept(before)) };
        let dual = &inverse * &misses;
        let correction = dual.transpose() * &hidden; // [D, W + 1]
        let trained = self.weight.iter().chain(&self.bias).map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let share = (f64::from(config.largest_step) * trained / correction.norm()).min(1.0);
        // What a correction from all other moments, as much of it as is allowed, leaves of this one's miss.
        let left_out = |row: usize| {
            let whole = dual.row(row) / inverse[(row, row)];
            (misses.row(row) * (1.0 - share) + whole * share).norm_squared()
        };
        let after = (0..count).map(left_out).sum::<f64>() / misses.len() as f64;
        let helps = after.is_finite() && after < before * (1.0 - f64::from(config.gain));
        if !helps {
            return Ok(kept(after));
        }
        let correction = correction * share;
        let columns = correction.ncols() - 1;
        let mut layer = self.trained();
        for (row, weights) in layer.weight.chunks_exact_mut(columns).enumerate() {
            for (column, weight) in weights.iter_mut().enumerate() {
                *weight += correction[(row, column)] as f32;
            }
            layer.bias[row] += correction[(row, columns)] as f32;
        }
        Ok((layer, Adaptation { before: before as f32, after: after as f32, adopted: true }))
    }
}
