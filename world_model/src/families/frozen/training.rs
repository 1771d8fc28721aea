//! Training of the predictor from recorded episodes. The encoder's tokens are computed once.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use candle_core::Tensor;
use mindseye_episodes::{FrameCache, Split};
use mindseye_interface::config::Validate;
use mindseye_interface::memory::product;
use mindseye_interface::{Image, Progress, Seed};
use rand::Rng as _;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::config::{FrozenRecipe, TokenError};
use super::engine::TokenEngine;
use super::model::FrozenWorldModel;
use super::network::{PredictorNetwork, PredictorShape};
use super::tokens::FrozenTokens;
use super::validation::{FrozenValidation, validate};
use crate::encoded_dataset::{EncodedDataset, LatentWindows};
use crate::ops::{Precision, tensor};
use crate::parameters::{Weights, values_in};
use crate::statistics::LatentStatistics;
use crate::trainer::{Collective, Objective, PartialGradients, Run, RunOptions, Trainer, each_part, range_of_part};
use crate::{Error, Result};

/// File of the training state in the folder of a run.
pub const STATE_FILE: &str = "dynamics.state.safetensors";
/// File of the records in the folder of a run.
const METRICS_FILE: &str = "metrics.jsonl";
/// Most pairs of states that statistics are measured on.
const PAIRS: usize = 2000;

/// How a training went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FrozenTrainingReport {
    /// Steps done.
    pub steps: usize,
    /// Whether all steps were done (not stopped before).
    pub finished: bool,
    /// The root seed.
    pub seed: u64,
    /// Wall-clock minutes in training steps and validations.
    pub minutes: f64,
    /// Episodes in the training part of the data.
    pub training_episodes: usize,
    /// Trained values.
    pub parameters: usize,
    /// The last validation.
    pub validation: Option<FrozenValidation>,
}

/// Trains a predictor of the tokens of `tokens` on the frames of `cache`, whose actions are normalised, to the end of
/// its schedule or until stopped: the model, statistics of its states, and how it went. `on_validation` gets the step
/// and the validation made there.
///
/// # Errors
/// When the recipe makes no sense, the data do not fit the encoder or need more memory than `options.memory`, a file
/// cannot be written, or a loss is not finite.
pub fn train_on_frozen(
    recipe: &FrozenRecipe,
    tokens: FrozenTokens,
    cache: &FrameCache,
    options: &RunOptions<'_>,
    on_validation: &dyn Fn(usize, &FrozenValidation),
) -> Result<(FrozenWorldModel, LatentStatistics, FrozenTrainingReport)> {
    recipe.validate()?;
    let (height, width) = (cache.image_size().height(), cache.image_size().width());
    if [height, width] != tokens.image_size() {
        let [rows, columns] = tokens.image_size();
        let expected = format!("one camera of {rows}x{columns} pixels, as the encoder takes");
        return Err(Error::Data { field: "image size", expected, got: format!("{height}x{width}") });
    }
    let shape = PredictorShape {
        config: recipe.predictor.clone(),
        grid: tokens.grid(),
        width: tokens.shape().width,
        chunk_width: recipe.action_chunk * cache.action_width(),
    };
    let weights = values_in(&shape.shapes()?);
    options.memory.require("training on a frozen encoder", needed_bytes(recipe, &shape, weights, cache))?;
    let split = Split::new(cache.episodes().len(), recipe.data.validation_fraction, Seed::new(0));
    let mut tokens = tokens;
    let pool = crate::trainer::thread_pool(options.threads)?;
    let (training, held_out) = pool.install(|| encode(recipe, &mut tokens, cache, &split, options.progress))?;
    let starts = training.require_starts(recipe.window())?;
    held_out.require_starts(recipe.predictor.context + 1)?;
    let network = PredictorNetwork::new(&shape, options.seed.child("weights"))?;
    let run = Run {
        name: "dynamics",
        steps: recipe.steps,
        report_every: recipe.report_every,
        save_every: recipe.save_every,
        identity: json!({ "config": recipe, "data": training.checksum(), "held_out": held_out.checksum() }),
    };
    let mut trainer = Trainer::with_files(*options, run, &network.weights, STATE_FILE, Some(METRICS_FILE))?;
    let mut objective = TokenPrediction { recipe, shape: &shape, network, training, starts, seed: options.seed };
    let measure = |trainer: &mut Trainer<'_>, objective: &TokenPrediction<'_>| -> Result<FrozenValidation> {
        let engine = TokenEngine::new(&shape, &objective.network.weights, Precision::F32)?;
        let seed = options.seed.child("validation");
        let check = || validate(&engine, recipe.predictor.context, &held_out, seed);
        let measured = trainer.pool().install(check)?;
        trainer.record(&measured.record(trainer.done()))?;
        on_validation(trainer.done(), &measured);
        Ok(measured)
    };
    trainer.begin_stage(recipe.optimiser.clone(), recipe.steps);
    let validations = (recipe.validate_every, recipe.steps);
    let (finished, validation) = trainer.run_validated(&mut objective, validations, measure)?;
    let statistics = statistics(&objective.training, &tokens)?;
    let report = FrozenTrainingReport {
        steps: trainer.done(),
        finished,
        seed: options.seed.value(),
        minutes: trainer.elapsed_secs() / 60.0,
        training_episodes: split.training.len(),
        parameters: weights as usize,
        validation,
    };
    let weights = objective.network.weights;
    trainer.finish(&weights)?;
    let camera = cache.camera_names().first().map_or("", String::as_str);
    let model = FrozenWorldModel::new(tokens, shape, weights, camera, cache.action_width());
    Ok((model, statistics, report))
}

