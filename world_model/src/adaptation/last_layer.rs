//! A last layer that is corrected by what it missed.
//!
//! Ridge regression of the misses on the activations before the layer finds a correction in one step from a few dozen moments, in closed form. Whether it
//! helps is judged by leaving out one moment at a time, also in closed form (Allen 1974, the PRESS statistic): a correction that does not foresee what it has
//! not seen is not made.

use nalgebra::DMatrix;

use super::{Adaptation, AdaptationConfig};
use crate::layers::Linear;
use crate::ops::{Map, Precision, with_values};
use crate::{Error, Result};

/// Weights and bias of a last layer.
#[derive(Debug, Clone, PartialEq)]
pub struct LastLayer {
    /// `[O, W]`.
    pub weight: Vec<f32>,
    /// `[O]`.
    pub bias: Vec<f32>,
}

impl LastLayer {
    /// That of a network.
    pub(crate) fn of(Linear { weight, bias }: &Linear) -> Result<Self> {
        Ok(Self { weight: with_values(weight, <[f32]>::to_vec)?, bias: with_values(bias, <[f32]>::to_vec)? })
    }

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

    /// The way forward, `[N, W]` → `[N, O]`, and the way back of slopes.
    pub(crate) fn maps(&self) -> (Map, Map) {
        let (outputs, inputs) = (self.bias.len(), self.weight.len() / self.bias.len().max(1));
        let transposed: Vec<f32> = (0..inputs)
            .flat_map(|input| (0..outputs).map(move |output| (input, output)))
            .map(|(input, output)| self.weight[output * inputs + input])
            .collect();
        let back = Map::new(&transposed, &vec![0.0; inputs], Precision::F32);
        (Map::new(&self.weight, &self.bias, Precision::F32), back)
    }

    /// The layer that comes of having missed by `misses [N, O]` where the activations before it were `hidden [N, W]`, and how much better it foresees; the
    /// same layer where it does not.
    pub(crate) fn corrected(&self, hidden: &[f32], misses: &[f32], config: &AdaptationConfig) -> (Self, Adaptation) {
        let outputs = self.bias.len();
        let count = misses.len() / outputs;
        let wide = |values: &[f32], columns: usize| {
            DMatrix::from_row_iterator(values.len() / columns, columns, values.iter().map(|&value| f64::from(value)))
        };
        // The last column is the bias's.
        let hidden = wide(hidden, hidden.len() / count).insert_column(hidden.len() / count, 1.0);
        let misses = wide(misses, outputs);
        let mean_square = hidden.norm_squared() / hidden.len() as f64;
        let ridge = f64::from(config.ridge) * mean_square * hidden.ncols() as f64 / 10.0;
        let gram = &hidden * hidden.transpose() + DMatrix::identity(count, count) * ridge;
        let before = misses.norm_squared() / misses.len() as f64;
        let kept =
            |after: f64| (self.clone(), Adaptation { before: before as f32, after: after as f32, adopted: false });
        let Some(inverse) = gram.cholesky().map(|factor| factor.inverse()) else { return kept(before) };
        let dual = &inverse * &misses;
        let correction = dual.transpose() * &hidden; // [O, W + 1]
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
            return kept(after);
        }
        let correction = correction * share;
        let columns = correction.ncols() - 1;
        let mut layer = self.clone();
        for (row, weights) in layer.weight.chunks_exact_mut(columns).enumerate() {
            for (column, weight) in weights.iter_mut().enumerate() {
                *weight += correction[(row, column)] as f32;
            }
            layer.bias[row] += correction[(row, columns)] as f32;
        }
        (layer, Adaptation { before: before as f32, after: after as f32, adopted: true })
    }
}
