//! A decoder: draws latents as images, for display. It is trained after the model, on detached latents, and planning
//! never reads it.

use std::ops::Range;

use candle_core::{Device, Tensor};
use mindseye_interface::config::require_range;
use mindseye_interface::{Image, ImageSize, Seed};
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::encoded_dataset::checksum;
use crate::families::jepa::encode_batch;
use crate::families::jepa::training::{Batch, TrainingData};
use crate::families::jepa::{Jepa, ModelConfig};
use crate::heads::{Head, require_sizes};
use crate::layers::{GatedMlp, Linear};
use crate::ops::{self, with_values};
use crate::optimiser::OptimiserConfig;
use crate::parameters::{Initial, WeightSource, Weights, values_of};
use crate::trainer::{Collective, Objective, PartialGradients, Run, RunOptions, each_part, fit};
use crate::{Error, Result};

/// Shape of the decoder: the image is drawn patch by patch, each from the latent and a learnt embedding of its
/// position.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Width of the latents.
    pub latent_width: usize,
    /// Side of the image, pixels.
    pub image_side: usize,
    /// Side of a patch, pixels.
    pub patch: usize,
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Residual hidden layers after the first.
    pub layers: usize,
}

impl DecoderConfig {
    /// The decoder for a model.
    pub fn for_model(model: &Jepa) -> Self {
        let image_side = model.config().image_side;
        let patch = if image_side.is_multiple_of(8) { 8 } else { image_side };
        Self { latent_width: model.config().latent_width, image_side, patch, hidden: 192, layers: 2 }
    }

    fn patches(&self) -> usize {
        let across = self.image_side / self.patch;
        across * across
    }
}

/// `h = gate(norm(W z + place))`, `h += gate(norm(W h))` per layer, `patch = W h`: a patch depends on products of its
/// place and the latent (see `ops::gate`).
#[derive(Debug)]
pub struct Decoder {
    config: DecoderConfig,
    trunk: GatedMlp,
    places: Tensor,
    output: Linear,
    weights: Weights,
}

impl Head for Decoder {
    type Config = DecoderConfig;

    const FILE: &'static str = "decoder.safetensors";

    fn build(config: DecoderConfig, mut source: WeightSource) -> Result<Self> {
        require_range("decoder.patch", config.patch, 1, 512)?;
        require_range("decoder.image_side", config.image_side, config.patch, 512)?;
        require_range("decoder.image_side % decoder.patch", config.image_side % config.patch, 0, 0)?;
        require_range("decoder.hidden", config.hidden, 1, 8192)?;
        require_range("decoder.layers", config.layers, 0, 64)?;
        let hidden = config.hidden;
        let (trunk, places, output) = source.within("decoder", |source| {
            Ok((
                GatedMlp::new(source, config.latent_width, hidden, config.layers)?,
                source.weight("places", &[config.patches(), 2 * hidden], Initial::Uniform { bound: 1.0 })?,
                Linear::new(source, "output", hidden, config.patch * config.patch * 3, 1.0)?,
            ))
        })?;
        let weights = source.finish()?;
        Ok(Self { config, trunk, places, output, weights })
    }

    fn config(&self) -> &DecoderConfig {
        &self.config
    }

    fn weights(&self) -> &Weights {
        &self.weights
    }

    fn require_fit(&self, model: &ModelConfig) -> Result<()> {
        let DecoderConfig { latent_width, image_side, .. } = self.config;
        let sizes = [("latent_width", latent_width, model.latent_width), ("image_side", image_side, model.image_side)];
        require_sizes("decoder", &sizes)
    }
}

impl Decoder {
    /// Patches `[B * P, patch * patch * 3]` in `[-0.5, 0.5]` of latents `[B, D]`.
    fn forward(&self, latents: &Tensor) -> Result<Tensor> {
        let (batch, patches, inner) = (latents.dim(0)?, self.config.patches(), 2 * self.config.hidden);
        let seen = self.trunk.input.forward(latents)?.reshape((batch, 1, inner))?;
        let placed = seen.broadcast_add(&self.places.reshape((1, patches, inner))?)?;
        self.draw_patches(&placed.reshape((batch * patches, inner))?)
    }

    /// The patches `(index of the latent, index of the patch)` of latents `[B, D]`, `[N, patch * patch * 3]`.
    fn forward_at(&self, latents: &Tensor, at: &[(u32, u32)]) -> Result<Tensor> {
        let (rows, places): (Vec<u32>, Vec<u32>) = at.iter().copied().unzip();
        let index = |values: Vec<u32>| Tensor::from_vec(values, at.len(), &Device::Cpu);
        let seen = self.trunk.input.forward(latents)?.index_select(&index(rows)?, 0)?;
        self.draw_patches(&(seen + self.places.index_select(&index(places)?, 0)?)?)
    }

