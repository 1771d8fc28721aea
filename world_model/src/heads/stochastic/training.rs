//! Training of the stochastic predictor: a straight-through sample of the posterior, a prediction error, and a rate.

use std::fmt;
use std::ops::Range;

use candle_core::{D, Tensor};
use mindseye_interface::Seed;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Draws, StochasticConfig, StochasticEngine, StochasticPredictor, StochasticReport, report};
use crate::Result;
use crate::calibration::{Calibration, MOST_CHUNKS, calibrate};
use crate::encoded_dataset::{EncodedDataset, LatentWindows};
use crate::families::jepa::Jepa;
use crate::ops::{Precision, product, tensor, with_values};
use crate::optimiser::OptimiserConfig;
use crate::parameters::Weights;
use crate::trainer::{Collective, Objective, PartialGradients, Run, RunOptions, each_part, fit};

/// How a stochastic predictor is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StochasticTrainingConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// Windows per step.
    pub batch: usize,
    /// Action chunks over which the predictor is unrolled.
    #[serde(alias = "blocks")]
    pub horizon: usize,
    /// Weight of the rate `KL(q || p)`: what a nat costs, in mean squared errors in units of typical steps. The higher,
    /// the less is encoded.
    #[serde(alias = "rate")]
    pub kl_weight: f64,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Micro batches of a step: as many threads can work at once; another number gives other bits.
    pub micro_batches: usize,
}

impl Default for StochasticTrainingConfig {
    fn default() -> Self {
        Self { steps: 4000, batch: 256, horizon: 3, kl_weight: 0.02, learning_rate: 3e-3, micro_batches: 2 }
    }
}

/// Trains `predictor` on `episodes`. The mean loss over the last tenth of the steps; `None` when it was stopped.
///
/// # Errors
/// [`crate::Error::Shape`] when no episode is long enough; [`crate::Error::Diverged`] when a loss is not finite;
/// [`crate::Error::File`] when the state cannot be written or resumed.
pub fn train_stochastic(
    predictor: &StochasticPredictor,
    episodes: &EncodedDataset,
    training: &StochasticTrainingConfig,
    options: &RunOptions<'_>,
) -> Result<Option<f64>> {
    let starts = episodes.require_starts(training.horizon + 1)?;
    let metric = episodes.steps_from_error()?;
    let optimiser = OptimiserConfig { learning_rate: training.learning_rate, ..OptimiserConfig::default() };
    let identity = json!({ "config": predictor.config, "training": training, "data": episodes.checksum() });
    let run = Run::new("stochastic", training.steps, identity);
    let mut objective = StochasticObjective { predictor, episodes, training, starts, metric, seed: options.seed };
    fit(&mut objective, run, optimiser, options)
}

/// How well a stochastic predictor predicts.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StochasticTrainingReport {
    /// Mean loss over the last tenth of the steps.
    pub loss: f64,
    /// On held-out episodes.
    pub held_out: StochasticReport,
    /// Whether eight samples differ where their mean errs.
    pub calibration: Vec<Calibration>,
}

impl fmt::Display for StochasticTrainingReport {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StochasticReport { transitions, rate_nats, codes_in_use, error_of_model, error_explained, .. } =
            self.held_out;
        write!(text, "a stochastic predictor; on {transitions} held-out transitions: rate {rate_nats:.4} nats, ")?;
        write!(text, "{codes_in_use:.2} codes in use\nerror in typical steps: {error_of_model:.4} of the model, ")?;
        write!(text, "{error_explained:.4} with the code of the posterior")?;
        for best in &self.held_out.error_of_best {
            write!(text, "\n  best of {} samples {:.4}", best.samples, best.error)?;
        }
        self.calibration.iter().try_for_each(|calibration| write!(text, "\n{calibration}"))
    }
}

/// Every tenth episode is held out.
const HELD_OUT_EVERY: usize = 10;
/// Samples whose calibration is measured.
const SAMPLES: usize = 8;

