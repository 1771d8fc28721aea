//! One optimiser step, its encoder split over threads.
//!
//! The batch is divided into a fixed number of parts, each with its own gradient graphs: one from pictures to raw encoder outputs,
//! one from latents to the losses of single windows. Between them stands what needs the whole batch: whitening and SIGReg.
//! Gradients are added in the order of the parts. So equal inputs give equal bits with any number of threads.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use mindseye_interface::Seed;
use rayon::prelude::*;

use super::config::TrainingConfig;
use super::data::{Batch, sensed};
use super::records::Record;
use super::refinement::Refinement;
use super::require_finite;
use super::state::TrainingState;
use crate::encoder::{Encoded, Sensed};
use crate::jepa::trained;
use crate::losses::{Losses, dynamics, prediction_in_steps, regularisation};
use crate::ops::{tensor, with_values};
use crate::optimiser::{Gradients, OptimiserConfig, adamw, add, clip, collect};
use crate::{Error, Result};

/// What one step measured.
pub struct Outcome {
    /// Unweighted loss terms by name.
    pub terms: Vec<(&'static str, f32)>,
    total: f32,
    gradient_norm: f64,
    learning_rate: f64,
}

impl Outcome {
    /// The row for the metrics.
    pub fn record(&self, step: usize, seconds: f64) -> Record {
        let mut record = Record::new("train", step);
        record.add("loss/total", f64::from(self.total));
        self.terms.iter().for_each(|(name, value)| record.add(format!("loss/{name}"), f64::from(*value)));
        record.add("gradient_norm", self.gradient_norm);
        record.add("learning_rate", self.learning_rate);
        record.add("seconds", seconds);
        record
    }
}

/// A pool of `threads` threads, at least one.
pub fn thread_pool(threads: usize) -> Result<rayon::ThreadPool> {
    rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build().map_err(|error| Error::Shape {
        operation: "starting threads",
        expected: format!("{threads} threads"),
        got: error.to_string(),
    })
}

/// Does steps on a pool of its own.
pub struct Stepper<'a> {
    config: &'a TrainingConfig,
    pool: rayon::ThreadPool,
}

impl<'a> Stepper<'a> {
    /// A stepper on `threads` threads.
    pub fn new(config: &'a TrainingConfig, threads: usize) -> Result<Self> {
        Ok(Self { config, pool: thread_pool(threads)? })
    }