    fn draw_patches(&self, placed: &Tensor) -> Result<Tensor> {
        self.output.forward(&self.trunk.after_input(placed)?)
    }

    /// Draws latents `[B, D]` (row-major), one image each.
    ///
    /// # Errors
    /// [`Error::Shape`] when the number of values is not a multiple of `D`.
    pub fn draw(&self, latents: &[f32]) -> Result<Vec<Image>> {
        let width = self.config.latent_width;
        if latents.is_empty() || !latents.len().is_multiple_of(width) {
            let (expected, got) = (format!("a multiple of {width} values"), latents.len().to_string());
            return Err(Error::Shape { operation: "drawing latents", expected, got });
        }
        let patches = self.forward(&ops::tensor(latents.to_vec(), (latents.len() / width, width))?)?;
        let (side, patch) = (self.config.image_side, self.config.patch);
        let size = ImageSize::square(side)?;
        let images = with_values(&patches, |values| {
            let drawn = values.chunks_exact(side * side * 3);
            drawn
                .map(|patches| Image::new(size, assemble(patches, side, patch)))
                .collect::<mindseye_interface::Result<Vec<_>>>()
        })?;
        Ok(images?)
    }
}

/// Bytes of an image from its patches in `[-0.5, 0.5]`.
fn assemble(patches: &[f32], side: usize, patch: usize) -> Vec<u8> {
    let mut pixels = vec![0u8; side * side * 3];
    for (place, values) in patches.chunks_exact(patch * patch * 3).enumerate() {
        for (values, start) in values.chunks_exact(patch * 3).zip(patch_rows(side, patch, place)) {
            for (pixel, value) in pixels[start..].iter_mut().zip(values) {
                *pixel = ((value + 0.5) * 255.0).round().clamp(0.0, 255.0) as u8;
            }
        }
    }
    pixels
}

/// Writes patch `place` of an image's bytes to `values`, in `[-0.5, 0.5]`.
fn copy_patch(pixels: &[u8], side: usize, patch: usize, place: usize, values: &mut [f32]) {
    for (values, start) in values.chunks_exact_mut(patch * 3).zip(patch_rows(side, patch, place)) {
        for (value, pixel) in values.iter_mut().zip(&pixels[start..]) {
            *value = f32::from(*pixel) / 255.0 - 0.5;
        }
    }
}

/// Where the rows of patch `place` start among the values of an image.
fn patch_rows(side: usize, patch: usize, place: usize) -> impl Iterator<Item = usize> {
    let across = side / patch;
    let (top, left) = (place / across * patch, place % across * patch);
    (top..top + patch).map(move |row| (row * side + left) * 3)
}

/// How a decoder is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecoderTrainingConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// Micro batches of a step: as many threads can work at once; another number gives other bits.
    pub micro_batches: usize,
}

/// Images per step. Most of an image is the same in all of them: what changes is learnt from many images.
const IMAGES: usize = 128;
/// Patches per step that differ from the mean image.
const CHANGED_PATCHES: usize = 1280;
/// Patches per step that do not.
const UNCHANGED_PATCHES: usize = 512;
/// A patch differs if one of its bytes is this far from that of the mean image.
const CHANGED_BYTE: u8 = 20;
/// Images that the mean image is made of.
const MEAN_OF_IMAGES: usize = 256;

/// Trains a decoder on the latents of `model`, which does not change; `None` when it was stopped.
///
/// # Errors
/// When the data do not fit the model; [`Error::Diverged`] when a loss is not finite; [`Error::File`] when the state
/// cannot be written or resumed.
pub fn train_decoder(
    model: &Jepa,
    data: &TrainingData,
    training: &DecoderTrainingConfig,
    options: &RunOptions<'_>,
) -> Result<Option<Decoder>> {
    let seed = options.seed;
    let config = DecoderConfig::for_model(model);
    let mean = mean_image(&first_cameras(model, &data.training_sample(MEAN_OF_IMAGES, 1, seed.child("mean"))?));
    let of_model = checksum(&[&values_of(model.weights())?]);
    let identity = json!({ "config": config, "training": training, "data": data.fingerprint(), "model": of_model });
    let decoder = Decoder::build(config, WeightSource::fresh(seed.child("weights")))?;
    let mut objective = DecoderObjective { decoder, model, data, training, mean, seed };
    let optimiser = OptimiserConfig { learning_rate: 2e-3, ..OptimiserConfig::default() };
    let loss = fit(&mut objective, Run::new("decoder", training.steps, identity), optimiser, options)?;
    Ok(loss.map(|_| objective.decoder))
}