/// Memory of the tokens of all frames, of the weights with their gradients and Adam's averages, and of the tokens of a
/// micro batch in all blocks.
fn needed_bytes(recipe: &FrozenRecipe, shape: &PredictorShape, weights: u128, cache: &FrameCache) -> u128 {
    let frame = shape.tokens() * shape.width;
    let offsets = recipe.action_chunk / recipe.data.frame_stride;
    let frames = cache.len().div_ceil(recipe.action_chunk) * offsets + cache.episodes().len() * offsets;
    let encoded = product(&[2, frames, frame, 4]);
    let rows = recipe.data.batch * recipe.predictor.context * shape.rows();
    let passes = product(&[recipe.data.rollout, recipe.predictor.layers, 16]);
    let graph = product(&[rows, recipe.predictor.width, 4]).saturating_mul(passes);
    encoded.saturating_add(weights.saturating_mul(16)).saturating_add(graph)
}

/// States of the training episodes, one set from every offset of the recipe, and of those held out; the tokens' mean
/// and scale are those of the first.
fn encode(
    recipe: &FrozenRecipe,
    tokens: &mut FrozenTokens,
    cache: &FrameCache,
    split: &Split,
    progress: &dyn Progress,
) -> Result<(EncodedDataset, EncodedDataset)> {
    let offsets: Vec<usize> = (0..recipe.action_chunk).step_by(recipe.data.frame_stride).collect();
    let chosen = |episodes: &[usize], offsets: &[usize]| -> Vec<Vec<usize>> {
        let sequence = |&episode: &usize, &offset: &usize| -> Vec<usize> {
            let Range { start, end } = cache.episodes()[episode];
            (start + offset..end).step_by(recipe.action_chunk).filter(|&frame| cache.has_image(frame)).collect()
        };
        episodes.iter().flat_map(|episode| offsets.iter().map(move |offset| sequence(episode, offset))).collect()
    };
    let training = chosen(&split.training, &offsets);
    let held_out = chosen(&split.validation, &[0]);
    let all = training.iter().chain(&held_out).map(Vec::len).sum();
    progress.begin("encode", all, "frames");
    let done = AtomicUsize::new(0);
    let raw = |sequences: &[Vec<usize>]| -> Result<Vec<f32>> {
        let frames: Vec<usize> = sequences.iter().flatten().copied().collect();
        let encode = |&frame: &usize| -> Result<Vec<f32>> {
            let pixels = cache.image(frame)?.into_owned();
            let state = tokens.raw(Image::new(cache.image_size(), pixels)?)?;
            progress.advance(done.fetch_add(1, Ordering::Relaxed) + 1, "");
            Ok(state)
        };
        let states: Vec<Vec<f32>> = frames.par_iter().map(encode).collect::<Result<_>>()?;
        Ok(states.concat())
    };
    let (mut of_training, mut of_held_out) = (raw(&training)?, raw(&held_out)?);
    progress.end();
    tokens.measure(&of_training)?;
    tokens.centre(&mut of_training);
    tokens.centre(&mut of_held_out);
    let width = tokens.shape().values();
    let dataset = |latents: Vec<f32>, sequences: &[Vec<usize>]| {
        EncodedDataset::of_sequences(latents, width, recipe.action_chunk, cache, sequences)
    };
    Ok((dataset(of_training, &training)?, dataset(of_held_out, &held_out)?))
}

