//! Statistics of the latent space on the training data, and the metrics they define.
//!
//! Plain squared distance in a latent space counts what moves fast (a pusher) as much as what moves slowly (a block, or the way
//! round through a door). Dividing by the statistics of single steps makes distances count in steps: a label-free goal metric.

use nalgebra::{DMatrix, DVector, SymmetricEigen};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::jepa::Jepa;
use crate::training::TrainingData;
use mindseye_interface::Seed;

/// Which distance in latent space the goal term uses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, Default)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum LatentMetric {
    /// Squared Euclidean distance.
    #[default]
    Euclidean,
    /// `(z - g)ᵀ C^-power (z - g)` with `C` the covariance of latent steps over one action block.
    StepWhitened {
        /// 1 is a Mahalanobis distance in steps; 2 counts slow directions even more.
        power: f64,
    },
}

/// Statistics of latents over the training data.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentStatistics {
    /// Mean latent `[D]`.
    pub mean: Vec<f64>,
    /// Covariance of latents `[D, D]`.
    pub covariance: DMatrix<f64>,
    /// Mean outer product of steps over one action block `[D, D]`.
    pub step_covariance: DMatrix<f64>,
}

/// Windows of two frames from which the statistics are taken.
const WINDOWS: usize = 4000;
/// Added to the eigenvalues of the step covariance, relative to their mean.
const RIDGE: f64 = 1e-3;

impl LatentStatistics {
    /// Measures `model` on training windows chosen by `seed`.
    ///
    /// # Errors
    /// When the data do not fit the model.
    pub fn measure(model: &Jepa, data: &TrainingData, seed: Seed) -> Result<Self> {
        let width = model.config().latent_width;
        let latents = crate::training::encode_batch(model, &data.training_sample(WINDOWS, 2, seed)?)?;
        let rows = latents.len() / width;
        let mut mean = vec![0.0; width];
        for row in latents.chunks_exact(width) {
            mean.iter_mut().zip(row).for_each(|(mean, &value)| *mean += f64::from(value) / rows as f64);
        }
        let steps: Vec<f64> = latents
            .chunks_exact(2 * width)
            .flat_map(|pair| (0..width).map(|index| f64::from(pair[width + index]) - f64::from(pair[index])))
            .collect();
        let steps = DMatrix::from_row_iterator(steps.len() / width, width, steps);
        let step_covariance = steps.tr_mul(&steps) / steps.nrows().max(1) as f64;
        Ok(Self { mean, covariance: crate::training::latent_covariance(&latents, width), step_covariance })
    }

    /// A factor `L [D, D]` (row-major) of the metric: the energy between `z` and `g` is `|L (z - g)|²`. Scaled so that the mean
    /// energy of one action block of the training data is 1.
    pub fn factor(&self, metric: LatentMetric) -> Vec<f32> {
        let width = self.mean.len();
        let factor = match metric {
            LatentMetric::Euclidean => DMatrix::identity(width, width),
            LatentMetric::StepWhitened { power } => {
                let (scales, directions) = inverse_roots(self.step_covariance.clone(), power);
                DMatrix::from_diagonal(&scales) * directions.transpose()
            }
        };
        let step_energy = (&factor * &self.step_covariance * factor.transpose()).trace();
        let scale = 1.0 / step_energy.max(1e-12).sqrt();
        (factor * scale).transpose().iter().map(|&value| value as f32).collect()
    }
}

/// Eigenvalues (with a small ridge) of a covariance `[D, D]` to the power `-power / 2`, and the eigenvectors as columns.
pub(crate) fn inverse_roots(covariance: DMatrix<f64>, power: f64) -> (DVector<f64>, DMatrix<f64>) {
    let ridge = RIDGE * covariance.trace() / covariance.nrows() as f64;
    let eigen = SymmetricEigen::new(covariance);
    let scales = eigen.eigenvalues.map(|value| (value.max(0.0) + ridge).max(1e-12).powf(-power / 2.0));
    (scales, eigen.eigenvectors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typical_step_has_energy_one_and_slow_directions_count_more() {
        let step_covariance = DMatrix::from_row_slice(2, 2, &[4.0, 0.0, 0.0, 0.01]);
        let statistics = LatentStatistics { mean: vec![0.0; 2], covariance: DMatrix::identity(2, 2), step_covariance };
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
}
