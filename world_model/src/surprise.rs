//! Surprise: how far what is seen lies from what was predicted, and from all that the model knows.
//!
//! Three kinds of scores, all in the latent space of the model:
//!
//! - **prediction**, for 1 to [`STEPS`] action chunks: the distance of the observed latent from the one that was
//!   predicted so many chunks before, by the covariance of latent steps ([`LatentMetric::StepWhitened`]), so that 1 is
//!   the length of a usual step;
//! - **error**, for as many chunks: the same difference by the covariance of the model's usual errors, which finds what
//!   is small, but in a direction in which the model is never wrong;
//! - **shell**: how far the latent's distance from the mean of the training data, in standard deviations, is from the
//!   usual one. Latents of known images lie on a shell; images like nothing seen lie inside or outside of it.
//!
//! A [`SurpriseCalibration`] divides each by what held-out episodes show; the largest is the **score** of a tick, and
//! an [`Alarm`] is a score above the band in some of the newest ticks. [`SurpriseMeter`] computes them live.

mod alarm;
mod band;
mod calibration;
mod meter;
mod recorded;

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

pub use alarm::{Alarm, AlarmRule};
pub use band::per_10_minutes;
pub use calibration::{DEFAULT_RULE, Quantiles, SurpriseBand, SurpriseCalibration};
pub use meter::{Measured, SurpriseMeter};
pub use recorded::{calibrate_surprise, recorded_scores};

use crate::covariance::{inverse_roots, of_steps};
use crate::statistics::{LatentMetric, LatentStatistics};
use crate::{Error, Result};

/// Longest prediction that is compared with what is seen, action chunks.
pub const STEPS: usize = 3;
/// Kinds of scores: two per length of a prediction, and the shell.
pub const KINDS: usize = 2 * STEPS + 1;

/// The scores of one tick, not divided by anything.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct RawScores {
    /// Distance from the latent that was predicted 1, 2, ... chunks before; none where nothing was.
    pub prediction: [Option<f64>; STEPS],
    /// The same difference in standard deviations of the model's usual errors, per dimension.
    pub error: [Option<f64>; STEPS],
    /// Distance of the latent from the mean of the training data, standard deviations per dimension: about 1.
    pub radius: f64,
}

/// The distances that scores are made of.
#[derive(Debug, Clone)]
pub struct SurpriseMetric {
    /// `[D, D]`.
    steps: DMatrix<f64>,
    /// `[D, D]`.
    whitening: DMatrix<f64>,
    /// `[D, D]`.
    errors: DMatrix<f64>,
    mean: Vec<f64>,
    tokens: usize,
}

impl SurpriseMetric {
    /// The distances of a model with these statistics, whose errors of one chunk are whitened by `error_factor [D, D]`
    /// (row-major).
    ///
    /// # Errors
    /// [`Error::Shape`] when the factor has another size.
    pub fn new(statistics: &LatentStatistics, error_factor: &[f32]) -> Result<Self> {
        let width = statistics.mean.len();
        if error_factor.len() != width * width {
            let (expected, got) = (format!("{width} x {width} values"), error_factor.len().to_string());
            return Err(Error::Shape { operation: "whitening of errors", expected, got });
        }
        let errors = DMatrix::from_row_iterator(width, width, error_factor.iter().map(|&value| f64::from(value)));
        let factor = statistics.factor(LatentMetric::StepWhitened { power: 1.0 });
        let steps = DMatrix::from_row_iterator(width, width, factor.into_iter().map(f64::from));
        let (scales, directions) = inverse_roots(statistics.covariance.clone(), 1.0);
        let whitening = DMatrix::from_diagonal(&scales) * directions.transpose();
        Ok(Self { steps, whitening, errors, mean: statistics.mean.clone(), tokens: statistics.tokens })
    }

    /// Distance between two states `[P, D]`, in usual steps.
    pub fn distance(&self, one: &[f32], other: &[f32]) -> f64 {
        let difference = one.iter().zip(other).map(|(a, b)| f64::from(*a) - f64::from(*b));
        (&self.steps * self.by_token(difference)).norm()
    }

    /// Length of a difference of two states `[P, D]` in standard deviations of the model's usual errors, per dimension.
    pub fn error(&self, difference: &[f32]) -> f64 {
        let values = (self.mean.len() * self.tokens).max(1) as f64;
        let difference = difference.iter().map(|&value| f64::from(value));
        (&self.errors * self.by_token(difference)).norm() / values.sqrt()
    }

    /// Distance of a state `[P, D]` from the mean of the training data, standard deviations per dimension.
    pub fn radius(&self, state: &[f32]) -> f64 {
        let width = self.mean.len().max(1);
        let centred = state.iter().enumerate().map(|(index, &value)| f64::from(value) - self.mean[index % width]);
        (&self.whitening * self.by_token(centred)).norm() / ((width * self.tokens).max(1) as f64).sqrt()
    }

    /// The values of a state as one column per token; zeros where there are too few.
    fn by_token(&self, values: impl Iterator<Item = f64>) -> DMatrix<f64> {
        let width = self.mean.len();
        let whole = values.chain(std::iter::repeat(0.0)).take(width * self.tokens);
        DMatrix::from_iterator(width, self.tokens, whole)
    }
}

/// A factor `[D, D]` (row-major) that whitens `errors [N, D]`. Of few errors the covariance is drawn towards that of no
/// direction in particular.
fn whitening_of(errors: &[f32], width: usize) -> Vec<f32> {
    let count = (errors.len() / width.max(1)).max(1) as f64;
    let pairs: Vec<f32> = errors.chunks_exact(width).flat_map(|error| [&vec![0.0; width], error].concat()).collect();
    let covariance = of_steps(&pairs, width);
    let share = width as f64 / (count + width as f64);
    let mean = (covariance.trace() / width as f64).max(1e-12);
    let drawn = covariance * (1.0 - share) + DMatrix::identity(width, width) * (share * mean);
    let (scales, directions) = inverse_roots(drawn, 1.0);
    let factor = DMatrix::from_diagonal(&scales) * directions.transpose();
    factor.transpose().iter().map(|&value| value as f32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usual_step_has_length_one_and_the_shell_radius_one() {
        let statistics = LatentStatistics {
            tokens: 1,
            mean: vec![1.0, -1.0],
            covariance: DMatrix::from_row_slice(2, 2, &[4.0, 0.0, 0.0, 1.0]),
            step_covariance: DMatrix::from_row_slice(2, 2, &[0.5, 0.0, 0.0, 0.5]),
        };
        let metric = SurpriseMetric::new(&statistics, &[1.0, 0.0, 0.0, 10.0]).unwrap();
        assert!((metric.error(&[1.0, 0.1]) - 1.0).abs() < 1e-6, "one standard deviation in both");
        assert!(SurpriseMetric::new(&statistics, &[1.0; 3]).is_err());
        assert!((metric.distance(&[0.0, 0.0], &[1.0, 0.0]) - 1.0).abs() < 1e-3, "mean squared step 1");
        assert!((metric.radius(&[3.0, 0.0]) - 1.0).abs() < 1e-2, "one standard deviation in both");
        assert!(metric.radius(&[1.0, -1.0]) < 1e-9);
    }
}