    /// Does one step: encode, losses, gradients, AdamW.
    pub fn step(&self, state: &mut TrainingState, batch: &Batch, seed: Seed) -> Result<Outcome> {
        let config = self.config;
        let width = config.model.latent_width;
        let parts = self.encode(state, batch)?;
        let mut raw = Vec::with_capacity(batch.windows * batch.frames * width);
        for part in &parts {
            with_values(&part.latents, |values| raw.extend_from_slice(values))?;
        }
        let raw = Var::from_tensor(&tensor(raw, (batch.windows * batch.frames, width))?)?;
        let latents = state.model.training_latents(&raw)?;
        let directions = seed.child("directions").index(state.step as u64);
        let (spread, moved) = self.pool.install(|| {
            let values = || with_values(&latents, <[f32]>::to_vec);
            rayon::join(
                || regularise(config, tensor(values()?, (batch.windows * batch.frames, width))?, directions),
                || self.dynamics(state, batch, &values()?),
            )
        });
        let (spread, moved) = (spread?, moved?);
        let terms: Vec<(&'static str, f32)> = moved.terms.into_iter().chain(spread.terms).collect();
        let total = spread.total + moved.total;
        require_finite(state.step, "the loss", f64::from(total))?;
        let mut gradient = spread.latents;
        gradient.iter_mut().zip(&moved.latents).for_each(|(sum, value)| *sum += value);
        let gradient = tensor(gradient, (batch.windows * batch.frames, width))?;
        let gradient = if config.model.whitening {
            let store = (&latents * gradient)?.sum_all()?.backward()?;
            store.get(&raw).cloned().unwrap_or(raw.zeros_like()?)
        } else {
            gradient
        };
        let mut gradients = self.encoder_gradients(state, parts, &gradient)?;
        moved.weights.into_iter().for_each(|(name, values)| add(&mut gradients, name, values));
        let gradient_norm = self.pool.install(|| clip(&mut gradients, config.optimiser.clip_norm));
        require_finite(state.step, "the gradient", gradient_norm)?;
        let learning_rate = config.optimiser.learning_rate_at(state.step, config.steps);
        let weights = trained(state.model.weights()).chain(trained(&state.heads.weights));
        let (moments, step) = (&mut state.moments, state.step);
        self.pool.install(|| adamw(weights, &gradients, moments, &config.optimiser, learning_rate, step))?;
        state.step += 1;
        Ok(Outcome { terms, total, gradient_norm, learning_rate })
    }

    /// The threads of the steps.
    pub fn pool(&self) -> &rayon::ThreadPool {
        &self.pool
    }

    /// Does one step of the refinement: the predictor alone, on latents that do not change.
    pub fn refine(&self, state: &mut TrainingState, refinement: &mut Refinement<'_>) -> Result<Outcome> {
        let config = self.config;
        let step = state.step - config.steps;
        let (batch, latents) = refinement.get(step);
        let metric = refinement.steps_from_error();
        let losses =
            |latents: &Tensor, blocks: &Tensor| prediction_in_steps(state.model.predictor(), latents, blocks, metric);
        let moved = self.pool.install(|| self.by_parts(state, &batch, &latents, &losses))?;
        require_finite(state.step, "the loss", f64::from(moved.total))?;
        let mut gradients = moved.weights;
        let gradient_norm = self.pool.install(|| clip(&mut gradients, config.optimiser.clip_norm));
        require_finite(state.step, "the gradient", gradient_norm)?;
        let optimiser = OptimiserConfig { learning_rate: config.refinement.learning_rate, ..config.optimiser.clone() };
        let learning_rate = optimiser.learning_rate_at(step, config.refinement.steps);
        let predictor = trained(state.model.weights()).filter(|(name, _)| name.starts_with("predictor."));
        let moments = &mut state.moments;
        self.pool.install(|| adamw(predictor, &gradients, moments, &optimiser, learning_rate, step))?;
        state.step += 1;
        Ok(Outcome { terms: moved.terms, total: moved.total, gradient_norm, learning_rate })
    }

    fn windows_per_part(&self, batch: &Batch) -> usize {
        batch.windows.div_ceil(self.config.shards)
    }

    /// The losses of joint training that look at windows one by one.
    fn dynamics(&self, state: &TrainingState, batch: &Batch, latents: &[f32]) -> Result<Share> {
        let losses = |latents: &Tensor, blocks: &Tensor| {
            dynamics(&self.config.loss, state.model.predictor(), &state.heads, latents, blocks)
        };
        self.by_parts(state, batch, latents, &losses)
    }

    /// Losses that look at windows one by one, part by part, each with its own gradient graph.
    fn by_parts(
        &self,
        state: &TrainingState,
        batch: &Batch,
        latents: &[f32],
        losses: &(dyn Fn(&Tensor, &Tensor) -> Result<Losses> + Sync),
    ) -> Result<Share> {
        let (config, width) = (self.config, self.config.model.latent_width);
        let block_width = config.model.block_width();
        let (latents_len, blocks_len) = (batch.frames * width, (batch.frames - 1) * block_width);
        let windows_per_part = self.windows_per_part(batch);
        let parts = latents.par_chunks(windows_per_part * latents_len);
        let parts = parts.zip(batch.blocks.par_chunks(windows_per_part * blocks_len));
        let of_part = |(latents, blocks): (&[f32], &[f32])| -> Result<Share> {
            let windows = latents.len() / latents_len;
            let latents = Var::from_tensor(&tensor(latents.to_vec(), (windows, batch.frames, width))?)?;
            let blocks = tensor(blocks.to_vec(), (windows, batch.frames - 1, block_width))?;
            let losses = losses(&latents, &blocks)?;
            let part = windows as f32 / batch.windows as f32;
            let store = (&losses.total * f64::from(part))?.backward()?;
            let mut weights = Gradients::new();
            collect(&mut weights, state.all_trained(), &store)?;
            Ok(Share {
                total: part * losses.total.to_scalar::<f32>()?,
                terms: losses.terms.into_iter().map(|(name, value)| (name, part * value)).collect(),
                latents: gradient_of(&latents, &store)?,
                weights,
            })
        };
        let parts: Vec<Share> = parts.map(of_part).collect::<Result<_>>()?;
        Ok(parts.into_iter().reduce(Share::with).unwrap_or_default())
    }

    /// Raw encoder outputs of the parts of `batch`, each with its way back.
    fn encode(&self, state: &TrainingState, batch: &Batch) -> Result<Vec<Encoded>> {
        let moments = self.windows_per_part(batch) * batch.frames;
        let parts: Vec<Sensed<'_>> = sensed(&self.config.model, batch).chunks(&self.config.model, moments).collect();
        self.pool.install(|| parts.par_iter().map(|part| state.model.encode_taped(*part)).collect())
    }

    /// Hands the gradient `[N, D]` of the joined outputs back to the parts and adds up what they give for the encoder's weights.
    fn encoder_gradients(&self, state: &TrainingState, parts: Vec<Encoded>, gradient: &Tensor) -> Result<Gradients> {
        let mut first = 0;
        let mut shares = Vec::new();
        for part in parts {
            let rows = part.latents.dim(0)?;
            shares.push((part, gradient.narrow(0, first, rows)?.detach()));
            first += rows;
        }
        let partial: Vec<Gradients> = self.pool.install(|| {
            let back = |(part, share): (Encoded, Tensor)| part.back(&share, state.model.weights());
            shares.into_par_iter().map(back).collect::<Result<_>>()
        })?;
        let mut sum = Gradients::new();
        for (name, values) in partial.into_iter().flatten() {
            add(&mut sum, name, values);
        }
        Ok(sum)
    }
}

/// What a loss, or a part of it, says: values, and the gradients of latents `[N, D]` and weights.
#[derive(Default)]
struct Share {
    total: f32,
    terms: Vec<(&'static str, f32)>,
    latents: Vec<f32>,
    weights: Gradients,
}

impl Share {
    /// The share of this part and the next one: values and weight gradients added, latents one after the other.
    fn with(mut self, next: Self) -> Self {
        self.total += next.total;
        self.terms.iter_mut().zip(next.terms).for_each(|((_, sum), (_, value))| *sum += value);
        self.latents.extend(next.latents);
        next.weights.into_iter().for_each(|(name, values)| add(&mut self.weights, name, values));
        self
    }
}

/// The losses that look at all latents `[N, D]` of a batch at once.
fn regularise(config: &TrainingConfig, latents: Tensor, directions: Seed) -> Result<Share> {
    let latents = Var::from_tensor(&latents)?;
    let losses = regularisation(&config.loss, &latents, directions)?;
    let store = losses.total.backward()?;
    Ok(Share {
        total: losses.total.to_scalar::<f32>()?,
        terms: losses.terms,
        latents: gradient_of(&latents, &store)?,
        weights: Gradients::new(),
    })
}

/// The gradient of `var` in `store`; zeros if nothing depends on it.
fn gradient_of(var: &Var, store: &GradStore) -> Result<Vec<f32>> {
    match store.get(var) {
        Some(gradient) => Ok(with_values(gradient, <[f32]>::to_vec)?),
        None => Ok(vec![0.0; var.elem_count()]),
    }
}
