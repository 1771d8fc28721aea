//! One optimiser step, its encoder split over threads.
//!
//! The batch is encoded in a fixed number of parts, each with its own gradient graph; the losses are computed on the joined
//! latents (SIGReg and whitening need all of them); their gradient is handed back to each part's graph; gradients are added in the
//! order of the parts. So equal inputs give equal bits with any number of threads.

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use mindseye_interface::Seed;
use rayon::prelude::*;

use super::config::TrainingConfig;
use super::data::Batch;
use super::records::Record;
use super::require_finite;
use super::state::TrainingState;
use crate::encoder::picture_tensor;
use crate::jepa::trained;
use crate::losses::losses;
use crate::ops::{tensor, with_values};
use crate::optimiser::{Gradients, adamw, clip};
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

/// Does steps on a pool of its own.
pub struct Stepper<'a> {
    config: &'a TrainingConfig,
    pool: rayon::ThreadPool,
}

impl<'a> Stepper<'a> {
    /// A stepper on `threads` threads.
    pub fn new(config: &'a TrainingConfig, threads: usize) -> Result<Self> {
        let pool =
            rayon::ThreadPoolBuilder::new().num_threads(threads.max(1)).build().map_err(|error| Error::Shape {
                operation: "starting threads",
                expected: format!("{threads} threads"),
                got: error.to_string(),
            })?;
        Ok(Self { config, pool })
    }

    /// Does one step: encode, losses, gradients, AdamW.
    pub fn step(&self, state: &mut TrainingState, batch: &Batch, seed: Seed) -> Result<Outcome> {
        let config = self.config;
        let (model, width) = (&state.model, config.model.latent_width);
        let parts = self.encode(state, batch)?;
        let mut raw = Vec::with_capacity(batch.windows * batch.frames * width);
        for part in &parts {
            with_values(part, |values| raw.extend_from_slice(values))?;
        }
        let joined = Var::from_tensor(&tensor(raw, (batch.windows * batch.frames, width))?)?;
        let latents = model.training_latents(&joined)?.reshape((batch.windows, batch.frames, width))?;
        let blocks = tensor(batch.blocks.clone(), (batch.windows, batch.frames - 1, config.model.block_width()))?;
        let directions = seed.child("directions").index(state.step as u64);
        let losses = losses(&config.loss, model.predictor(), &state.heads, &latents, &blocks, directions)?;
        let total = losses.total.to_scalar::<f32>()?;
        require_finite(state.step, "the loss", f64::from(total))?;
        let store = losses.total.backward()?;
        let mut gradients = self.encoder_gradients(state, &parts, &store, &joined)?;
        collect(&mut gradients, state.all_trained(), &store)?;
        let gradient_norm = clip(&mut gradients, config.optimiser.clip_norm);
        require_finite(state.step, "the gradient", gradient_norm)?;
        let learning_rate = config.optimiser.learning_rate_at(state.step, config.steps);
        let weights = trained(state.model.weights()).chain(trained(&state.heads.weights));
        adamw(weights, &gradients, &mut state.moments, &config.optimiser, learning_rate, state.step)?;
        state.step += 1;
        Ok(Outcome { terms: losses.terms, total, gradient_norm, learning_rate })
    }

    /// Raw encoder outputs of the parts of `batch`, each with its graph.
    fn encode(&self, state: &TrainingState, batch: &Batch) -> Result<Vec<Tensor>> {
        let side = self.config.model.image_side;
        let picture = side * side * 3;
        let windows_per_part = batch.windows.div_ceil(self.config.shards);
        let parts: Vec<&[u8]> = batch.pictures.chunks(windows_per_part * batch.frames * picture).collect();
        self.pool.install(|| {
            let encode =
                |bytes: &&[u8]| state.model.encode_raw(&picture_tensor(bytes, bytes.len() / picture, side, side)?);
            parts.par_iter().map(encode).collect()
        })
    }

    /// Hands the gradient of the joined outputs back to the parts and adds up what they give for the encoder's weights.
    fn encoder_gradients(
        &self,
        state: &TrainingState,
        parts: &[Tensor],
        store: &GradStore,
        joined: &Var,
    ) -> Result<Gradients> {
        let Some(gradient) = store.get(joined) else { return Ok(Gradients::new()) };
        let mut first = 0;
        let mut shares = Vec::new();
        for part in parts {
            let rows = part.dim(0)?;
            shares.push((part, gradient.narrow(0, first, rows)?.detach()));
            first += rows;
        }
        let partial: Vec<Gradients> = self.pool.install(|| {
            let backward = |(part, share): &(&Tensor, Tensor)| -> Result<Gradients> {
                let store = (*part * share)?.sum_all()?.backward()?;
                let mut gradients = Gradients::new();
                collect(&mut gradients, trained(state.model.weights()), &store)?;
                Ok(gradients)
            };
            shares.par_iter().map(backward).collect::<Result<_>>()
        })?;
        let mut sum = Gradients::new();
        for (name, values) in partial.into_iter().flatten() {
            add(&mut sum, name, values);
        }
        Ok(sum)
    }
}

/// Adds what `store` knows about `weights` to `gradients`.
fn collect<'a>(
    gradients: &mut Gradients,
    weights: impl Iterator<Item = (&'a String, &'a Var)>,
    store: &GradStore,
) -> Result<()> {
    for (name, var) in weights {
        if let Some(gradient) = store.get(var) {
            add(gradients, name.clone(), with_values(gradient, <[f32]>::to_vec)?);
        }
    }
    Ok(())
}

fn add(gradients: &mut Gradients, name: String, values: Vec<f32>) {
    match gradients.get_mut(&name) {
        Some(sum) => sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += value),
        None => {
            gradients.insert(name, values);
        }
    }
}
