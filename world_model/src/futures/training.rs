//! How codes are learnt: a straight-through sample of the posterior, an error, and a rate.

use candle_core::{D, Tensor};
use mindseye_interface::Seed;
use rand::Rng as _;

use super::Futures;
use crate::Result;
use crate::fitting::{Fitting, PARTS, Share};
use crate::latent_episodes::{LatentEpisodes, LatentWindows};
use crate::ops::{product, tensor, with_values};
use crate::optimiser::{Gradients, OptimiserConfig, collect};

/// How a predictor with codes is taught.
#[derive(Debug, Clone, PartialEq)]
pub struct FuturesLesson {
    /// Optimiser steps.
    pub steps: usize,
    /// Windows per step.
    pub batch: usize,
    /// Blocks over which the predictor is unrolled.
    pub blocks: usize,
    /// What a nat of rate costs, in mean squared errors in units of typical steps. Higher: only what matters much is told by a code.
    pub rate: f64,
    /// Largest learning rate.
    pub learning_rate: f64,
}

impl Default for FuturesLesson {
    fn default() -> Self {
        Self { steps: 4000, batch: 256, blocks: 3, rate: 0.02, learning_rate: 3e-3 }
    }
}

/// Teaches `futures` on `episodes`. `go_on` hears of every step and its loss; when it says no, teaching stops. The mean loss over the last tenth of the
/// steps, or `None` if it was stopped. The result does not depend on the number of threads.
///
/// # Errors
/// [`crate::Error::Shape`] when no episode is long enough; [`crate::Error::Diverged`] when a loss is not finite.
pub fn train_futures(
    futures: &Futures,
    episodes: &LatentEpisodes,
    lesson: &FuturesLesson,
    seed: Seed,
    threads: usize,
    go_on: &mut dyn FnMut(usize, f64) -> bool,
) -> Result<Option<f64>> {
    let frames = lesson.blocks + 1;
    let starts = episodes.require_starts(frames)?;
    let metric = episodes.steps_from_error()?;
    let optimiser = OptimiserConfig { learning_rate: lesson.learning_rate, ..OptimiserConfig::default() };
    let share = |step: usize, part: usize| -> Result<Share> {
        let seed = seed.index(step as u64).index(part as u64);
        let mut rng = seed.child("windows").rng();
        let count = lesson.batch.div_ceil(PARTS);
        let chosen: Vec<usize> = (0..count).map(|_| starts[rng.random_range(0..starts.len())]).collect();
        let loss = loss(futures, &episodes.windows(&chosen, frames), count, &metric, lesson, seed.child("codes"))?;
        let loss = (loss / PARTS as f64)?;
        let mut gradients = Gradients::new();
        collect(&mut gradients, futures.weights.iter(), &loss.backward()?)?;
        Ok((f64::from(loss.to_scalar::<f32>()?), gradients))
    };
    let fitting = Fitting { weights: &futures.weights, optimiser: &optimiser, steps: lesson.steps, threads };
    fitting.run(share, go_on)
}

/// Error, rate and the prior's own loss on `count` windows, averaged over windows and blocks.
fn loss(
    futures: &Futures,
    windows: &LatentWindows,
    count: usize,
    metric: &Tensor,
    lesson: &FuturesLesson,
    seed: Seed,
) -> Result<Tensor> {
    let (width, block_width) = (futures.config.latent_width, futures.config.block_width);
    let latents = tensor(windows.latents.clone(), (count, lesson.blocks + 1, width))?;
    let blocks = tensor(windows.blocks.clone(), (count, lesson.blocks, block_width))?;
    let at = |frame: usize| -> Result<Tensor> { Ok(latents.narrow(1, frame, 1)?.squeeze(1)?.contiguous()?) };
    let mut imagined = at(0)?;
    let mut total: Option<Tensor> = None;
    for step in 0..lesson.blocks {
        let (state, next) = (at(step)?, at(step + 1)?);
        let block = blocks.narrow(1, step, 1)?.squeeze(1)?.contiguous()?;
        let posterior = futures.posterior(&state, &block, &next)?;
        let prior = futures.prior(&state, &block)?;
        let code = straight_through(&posterior, seed.index(step as u64))?;
        imagined = futures.predictor.forward(&imagined, &Tensor::cat(&[&block, &code], 1)?)?;
        let error = product(&(&imagined - &next)?, metric)?.sqr()?.mean_all()?;
        let shares = posterior.exp()?;
        let rate = (&shares * (&posterior - prior.detach())?)?.sum(D::Minus1)?.mean_all()?;
        // The prior learns what the posterior says; the posterior is not drawn to the prior by this, only by the rate.
        let surprise = (shares.detach() * &prior)?.sum(D::Minus1)?.mean_all()?.neg()?;
        let loss = ((error + (rate * lesson.rate)?)? + surprise)?;
        total = Some(match total {
            Some(sum) => (sum + loss)?,
            None => loss,
        });
    }
    let total = total.unwrap_or(imagined.sum_all()?.zeros_like()?);
    Ok((total / lesson.blocks.max(1) as f64)?)
}

/// A code `[N, C]` drawn from log-probabilities `[N, C]`: one value is 1, the others are 0, and slopes go through as if it were the probabilities
/// (Bengio et al. 2013).
fn straight_through(log_probabilities: &Tensor, seed: Seed) -> Result<Tensor> {
    let codes = log_probabilities.dim(D::Minus1)?;
    let mut rng = seed.rng();
    let one_hot = with_values(log_probabilities, |values| {
        let mut one_hot = vec![0.0; values.len()];
        for (row, one_hot) in values.chunks_exact(codes).zip(one_hot.chunks_exact_mut(codes)) {
            let number: f32 = rng.random();
            let probabilities: Vec<f32> = row.iter().map(|value| value.exp()).collect();
            one_hot[super::draws::drawn(&probabilities, number)] = 1.0;
        }
        one_hot
    })?;
    let one_hot = tensor(one_hot, log_probabilities.shape().clone())?;
    let probabilities = log_probabilities.exp()?;
    Ok((one_hot + (&probabilities - probabilities.detach())?)?)
}
