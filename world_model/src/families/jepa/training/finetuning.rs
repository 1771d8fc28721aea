//! Finetuning of the predictor alone, on latents that no longer change.
//!
//! A joint step costs an image per latent, and its prediction error counts every direction of the latent the same: what
//! moves little in one chunk (the angle of an object that is pushed) is a hundredth of the error, so its dynamics are
//! learnt last. Here latents are encoded once, so that a step covers many more transitions, and errors count in units
//! of typical steps, so that slow directions weigh as much as fast ones.

use std::ops::Range;

use candle_core::Tensor;
use mindseye_episodes::WindowBatch;
use mindseye_interface::Seed;

use super::config::PredictorFinetuning;
use super::data::{Batches, TrainingData};
use super::joint::{Networks, windows_per_part};
use crate::Result;
use crate::families::jepa::encoding::encode_frames;
use crate::families::jepa::losses::prediction_in_steps;
use crate::parameters::Weights;
use crate::step_units::{Averaging, steps_from_error};
use crate::trainer::{Collective, Objective, PartialGradients};

/// The predictor on latents of the training data.
pub(super) struct FinetuningObjective<'a> {
    batches: Batches<'a>,
    micro_batches: usize,
    /// Latents of all frames `[F, D]`; zeros where there is no image.
    latents: Vec<f32>,
    /// `[D, D]`: an error times this is in units of typical steps.
    steps_from_error: Tensor,
    pub networks: Networks,
}

impl<'a> FinetuningObjective<'a> {
    /// Encodes the training data, on the current rayon pool. `seed` orders the windows.
    pub fn prepare(
        networks: Networks,
        data: &'a TrainingData,
        config: &PredictorFinetuning,
        micro_batches: usize,
        seed: Seed,
    ) -> Result<Self> {
        let model = &networks.model;
        let width = model.config().latent_width;
        let frames = data.training_frames_with_images();
        let encoded = encode_frames(model, data.cache(), &frames, &|_| ())?;
        let mut latents = vec![0.0; data.cache().len() * width];
        for (frame, latent) in frames.iter().zip(encoded.chunks_exact(width)) {
            latents[frame * width..(frame + 1) * width].copy_from_slice(latent);
        }
        let batches = data.windows_of(config.frames, config.batch, seed);
        let steps_from_error = steps_from_error(&latents, width, &batches.transitions(), Averaging::DivideSum)?;
        Ok(Self { batches, micro_batches, latents, steps_from_error, networks })
    }
}

impl Objective for FinetuningObjective<'_> {
    /// Windows without images, and their latents `[B * T, D]`.
    type Batch = (WindowBatch, Vec<f32>);
    type Error = crate::Error;

    fn weights(&self) -> Weights {
        self.networks.weights()
    }

    fn batch(&mut self, step: usize) -> Result<Self::Batch> {
        let width = self.networks.model.config().latent_width;
        let (batch, frames) = self.batches.chunks(step);
        let latents = frames.iter().flat_map(|frame| &self.latents[frame * width..(frame + 1) * width]);
        Ok((batch, latents.copied().collect()))
    }

    fn micro_batches(&self, (batch, _): &Self::Batch) -> usize {
        batch.windows.div_ceil(windows_per_part(batch.windows, self.micro_batches))
    }

    fn partial_gradients(
        &self,
        (batch, latents): &Self::Batch,
        parts: Range<usize>,
        _collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>> {
        let predictor = self.networks.model.predictor();
        let losses =
            |latents: &Tensor, chunks: &Tensor| prediction_in_steps(predictor, latents, chunks, &self.steps_from_error);
        let windows = windows_per_part(batch.windows, self.micro_batches);
        let of_windows = self.networks.window_losses(batch, latents, windows, parts, &losses)?;
        Ok(of_windows.into_iter().map(|part| part.partial).collect())
    }
}
