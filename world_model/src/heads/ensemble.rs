//! Further predictors of the same latents: where they disagree, the model is uncertain.
//!
//! Each starts from weights of its own and is trained on a bootstrap sample of the episodes (Breiman 1996;
//! Lakshminarayanan et al. 2017), on the latents of a finished model, which do not change.

mod dynamics;

use std::fmt;
use std::ops::Range;

use candle_core::Tensor;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use rand::Rng as _;
use serde::{Deserialize, Serialize};
use serde_json::json;

pub use dynamics::EnsembleDynamics;

use crate::Result;
use crate::calibration::{Calibration, MOST_CHUNKS, calibrate};
use crate::encoded_dataset::EncodedDataset;
use crate::families::jepa::RolloutEngine;
use crate::families::jepa::losses::prediction_in_steps;
use crate::families::jepa::{Jepa, ModelConfig};
use crate::families::jepa::{Predictor, PredictorConfig};
use crate::heads::{Head, require_sizes};
use crate::ops::{Precision, tensor};
use crate::optimiser::OptimiserConfig;
use crate::parameters::{WeightSource, Weights};
use crate::trainer::{Collective, Objective, PartialGradients, Run, RunOptions, Trainer, each_part};

/// Shape of an ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleConfig {
    /// Width `D` of the latents.
    pub latent_width: usize,
    /// Width `A` of an action chunk.
    #[serde(alias = "block_width")]
    pub chunk_width: usize,
    /// Predictors beside the model's own.
    pub members: usize,
    /// Shape of each of them.
    pub predictor: PredictorConfig,
}

impl EnsembleConfig {
    /// `members` predictors shaped as that of a model.
    pub fn for_model(model: &ModelConfig, members: usize) -> Self {
        let (latent_width, chunk_width) = (model.latent_width, model.chunk_width());
        Self { latent_width, chunk_width, members, predictor: model.predictor.clone() }
    }
}

/// Predictors beside the model's own.
#[derive(Debug)]
pub struct Ensemble {
    config: EnsembleConfig,
    members: Vec<Predictor>,
    weights: Weights,
}

/// Where the weights of member `index` are.
fn name(index: usize) -> String {
    format!("member_{index}")
}

impl Head for Ensemble {
    type Config = EnsembleConfig;

    const FILE: &'static str = "ensemble.safetensors";

    fn build(config: EnsembleConfig, mut source: WeightSource) -> Result<Self> {
        require_range("ensemble.latent_width", config.latent_width, 1, 4096)?;
        require_range("ensemble.chunk_width", config.chunk_width, 1, 25_600)?;
        require_range("ensemble.members", config.members, 1, 64)?;
        require_range("ensemble.predictor.hidden", config.predictor.hidden, 1, 8192)?;
        require_range("ensemble.predictor.layers", config.predictor.layers, 0, 64)?;
        let (latent, chunk) = (config.latent_width, config.chunk_width);
        let mut member =
            |index| source.within(&name(index), |source| Predictor::new(source, &config.predictor, latent, chunk));
        let members = (0..config.members).map(&mut member).collect::<Result<_>>()?;
        let weights = source.finish()?;
        Ok(Self { config, members, weights })
    }

    fn config(&self) -> &EnsembleConfig {
        &self.config
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn require_fit(&self, model: &ModelConfig) -> Result<()> {
        let EnsembleConfig { latent_width, chunk_width, .. } = self.config;
        let sizes =
            [("latent_width", latent_width, model.latent_width), ("chunk_width", chunk_width, model.chunk_width())];
        require_sizes("ensemble", &sizes)
    }
}

impl Ensemble {
    /// Fresh predictors, each from a child of `seed`.
    ///
    /// # Errors
    /// When the config makes no sense.
    pub fn initialise(config: EnsembleConfig, seed: Seed) -> Result<Self> {
        Self::build(config, WeightSource::fresh(seed))
    }

    /// The predictors.
    pub fn members(&self) -> &[Predictor] {
        &self.members
    }
}

/// How an ensemble is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnsembleTrainingConfig {
    /// Optimiser steps of every member.
    pub steps: usize,
    /// Windows per step.
    pub batch: usize,
    /// Action chunks over which predictors are unrolled.
    #[serde(alias = "blocks")]
    pub horizon: usize,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Micro batches of a step: as many threads can work at once; another number gives other bits.
    pub micro_batches: usize,
}

impl Default for EnsembleTrainingConfig {
    fn default() -> Self {
        Self { steps: 2000, batch: 256, horizon: 3, learning_rate: 3e-3, micro_batches: 2 }
    }
}