/// Statistics of states one action chunk apart, of up to [`PAIRS`] pairs spread over the episodes.
fn statistics(training: &EncodedDataset, tokens: &FrozenTokens) -> Result<LatentStatistics> {
    let starts = training.require_starts(2)?;
    let stride = starts.len().div_ceil(PAIRS).max(1);
    let some: Vec<usize> = starts.into_iter().step_by(stride).collect();
    LatentStatistics::of_pairs(&training.windows(&some, 2).latents, tokens.shape())
}

/// The training as the trainer sees it.
struct TokenPrediction<'a> {
    recipe: &'a FrozenRecipe,
    shape: &'a PredictorShape,
    network: PredictorNetwork,
    training: EncodedDataset,
    starts: Vec<usize>,
    seed: Seed,
}

impl TokenPrediction<'_> {
    /// Mean error over the frames that the window's frames predict: each frame of the context from those before it,
    /// then `rollout` frames from predictions.
    fn loss(&self, windows: &LatentWindows, count: usize) -> Result<Tensor> {
        let (recipe, shape) = (self.recipe, self.shape);
        let (context, rollout) = (recipe.predictor.context, recipe.data.rollout);
        let (tokens, width) = (shape.tokens(), shape.width);
        let frames = tensor(windows.latents.clone(), (count, recipe.window(), tokens, width))?;
        let chunks = tensor(windows.chunks.clone(), (count, recipe.window() - 1, shape.chunk_width))?;
        let error = |predicted: &Tensor, actual: &Tensor| -> Result<Tensor> {
            let off = (predicted - actual)?;
            Ok(match recipe.error {
                TokenError::Absolute => off.abs()?.mean_all()?,
                TokenError::Squared => off.sqr()?.mean_all()?,
            })
        };
        let mut seen = frames.narrow(1, 0, context)?.contiguous()?;
        let mut total: Option<Tensor> = None;
        for step in 0..rollout {
            let chunks = chunks.narrow(1, step, context)?.contiguous()?;
            let predicted = self.network.forward(&seen, &chunks)?;
            // The first pass predicts every frame of the context from real ones; later ones only a new frame.
            let first = if step == 0 { 0 } else { context - 1 };
            let scored = predicted.narrow(1, first, context - first)?;
            let actual = frames.narrow(1, step + first + 1, context - first)?;
            let loss = error(&scored, &actual)?;
            total = Some(match total {
                Some(sum) => (sum + loss)?,
                None => loss,
            });
            let newest = predicted.narrow(1, context - 1, 1)?;
            seen = match context {
                1 => newest.contiguous()?,
                _ => Tensor::cat(&[&seen.narrow(1, 1, context - 1)?, &newest], 1)?.contiguous()?,
            };
        }
        let total = total.unwrap_or(seen.sum_all()?.zeros_like()?);
        Ok((total / rollout as f64)?)
    }
}

impl Objective for TokenPrediction<'_> {
    /// First frames of the windows.
    type Batch = Vec<usize>;
    type Error = Error;

    fn weights(&self) -> Weights {
        self.network.weights.clone()
    }

    fn batch(&mut self, step: usize) -> Result<Vec<usize>> {
        let mut rng = self.seed.child("batches").index(step as u64).rng();
        Ok((0..self.recipe.data.batch).map(|_| self.starts[rng.random_range(0..self.starts.len())]).collect())
    }

    fn micro_batches(&self, batch: &Vec<usize>) -> usize {
        self.recipe.micro_batches.min(batch.len())
    }

    fn partial_gradients(
        &self,
        batch: &Vec<usize>,
        parts: Range<usize>,
        _collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>> {
        let count = self.micro_batches(batch);
        each_part(parts, |part| {
            let range = range_of_part(batch.len(), count, part);
            let fraction = range.len() as f64 / batch.len() as f64;
            let windows = self.training.windows(&batch[range.clone()], self.recipe.window());
            let loss = self.loss(&windows, range.len())?;
            PartialGradients::of(&(loss * fraction)?, self.network.weights.iter())
        })
    }
}
