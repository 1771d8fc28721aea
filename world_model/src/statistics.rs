//! Statistics of the latent space on the training data, and the metrics that they define.
//!
//! Plain squared distance in a latent space weighs fast parts of a scene (a pusher) as much as slow ones (a block, or
//! the route through a door). Divided by the statistics of single steps, distances count in steps: a goal metric
//! without labels.
//!
//! All statistics are those of tokens, shared over the tokens of a state: matrices are `[D, D]`, whatever the number of
//! tokens.

use std::collections::BTreeMap;

use candle_core::Tensor;
use mindseye_interface::config::require_range;
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::covariance::{inverse_roots, of_rows, of_steps};
use crate::latent::LatentShape;
use crate::ops::{tensor, with_values};
use crate::{Error, Result};

/// Which distance in latent space the goal term uses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LatentMetric {
    /// Squared Euclidean distance.
    #[default]
    Euclidean,
    /// `(z - g)ᵀ C^-power (z - g)` with `C` the covariance of latent steps over one action chunk.
    StepWhitened {
        /// 1 is a Mahalanobis distance in steps; 2 weighs slow directions even more.
        power: f64,
    },
}

/// Beginning of their names in files of weights.
const PREFIX: &str = "statistics.";
/// Largest absolute value of a latent.
const MAX_LATENT: f64 = 1e9;
/// Relative error of a stored covariance: sums and files are rounded to 32 bits.
const ROUNDING: f64 = 1e-3;

/// Statistics of tokens over the training data.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentStatistics {
    /// Tokens `P` of a state.
    pub tokens: usize,
    /// Mean token `[D]`.
    pub mean: Vec<f64>,
    /// Covariance of tokens `[D, D]`.
    pub covariance: DMatrix<f64>,
    /// Mean outer product of a token's steps over one action chunk, `[D, D]`.
    pub step_covariance: DMatrix<f64>,
}

