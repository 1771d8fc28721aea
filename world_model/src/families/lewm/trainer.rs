//! Training of a LeWM, from fresh or from published weights.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use candle_core::{Tensor, Var};
use mindseye_interface::memory::{product, sum};
use mindseye_interface::{MemoryLimit, Seed};
use rayon::prelude::*;
use serde_json::json;

use super::{Lewm, LewmPass, normalised};
use crate::ops::{tensor, unit_directions, with_values};
use crate::optimiser::{Gradients, OptimiserConfig, collect};
use crate::parameters::Weights;
use crate::trainer::{Collective, Objective, PartialGradients, Run, RunOptions, Trainer};
use crate::{Error, Result};

/// Images per micro batch of the encoder: part of the result, since sums are made micro batch by micro batch.
const IMAGES_PER_PART: usize = 4;
/// Weight of SIGReg in LeWM.
const SIGREG: f64 = 0.09;
/// Random directions of SIGReg.
const DIRECTIONS: usize = 1024;

/// Trains a LeWM step by step on batches that the caller provides. The encoder, nearly all of the work, is divided into
/// micro batches; what needs the whole batch (batch norms, SIGReg) stands between its forward and its backward pass.
pub struct LewmTrainer {
    objective: LewmObjective,
    trainer: Trainer<'static>,
    memory: MemoryLimit,
}

/// Measurements of a step.
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
    /// Trains `model` for `steps` steps (the length of the learning rate's schedule) on `threads` threads.
    ///
    /// # Errors
    /// When the settings make no sense, threads cannot be started, or the model's training needs more memory than this
    /// machine has.
    pub fn new(model: Lewm, optimiser: OptimiserConfig, steps: usize, threads: usize) -> Result<Self> {
        Self::new_within(model, optimiser, steps, threads, MemoryLimit::default())
    }

    /// As [`LewmTrainer::new`], with a limit of memory for the model's training and for every batch.
    ///
    /// # Errors
    /// As [`LewmTrainer::new`].
    pub fn new_within(
        model: Lewm,
        optimiser: OptimiserConfig,
        steps: usize,
        threads: usize,
        memory: MemoryLimit,
    ) -> Result<Self> {
        // Weights, Adam's two averages, gradients.
        memory.require("weights of a LeWM", product(&[4 * 4, model.parameters()]))?;
        optimiser.validate().map_err(Error::from)?;
        let options = RunOptions { threads, ..RunOptions::new(Seed::new(0)) };
        let mut trainer = Trainer::new(options, Run::new("lewm", steps, json!({})), model.weights())?;
        trainer.begin_stage(optimiser, steps);
        Ok(Self { objective: LewmObjective { model, next: None }, trainer, memory })
    }

    /// The model as it is now.
    pub fn model(&self) -> &Lewm {
        &self.objective.model
    }

    /// One step on windows of `frames` images, bytes `[B, T, H, W, 3]` at the model's size, and the standardised action
    /// chunks that leave their frames, `[B, T, A]`. SIGReg's directions follow from `seed` and the number of the step.
    ///
    /// # Errors
    /// As [`LewmTrainer::step_along`].
    pub fn step(&mut self, bytes: &[u8], chunks: &[f32], frames: usize, seed: Seed) -> Result<LewmLosses> {
        let config = self.model().config();
        let (side, chunk_width, width) = (config.vision.image_side, config.action.chunk_width, config.width());
        let windows = bytes.len() / (frames * side * side * 3).max(1);
        if chunks.len() != windows * frames * chunk_width {
            return Err(Error::Shape {
                operation: "training",
                expected: format!("{windows} windows of {frames} chunks of {chunk_width} values"),
                got: format!("{} values", chunks.len()),
            });
        }
        self.require_batch(windows.saturating_mul(frames))?;
        let images = normalised(bytes, windows * frames, side)?.reshape((windows, frames, 3, side, side))?;
        let chunks = tensor(chunks.to_vec(), (windows, frames, chunk_width))?;
        let directions = seed.child("directions").index(self.trainer.done() as u64);
        self.step_along(&images, &chunks, &unit_directions(DIRECTIONS, width, directions)?)
    }

    /// One step on a batch of windows, as [`Lewm::training_pass`] takes them.
    ///
    /// # Errors
    /// When the shapes do not fit, the batch needs more memory than the limit, or the loss or its gradient is not
    /// finite.
    pub fn step_along(&mut self, images: &Tensor, actions: &Tensor, directions: &Tensor) -> Result<LewmLosses> {
        let (windows, frames, channels, height, side) = images.dims5()?;
        self.require_batch(windows.saturating_mul(frames))?;
        self.objective.next = Some(LewmBatch {
            images: images.reshape((windows * frames, channels, height, side))?,
            windows: (windows, frames),
            actions: actions.clone(),
            directions: directions.clone(),
            pass: Mutex::new(None),
        });
        let weights = self.objective.weights();
        let report = self.trainer.step(&mut self.objective, &weights)?;
        let term =
            |name: &str| report.terms.iter().find(|(known, _)| *known == name).map_or(f32::NAN, |(_, value)| *value);
        Ok(LewmLosses { prediction: term("prediction"), sigreg: term("sigreg"), gradient_norm: report.gradient_norm })
    }
}

