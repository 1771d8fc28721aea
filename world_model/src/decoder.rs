//! A decoder for people: draws latents as pictures. It is trained after the model, on detached latents, and nothing that plans
//! ever reads it.

use candle_core::{Device, Tensor};
use mindseye_interface::config::require_range;
use mindseye_interface::{Image, ImageSize, Seed};
use rand::seq::SliceRandom;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::jepa::{Jepa, ModelConfig};
use crate::layers::{GatedTrunk, Linear};
use crate::ops::{self, with_values};
use crate::optimiser::{Gradients, Moments, OptimiserConfig, adamw, add, clip, collect};
use crate::parameters::{Initial, Source, Weights};
use crate::part::{Part, require_sizes};
use crate::training::{Batch, TrainingData, encode_batch, thread_pool};
use crate::{Error, Result};

/// Shape of the decoder: the picture is drawn patch by patch, each from the latent and a learnt place.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderConfig {
    /// Width of the latents.
    pub latent_width: usize,
    /// Side of the picture, pixels.
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

/// `h = gate(norm(W z + place))`, `h += gate(norm(W h))` per layer, `patch = W h`: what a patch shows is a matter of products, of
/// where it is with what the latent says (see [`ops::gate`]).
#[derive(Debug)]
pub struct Decoder {
    config: DecoderConfig,
    trunk: GatedTrunk,
    places: Tensor,
    output: Linear,
    weights: Weights,
}

impl Part for Decoder {
    type Config = DecoderConfig;

    const FILE: &'static str = "decoder.safetensors";

