//! Measurements of a stochastic predictor: information in the codes, and errors of its samples.

use candle_core::Tensor;
use mindseye_interface::Seed;
use rand::Rng as _;
use serde::Serialize;

use super::draws::drawn;
use super::{StochasticConfig, StochasticPredictor};
use crate::Result;
use crate::encoded_dataset::EncodedDataset;
use crate::families::jepa::Jepa;
use crate::ops::{product, tensor, with_values};

/// Measured on transitions of one action chunk from held-out episodes. Errors are mean squared differences per value of
/// the latent, in units of typical steps.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StochasticReport {
    /// Transitions measured.
    pub transitions: usize,
    /// Information of a code beyond the prior, nats: the mean of `KL(q || p)`.
    pub rate_nats: f64,
    /// Codes in use: the exponential of the entropy of the codes that explain the transitions.
    pub codes_in_use: f64,
    /// Fraction of the transitions that each code explains, `[C]`.
    pub code_shares: Vec<f64>,
    /// Error of the model's own deterministic predictor.
    pub error_of_model: f64,
    /// Error with the code that explains the transition best.
    pub error_explained: f64,
    /// Error of the best of so many samples of the prior.
    pub error_of_best: Vec<BestOf>,
}

/// The best of some samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BestOf {
    /// Samples.
    pub samples: usize,
    /// Error of the sample nearest to the recorded state.
    pub error: f64,
}

/// Numbers of samples that are reported.
const SAMPLES: [usize; 4] = [1, 2, 4, 8];
/// Largest number of transitions measured.
const MAX_TRANSITIONS: usize = 10_000;

/// Measures `stochastic` and the predictor of `model` on `episodes`.
///
/// # Errors
/// [`crate::Error::Shape`] when no episode has two frames.
pub fn report(
    stochastic: &StochasticPredictor,
    model: &Jepa,
    episodes: &EncodedDataset,
    seed: Seed,
) -> Result<StochasticReport> {
    let StochasticConfig { latent_width, chunk_width, codes, .. } = stochastic.config;
    let mut starts = episodes.require_starts(2)?;
    starts.truncate(MAX_TRANSITIONS);
    let count = starts.len();
    let windows = episodes.windows(&starts, 2);
    let pairs = tensor(windows.latents, (count, 2, latent_width))?;
    let at = |frame: usize| -> Result<Tensor> { Ok(pairs.narrow(1, frame, 1)?.squeeze(1)?.contiguous()?) };
    let (states, nexts) = (at(0)?, at(1)?);
    let chunks = tensor(windows.chunks, (count, chunk_width))?;
    let metric = episodes.steps_from_error()?;
    let errors = |predicted: &Tensor| -> Result<Vec<f64>> {
        let errors = product(&(predicted - &nexts)?.detach(), &metric)?;
        let mean = |row: &[f32]| row.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>() / latent_width as f64;
        Ok(with_values(&errors, |values| values.chunks_exact(latent_width).map(mean).collect())?)
    };
    let by_codes = |chosen: &[usize]| -> Result<Vec<f64>> {
        let mut one_hot = vec![0.0; count * codes];
        chosen.iter().enumerate().for_each(|(row, code)| one_hot[row * codes + code] = 1.0);
        let joined = Tensor::cat(&[&chunks, &tensor(one_hot, (count, codes))?], 1)?;
        errors(&stochastic.predictor.forward(&states, &joined)?)
    };
    let posterior = with_values(&stochastic.posterior(&states, &chunks, &nexts)?, <[f32]>::to_vec)?;
    let prior = with_values(&stochastic.prior(&states, &chunks)?, <[f32]>::to_vec)?;
    let best = |row: &[f32]| (0..codes).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap_or(0);
    let explained: Vec<usize> = posterior.chunks_exact(codes).map(best).collect();
    let mut rng = seed.rng();
    let mut nearest = vec![f64::INFINITY; count];
    let mut error_of_best = Vec::new();
    for sample in 1..=SAMPLES[SAMPLES.len() - 1] {
        let mut draw = |row: &[f32]| {
            let probabilities: Vec<f32> = row.iter().map(|value| value.exp()).collect();
            drawn(&probabilities, rng.random())
        };
        let chosen: Vec<usize> = prior.chunks_exact(codes).map(&mut draw).collect();
        nearest.iter_mut().zip(by_codes(&chosen)?).for_each(|(nearest, error)| *nearest = nearest.min(error));
        if SAMPLES.contains(&sample) {
            error_of_best.push(BestOf { samples: sample, error: mean(&nearest) });
        }
    }
    let divergence = |(q, p): (&f32, &f32)| f64::from(q.exp() * (q - p));
    let fraction = |code: usize| explained.iter().filter(|&&one| one == code).count() as f64 / count as f64;
    let code_shares: Vec<f64> = (0..codes).map(fraction).collect();
    let entropy: f64 = code_shares.iter().filter(|part| **part > 0.0).map(|part| -part * part.ln()).sum();
    Ok(StochasticReport {
        transitions: count,
        rate_nats: posterior.iter().zip(&prior).map(divergence).sum::<f64>() / count as f64,
        codes_in_use: entropy.exp(),
        code_shares,
        error_of_model: mean(&errors(&model.predictor().forward(&states, &chunks)?)?),
        error_explained: mean(&by_codes(&explained)?),
        error_of_best,
    })
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}