/// Trains a stochastic predictor with `codes` codes for `model` on `dataset`, from the weights of the model's own
/// predictor, and measures it on every tenth episode, which it is not trained on; `None` when it was stopped. Measures
/// on the current rayon pool.
///
/// # Errors
/// Those of [`train_stochastic`]; [`crate::Error::Data`] before it begins, without episodes to measure on.
pub fn fit_stochastic(
    model: &Jepa,
    dataset: &EncodedDataset,
    codes: usize,
    training: &StochasticTrainingConfig,
    options: &RunOptions<'_>,
) -> Result<Option<(StochasticPredictor, StochasticTrainingReport)>> {
    let (train, held_out) = dataset.hold_out(HELD_OUT_EVERY, MOST_CHUNKS + 1)?;
    let seed = options.seed;
    let config = StochasticConfig::for_model(model.config(), codes);
    let predictor = StochasticPredictor::beginning_at(model, config, seed.child("weights"))?;
    let Some(loss) = train_stochastic(&predictor, &train, training, options)? else {
        return Ok(None);
    };
    let measured = report(&predictor, model, &held_out, seed.child("report"))?;
    let (engine, draws) =
        (StochasticEngine::new(&predictor, Precision::F32)?, Draws::new(SAMPLES, seed.child("draws")));
    let roll_out = |start: &[f32], plan: &[f32]| -> Result<Vec<f32>> {
        Ok(engine.rollout(start, plan, plan.len() / engine.chunk_width(), &draws, 1)?.latents)
    };
    let calibration = calibrate(roll_out, &held_out)?;
    Ok(Some((predictor, StochasticTrainingReport { loss, held_out: measured, calibration })))
}

struct StochasticObjective<'a> {
    predictor: &'a StochasticPredictor,
    episodes: &'a EncodedDataset,
    training: &'a StochasticTrainingConfig,
    starts: Vec<usize>,
    metric: Tensor,
    seed: Seed,
}

impl Objective for StochasticObjective<'_> {
    /// The number of the step.
    type Batch = usize;
    type Error = crate::Error;

    fn weights(&self) -> Weights {
        self.predictor.weights.clone()
    }

    fn batch(&mut self, step: usize) -> Result<usize> {
        Ok(step)
    }

    fn micro_batches(&self, _step: &usize) -> usize {
        self.training.micro_batches
    }

    fn partial_gradients(
        &self,
        step: &usize,
        parts: Range<usize>,
        _collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>> {
        let StochasticTrainingConfig { batch, horizon, micro_batches, .. } = *self.training;
        each_part(parts, |part| {
            let seed = self.seed.index(*step as u64).index(part as u64);
            let mut rng = seed.child("windows").rng();
            let count = batch.div_ceil(micro_batches);
            let chosen: Vec<usize> = (0..count).map(|_| self.starts[rng.random_range(0..self.starts.len())]).collect();
            let loss = self.loss(&self.episodes.windows(&chosen, horizon + 1), count, seed.child("codes"))?;
            PartialGradients::of(&(loss / micro_batches as f64)?, self.predictor.weights.iter())
        })
    }
}

impl StochasticObjective<'_> {
    /// Prediction error, rate and the loss of the prior on `count` windows, averaged over windows and chunks.
    fn loss(&self, windows: &LatentWindows, count: usize, seed: Seed) -> Result<Tensor> {
        let (predictor, horizon) = (self.predictor, self.training.horizon);
        let latents = tensor(windows.latents.clone(), (count, horizon + 1, predictor.config.latent_width))?;
        let chunks = tensor(windows.chunks.clone(), (count, horizon, predictor.config.chunk_width))?;
        let at = |frame: usize| -> Result<Tensor> { Ok(latents.narrow(1, frame, 1)?.squeeze(1)?.contiguous()?) };
        let mut predicted = at(0)?;
        let mut total: Option<Tensor> = None;
        for step in 0..horizon {
            let (state, next) = (at(step)?, at(step + 1)?);
            let chunk = chunks.narrow(1, step, 1)?.squeeze(1)?.contiguous()?;
            let posterior = predictor.posterior(&state, &chunk, &next)?;
            let prior = predictor.prior(&state, &chunk)?;
            let code = straight_through(&posterior, seed.index(step as u64))?;
            predicted = predictor.predictor.forward(&predicted, &Tensor::cat(&[&chunk, &code], 1)?)?;
            let error = product(&(&predicted - &next)?, &self.metric)?.sqr()?.mean_all()?;
            let probabilities = posterior.exp()?;
            let rate = (&probabilities * (&posterior - prior.detach())?)?.sum(D::Minus1)?.mean_all()?;
            // The prior learns the posterior; the posterior is drawn to the prior by the rate only, not by this.
            let cross_entropy = (probabilities.detach() * &prior)?.sum(D::Minus1)?.mean_all()?.neg()?;
            let loss = ((error + (rate * self.training.kl_weight)?)? + cross_entropy)?;
            total = Some(match total {
                Some(sum) => (sum + loss)?,
                None => loss,
            });
        }
        let total = total.unwrap_or(predicted.sum_all()?.zeros_like()?);
        Ok((total / horizon.max(1) as f64)?)
    }
}

/// A code `[N, C]` drawn from log-probabilities `[N, C]`: one value is 1, the others are 0, and gradients pass as if it
/// were the probabilities (Bengio et al. 2013).
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
