//! Validation on held-out clips: is the prediction better than a constant one, and do different clips have different
//! tokens? The loss alone does not tell: that of a collapsed encoder is the lowest there is.

use std::fmt;

use candle_core::Tensor;
use mindseye_interface::Seed;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::clips::ClipData;
use super::objective::{MaskedPrediction, StepBatch};
use super::target::PretrainingObjective;
use crate::Result;
use crate::families::jepa::training::LatentSpread;
use crate::ops::{standardise, tensor, with_values};
use crate::trainer::Record;

/// Clips, in groups that are encoded at a time.
const GROUPS: usize = 4;
const GROUP: usize = 16;
/// Rows of the covariance whose rank is measured.
const ROWS: usize = 4096;
/// Below this standard deviation over clips an encoder has collapsed. Where most of an image never changes, that of an
/// untrained one is 0.1.
const COLLAPSED_STD: f64 = 0.02;
/// So has one of a lower effective rank.
const COLLAPSED_RANK: f64 = 1.5;

/// One validation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainingValidation {
    /// Mean error of the predictions of hidden tokens.
    pub prediction: f64,
    /// The same of the best prediction that depends on the position alone (of these very clips: it is flattered).
    pub constant: f64,
    /// Standard deviation of layer-normed tokens over clips, position by position, 0 to 1.
    pub std: f64,
    /// exp(entropy) of the normalised eigenvalues of their covariance, 1 to `D`.
    pub effective_rank: f64,
    /// Whether different clips have hardly different tokens: the encoder is of no use.
    pub collapsed: bool,
}

impl PretrainingValidation {
    pub(super) fn record(&self, step: usize) -> Record {
        let mut record = Record::new("validation", step);
        record.add("prediction", self.prediction);
        record.add("constant", self.constant);
        record.add("std", self.std);
        record.add("effective_rank", self.effective_rank);
        record.add("collapsed", f64::from(u8::from(self.collapsed)));
        record
    }
}

impl fmt::Display for PretrainingValidation {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { prediction, constant, std, effective_rank, collapsed } = self;
        write!(text, "held-out prediction {prediction:.4} (by position alone {constant:.4}); ")?;
        write!(text, "tokens: standard deviation over clips {std:.3}, effective rank {effective_rank:.1}")?;
        if *collapsed { write!(text, "; COLLAPSED: the encoder is of no use") } else { Ok(()) }
    }
}

/// Measures the networks on held-out clips, on the current rayon pool.
pub(super) fn validate(
    objective: &MaskedPrediction<'_>,
    data: &ClipData,
    step: usize,
    seed: Seed,
) -> Result<PretrainingValidation> {
    let group = |group: usize| -> Result<Group> {
        let seed = seed.index(group as u64);
        let batch = objective.prepared(data.validation_batch(GROUP, seed)?, step, seed)?;
        Group::of(objective, batch)
    };
    let groups: Vec<Group> = (0..GROUPS).into_par_iter().map(group).collect::<Result<_>>()?;
    let width = objective.config.encoder.width;
    let all: Vec<f32> = groups.iter().flat_map(|group| &group.tokens).copied().collect();
    let spread = LatentSpread::of(&content(&all, GROUPS * GROUP, width), width);
    let latent = objective.config.objective;
    let squares = matches!(latent, PretrainingObjective::Levjepa | PretrainingObjective::Pixels);
    let targets: Vec<&[f32]> = groups.iter().map(|group| group.targets.as_slice()).collect();
    let constant = constant(&targets, squares);
    let mean = |of: &dyn Fn(&Group) -> Result<f64>| -> Result<f64> {
        let sum: f64 = groups.iter().map(of).collect::<Result<Vec<f64>>>()?.iter().sum();
        Ok(sum / GROUPS as f64)
    };
    Ok(PretrainingValidation {
        prediction: mean(&|group| Ok(group.error))?,
        constant: mean(&|group| group.error_of(objective, &constant))?,
        std: spread.mean_std,
        effective_rank: spread.effective_rank,
        collapsed: spread.mean_std < COLLAPSED_STD || spread.effective_rank < COLLAPSED_RANK,
    })
}