impl LatentStatistics {
    /// Statistics of pairs of states one action chunk apart, `[N, 2, P, D]`.
    ///
    /// # Errors
    /// [`Error::Shape`] unless `pairs` holds one whole pair or more.
    pub fn of_pairs(pairs: &[f32], shape: LatentShape) -> Result<Self> {
        let LatentShape { tokens, width } = shape;
        let pair = 2 * shape.values();
        if pair == 0 || pairs.is_empty() || !pairs.len().is_multiple_of(pair) {
            let expected = format!("pairs of states of {shape} values");
            return Err(Error::Shape { operation: "statistics of latents", expected, got: pairs.len().to_string() });
        }
        let rows = pairs.len() / width;
        let mut mean = vec![0.0; width];
        for row in pairs.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += f64::from(value) / rows as f64);
        }
        // The pairs of every token: `[N, P, 2, D]`. With one token the order stays as it is.
        let token = |pair: &[f32], index: usize| -> Vec<f32> {
            let (before, after) = pair.split_at(tokens * width);
            let range = index * width..(index + 1) * width;
            [&before[range.clone()], &after[range]].concat()
        };
        let by_token: Vec<f32> =
            pairs.chunks_exact(pair).flat_map(|pair| (0..tokens).flat_map(move |index| token(pair, index))).collect();
        let covariance = of_rows(pairs, width);
        Ok(Self { tokens, mean, covariance, step_covariance: of_steps(&by_token, width) })
    }

    /// Refuses statistics that no data have: covariances that are not symmetric, have a negative variance or a
    /// correlation beyond 1, and numbers beyond all latents.
    ///
    /// # Errors
    /// [`mindseye_interface::Error::Field`] naming the matrix and the place.
    fn validate(&self) -> mindseye_interface::Result<()> {
        for (index, &mean) in self.mean.iter().enumerate() {
            require_range(&format!("statistics.mean[{index}]"), mean, -MAX_LATENT, MAX_LATENT)?;
        }
        require_covariance("statistics.covariance", &self.covariance)?;
        require_covariance("statistics.step_covariance", &self.step_covariance)
    }

    /// Puts them into `tensors`, under names that begin with `statistics.`.
    pub(crate) fn store(&self, tensors: &mut BTreeMap<String, Tensor>) -> Result<()> {
        let width = self.mean.len();
        let vector = |values: &[f64]| tensor(values.iter().map(|&value| value as f32).collect(), values.len());
        let matrix = |values: &DMatrix<f64>| {
            tensor(values.transpose().iter().map(|&value| value as f32).collect(), (width, width))
        };
        tensors.insert(format!("{PREFIX}mean"), vector(&self.mean)?);
        tensors.insert(format!("{PREFIX}covariance"), matrix(&self.covariance)?);
        tensors.insert(format!("{PREFIX}step_covariance"), matrix(&self.step_covariance)?);
        Ok(())
    }

    /// Takes out of `tensors` what [`LatentStatistics::store`] put there, for states of `shape`.
    ///
    /// # Errors
    /// The reason, where one is missing or of another size, or the numbers are those of no data.
    pub(crate) fn take(
        tensors: &mut BTreeMap<String, Tensor>,
        shape: LatentShape,
    ) -> std::result::Result<Self, String> {
        let width = shape.width;
        let mut take = |name: &str, length: usize| -> std::result::Result<Vec<f64>, String> {
            let name = format!("{PREFIX}{name}");
            let stored = tensors.remove(&name).ok_or_else(|| format!("{name}: expected it, got none"))?;
            let values = with_values(&stored, <[f32]>::to_vec).map_err(|error| format!("{name}: {error}"))?;
            if values.len() != length {
                return Err(format!("{name}: expected {length} values, got {}", values.len()));
            }
            Ok(values.into_iter().map(f64::from).collect())
        };
        let statistics = Self {
            tokens: shape.tokens,
            mean: take("mean", width)?,
            covariance: DMatrix::from_row_iterator(width, width, take("covariance", width * width)?),
            step_covariance: DMatrix::from_row_iterator(width, width, take("step_covariance", width * width)?),
        };
        statistics.validate().map_err(|error| error.to_string())?;
        Ok(statistics)
    }

    /// Mean squared distance of `latents [N, D]` from the mean of the training data, in standard deviations: 1 for
    /// states like those of the training.
    pub fn novelty(&self, latents: &[f32]) -> f64 {
        let width = self.mean.len();
        let (scales, directions) = inverse_roots(self.covariance.clone(), 1.0);
        let whiten = DMatrix::from_diagonal(&scales) * directions.transpose();
        let rows = latents.len() / width.max(1);
        let centred = latents.iter().enumerate().map(|(index, &value)| f64::from(value) - self.mean[index % width]);
        let centred = DMatrix::from_iterator(width, rows, centred.take(rows * width));
        (whiten * centred).norm_squared() / (rows * width).max(1) as f64
    }

    /// Shape of a state.
    pub fn shape(&self) -> LatentShape {
        LatentShape { tokens: self.tokens, width: self.mean.len() }
    }

    /// A factor `L [D, D]` (row-major) of the metric, applied to every token: the energy between `z` and `g` is the sum
    /// of `|L (z - g)|²` over their tokens. Scaled so that the mean energy of one action chunk of the training data is
    /// 1.
    pub fn factor(&self, metric: LatentMetric) -> Vec<f32> {
        let width = self.mean.len();
        let factor = match metric {
            LatentMetric::Euclidean => DMatrix::identity(width, width),
            LatentMetric::StepWhitened { power } => {
                let (scales, directions) = inverse_roots(self.step_covariance.clone(), power);
                DMatrix::from_diagonal(&scales) * directions.transpose()
            }
        };
        let token_energy = (&factor * &self.step_covariance * factor.transpose()).trace();
        let step_energy = token_energy * self.tokens as f64;
        let scale = 1.0 / step_energy.max(1e-12).sqrt();
        (factor * scale).transpose().iter().map(|&value| value as f32).collect()
    }
}

