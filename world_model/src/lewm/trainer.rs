//! Training a LeWM, or going on with one that others have trained.

use candle_core::{Tensor, Var};
use mindseye_interface::Seed;
use rayon::prelude::*;

use super::{Lewm, normalised};
use crate::losses::unit_directions;
use crate::ops::{tensor, with_values};
use crate::optimiser::{Gradients, Moments, OptimiserConfig, adamw, add, clip, collect};
use crate::training::{require_finite, thread_pool};
use crate::{Error, Result};

/// Pictures that go through the encoder together, with a gradient graph of their own: fixed, so that equal inputs give equal bits with
/// any number of threads.
const PART: usize = 4;
/// What LeWM weighs SIGReg by.
const SIGREG: f64 = 0.09;
/// Random directions along which it is measured.
const DIRECTIONS: usize = 1024;

/// Does steps of AdamW on a LeWM's losses. The encoder, nearly all of the work, is divided over threads; what needs the whole batch (batch
/// norms, SIGReg) stands between its way forward and its way back.
pub struct LewmTrainer {
    model: Lewm,
    optimiser: OptimiserConfig,
    moments: Moments,
    pool: rayon::ThreadPool,
    steps: usize,
    done: usize,
}

/// What a step measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LewmLosses {
    /// Mean squared error of the predicted embeddings.
    pub prediction: f32,
    /// SIGReg's statistic.
    pub sigreg: f32,
    /// Length of the whole gradient, before it is clipped.
    pub gradient_norm: f64,
}

impl LewmTrainer {
    /// Trains `model` for `steps` steps (which the learning rate's schedule goes by) on `threads` threads.
    ///
    /// # Errors
    /// When the settings make no sense or threads cannot be had.
    pub fn new(model: Lewm, optimiser: OptimiserConfig, steps: usize, threads: usize) -> Result<Self> {
        optimiser.validate().map_err(Error::from)?;
        Ok(Self { model, optimiser, moments: Moments::default(), pool: thread_pool(threads)?, steps, done: 0 })
    }

    /// The model as it is now.
    pub fn model(&self) -> &Lewm {
        &self.model
    }

    /// One step on windows of `frames` pictures, bytes `[B, T, H, W, 3]` at the model's size, and the standardised action blocks that leave
    /// their frames, `[B, T, A]`. SIGReg's directions follow from `seed` and the number of the step.
    ///
    /// # Errors
    /// As [`LewmTrainer::step_along`].
    pub fn step(&mut self, bytes: &[u8], blocks: &[f32], frames: usize, seed: Seed) -> Result<LewmLosses> {
        let (side, block_width) = (self.model.config().vision.image_side, self.model.config().action.block_width);
        let windows = bytes.len() / (frames * side * side * 3).max(1);
        if blocks.len() != windows * frames * block_width {
            return Err(Error::Shape {
                operation: "training",
                expected: format!("{windows} windows of {frames} blocks of {block_width} values"),
                got: format!("{} values", blocks.len()),
            });
        }
        let pictures = normalised(bytes, windows * frames, side)?.reshape((windows, frames, 3, side, side))?;
        let blocks = tensor(blocks.to_vec(), (windows, frames, block_width))?;
        let directions =
            unit_directions(DIRECTIONS, self.model.config().width(), seed.child("directions").index(self.done as u64))?;
        self.step_along(&pictures, &blocks, &directions)
    }

    /// One step on a batch of windows, as [`Lewm::training_pass`] takes them.
    ///
    /// # Errors
    /// When the shapes do not fit, or the loss or its gradient is not finite.
    pub fn step_along(&mut self, pictures: &Tensor, actions: &Tensor, directions: &Tensor) -> Result<LewmLosses> {
        let (batch, frames, channels, height, side) = pictures.dims5()?;
        let width = self.model.config().width();
        let pictures = pictures.reshape((batch * frames, channels, height, side))?;
        let first: Vec<usize> = (0..batch * frames).step_by(PART).collect();
        let model = &self.model;
        let encode = |&first: &usize| -> Result<Tensor> {
            model.class_tokens(&pictures.narrow(0, first, PART.min(batch * frames - first))?.contiguous()?)
        };
        let parts: Vec<Tensor> = self.pool.install(|| first.par_iter().map(encode).collect::<Result<_>>())?;
        let detached: Vec<Tensor> = parts.iter().map(Tensor::detach).collect();
        let class = Var::from_tensor(&Tensor::cat(&detached, 0)?)?;
        let pass = model.losses_of(class.as_tensor(), (batch, frames), actions, directions)?;
        let total = (&pass.prediction + (&pass.sigreg * SIGREG)?)?;
        require_finite(self.done, "the loss", f64::from(total.to_scalar::<f32>()?))?;
        let store = total.backward()?;
        let trained = || model.weights().iter().filter(|(name, _)| !name.contains("running_"));
        let mut gradients = Gradients::new();
        collect(&mut gradients, trained(), &store)?;
        let on_class = match store.get(class.as_tensor()) {
            Some(gradient) => with_values(gradient, <[f32]>::to_vec)?,
            None => vec![0.0; batch * frames * width],
        };
        let shares: Vec<(&Tensor, &[f32])> = parts.iter().zip(on_class.chunks(PART * width)).collect();
        let back = |(part, share): &(&Tensor, &[f32])| -> Result<Gradients> {
            let share = tensor(share.to_vec(), part.shape().clone())?;
            let store = (*part * share)?.sum_all()?.backward()?;
            let mut gradients = Gradients::new();
            collect(&mut gradients, trained(), &store)?;
            Ok(gradients)
        };
        let of_parts: Vec<Gradients> = self.pool.install(|| shares.par_iter().map(back).collect::<Result<_>>())?;
        for (name, values) in of_parts.into_iter().flatten() {
            add(&mut gradients, name, values);
        }
        let gradient_norm = self.pool.install(|| clip(&mut gradients, self.optimiser.clip_norm));
        require_finite(self.done, "the gradient", gradient_norm)?;
        let rate = self.optimiser.learning_rate_at(self.done, self.steps);
        self.pool.install(|| adamw(trained(), &gradients, &mut self.moments, &self.optimiser, rate, self.done))?;
        model.remember_statistics(&pass)?;
        self.done += 1;
        Ok(LewmLosses {
            prediction: pass.prediction.to_scalar::<f32>()?,
            sigreg: pass.sigreg.to_scalar::<f32>()?,
            gradient_norm,
        })
    }
}