/// Clips that are measured at a time.
struct Group {
    batch: StepBatch,
    error: f64,
    /// Layer-normed tokens of the encoder that is saved, `[clips, N, D]`.
    tokens: Vec<f32>,
    /// What would be predicted of all tokens, `[clips, N, O]`.
    targets: Vec<f32>,
}

impl Group {
    fn of(objective: &MaskedPrediction<'_>, batch: StepBatch) -> Result<Self> {
        let clips = batch.clips.clips;
        let encoder = objective.networks.evaluated();
        let tokens = objective.whole(&encoder, &batch.clips, 0..clips)?;
        let losses = objective.losses(&batch, 0..clips)?;
        let error = losses.terms.iter().find(|(name, _)| *name == "prediction").map_or(f32::NAN, |(_, error)| *error);
        let whole = objective.predicted_tokens(&batch.clips, 0..clips)?;
        let numbers: Vec<u32> = (0..objective.config.encoder.grid().tokens() as u32).collect();
        let numbers = vec![numbers; clips];
        let targets = objective.targets(whole.as_ref().map(|(normed, _)| normed), &batch.clips, 0, &numbers)?;
        let values = |tensor: &Tensor| with_values(tensor, <[f32]>::to_vec);
        let (tokens, targets) = (values(&standardise(&tokens, 1e-5)?)?, values(&targets)?);
        Ok(Self { error: f64::from(error), tokens, targets, batch })
    }

    /// The error of predicting `constant [N, O]` for every clip.
    fn error_of(&self, objective: &MaskedPrediction<'_>, constant: &[f32]) -> Result<f64> {
        let tokens = objective.config.encoder.grid().tokens();
        let width = constant.len() / tokens;
        let rows = |values: &[f32], clips: bool, numbers: &[Vec<u32>]| -> Result<Tensor> {
            let mut rows = Vec::new();
            for (clip, numbers) in numbers.iter().enumerate() {
                for number in numbers {
                    let start = (usize::from(clips) * clip * tokens + *number as usize) * width;
                    rows.extend_from_slice(&values[start..start + width]);
                }
            }
            Ok(tensor(rows, (numbers.len(), numbers.first().map_or(0, Vec::len), width))?)
        };
        let (mut sum, mut count) = (0.0, 0.0f64);
        for set in &self.batch.masks {
            for numbers in &set.targets {
                let error = objective.error(&rows(constant, false, numbers)?, &rows(&self.targets, true, numbers)?)?;
                sum += f64::from(error.to_scalar::<f32>()?) / set.targets.len() as f64;
            }
            count += 1.0;
        }
        Ok(sum / count.max(1.0))
    }
}

/// For every value of a clip the mean over all clips, or their median.
fn constant(groups: &[&[f32]], squares: bool) -> Vec<f32> {
    let length = groups.first().map_or(0, |group| group.len() / GROUP);
    let of = |place: usize| {
        let clips = groups.iter().flat_map(|group| group.iter().skip(place).step_by(length));
        let mut values: Vec<f32> = clips.copied().collect();
        if squares {
            return values.iter().sum::<f32>() / values.len() as f32;
        }
        values.sort_by(f32::total_cmp);
        values[values.len() / 2]
    };
    (0..length).into_par_iter().map(of).collect()
}

/// Rows of `tokens [clips, N, D]` without the means of their positions, some of them evenly.
fn content(tokens: &[f32], clips: usize, width: usize) -> Vec<f32> {
    let length = tokens.len() / clips;
    let mut means = vec![0.0f32; length];
    for clip in tokens.chunks_exact(length) {
        means.iter_mut().zip(clip).for_each(|(mean, value)| *mean += value / clips as f32);
    }
    // An odd step meets every column of the grid.
    let step = (tokens.len() / width / ROWS) | 1;
    let rows = tokens.chunks_exact(width).enumerate().step_by(step);
    let centred = rows.flat_map(|(row, values)| {
        let start = row % (length / width) * width;
        values.iter().zip(&means[start..start + width]).map(|(value, mean)| value - mean)
    });
    centred.collect()
}