fn require_covariance(field: &str, matrix: &DMatrix<f64>) -> mindseye_interface::Result<()> {
    let variance = |index: usize| matrix[(index, index)];
    for index in 0..matrix.nrows() {
        require_range(&format!("{field}[{index}][{index}]"), variance(index), 0.0, MAX_LATENT * MAX_LATENT)?;
    }
    for row in 0..matrix.nrows() {
        for column in 0..row {
            let (value, mirrored) = (matrix[(row, column)], matrix[(column, row)]);
            let largest = (variance(row) * variance(column)).sqrt();
            let tolerance = ROUNDING * largest + f64::from(f32::MIN_POSITIVE);
            let field = || format!("{field}[{row}][{column}]");
            if (value - mirrored).abs() > tolerance {
                let expected = format!("{mirrored} as on the other side of the diagonal");
                return Err(mindseye_interface::Error::field(field(), expected, value));
            }
            if value.abs() > largest + tolerance {
                let expected = format!("at most {largest}, the standard deviations' product");
                return Err(mindseye_interface::Error::field(field(), expected, value));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typical_step_has_energy_one_and_slow_directions_weigh_more() {
        let step_covariance = DMatrix::from_row_slice(2, 2, &[4.0, 0.0, 0.0, 0.01]);
        let covariance = DMatrix::identity(2, 2);
        let statistics = LatentStatistics { tokens: 1, mean: vec![0.0; 2], covariance, step_covariance };
        let energy = |metric, z: [f32; 2]| -> f32 {
            let factor = statistics.factor(metric);
            (0..2).map(|row| (0..2).map(|k| factor[row * 2 + k] * z[k]).sum::<f32>().powi(2)).sum()
        };
        for metric in [LatentMetric::Euclidean, LatentMetric::StepWhitened { power: 1.0 }] {
            let mean = 4.0 * energy(metric, [1.0, 0.0]) + 0.01 * energy(metric, [0.0, 1.0]);
            assert!((mean - 1.0).abs() < 1e-3, "{metric:?}: {mean}");
        }
        let ratio = |metric| energy(metric, [0.0, 1.0]) / energy(metric, [1.0, 0.0]);
        assert!(ratio(LatentMetric::Euclidean) < ratio(LatentMetric::StepWhitened { power: 1.0 }));
        assert!(ratio(LatentMetric::StepWhitened { power: 1.0 }) < ratio(LatentMetric::StepWhitened { power: 2.0 }));
    }

    #[test]
    fn covariances_that_no_data_have_are_refused_by_their_place() {
        let good = || LatentStatistics {
            tokens: 1,
            mean: vec![0.5; 2],
            covariance: DMatrix::from_row_slice(2, 2, &[4.0, -0.1, -0.1, 0.01]),
            step_covariance: DMatrix::from_row_slice(2, 2, &[0.0, 0.0, 0.0, 1.0]),
        };
        assert!(good().validate().is_ok());
        type Change = fn(&mut LatentStatistics);
        let changes: [(Change, &str); 6] = [
            (|changed| changed.mean[1] = 3e38, "mean[1]"),
            (|changed| changed.covariance[(0, 0)] = -4.0, "covariance[0][0]"),
            (|changed| changed.covariance[(0, 1)] = 0.1, "covariance[1][0]"),
            (|changed| changed.covariance.fill(3e38), "covariance[0][0]"),
            (|changed| changed.covariance = DMatrix::from_row_slice(2, 2, &[1.0, 2.0, 2.0, 1.0]), "covariance[1][0]"),
            (|changed| changed.step_covariance[(1, 1)] = f64::NAN, "step_covariance[1][1]"),
        ];
        for (change, place) in changes {
            let mut changed = good();
            change(&mut changed);
            let error = changed.validate().unwrap_err().to_string();
            assert!(error.starts_with(&format!("statistics.{place}")), "{error}");
        }
    }

    #[test]
    fn statistics_of_many_tokens_are_those_of_one_token_and_a_step_of_the_state_has_energy_one() {
        // 50 pairs of 3 tokens of 2 values: the first value moves by up to 1, the second by up to 0.1.
        let wave = |index: usize| (index as f32 * 0.739).sin();
        let token = |pair: usize, token: usize, moved: bool| {
            let seed = pair * 3 + token;
            let step = if moved { [wave(7 * seed), 0.1 * wave(11 * seed + 1)] } else { [0.0; 2] };
            [wave(seed) + step[0], wave(5 * seed) + step[1]]
        };
        let state = |pair: usize, moved: bool| (0..3).flat_map(move |index| token(pair, index, moved));
        let pairs: Vec<f32> = (0..50).flat_map(|pair| state(pair, false).chain(state(pair, true))).collect();
        let shape = LatentShape { tokens: 3, width: 2 };
        let statistics = LatentStatistics::of_pairs(&pairs, shape).unwrap();
        assert_eq!((statistics.shape(), statistics.covariance.shape()), (shape, (2, 2)));
        // The same tokens as states of one token: the same statistics, and three times the energy per step.
        let single: Vec<f32> = (0..150)
            .flat_map(|index| [token(index / 3, index % 3, false), token(index / 3, index % 3, true)].concat())
            .collect();
        let one = LatentStatistics::of_pairs(&single, LatentShape::global(2)).unwrap();
        assert!((&one.step_covariance - &statistics.step_covariance).norm() < 1e-12);
        let metric = LatentMetric::StepWhitened { power: 1.0 };
        for (many, one) in statistics.factor(metric).iter().zip(one.factor(metric)) {
            assert!((many * 3f32.sqrt() - one).abs() < 1e-5, "{many} {one}");
        }
        assert!(LatentStatistics::of_pairs(&pairs[1..], shape).is_err());
    }
}
