//! Training of the decoder: pixels near what changes, those of rare colours above all.

use std::ops::Range;

use mindseye_interface::Seed;
use rand::Rng;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::appearance::{Appearance, TO_BYTE};
use super::{Decoder, DecoderConfig, Pixels};
use crate::encoded_dataset::checksum;
use crate::families::jepa::training::{Batch, TrainingData};
use crate::families::jepa::{Jepa, encode_batch};
use crate::heads::Head;
use crate::optimiser::OptimiserConfig;
use crate::parameters::{Weights, values_of};
use crate::trainer::{Collective, Objective, PartialGradients, Run, RunOptions, each_part, fit};
use crate::{Result, ops};

/// How a decoder is trained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DecoderTrainingConfig {
    /// Optimiser steps.
    pub steps: usize,
    /// Micro batches of a step: as many threads can work at once; another number gives other bits.
    pub micro_batches: usize,
}

/// Images per step.
const IMAGES: usize = 64;
/// Pixels of each, at most.
const PIXELS: usize = 256;
/// Images that show what stays and what is small.
const LOOKED_AT: usize = 512;
/// How often a pixel far from what changes is chosen, beside one that is near it on average.
const FAR: f32 = 0.06;
/// A pixel is near another one at most so many rows and columns away.
const NEAR: usize = 2;
const LEARNING_RATE: f64 = 4e-3;
/// How much the square errors of the centres of dots count beside those of colours.
const CENTRES: f64 = 10.0;

/// Trains a decoder on the latents of `model`, which does not change; `None` when it was stopped.
///
/// # Errors
/// When the data do not fit the model; [`Error::Diverged`](crate::Error::Diverged) when a loss is not finite;
/// [`Error::File`](crate::Error::File) when the state cannot be written or resumed.
pub fn train_decoder(
    model: &Jepa,
    data: &TrainingData,
    training: &DecoderTrainingConfig,
    options: &RunOptions<'_>,
) -> Result<Option<Decoder>> {
    let seed = options.seed;
    let sample = data.training_sample(LOOKED_AT, 1, seed.child("appearance"))?;
    let appearance = Appearance::of(&first_cameras(model, &sample), model.config().image_side);
    let config = DecoderConfig::for_model(model, appearance.dots.len());
    let of_model = checksum(&[&values_of(model.weights())?]);
    let identity = json!({ "config": config, "training": training, "data": data.fingerprint(), "model": of_model });
    let decoder = Decoder::fresh(config, &appearance, seed.child("weights"))?;
    let mut objective = DecoderObjective { decoder, model, data, training, appearance, seed };
    let optimiser = OptimiserConfig { learning_rate: LEARNING_RATE, ..OptimiserConfig::default() };
    let loss = fit(&mut objective, Run::new("decoder", training.steps, identity), optimiser, options)?;
    Ok(loss.map(|_| objective.decoder))
}

struct DecoderObjective<'a> {
    decoder: Decoder,
    model: &'a Jepa,
    data: &'a TrainingData,
    training: &'a DecoderTrainingConfig,
    appearance: Appearance,
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

    /// Gradients of the mean square errors of colours and of the centres of dots, over every part.
    fn partial_gradients(
        &self,
        step: &usize,
        parts: Range<usize>,
        _collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>> {
        let micro_batches = self.training.micro_batches;
        each_part(parts, |part| {
            let seed = self.seed.child("batch").index(*step as u64).index(part as u64);
            let batch = self.data.training_sample(IMAGES.div_ceil(micro_batches), 1, seed)?;
            let loss = self.loss(&batch, seed.child("pixels"))?;
            let mut partial = PartialGradients::of(&loss, self.decoder.weights.iter())?;
            partial.loss /= micro_batches as f64;
            partial.gradients.values_mut().flatten().for_each(|value| *value /= micro_batches as f32);
            Ok(partial)
        })
    }
}

