//! Further predictors of the same latents: where they disagree, the model does not know.
//!
//! Each begins with weights of its own and is fitted to a bootstrap sample of the episodes (Breiman 1996; Lakshminarayanan et al. 2017), on the latents of a
//! finished model, which stay as they are.

use candle_core::Tensor;
use mindseye_interface::Seed;
use mindseye_interface::config::require_range;
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::fitting::{Fitting, PARTS, Share};
use crate::jepa::ModelConfig;
use crate::latent_episodes::LatentEpisodes;
use crate::losses::prediction_in_steps;
use crate::ops::tensor;
use crate::optimiser::{Gradients, OptimiserConfig, collect};
use crate::parameters::{Source, Weights};
use crate::part::{Part, require_sizes};
use crate::predictor::{Predictor, PredictorConfig};

/// Shape of an ensemble.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnsembleConfig {
    /// Width `D` of the latents.
    pub latent_width: usize,
    /// Width `A` of an action block.
    pub block_width: usize,
    /// Predictors beside the model's own.
    pub members: usize,
    /// Each of them.
    pub predictor: PredictorConfig,
}

impl EnsembleConfig {
    /// `members` predictors shaped as that of a model.
    pub fn for_model(model: &ModelConfig, members: usize) -> Self {
        let (latent_width, block_width) = (model.latent_width, model.block_width());
        Self { latent_width, block_width, members, predictor: model.predictor.clone() }
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

impl Part for Ensemble {
    type Config = EnsembleConfig;

    const FILE: &'static str = "ensemble.safetensors";

    fn build(config: EnsembleConfig, mut source: Source) -> Result<Self> {
        require_range("ensemble.latent_width", config.latent_width, 1, 4096)?;
        require_range("ensemble.block_width", config.block_width, 1, 25_600)?;
        require_range("ensemble.members", config.members, 1, 64)?;
        require_range("ensemble.predictor.hidden", config.predictor.hidden, 1, 8192)?;
        require_range("ensemble.predictor.layers", config.predictor.layers, 0, 64)?;
        let (latent, block) = (config.latent_width, config.block_width);
        let mut member =
            |index| source.within(&name(index), |source| Predictor::new(source, &config.predictor, latent, block));
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
        let EnsembleConfig { latent_width, block_width, .. } = self.config;
        let sizes =
            [("latent_width", latent_width, model.latent_width), ("block_width", block_width, model.block_width())];
        require_sizes("ensemble", &sizes)
    }
}

impl Ensemble {
    /// Fresh predictors, each from a child of `seed`.
    ///
    /// # Errors
    /// When the config makes no sense.
    pub fn initialise(config: EnsembleConfig, seed: Seed) -> Result<Self> {
        Self::build(config, Source::fresh(seed))
    }

    /// The predictors.
    pub fn members(&self) -> &[Predictor] {
        &self.members
    }
}

/// How an ensemble is taught.
#[derive(Debug, Clone, PartialEq)]
pub struct EnsembleLesson {
    /// Optimiser steps of every member.
    pub steps: usize,
    /// Windows per step.
    pub batch: usize,
    /// Blocks over which predictors are unrolled.
    pub blocks: usize,
    /// Largest learning rate.
    pub learning_rate: f64,
}

impl Default for EnsembleLesson {
    fn default() -> Self {
        Self { steps: 2000, batch: 256, blocks: 3, learning_rate: 3e-3 }
    }
}

/// Teaches every member on a bootstrap sample of `episodes`. `go_on` hears of every step, counted over all members, and its loss; when it says no,
/// teaching stops. The mean loss over the last tenth of the steps, averaged over members, or `None` if it was stopped. The result does not depend on the
/// number of threads.
///
/// # Errors
/// [`crate::Error::Shape`] when no episode is long enough; [`crate::Error::Diverged`] when a loss is not finite.
pub fn train_ensemble(
    ensemble: &Ensemble,
    episodes: &LatentEpisodes,
    lesson: &EnsembleLesson,
    seed: Seed,
    threads: usize,
    go_on: &mut dyn FnMut(usize, f64) -> bool,
) -> Result<Option<f64>> {
    let frames = lesson.blocks + 1;
    let metric = episodes.steps_from_error()?;
    let optimiser = OptimiserConfig { learning_rate: lesson.learning_rate, ..OptimiserConfig::default() };
    let mut total = 0.0;
    for (index, member) in ensemble.members.iter().enumerate() {
        let seed = seed.index(index as u64);
        let starts = episodes.resampled(seed.child("episodes")).require_starts(frames)?;
        let weights: Weights = {
            let own = ensemble.weights.iter().filter(|(full, _)| full.starts_with(&format!("{}.", name(index))));
            own.map(|(full, var)| (full.clone(), var.clone())).collect()
        };
        let share = |step: usize, part: usize| -> Result<Share> {
            let mut rng = seed.index(step as u64).index(part as u64).rng();
            let count = lesson.batch.div_ceil(PARTS);
            let chosen: Vec<usize> = (0..count).map(|_| starts[rng.random_range(0..starts.len())]).collect();
            let windows = episodes.windows(&chosen, frames);
            let latents: Tensor = tensor(windows.latents, (count, frames, ensemble.config.latent_width))?;
            let blocks = tensor(windows.blocks, (count, lesson.blocks, ensemble.config.block_width))?;
            let loss = (prediction_in_steps(member, &latents, &blocks, &metric)?.total / PARTS as f64)?;
            let mut gradients = Gradients::new();
            collect(&mut gradients, weights.iter(), &loss.backward()?)?;
            Ok((f64::from(loss.to_scalar::<f32>()?), gradients))
        };
        let fitting = Fitting { weights: &weights, optimiser: &optimiser, steps: lesson.steps, threads };
        let before = index * lesson.steps;
        match fitting.run(share, &mut |step, loss| go_on(before + step, loss))? {
            Some(loss) => total += loss / ensemble.members.len() as f64,
            None => return Ok(None),
        }
    }
    Ok(Some(total))
}
