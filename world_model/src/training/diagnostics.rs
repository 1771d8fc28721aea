//! What a model has learnt, measured on held-out episodes: rollout error against copying the last latent, linear probes of the
//! true state, effective rank and spread of the latent.

use candle_core::Tensor;
use mindseye_interface::Seed;
use nalgebra::{DMatrix, SymmetricEigen};
use serde::{Deserialize, Serialize};

use super::data::{Batch, TrainingData, sensed};
use super::probe::Probe;
use super::records::Record;
use crate::Result;
use crate::jepa::Jepa;
use crate::ops::tensor;

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
    pub smallest_spread: f64,
    /// Mean standard deviation of the latent dimensions.
    pub mean_spread: f64,
    /// Whether the latent has collapsed: planning with this model is pointless.
    pub collapsed: bool,
}

/// Mean squared error of rolled-out latents, per dimension.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RolloutError {
    /// Blocks ahead.
    pub blocks: usize,
    /// Error of the model.
    pub error: f64,
    /// Error of predicting that nothing changes.
    pub copy_last: f64,
}

impl Validation {
    /// The row for the metrics.
    pub fn record(&self, step: usize) -> Record {
        let mut record = Record::new("validation", step);
        for rollout in &self.rollout {
            record.add(format!("rollout_{}/error", rollout.blocks), rollout.error);
            record.add(format!("rollout_{}/copy_last", rollout.blocks), rollout.copy_last);
        }
        self.probe_r2.iter().enumerate().for_each(|(index, r2)| record.add(format!("probe_r2/{index}"), *r2));
        self.probe_rmse.iter().enumerate().for_each(|(index, rmse)| record.add(format!("probe_rmse/{index}"), *rmse));
        let medians = self.probe_median.iter().enumerate();
        medians.for_each(|(index, median)| record.add(format!("probe_median/{index}"), *median));
        record.add("effective_rank", self.effective_rank);
        record.add("smallest_spread", self.smallest_spread);
        record.add("mean_spread", self.mean_spread);
        record.add("collapsed", f64::from(u8::from(self.collapsed)));
        record
    }
}

/// Horizons at which rollouts are judged, blocks.
const HORIZONS: [usize; 3] = [1, 3, 5];
/// Windows per validation.
const WINDOWS: usize = 400;
/// Windows of two frames for the probe, from training and from validation episodes.
const PROBE_WINDOWS: (usize, usize) = (1500, 500);
/// A latent whose mean spread is below this share of 1 has collapsed (SIGReg and whitening aim at 1).
const COLLAPSED_SPREAD: f64 = 0.1;
/// As is one that fills less than this number of dimensions.
const COLLAPSED_RANK: f64 = 1.5;

/// Measures `model` on the validation part of `data`.
///
/// # Errors
/// When the data do not fit the model.
pub fn validate(model: &Jepa, data: &TrainingData, seed: Seed) -> Result<Validation> {
    let width = model.config().latent_width;
    let longest = HORIZONS.iter().copied().filter(|blocks| data.validation_windows(blocks + 1) > 0).max();
    let mut rollout = Vec::new();
    if let Some(longest) = longest {
        let batch = data.validation_sample(WINDOWS, longest + 1, seed)?;
        rollout = rollout_errors(model, &batch)?;
    }
    let fit = data.training_sample(PROBE_WINDOWS.0, 2, seed)?;
    let held_out = data.validation_sample(PROBE_WINDOWS.1, 2, seed)?;
    let (fit_latents, held_out_latents) = (encode(model, &fit)?, encode(model, &held_out)?);
    let fitted = Probe::fit(&fit_latents, &fit.states, data.state_names(), width);
    let probe = fitted.map(|probe| probe.judge(&held_out_latents, &held_out.states)).unwrap_or_default();
    let covariance = covariance(&held_out_latents, width);
    let spread: Vec<f64> = (0..width).map(|index| covariance[(index, index)].max(0.0).sqrt()).collect();
    let mean_spread = spread.iter().sum::<f64>() / width as f64;
    let effective_rank = effective_rank(&covariance);
    Ok(Validation {
        rollout,
        probe_r2: probe.r2,
        probe_rmse: probe.rmse,
        probe_median: probe.median,
        effective_rank,
        smallest_spread: spread.iter().copied().fold(f64::INFINITY, f64::min),
        mean_spread,
        collapsed: mean_spread < COLLAPSED_SPREAD || (width > 1 && effective_rank < COLLAPSED_RANK),
    })
}

/// Latents `[B * T, D]` of a batch.
///
/// # Errors
/// When the pictures have another size than the model's.
pub fn encode(model: &Jepa, batch: &Batch) -> Result<Vec<f32>> {
    let mut latents = Vec::new();
    for part in sensed(model.config(), batch).chunks(model.config(), 256) {
        latents.extend(model.encode(part)?);
    }
    Ok(latents)
}

/// Errors of unrolling from the first frame of every window.
fn rollout_errors(model: &Jepa, batch: &Batch) -> Result<Vec<RolloutError>> {
    let width = model.config().latent_width;
    let latents = tensor(encode(model, batch)?, (batch.windows, batch.frames, width))?;
    let blocks = tensor(batch.blocks.clone(), (batch.windows, batch.frames - 1, model.config().block_width()))?;
    let frame = |index: usize| latents.narrow(1, index, 1)?.squeeze(1)?.contiguous();
    let mean_square =
        |left: &Tensor, right: &Tensor| (left - right)?.sqr()?.mean_all()?.to_scalar::<f32>().map(f64::from);
    let first = frame(0)?;
    let mut predicted = first.clone();
    let mut errors = Vec::new();
    for length in 1..batch.frames {
        let actions = blocks.narrow(1, length - 1, 1)?.squeeze(1)?.contiguous()?;
        predicted = model.predictor().forward(&predicted, &actions)?.detach();
        if HORIZONS.contains(&length) {
            let target = frame(length)?;
            let (error, copy_last) = (mean_square(&predicted, &target)?, mean_square(&first, &target)?);
            errors.push(RolloutError { blocks: length, error, copy_last });
        }
    }
    Ok(errors)
}

/// Covariance `[D, D]` of latents `[N, D]`.
pub(crate) fn covariance(latents: &[f32], width: usize) -> DMatrix<f64> {
    let rows = (latents.len() / width).max(1);
    let mut centred = DMatrix::from_row_iterator(rows, width, latents.iter().map(|&value| f64::from(value)));
    for mut column in centred.column_iter_mut() {
        let mean = column.sum() / rows as f64;
        column.add_scalar_mut(-mean);
    }
    centred.tr_mul(&centred) / rows as f64
}

/// exp(entropy) of the normalised eigenvalues of `covariance` (Roy and Vetterli 2007): how many dimensions are really used.
pub fn effective_rank(covariance: &DMatrix<f64>) -> f64 {
    let values: Vec<f64> =
        SymmetricEigen::new(covariance.clone()).eigenvalues.iter().map(|value| value.max(0.0)).collect();
    let total: f64 = values.iter().sum();
    if total <= 0.0 {
        return 1.0;
    }
    let entropy: f64 =
        values.iter().map(|value| value / total).filter(|&share| share > 0.0).map(|share| -share * share.ln()).sum();
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