struct DecoderObjective<'a> {
    decoder: Decoder,
    model: &'a Jepa,
    data: &'a TrainingData,
    training: &'a DecoderTrainingConfig,
    /// Bytes of the mean image.
    mean: Vec<u8>,
    seed: Seed,
}

impl Objective for DecoderObjective<'_> {
    /// The number of the step.
    type Batch = usize;
    type Error = crate::Error;

    fn weights(&self) -> Weights {
        self.decoder.weights.clone()
    }

    fn batch(&mut self, step: usize) -> Result<usize> {
        Ok(step)
    }

    fn micro_batches(&self, _step: &usize) -> usize {
        self.training.micro_batches
    }

    /// Gradients of the mean square error over the patches of every part.
    fn partial_gradients(
        &self,
        step: &usize,
        parts: Range<usize>,
        _collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>> {
        let (decoder, micro_batches) = (&self.decoder, self.training.micro_batches);
        let (side, patch) = (decoder.config.image_side, decoder.config.patch);
        each_part(parts, |part| {
            let seed = self.seed.child("batch").index(*step as u64).index(part as u64);
            let batch = self.data.training_sample(IMAGES.div_ceil(micro_batches), 1, seed)?;
            let latents = (batch.windows, self.model.config().latent_width);
            let latents = ops::tensor(encode_batch(self.model, &batch)?, latents)?;
            let images = first_cameras(self.model, &batch);
            let at = choose_patches(&images, &self.mean, &decoder.config, micro_batches, seed.child("patches"));
            let values = patch * patch * 3;
            let mut target = vec![0.0; at.len() * values];
            for (target, &(image, place)) in target.chunks_exact_mut(values).zip(&at) {
                copy_patch(images[image as usize], side, patch, place as usize, target);
            }
            let error = (decoder.forward_at(&latents, &at)? - ops::tensor(target, (at.len(), values))?)?;
            let loss = error.sqr()?.mean_all()?;
            let mut partial = PartialGradients::of(&loss, decoder.weights.iter())?;
            partial.loss /= micro_batches as f64;
            partial.gradients.values_mut().flatten().for_each(|value| *value /= micro_batches as f32);
            Ok(partial)
        })
    }
}

/// Patches `(image, place)` of a micro batch: some of those that differ from the mean image, and a few of the others.
fn choose_patches(
    images: &[&[u8]],
    mean: &[u8],
    config: &DecoderConfig,
    micro_batches: usize,
    seed: Seed,
) -> Vec<(u32, u32)> {
    let (side, patch) = (config.image_side, config.patch);
    let (mut changed, mut unchanged) = (Vec::new(), Vec::new());
    for (index, image) in images.iter().enumerate() {
        for place in 0..config.patches() {
            let differs = patch_rows(side, patch, place).any(|start| {
                let here = start..start + patch * 3;
                image[here.clone()].iter().zip(&mean[here]).any(|(byte, mean)| byte.abs_diff(*mean) >= CHANGED_BYTE)
            });
            if differs { &mut changed } else { &mut unchanged }.push((index as u32, place as u32));
        }
    }
    let mut rng = seed.rng();
    let mut take = |from: &mut Vec<(u32, u32)>, count: usize| from.partial_shuffle(&mut rng, count).0.to_vec();
    let mut chosen = take(&mut changed, CHANGED_PATCHES / micro_batches);
    chosen.extend(take(&mut unchanged, UNCHANGED_PATCHES / micro_batches));
    chosen
}

/// The image of the first camera of every frame: that one is drawn.
fn first_cameras<'a>(model: &Jepa, batch: &'a Batch) -> Vec<&'a [u8]> {
    let (frame, cameras) = (model.config().image_bytes(), model.config().cameras);
    batch.images.chunks_exact(frame).map(|images| &images[..frame / cameras]).collect()
}

/// Mean of images, byte by byte.
fn mean_image(images: &[&[u8]]) -> Vec<u8> {
    let count = images.len().max(1);
    let mut sums = vec![0usize; images.first().map_or(0, |image| image.len())];
    for image in images {
        sums.iter_mut().zip(*image).for_each(|(sum, &byte)| *sum += usize::from(byte));
    }
    sums.into_iter().map(|sum| (sum / count) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_and_images_are_the_same_pixels() {
        let image: Vec<u8> = (0..16 * 16 * 3).map(|index| (index * 7 % 256) as u8).collect();
        for patch in [4, 8, 16] {
            let mut patches = vec![0.0; image.len()];
            for (place, values) in patches.chunks_exact_mut(patch * patch * 3).enumerate() {
                copy_patch(&image, 16, patch, place, values);
            }
            assert_eq!(assemble(&patches, 16, patch), image);
        }
    }
}