    fn build(config: DecoderConfig, mut source: Source) -> Result<Self> {
        require_range("decoder.patch", config.patch, 1, 512)?;
        require_range("decoder.image_side", config.image_side, config.patch, 512)?;
        require_range("decoder.image_side % decoder.patch", config.image_side % config.patch, 0, 0)?;
        require_range("decoder.hidden", config.hidden, 1, 8192)?;
        require_range("decoder.layers", config.layers, 0, 64)?;
        let hidden = config.hidden;
        let (trunk, places, output) = source.within("decoder", |source| {
            Ok((
                GatedTrunk::new(source, config.latent_width, hidden, config.layers)?,
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

    /// Draws latents `[B, D]` (row-major), one picture each.
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
            let pictures = values.chunks_exact(side * side * 3);
            pictures
                .map(|patches| Image::new(size, assemble(patches, side, patch)))
                .collect::<mindseye_interface::Result<Vec<_>>>()
        })?;
        Ok(images?)
    }
}

/// Bytes of a picture from its patches in `[-0.5, 0.5]`.
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

/// Writes patch `place` of a picture's bytes to `values`, in `[-0.5, 0.5]`.
fn copy_patch(pixels: &[u8], side: usize, patch: usize, place: usize, values: &mut [f32]) {
    for (values, start) in values.chunks_exact_mut(patch * 3).zip(patch_rows(side, patch, place)) {
        for (value, pixel) in values.iter_mut().zip(&pixels[start..]) {
            *value = f32::from(*pixel) / 255.0 - 0.5;
        }
    }
}

/// Where the rows of patch `place` start among a picture's values.
fn patch_rows(side: usize, patch: usize, place: usize) -> impl Iterator<Item = usize> {
    let across = side / patch;
    let (top, left) = (place / across * patch, place % across * patch);
    (top..top + patch).map(move |row| (row * side + left) * 3)
}

/// Pictures a training step draws from. Most of a picture is the same in all of them: what changes is learnt from many pictures.
const PICTURES: usize = 128;
/// Patches a step learns that differ from the mean picture.
const CHANGED: usize = 1280;
/// And patches that do not.
const UNCHANGED: usize = 512;
/// A patch differs if one of its bytes is this far from the mean picture's.
const FAR: u8 = 20;
/// Parts a step is done in, each on a thread if there are as many; sums are made part by part.
const PARTS: usize = 2;

/// Trains a decoder on the latents of `model`, which stays as it is. `go_on` hears of every step done; when it says no, training
/// stops and gives nothing. The result does not depend on the number of threads.
///
/// # Errors
/// When the data do not fit the model, or threads cannot be had.
pub fn train_decoder(
    model: &Jepa,
    data: &TrainingData,
    steps: usize,
    seed: Seed,
    threads: usize,
    mut go_on: impl FnMut(usize) -> bool,
) -> Result<Option<Decoder>> {
    let config = DecoderConfig::for_model(model);
    let decoder = Decoder::build(config, Source::fresh(seed.child("weights")))?;
    let pool = thread_pool(threads)?;
    let optimiser = OptimiserConfig { learning_rate: 2e-3, ..OptimiserConfig::default() };
    let mut moments = Moments::default();
    let mean = mean_picture(&first_cameras(model, &data.training_sample(256, 1, seed.child("mean"))?));
    for step in 0..steps {
        let seed = seed.child("batch").index(step as u64);
        let part = |part: usize| gradients_of_part(&decoder, model, data, &mean, seed.index(part as u64));
        let parts = pool.install(|| (0..PARTS).into_par_iter().map(part).collect::<Result<Vec<_>>>())?;
        let mut gradients = Gradients::new();
        parts.into_iter().flatten().for_each(|(name, values)| add(&mut gradients, name, values));
        gradients.values_mut().flatten().for_each(|value| *value /= PARTS as f32);
        let rate = optimiser.learning_rate_at(step, steps);
        pool.install(|| {
            clip(&mut gradients, optimiser.clip_norm);
            adamw(decoder.weights.iter(), &gradients, &mut moments, &optimiser, rate, step)
        })?;
        if !go_on(step + 1) {
            return Ok(None);
        }
    }
    Ok(Some(decoder))
}

/// Gradients of the mean square error over one part's patches.
fn gradients_of_part(
    decoder: &Decoder,
    model: &Jepa,
    data: &TrainingData,
    mean: &[u8],
    seed: Seed,
) -> Result<Gradients> {
    let (side, patch) = (decoder.config.image_side, decoder.config.patch);
    let batch = data.training_sample(PICTURES / PARTS, 1, seed)?;
    let latents = ops::tensor(encode_batch(model, &batch)?, (batch.windows, model.config().latent_width))?;
    let pictures = first_cameras(model, &batch);
    let at = choose_patches(&pictures, mean, &decoder.config, seed.child("patches"));
    let values = patch * patch * 3;
    let mut target = vec![0.0; at.len() * values];
    for (target, &(picture, place)) in target.chunks_exact_mut(values).zip(&at) {
        copy_patch(pictures[picture as usize], side, patch, place as usize, target);
    }
    let error = (decoder.forward_at(&latents, &at)? - ops::tensor(target, (at.len(), values))?)?;
    let store = error.sqr()?.mean_all()?.backward()?;
    let mut gradients = Gradients::new();
    collect(&mut gradients, decoder.weights.iter(), &store)?;
    Ok(gradients)
}

/// Patches `(picture, place)` to learn from: some of those that differ from the mean picture, and a few of the others.
fn choose_patches(pictures: &[&[u8]], mean: &[u8], config: &DecoderConfig, seed: Seed) -> Vec<(u32, u32)> {
    let (side, patch) = (config.image_side, config.patch);
    let (mut changed, mut unchanged) = (Vec::new(), Vec::new());
    for (index, picture) in pictures.iter().enumerate() {
        for place in 0..config.patches() {
            let differs = patch_rows(side, patch, place).any(|start| {
                let here = start..start + patch * 3;
                picture[here.clone()].iter().zip(&mean[here]).any(|(byte, mean)| byte.abs_diff(*mean) >= FAR)
            });
            if differs { &mut changed } else { &mut unchanged }.push((index as u32, place as u32));
        }
    }
    let mut rng = seed.rng();
    let mut take = |from: &mut Vec<(u32, u32)>, count: usize| from.partial_shuffle(&mut rng, count).0.to_vec();
    let mut chosen = take(&mut changed, CHANGED / PARTS);
    chosen.extend(take(&mut unchanged, UNCHANGED / PARTS));
    chosen
}

/// The first camera's picture of every frame: that one is drawn.
fn first_cameras<'a>(model: &Jepa, batch: &'a Batch) -> Vec<&'a [u8]> {
    let (moment, cameras) = (model.config().picture_bytes(), model.config().cameras);
    batch.pictures.chunks_exact(moment).map(|pictures| &pictures[..moment / cameras]).collect()
}

/// Mean of pictures, byte by byte.
fn mean_picture(pictures: &[&[u8]]) -> Vec<u8> {
    let count = pictures.len().max(1);
    let mut sums = vec![0usize; pictures.first().map_or(0, |picture| picture.len())];
    for picture in pictures {
        sums.iter_mut().zip(*picture).for_each(|(sum, &byte)| *sum += usize::from(byte));
    }
    sums.into_iter().map(|sum| (sum / count) as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patches_and_pictures_are_the_same_pixels() {
        let picture: Vec<u8> = (0..16 * 16 * 3).map(|index| (index * 7 % 256) as u8).collect();
        for patch in [4, 8, 16] {
            let mut patches = vec![0.0; picture.len()];
            for (place, values) in patches.chunks_exact_mut(patch * patch * 3).enumerate() {
                copy_patch(&picture, 16, patch, place, values);
            }
            assert_eq!(assemble(&patches, 16, patch), picture);
        }
    }
}
