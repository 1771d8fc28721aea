//! How well the predictor predicts held-out episodes.

use std::fmt;

use mindseye_interface::Seed;
use rand::seq::SliceRandom as _;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::engine::{Sequence, TokenEngine};
use crate::Result;
use crate::cancel::Cancel;
use crate::encoded_dataset::EncodedDataset;
use crate::families::jepa::training::RolloutError;
use crate::trainer::Record;

/// Horizons at which errors are measured, action chunks.
const HORIZONS: [usize; 3] = [1, 3, 5];
/// Most windows of a validation.
const WINDOWS: usize = 200;

/// One validation, on held-out episodes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenValidation {
    /// Mean squared errors of rolled-out tokens at the horizons that the episodes are long enough for.
    pub rollout: Vec<RolloutError>,
    /// The error at the last of them with the actions of other windows: not above `rollout`'s, actions are ignored.
    pub other_actions: f64,
}

impl FrozenValidation {
    /// The record for the metrics.
    pub(super) fn record(&self, step: usize) -> Record {
        let mut record = Record::new("validation", step);
        self.rollout.iter().for_each(|rollout| rollout.add_to(&mut record));
        record.add("other_actions", self.other_actions);
        record
    }
}

impl fmt::Display for FrozenValidation {
    /// One line; errors relative to those of copying the last state.
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rollouts: Vec<String> = self.rollout.iter().map(RolloutError::to_string).collect();
        write!(text, "rollout error / copy-last: {}", rollouts.join(", "))?;
        let Some(last) = self.rollout.last() else { return Ok(()) };
        write!(text, "; with other actions {:.3}", self.other_actions / last.copy_last.max(1e-12))
    }
}

/// Measures `engine`, which takes up to `context` frames, on windows of `episodes`, on the current rayon pool.
pub(super) fn validate(
    engine: &TokenEngine,
    context: usize,
    episodes: &EncodedDataset,
    seed: Seed,
) -> Result<FrozenValidation> {
    let fits = |chunks: &&usize| !episodes.starts(context + **chunks).is_empty();
    let horizons: Vec<usize> = HORIZONS.iter().filter(fits).copied().collect();
    let most = horizons.last().copied().unwrap_or(1);
    let mut starts = episodes.starts(context + most);
    starts.shuffle(&mut seed.child("windows").rng());
    starts.truncate(WINDOWS);
    let frame = episodes.latent_width();
    let roll_out = |start: usize, other: usize| -> Result<Vec<f64>> {
        let windows = episodes.windows(&[start], context + most);
        let others = episodes.windows(&[other], context + most);
        let before = (context - 1) * episodes.chunk_width();
        let sequence = Sequence { frames: &windows.latents[..context * frame], chunks: &windows.chunks[..before] };
        let predicted = engine.rollout(sequence, &others.chunks[before..], Cancel::never())?;
        let last = &windows.latents[(context - 1) * frame..context * frame];
        let mut errors = Vec::with_capacity(2 * horizons.len());
        for &chunks in &horizons {
            let actual = &windows.latents[(context + chunks - 1) * frame..(context + chunks) * frame];
            errors.push(mean_square(&predicted[(chunks - 1) * frame..chunks * frame], actual));
            errors.push(mean_square(last, actual));
        }
        Ok(errors)
    };
    let measure = |shift: usize| -> Result<Vec<f64>> {
        let pairs: Vec<(usize, usize)> =
            (0..starts.len()).map(|index| (starts[index], starts[(index + shift) % starts.len()])).collect();
        let errors: Vec<Vec<f64>> =
            pairs.into_par_iter().map(|(start, other)| roll_out(start, other)).collect::<Result<_>>()?;
        let mut means = vec![0.0; 2 * horizons.len()];
        for errors in &errors {
            means.iter_mut().zip(errors).for_each(|(mean, error)| *mean += error / starts.len() as f64);
        }
        Ok(means)
    };
    let (own, others) = (measure(0)?, measure(starts.len() / 2)?);
    let rollout = horizons.iter().zip(own.chunks_exact(2));
    let rollout = rollout.map(|(&chunks, errors)| RolloutError { chunks, error: errors[0], copy_last: errors[1] });
    let other_actions = others.len().checked_sub(2).map_or(0.0, |index| others[index]);
    Ok(FrozenValidation { rollout: rollout.collect(), other_actions })
}

fn mean_square(one: &[f32], other: &[f32]) -> f64 {
    let squares = one.iter().zip(other).map(|(one, other)| f64::from(one - other).powi(2));
    squares.sum::<f64>() / one.len().max(1) as f64
}
