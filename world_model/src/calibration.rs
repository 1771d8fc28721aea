//! Calibration of uncertainty: whether the variance of sampled rollouts predicts their error on recorded episodes.

use mindseye_interface::correlation::spearman;
use rayon::prelude::*;
use serde::Serialize;

use crate::encoded_dataset::EncodedDataset;
use crate::ops::{product, tensor, with_values};
use crate::{Error, Result};

/// Variance and error of sampled rollouts after so many action chunks. Both are mean squares per value of the latent,
/// in units of typical steps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Calibration {
    /// Horizon, action chunks.
    pub chunks: usize,
    /// Starts measured.
    pub starts: usize,
    /// Rank correlation of variance and error (Spearman): 1 where the rollout with the larger variance always has the
    /// larger error, 0 where they are unrelated.
    pub spearman: f64,
    /// Mean squared distance of the samples from their mean.
    pub variance: f64,
    /// Mean squared distance of the recorded state from the mean of the samples.
    pub error: f64,
}

impl std::fmt::Display for Calibration {
    fn fmt(&self, text: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { chunks, starts, spearman, variance, error } = self;
        write!(text, "after {chunks} chunks: variance {variance:.4}, error {error:.4}, ")?;
        write!(text, "rank correlation {spearman:.2} ({starts} starts)")
    }
}

/// Horizons that are reported, action chunks.
pub(crate) const HORIZONS: [usize; 3] = [1, 3, 5];
/// The longest of them.
pub(crate) const MOST_CHUNKS: usize = HORIZONS[HORIZONS.len() - 1];
/// Most starts measured.
const MOST: usize = 3000;

/// Compares the rollouts of `sample` with recorded episodes, on the current rayon pool. `sample` predicts `S` samples
/// `[S, H, D]` from a start `[D]` and a plan `[H * A]`.
///
/// # Errors
/// Those of `sample`; [`Error::Shape`] when no episode is long enough.
pub(crate) fn calibrate<E: From<Error> + Send>(
    sample: impl Fn(&[f32], &[f32]) -> std::result::Result<Vec<f32>, E> + Sync,
    episodes: &EncodedDataset,
) -> std::result::Result<Vec<Calibration>, E> {
    let horizon = MOST_CHUNKS;
    let all = episodes.require_starts(horizon + 1)?;
    let starts: Vec<usize> = all.iter().copied().step_by(all.len().div_ceil(MOST)).collect();
    let width = episodes.latent_width();
    let metric = episodes.steps_from_error()?;
    let lengths = |values: Vec<f32>| -> Result<Vec<f64>> {
        let measured = product(&tensor(values.clone(), (values.len() / width, width))?, &metric)?;
        let mean = |row: &[f32]| row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / width as f64;
        Ok(with_values(&measured, |values| values.chunks_exact(width).map(mean).collect())?)
    };
    // Variance and error at every horizon of the report.
    let one = |&start: &usize| -> std::result::Result<Vec<(f64, f64)>, E> {
        let plan: Vec<f32> = (start..start + horizon).flat_map(|frame| episodes.chunk(frame)).copied().collect();
        let samples = sample(episodes.latent(start), &plan)?;
        let count = samples.len() / (horizon * width);
        let at = |chunks: usize| -> Result<(f64, f64)> {
            let state = |sample: usize| &samples[(sample * horizon + chunks - 1) * width..][..width];
            let mean = |index: usize| (0..count).map(|sample| state(sample)[index]).sum::<f32>() / count as f32;
            let mean: Vec<f32> = (0..width).map(mean).collect();
            let from_mean = |values: &[f32]| -> Vec<f32> { values.iter().zip(&mean).map(|(a, b)| a - b).collect() };
            let variance = lengths((0..count).flat_map(|sample| from_mean(state(sample))).collect())?;
            let error = lengths(from_mean(episodes.latent(start + chunks)))?;
            Ok((variance.iter().sum::<f64>() / count as f64, error[0]))
        };
        Ok(HORIZONS.into_iter().map(at).collect::<Result<_>>()?)
    };
    let measured: Vec<Vec<(f64, f64)>> = starts.par_iter().map(one).collect::<std::result::Result<_, E>>()?;
    let report = |(index, chunks): (usize, usize)| {
        let (variances, errors): (Vec<f64>, Vec<f64>) = measured.iter().map(|of_start| of_start[index]).unzip();
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let (variance, error) = (mean(&variances), mean(&errors));
        Calibration {
            chunks,
            starts: starts.len(),
            spearman: spearman(&variances, &errors).unwrap_or(0.0),
            variance,
            error,
        }
    };
    Ok(HORIZONS.into_iter().enumerate().map(report).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_correlation_is_high_only_where_variance_predicts_the_error() -> Result<()> {
        // The first value moves by the action and by plus or minus the second value; the sign is unknown.
        let (mut latents, mut chunks) = (Vec::new(), Vec::new());
        for episode in 0..20 {
            let (size, sign) = ((episode / 2) as f32 / 10.0, if episode % 2 == 0 { 1.0 } else { -1.0 });
            for frame in 0..6 {
                latents.extend([frame as f32 * (0.1 + sign * size), size]);
                chunks.push(0.1);
            }
        }
        let ranges = (0..20).map(|episode| episode * 6..episode * 6 + 6).collect();
        let episodes = EncodedDataset::new(latents, chunks, (2, 1), ranges)?;
        let sample = |size: f32, start: &[f32], plan: &[f32]| -> Vec<f32> {
            let branch = |sign: f32| (1..=plan.len()).map(move |chunk| chunk as f32 * (0.1 + sign * size));
            [1.0, -1.0].into_iter().flat_map(branch).flat_map(|offset| [start[0] + offset, start[1]]).collect()
        };
        let calibrated = calibrate(|start, plan| Ok::<_, Error>(sample(start[1], start, plan)), &episodes)?;
        let uncalibrated = calibrate(|start, plan| Ok::<_, Error>(sample(0.5, start, plan)), &episodes)?;
        assert_eq!(calibrated.iter().map(|at| at.chunks).collect::<Vec<_>>(), HORIZONS);
        for (calibrated, uncalibrated) in calibrated.iter().zip(&uncalibrated) {
            assert!(calibrated.spearman > 0.99, "{calibrated:?}");
            assert!((calibrated.variance / calibrated.error - 1.0).abs() < 1e-3, "{calibrated:?}");
            assert!(uncalibrated.spearman.abs() < 0.2 && uncalibrated.variance > 0.0, "{uncalibrated:?}");
        }
        Ok(())
    }
}