/// Trains every member on a bootstrap sample of `episodes`, one after the other. The mean loss over the last tenth of
/// the steps, averaged over members; `None` when it was stopped.
///
/// # Errors
/// [`crate::Error::Shape`] when no episode is long enough; [`crate::Error::Diverged`] when a loss is not finite;
/// [`crate::Error::File`] when the state cannot be written or resumed.
pub fn train_ensemble(
    ensemble: &Ensemble,
    episodes: &EncodedDataset,
    training: &EnsembleTrainingConfig,
    options: &RunOptions<'_>,
) -> Result<Option<f64>> {
    let identity = json!({ "config": ensemble.config, "training": training, "data": episodes.checksum() });
    let run = Run::new("ensemble", ensemble.members.len() * training.steps, identity);
    let optimiser = OptimiserConfig { learning_rate: training.learning_rate, ..OptimiserConfig::default() };
    let steps_from_error = episodes.steps_from_error()?;
    let mut trainer = Trainer::new(*options, run, &ensemble.weights)?;
    let mut total = Some(0.0);
    for (index, member) in ensemble.members.iter().enumerate() {
        let seed = options.seed.index(index as u64);
        let starts = episodes.resampled(seed.child("episodes")).require_starts(training.horizon + 1)?;
        let metric = &steps_from_error;
        let mut objective = MemberObjective { ensemble, member, index, episodes, training, starts, metric, seed };
        let loss = trainer.run_stage(&mut objective, optimiser.clone(), training.steps)?;
        total = total.zip(loss).map(|(total, loss)| total + loss / ensemble.members.len() as f64);
        if total.is_none() {
            break;
        }
    }
    trainer.finish(&ensemble.weights)?;
    Ok(total)
}

/// Accuracy and calibration of an ensemble.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EnsembleReport {
    /// Mean loss over the last tenth of the steps, averaged over members.
    pub loss: f64,
    /// Whether all predictors, the model's own included, differ where their mean errs, on held-out episodes.
    pub calibration: Vec<Calibration>,
}

impl fmt::Display for EnsembleReport {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(text, "an ensemble (loss {:.5}); on held-out episodes:", self.loss)?;
        self.calibration.iter().try_for_each(|calibration| write!(text, "\n{calibration}"))
    }
}

/// Every tenth episode is held out.
const HELD_OUT_EVERY: usize = 10;

/// Trains `members` further predictors for `model` on `dataset` and measures them on every tenth episode, which they
/// are not trained on; `None` when it was stopped. Measures on the current rayon pool.
///
/// # Errors
/// Those of [`train_ensemble`]; [`crate::Error::Data`] before it begins, without episodes to measure on.
pub fn fit_ensemble(
    model: &Jepa,
    dataset: &EncodedDataset,
    members: usize,
    training: &EnsembleTrainingConfig,
    options: &RunOptions<'_>,
) -> Result<Option<(Ensemble, EnsembleReport)>> {
    let (train, held_out) = dataset.hold_out(HELD_OUT_EVERY, MOST_CHUNKS + 1)?;
    let config = EnsembleConfig::for_model(model.config(), members);
    let (latent_width, chunk_width) = (config.latent_width, config.chunk_width);
    let ensemble = Ensemble::initialise(config, options.seed.child("weights"))?;
    let Some(loss) = train_ensemble(&ensemble, &train, training, options)? else {
        return Ok(None);
    };
    let engine =
        |predictor: &Predictor| RolloutEngine::of_predictor(predictor, latent_width, chunk_width, Precision::F32);
    let predictors = std::iter::once(model.predictor()).chain(&ensemble.members);
    let engines: Vec<RolloutEngine> = predictors.map(engine).collect::<Result<_>>()?;
    let roll_out = |start: &[f32], plan: &[f32]| -> Result<Vec<f32>> {
        let all = engines.iter().map(|engine| engine.rollout(start, plan, plan.len() / chunk_width, 1));
        Ok(all.collect::<Result<Vec<_>>>()?.concat())
    };
    let calibration = calibrate(roll_out, &held_out)?;
    Ok(Some((ensemble, EnsembleReport { loss, calibration })))
}

struct MemberObjective<'a> {
    ensemble: &'a Ensemble,
    member: &'a Predictor,
    index: usize,
    episodes: &'a EncodedDataset,
    training: &'a EnsembleTrainingConfig,
    starts: Vec<usize>,
    metric: &'a Tensor,
    seed: Seed,
}

impl Objective for MemberObjective<'_> {
    /// The number of the step.
    type Batch = usize;
    type Error = crate::Error;

    fn weights(&self) -> Weights {
        self.ensemble.weights.clone()
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
        let EnsembleTrainingConfig { batch, horizon, micro_batches, .. } = *self.training;
        let EnsembleConfig { latent_width, chunk_width, .. } = self.ensemble.config;
        let prefix = format!("{}.", name(self.index));
        each_part(parts, |part| {
            let mut rng = self.seed.index(*step as u64).index(part as u64).rng();
            let count = batch.div_ceil(micro_batches);
            let chosen: Vec<usize> = (0..count).map(|_| self.starts[rng.random_range(0..self.starts.len())]).collect();
            let windows = self.episodes.windows(&chosen, horizon + 1);
            let latents: Tensor = tensor(windows.latents, (count, horizon + 1, latent_width))?;
            let chunks = tensor(windows.chunks, (count, horizon, chunk_width))?;
            let losses = prediction_in_steps(self.member, &latents, &chunks, self.metric)?;
            let own = self.ensemble.weights.iter().filter(|(full, _)| full.starts_with(&prefix));
            PartialGradients::of(&(losses.total / micro_batches as f64)?, own)
        })
    }
}