impl DecoderObjective<'_> {
    fn loss(&self, batch: &Batch, seed: Seed) -> Result<candle_core::Tensor> {
        let (config, images) = (self.decoder.config(), first_cameras(self.model, batch));
        let latents = ops::tensor(encode_batch(self.model, batch)?, (images.len(), config.latent_width))?;
        let (side, mut rng) = (config.image_side, seed.rng());
        let count = PIXELS.min(config.pixels());
        let (mut indices, mut target) = (Vec::new(), Vec::new());
        for image in &images {
            for index in choose(&self.weights_of(image), count, &mut rng) {
                let pixel = &image[3 * index as usize..][..3];
                target.extend(pixel.iter().map(|&byte| f32::from(byte) / TO_BYTE - 0.5));
                indices.push(index);
            }
        }
        let target = ops::tensor(target, (indices.len(), 3))?;
        let (colours, centres) = self.decoder.forward(&latents, &Pixels::new(indices, images.len(), side)?)?;
        let loss = (colours - target)?.sqr()?.mean_all()?;
        let Some(centres) = centres else { return Ok(loss) };
        let (mut known, mut places) = (Vec::new(), Vec::new());
        for (image, class) in images.iter().flat_map(|image| self.appearance.dots.iter().map(move |dot| (image, *dot)))
        {
            let ([x, y], count) = self.appearance.centre(image, class);
            known.extend([f32::from(u8::from(count > 0)); 2]);
            places.extend([x, y].map(|along| ((2.0 * along + 1.0) / side as f64 - 1.0) as f32));
        }
        let shape = (images.len(), self.appearance.dots.len(), 2);
        let away = ((centres - ops::tensor(places, shape)?)?.sqr()? * ops::tensor(known, shape)?)?.mean_all()?;
        Ok((loss + (away * CENTRES)?)?)
    }

    /// How often each pixel of an image is to be chosen: those near what changes, the more the rarer their colours.
    fn weights_of(&self, image: &[u8]) -> Vec<f32> {
        let side = self.decoder.config.image_side;
        let mut near = vec![0.0f32; side * side];
        for (index, class) in self.appearance.changed(image) {
            let (row, column, weight) = (index / side, index % side, self.appearance.rarity[class]);
            for row in row.saturating_sub(NEAR)..(row + NEAR + 1).min(side) {
                for near in
                    &mut near[row * side + column.saturating_sub(NEAR)..row * side + (column + NEAR + 1).min(side)]
                {
                    *near = near.max(weight);
                }
            }
        }
        let mean = near.iter().sum::<f32>() / near.len() as f32;
        let far = if mean > 0.0 { FAR * mean } else { 1.0 };
        near.iter().map(|near| near + far).collect()
    }
}

/// `count` indices, each at most once, with these weights (Efraimidis and Spirakis 2006).
fn choose(weights: &[f32], count: usize, rng: &mut impl Rng) -> Vec<u32> {
    let key = |weight: &f32| -(1.0 - rng.random::<f32>()).ln() / weight;
    let mut keys: Vec<(f32, u32)> = weights.iter().map(key).zip(0..).collect();
    if count < keys.len() {
        keys.select_nth_unstable_by(count, |a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        keys.truncate(count);
    }
    let mut chosen: Vec<u32> = keys.into_iter().map(|(_, index)| index).collect();
    chosen.sort_unstable();
    chosen
}

/// The image of the first camera of every frame: that one is drawn.
fn first_cameras<'a>(model: &Jepa, batch: &'a Batch) -> Vec<&'a [u8]> {
    let (frame, cameras) = (model.config().image_bytes(), model.config().cameras);
    batch.images.chunks_exact(frame).map(|images| &images[..frame / cameras]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_are_chosen_once_each_and_as_often_as_their_weights_say() {
        let weights = [1.0, 1.0, 8.0, 0.001, 8.0, 1.0];
        let (mut rng, mut often) = (Seed::new(1).rng(), [0usize; 6]);
        for _ in 0..2000 {
            let chosen = choose(&weights, 2, &mut rng);
            assert!(chosen.len() == 2 && chosen[0] < chosen[1]);
            chosen.iter().for_each(|&index| often[index as usize] += 1);
        }
        assert!(often[2] > 3 * often[0] && often[4] > 3 * often[5] && often[3] < 10, "{often:?}");
        assert_eq!(choose(&weights, 9, &mut rng), [0, 1, 2, 3, 4, 5], "all, where there are no more");
    }
}
