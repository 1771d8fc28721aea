//! Joint training of encoder and predictor.
//!
//! Every micro batch has gradient graphs of its own: one from images to raw encoder outputs, one from latents to the
//! losses of single windows. Between them stands what needs the whole batch: whitening and SIGReg. Every worker
//! computes that part from the gathered latents of all micro batches.

use std::ops::Range;

use candle_core::backprop::GradStore;
use candle_core::{Tensor, Var};
use mindseye_interface::Seed;
use rayon::prelude::*;

use super::config::TrainingConfig;
use super::data::{Batch, Batches, TrainingData};
use crate::Result;
use crate::families::jepa::encoder::{Encoded, SensorBatch};
use crate::families::jepa::encoding::sensors_of;
use crate::families::jepa::losses::{LossHeads, Losses, dynamics, regularisation};
use crate::families::jepa::network::Jepa;
use crate::ops::{tensor, with_values};
use crate::optimiser::{Gradients, collect};
use crate::parameters::{WeightSource, Weights, trained};
use crate::trainer::{Collective, Objective, PartialGradients};

/// The networks of a training run.
pub(super) struct Networks {
    pub model: Jepa,
    pub heads: LossHeads,
}

/// Windows of two frames from which the whitening constants are taken.
pub(super) const WHITENING_WINDOWS: usize = 6000;
/// Frames encoded at a time.
const FRAMES_PER_PASS: usize = 256;

impl Networks {
    /// A fresh model, or a copy of `start`.
    pub fn new(config: &TrainingConfig, seed: Seed, start: Option<&Jepa>, data: &TrainingData) -> Result<Self> {
        let model = match start {
            Some(start) => start.copy()?,
            None => {
                let mut model = Jepa::initialise(config.model.clone(), seed.child("weights"))?;
                let statistics = data.statistics()?;
                model.fix_proprioception(&statistics.proprioception_mean, &statistics.proprioception_std)?;
                model
            }
        };
        let source = WeightSource::fresh(seed.child("weights"));
        let heads = LossHeads::new(source, config.model.latent_width, config.model.chunk_width())?;
        Ok(Self { model, heads })
    }

    /// All weights by name.
    pub fn weights(&self) -> Weights {
        let all = self.model.weights().iter().chain(&self.heads.weights);
        all.map(|(name, var)| (name.clone(), var.clone())).collect()
    }

    fn trained(&self) -> impl Iterator<Item = (&String, &Var)> {
        trained(self.model.weights()).chain(trained(&self.heads.weights))
    }

    /// Takes the whitening constants of an encoder that has changed from a fixed choice of training frames.
    pub fn fix_whitening(&mut self, data: &TrainingData, config: &TrainingConfig) -> Result<()> {
        if !config.model.whitening || config.steps == 0 {
            return Ok(()); // nothing to fix, or encoder and constants are those of the model that the run started from
        }
        let sample = data.training_sample(WHITENING_WINDOWS, 2, Seed::new(0))?;
        let mut raw = Vec::new();
        for part in sensors_of(&config.model, &sample).chunks(&config.model, FRAMES_PER_PASS) {
            raw.extend(with_values(&self.model.encode_raw(part)?, <[f32]>::to_vec)?);
        }
        self.model.fix_whitening(&raw)
    }

    /// Losses of single windows of `batch`, for the micro batches `parts` of `windows` windows each, every
    /// one with a gradient graph of its own. `latents [B * T, D]` are those of the whole batch.
    pub fn window_losses(
        &self,
        batch: &Batch,
        latents: &[f32],
        windows: usize,
        parts: Range<usize>,
        losses: &(dyn Fn(&Tensor, &Tensor) -> Result<Losses> + Sync),
    ) -> Result<Vec<WindowLosses>> {
        let config = self.model.config();
        let (width, chunk_width) = (config.latent_width, config.chunk_width());
        let (latents_len, chunks_len) = (batch.frames * width, (batch.frames - 1) * chunk_width);
        let one = |part: usize| -> Result<WindowLosses> {
            let first = part * windows;
            let count = windows.min(batch.windows - first);
            let latents = latents[first * latents_len..(first + count) * latents_len].to_vec();
            let chunks = batch.chunks[first * chunks_len..(first + count) * chunks_len].to_vec();
            let latents = Var::from_tensor(&tensor(latents, (count, batch.frames, width))?)?;
            let losses = losses(&latents, &tensor(chunks, (count, batch.frames - 1, chunk_width))?)?;
            let fraction = count as f32 / batch.windows as f32;
            let store = (&losses.total * f64::from(fraction))?.backward()?;
            let mut gradients = Gradients::new();
            collect(&mut gradients, self.trained(), &store)?;
            Ok(WindowLosses {
                partial: PartialGradients {
                    loss: f64::from(fraction * losses.total.to_scalar::<f32>()?),
                    terms: losses.terms.into_iter().map(|(name, value)| (name, fraction * value)).collect(),
                    gradients,
                },
                on_latents: gradient_of(&latents, &store)?,
            })
        };
        parts.into_par_iter().map(one).collect()
    }
}

