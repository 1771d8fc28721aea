//! Validation on held-out episodes: rollout error beside that of copying the last latent, linear probes of the true
//! state, effective rank and standard deviations of the latent.

use std::fmt;

use candle_core::Tensor;
use mindseye_interface::Seed;
use nalgebra::{DMatrix, SymmetricEigen};
use serde::{Deserialize, Serialize};

use super::data::{Batch, TrainingData};
use crate::Result;
use crate::covariance::of_rows as covariance;
use crate::families::jepa::encoding::encode_batch;
use crate::families::jepa::network::Jepa;
use crate::linear_probe::Probe;
use crate::ops::tensor;
use crate::trainer::Record;

/// One validation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validation {
    /// Rollout errors at the horizons that the episodes are long enough for.
    pub rollout: Vec<RolloutError>,
    /// Coefficient of determination of a linear probe for each dimension of the true state; empty without a true state.
    pub probe_r2: Vec<f64>,
    /// Root mean square error of the same probes, in the state's units.
    pub probe_rmse: Vec<f64>,
    /// Median absolute error of the same probes, in the state's units.
    #[serde(default)]
    pub probe_median: Vec<f64>,
    /// exp(entropy) of the normalised eigenvalues of the latent covariance, 1 to `D`.
    pub effective_rank: f64,
    /// Smallest standard deviation of a latent dimension.
    #[serde(alias = "smallest_spread")]
    pub smallest_std: f64,
    /// Mean standard deviation of the latent dimensions.
    #[serde(alias = "mean_spread")]
    pub mean_std: f64,
    /// Whether the latent has collapsed: plans of this model are meaningless.
    pub collapsed: bool,
}

/// Mean squared error of rolled-out latents, per dimension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutError {
    /// Action chunks ahead.
    #[serde(alias = "blocks")]
    pub chunks: usize,
    /// Error of the model.
    pub error: f64,
    /// Error of the prediction that nothing changes.
    pub copy_last: f64,
}

impl RolloutError {
    /// Adds both errors to a record of the metrics.
    pub(crate) fn add_to(&self, record: &mut Record) {
        record.add(format!("rollout_{}/error", self.chunks), self.error);
        record.add(format!("rollout_{}/copy_last", self.chunks), self.copy_last);
    }
}

/// Relative to that of copying the last latent.
impl fmt::Display for RolloutError {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "{} chunks {:.3}", self.chunks, self.error / self.copy_last.max(1e-12))
    }
}

impl Validation {
    /// The record for the metrics.
    pub(crate) fn record(&self, step: usize) -> Record {
        let mut record = Record::new("validation", step);
        self.rollout.iter().for_each(|rollout| rollout.add_to(&mut record));
        self.probe_r2.iter().enumerate().for_each(|(index, r2)| record.add(format!("probe_r2/{index}"), *r2));
        self.probe_rmse.iter().enumerate().for_each(|(index, rmse)| record.add(format!("probe_rmse/{index}"), *rmse));
        let medians = self.probe_median.iter().enumerate();
        medians.for_each(|(index, median)| record.add(format!("probe_median/{index}"), *median));
        record.add("effective_rank", self.effective_rank);
        record.add("smallest_std", self.smallest_std);
        record.add("mean_std", self.mean_std);
        record.add("collapsed", f64::from(u8::from(self.collapsed)));
        record
    }
}

impl fmt::Display for Validation {
    /// One line; rollout errors relative to those of copying the last latent.
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rollouts: Vec<String> = self.rollout.iter().map(RolloutError::to_string).collect();
        let list = |values: &[f64]| values.iter().map(|value| format!("{value:.4}")).collect::<Vec<_>>().join(" ");
        write!(text, "rollout error / copy-last: {}; ", rollouts.join(", "))?;
        if !self.probe_r2.is_empty() {
            write!(text, "probe R2 {}", list(&self.probe_r2))?;
            if !self.probe_median.is_empty() {
                write!(text, ", median error {}", list(&self.probe_median))?;
            }
            write!(text, "; ")?;
        }
        let Self { effective_rank, mean_std, smallest_std, .. } = self;
        write!(text, "effective rank {effective_rank:.1}; standard deviation {mean_std:.2} (least {smallest_std:.2})")
    }
}

/// Horizons at which rollout errors are measured, action chunks.
const HORIZONS: [usize; 3] = [1, 3, 5];
/// Windows per validation.
const WINDOWS: usize = 400;
/// Windows of two frames for the probe, from training and from validation episodes.
const PROBE_WINDOWS: (usize, usize) = (1500, 500);
/// A latent whose mean standard deviation is below this has collapsed (SIGReg and whitening aim at 1).
const COLLAPSED_STD: f64 = 0.1;
/// So has one of a lower effective rank.
const COLLAPSED_RANK: f64 = 1.5;