impl LewmTrainer {
    /// Refuses a batch of `images` images beyond the limit: of each its pixels as numbers, and of every layer of the
    /// encoder at least the tokens, queries, keys, values and hidden values, all of which are kept for the gradients.
    fn require_batch(&self, images: usize) -> Result<()> {
        let vision = &self.model().config().vision;
        let tokens = (vision.image_side / vision.patch.max(1)).pow(2) + 1;
        let of_layers = product(&[images, tokens, vision.layers, 4 * vision.width + vision.hidden, 4]);
        let pixels = product(&[images, 3, vision.image_side, vision.image_side, 4]);
        Ok(self.memory.require("batch of a LeWM's training", sum(&[of_layers, pixels]))?)
    }
}

struct LewmObjective {
    model: Lewm,
    /// The batch of the next step.
    next: Option<LewmBatch>,
}

struct LewmBatch {
    /// `[B * T, 3, H, W]`.
    images: Tensor,
    /// `B` and `T`.
    windows: (usize, usize),
    /// `[B, T, A]`.
    actions: Tensor,
    /// `[M, D]`.
    directions: Tensor,
    /// The pass over the whole batch: its statistics are kept once the weights have moved.
    pass: Mutex<Option<LewmPass>>,
}

impl LewmObjective {
    fn trained(&self) -> impl Iterator<Item = (&String, &Var)> {
        self.model.weights().iter().filter(|(name, _)| !name.contains("running_"))
    }
}

impl Objective for LewmObjective {
    type Batch = LewmBatch;
    type Error = Error;

    fn weights(&self) -> Weights {
        self.model.weights().clone()
    }

    fn batch(&mut self, _step: usize) -> Result<LewmBatch> {
        self.next.take().ok_or_else(|| Error::Shape {
            operation: "training",
            expected: "a batch for every step".into(),
            got: "none".into(),
        })
    }

    fn micro_batches(&self, batch: &LewmBatch) -> usize {
        (batch.windows.0 * batch.windows.1).div_ceil(IMAGES_PER_PART)
    }

    fn partial_gradients(
        &self,
        batch: &LewmBatch,
        parts: Range<usize>,
        collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>> {
        let (model, width) = (&self.model, self.model.config().width());
        let images = batch.windows.0 * batch.windows.1;
        let encode = |part: usize| -> Result<Tensor> {
            let first = part * IMAGES_PER_PART;
            let count = IMAGES_PER_PART.min(images - first);
            model.class_tokens(&batch.images.narrow(0, first, count)?.contiguous()?)
        };
        let tokens: Vec<Tensor> = parts.clone().into_par_iter().map(encode).collect::<Result<_>>()?;
        let own = tokens.iter().map(|part| Ok(with_values(part, <[f32]>::to_vec)?)).collect::<Result<_>>()?;
        let class = Var::from_tensor(&tensor(collective.all_gather(own)?.concat(), (images, width))?)?;
        let pass = model.losses_of(class.as_tensor(), batch.windows, &batch.actions, &batch.directions)?;
        let total = (&pass.prediction + (&pass.sigreg * SIGREG)?)?;
        let store = total.backward()?;
        let on_class = match store.get(class.as_tensor()) {
            Some(gradient) => with_values(gradient, <[f32]>::to_vec)?,
            None => vec![0.0; images * width],
        };
        let back = |(part, tokens): (usize, &Tensor)| -> Result<PartialGradients> {
            let first = part * IMAGES_PER_PART * width;
            let gradient = on_class[first..first + tokens.elem_count()].to_vec();
            let store = (tokens * tensor(gradient, tokens.shape().clone())?)?.sum_all()?.backward()?;
            let mut gradients = Gradients::new();
            collect(&mut gradients, self.trained(), &store)?;
            Ok(PartialGradients { gradients, ..PartialGradients::default() })
        };
        let of_parts: Vec<_> = parts.clone().zip(&tokens).collect();
        let mut partial: Vec<PartialGradients> = of_parts.into_par_iter().map(back).collect::<Result<_>>()?;
        // What follows the encoder is computed for the whole batch: it counts once, with the first micro batch.
        if let Some(first) = partial.first_mut().filter(|_| parts.start == 0) {
            first.loss = f64::from(total.to_scalar::<f32>()?);
            first.terms =
                vec![("prediction", pass.prediction.to_scalar::<f32>()?), ("sigreg", pass.sigreg.to_scalar::<f32>()?)];
            collect(&mut first.gradients, self.trained(), &store)?;
        }
        *batch.pass.lock().unwrap_or_else(PoisonError::into_inner) = Some(pass);
        Ok(partial)
    }

    fn after_step(&mut self, batch: &LewmBatch) -> Result<()> {
        match &*batch.pass.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(pass) => self.model.remember_statistics(pass),
            None => Ok(()),
        }
    }
}