/// Losses of one micro batch.
pub(super) struct WindowLosses {
    /// Loss and gradients of the weights.
    pub partial: PartialGradients,
    /// Gradients on the latents of its windows, `[B * T, D]`.
    pub on_latents: Vec<f32>,
}

/// Windows per micro batch where a batch of `windows` is divided into `micro_batches`.
pub(super) fn windows_per_part(windows: usize, micro_batches: usize) -> usize {
    windows.div_ceil(micro_batches).max(1)
}

/// Encoder and predictor together.
pub(super) struct JointObjective<'a> {
    config: &'a TrainingConfig,
    batches: Batches<'a>,
    directions: Seed,
    pub networks: Networks,
}

impl<'a> JointObjective<'a> {
    pub fn new(config: &'a TrainingConfig, data: &'a TrainingData, seed: Seed, networks: Networks) -> Self {
        let batches = data.batches(config.data.batch, seed.child("batches"));
        Self { config, batches, directions: seed.child("directions"), networks }
    }

    /// The losses of all latents `[N, D]` of a batch together, and their gradients on the latents.
    fn regularise(&self, latents: Tensor, step: usize) -> Result<(Losses, Vec<f32>)> {
        let latents = Var::from_tensor(&latents)?;
        let losses = regularisation(&self.config.loss, &latents, self.directions.index(step as u64))?;
        let store = losses.total.backward()?;
        let on_latents = gradient_of(&latents, &store)?;
        Ok((losses, on_latents))
    }
}

impl Objective for JointObjective<'_> {
    type Batch = (Batch, usize);
    type Error = crate::Error;

    fn weights(&self) -> Weights {
        self.networks.weights()
    }

    fn batch(&mut self, step: usize) -> Result<Self::Batch> {
        Ok((self.batches.get(step)?, step))
    }

    fn micro_batches(&self, (batch, _): &Self::Batch) -> usize {
        batch.windows.div_ceil(windows_per_part(batch.windows, self.config.micro_batches))
    }

    fn partial_gradients(
        &self,
        (batch, step): &Self::Batch,
        parts: Range<usize>,
        collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>> {
        let (config, Networks { model, heads }) = (self.config, &self.networks);
        let (width, windows) = (config.model.latent_width, windows_per_part(batch.windows, config.micro_batches));
        let rows = (batch.windows * batch.frames, width);
        let sensors: Vec<SensorBatch<'_>> =
            sensors_of(&config.model, batch).chunks(&config.model, windows * batch.frames).collect();
        let encoded: Vec<Encoded> =
            sensors[parts.clone()].par_iter().map(|part| model.encode_taped(*part)).collect::<Result<_>>()?;
        let own = encoded.iter().map(|part| Ok(with_values(&part.latents, <[f32]>::to_vec)?));
        let raw = collective.all_gather(own.collect::<Result<_>>()?)?.concat();
        let raw = Var::from_tensor(&tensor(raw, rows)?)?;
        let latents = model.training_latents(&raw)?;
        let values = with_values(&latents, <[f32]>::to_vec)?;
        let losses =
            |latents: &Tensor, chunks: &Tensor| dynamics(&config.loss, model.predictor(), heads, latents, chunks);
        let (regularised, of_windows) = rayon::join(
            || self.regularise(tensor(values.clone(), rows)?, *step),
            || self.networks.window_losses(batch, &values, windows, parts.clone(), &losses),
        );
        let ((whole, mut gradient), of_windows) = (regularised?, of_windows?);
        let (mut partial, own): (Vec<_>, Vec<_>) =
            of_windows.into_iter().map(|part| (part.partial, part.on_latents)).unzip();
        let on_latents = collective.all_gather(own)?.concat();
        gradient.iter_mut().zip(&on_latents).for_each(|(sum, value)| *sum += value);
        let mut gradient = tensor(gradient, rows)?;
        if config.model.whitening {
            let store = (&latents * gradient)?.sum_all()?.backward()?;
            gradient = store.get(&raw).cloned().unwrap_or(raw.zeros_like()?);
        }
        // The losses of the whole batch count once, with the first micro batch.
        if let Some(first) = partial.first_mut().filter(|_| parts.start == 0) {
            let loss = f64::from(whole.total.to_scalar::<f32>()?);
            first.add(PartialGradients { loss, terms: whole.terms, gradients: Gradients::new() });
        }
        let back = |(part, encoded): (usize, Encoded)| -> Result<Gradients> {
            let own = gradient.narrow(0, part * windows * batch.frames, encoded.latents.dim(0)?)?.detach();
            encoded.back(&own, model.weights())
        };
        let of_encoder: Vec<Gradients> =
            parts.zip(encoded).collect::<Vec<_>>().into_par_iter().map(back).collect::<Result<_>>()?;
        for (partial, of_encoder) in partial.iter_mut().zip(of_encoder) {
            partial.gradients.extend(of_encoder); // other weights than those of the predictor and the heads
        }
        Ok(partial)
    }
}

/// The gradient of `var` in `store`; zeros if nothing depends on it.
pub(super) fn gradient_of(var: &Var, store: &GradStore) -> Result<Vec<f32>> {
    match store.get(var) {
        Some(gradient) => Ok(with_values(gradient, <[f32]>::to_vec)?),
        None => Ok(vec![0.0; var.elem_count()]),
    }
}