/// How much of its dimensions a latent uses.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LatentSpread {
    /// exp(entropy) of the normalised eigenvalues of the latent covariance, 1 to `D`.
    pub effective_rank: f64,
    /// Smallest standard deviation of a latent dimension.
    pub smallest_std: f64,
    /// Mean standard deviation of the latent dimensions.
    pub mean_std: f64,
    /// Whether the latent has collapsed: plans of this model are meaningless.
    pub collapsed: bool,
}

impl LatentSpread {
    /// The spread of `latents [N, width]`.
    pub fn of(latents: &[f32], width: usize) -> Self {
        let covariance = covariance(latents, width);
        let std: Vec<f64> = (0..width).map(|index| covariance[(index, index)].max(0.0).sqrt()).collect();
        let mean_std = std.iter().sum::<f64>() / width as f64;
        let effective_rank = effective_rank(&covariance);
        Self {
            effective_rank,
            smallest_std: std.iter().copied().fold(f64::INFINITY, f64::min),
            mean_std,
            collapsed: mean_std < COLLAPSED_STD || (width > 1 && effective_rank < COLLAPSED_RANK),
        }
    }
}

/// Measures `model` on the validation part of `data`.
///
/// # Errors
/// When the data do not fit the model.
pub fn validate(model: &Jepa, data: &TrainingData, seed: Seed) -> Result<Validation> {
    let width = model.config().latent_width;
    let longest = HORIZONS.iter().copied().filter(|horizon| data.validation_windows(horizon + 1) > 0).max();
    let mut rollout = Vec::new();
    if let Some(longest) = longest {
        let batch = data.validation_sample(WINDOWS, longest + 1, seed)?;
        rollout = rollout_errors(model, &batch)?;
    }
    let fit = data.training_sample(PROBE_WINDOWS.0, 2, seed)?;
    let held_out = data.validation_sample(PROBE_WINDOWS.1, 2, seed)?;
    let (fit_latents, held_out_latents) = (encode_batch(model, &fit)?, encode_batch(model, &held_out)?);
    let fitted = Probe::fit(&fit_latents, &fit.states, data.state_names(), width);
    let probe = fitted.map(|probe| probe.errors_on(&held_out_latents, &held_out.states)).unwrap_or_default();
    let LatentSpread { effective_rank, smallest_std, mean_std, collapsed } = LatentSpread::of(&held_out_latents, width);
    Ok(Validation {
        rollout,
        probe_r2: probe.r2,
        probe_rmse: probe.rmse,
        probe_median: probe.median,
        effective_rank,
        smallest_std,
        mean_std,
        collapsed,
    })
}

/// Errors of unrolling from the first frame of every window.
fn rollout_errors(model: &Jepa, batch: &Batch) -> Result<Vec<RolloutError>> {
    let width = model.config().latent_width;
    let latents = tensor(encode_batch(model, batch)?, (batch.windows, batch.frames, width))?;
    let chunks = tensor(batch.chunks.clone(), (batch.windows, batch.frames - 1, model.config().chunk_width()))?;
    let frame = |index: usize| latents.narrow(1, index, 1)?.squeeze(1)?.contiguous();
    let mean_square =
        |left: &Tensor, right: &Tensor| (left - right)?.sqr()?.mean_all()?.to_scalar::<f32>().map(f64::from);
    let first = frame(0)?;
    let mut predicted = first.clone();
    let mut errors = Vec::new();
    for length in 1..batch.frames {
        let actions = chunks.narrow(1, length - 1, 1)?.squeeze(1)?.contiguous()?;
        predicted = model.predictor().forward(&predicted, &actions)?.detach();
        if HORIZONS.contains(&length) {
            let target = frame(length)?;
            let (error, copy_last) = (mean_square(&predicted, &target)?, mean_square(&first, &target)?);
            errors.push(RolloutError { chunks: length, error, copy_last });
        }
    }
    Ok(errors)
}

/// exp(entropy) of the normalised eigenvalues of `covariance` (Roy and Vetterli 2007): how many dimensions are really
/// used.
pub(crate) fn effective_rank(covariance: &DMatrix<f64>) -> f64 {
    let values: Vec<f64> =
        SymmetricEigen::new(covariance.clone()).eigenvalues.iter().map(|value| value.max(0.0)).collect();
    let total: f64 = values.iter().sum();
    if total <= 0.0 {
        return 1.0;
    }
    let entropy: f64 =
        values.iter().map(|value| value / total).filter(|&part| part > 0.0).map(|part| -part * part.ln()).sum();
    entropy.exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rank_counts_used_dimensions() {
        let equal = DMatrix::identity(6, 6);
        assert!((effective_rank(&equal) - 6.0).abs() < 1e-9);
        let mut flat = DMatrix::zeros(6, 6);
        flat[(2, 2)] = 3.0;
        assert!((effective_rank(&flat) - 1.0).abs() < 1e-9);
    }
}
