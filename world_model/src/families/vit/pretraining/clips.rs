//! Clips of recorded episodes: images alone. No label and no action reaches pretraining.

use mindseye_episodes::{FrameCache, Split, Windows};
use mindseye_interface::Seed;
use rand::Rng as _;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::config::{ClipConfig, EncoderSizes, PretrainingConfig};
use super::crops::Crop;
use crate::families::vit::preprocessing::Preprocessing;
use crate::{Error, Result};

/// Decoded episodes, cut into clips of a training and a validation part. With several cameras each is a clip of its
/// own.
#[derive(Debug)]
pub struct ClipData {
    cache: FrameCache,
    split: Split,
    training: Windows,
    validation: Windows,
    cameras: usize,
    sizes: EncoderSizes,
    config: ClipConfig,
    mean: [f32; 3],
    std: [f32; 3],
}

/// Clips as rows of tubelets.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct ClipBatch {
    /// Number of clips `B`.
    pub clips: usize,
    /// Normalised values `[B, N, I]`, of each tubelet by channel, frame, row, column.
    pub tubelets: Vec<f32>,
    /// How much changes from frame to frame in each place of the image, by clip.
    pub motion: Vec<Vec<f32>>,
}

/// What distinguishes clips from others: a resumed run continues with the same.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ClipFingerprint {
    episodes: usize,
    frames: usize,
    cameras: usize,
    /// Of the first image of every episode.
    images_crc32c: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    weights: Vec<f64>,
}

impl ClipData {
    /// Divides `cache`, whose images are those of all cameras on top of each other, each of the encoder's size, by
    /// episode. The division does not depend on the training seed.
    ///
    /// # Errors
    /// [`Error::Data`] when the images are of another size, or no clip fits into an episode of either part.
    pub fn new(cache: FrameCache, config: &PretrainingConfig) -> Result<Self> {
        let (size, side) = (cache.image_size(), config.encoder.image_side);
        let cameras = cache.camera_names().len().max(1);
        if (size.height(), size.width()) != (cameras * side, side) {
            let expected = format!("{cameras} squares of {side} pixels, one per camera, on top of each other");
            let got = format!("{}x{}", size.height(), size.width());
            return Err(Error::Data { field: "image size", expected, got });
        }
        let split = Split::new(cache.episodes().len(), config.data.validation_fraction, Seed::new(0));
        let windows = |episodes: &[usize]| Windows::new(&cache, episodes, config.encoder.frames, config.data.stride);
        let (training, validation) = (windows(&split.training), windows(&split.validation));
        for (field, windows) in [("training clips", &training), ("validation clips", &validation)] {
            if windows.is_empty() {
                let span = (config.encoder.frames - 1) * config.data.stride + 1;
                let expected = format!("episodes of at least {span} timesteps, two or more");
                return Err(Error::Data { field, expected, got: "none".into() });
            }
        }
        let usual = Preprocessing::usual(config.kind(), [side; 2], false);
        let (sizes, config) = (config.encoder.clone(), config.data.clone());
        let (mean, std) = (usual.mean, usual.std);
        Ok(Self { split, training, validation, cameras, sizes, config, mean, std, cache })
    }

    /// Number of training episodes.
    pub fn training_episodes(&self) -> usize {
        self.split.training.len()
    }

    /// Number of training clips: places in time and cameras.
    pub fn training_clips(&self) -> usize {
        self.training.len() * self.cameras
    }

    pub(super) fn fingerprint(&self) -> Result<ClipFingerprint> {
        let mut crc = 0;
        for episode in self.cache.episodes() {
            if self.cache.has_image(episode.start) {
                crc = crc32c::crc32c_append(crc, &self.cache.image(episode.start)?);
            }
        }
        Ok(ClipFingerprint {
            episodes: self.cache.episodes().len(),
            frames: self.cache.len(),
            cameras: self.cameras,
            images_crc32c: crc,
            weights: self.cache.weights(),
        })
    }

    /// The clips of `step`, epoch after epoch, on the current rayon pool; they follow from the number of the step.
    pub(super) fn training_batch(&self, step: usize, order: &mut Option<Epoch>, seed: Seed) -> Result<ClipBatch> {
        let batch = self.config.batch;
        let per_epoch = (self.training.len() / batch).max(1);
        let number = step / per_epoch;
        let epoch = match order {
            Some(epoch) if epoch.number == number => epoch,
            _ => order.insert(Epoch { number, order: self.training.epoch_order(seed, number) }),
        };
        let places = epoch.order.iter().cycle().skip(step % per_epoch * batch).take(batch);
        let starts: Vec<usize> = places.map(|place| self.training.starts()[*place as usize]).collect();
        self.clips(&starts, Some(seed.child("crops").index(step as u64)), seed.child("cameras").index(step as u64))
    }

    /// `count` clips of validation episodes, as they are.
    pub(super) fn validation_batch(&self, count: usize, seed: Seed) -> Result<ClipBatch> {
        let mut rng = seed.child("clips").rng();
        let all = self.validation.starts();
        let starts: Vec<usize> = (0..count).map(|_| all[rng.random_range(0..all.len())]).collect();
        self.clips(&starts, None, seed.child("cameras"))
    }

    fn clips(&self, starts: &[usize], crops: Option<Seed>, cameras: Seed) -> Result<ClipBatch> {
        let clip = |(index, &start): (usize, &usize)| -> Result<(Vec<f32>, Vec<f32>)> {
            let camera = cameras.index(index as u64).rng().random_range(0..self.cameras);
            let mut rng = crops.map(|seed| seed.index(index as u64).rng());
            let crop = rng.as_mut().and_then(|rng| Crop::draw(&self.config, self.sizes.image_side, rng));
            let frames = self.frames(start, camera, crop)?;
            Ok((self.tubelets(&frames), self.motion(&frames)))
        };
        let clips: Vec<(Vec<f32>, Vec<f32>)> = starts.par_iter().enumerate().map(clip).collect::<Result<_>>()?;
        let (tubelets, motion): (Vec<Vec<f32>>, Vec<Vec<f32>>) = clips.into_iter().unzip();
        Ok(ClipBatch { clips: starts.len(), tubelets: tubelets.concat(), motion })
    }

    /// Images of a clip, each `[side, side, 3]`.
    fn frames(&self, start: usize, camera: usize, crop: Option<Crop>) -> Result<Vec<Vec<u8>>> {
        let side = self.sizes.image_side;
        let bytes = side * side * 3;
        let frame = |frame: usize| -> Result<Vec<u8>> {
            let stack = self.cache.image(start + frame * self.config.stride)?;
            let image = &stack[camera * bytes..(camera + 1) * bytes];
            Ok(crop.map_or_else(|| image.to_vec(), |crop| crop.apply(image, side)))
        };
        (0..self.sizes.frames).map(frame).collect()
    }

    fn tubelets(&self, frames: &[Vec<u8>]) -> Vec<f32> {
        let EncoderSizes { image_side, tubelet, patch, .. } = self.sizes;
        let grid = self.sizes.grid();
        let mut values = Vec::with_capacity(grid.tokens() * self.sizes.tubelet_values());
        for token in 0..grid.tokens() {
            let (time, cell) = (token / (grid.rows * grid.columns), token % (grid.rows * grid.columns));
            let (top, left) = (cell / grid.columns * patch, cell % grid.columns * patch);
            for channel in 0..3 {
                let (mean, std) = (self.mean[channel], self.std[channel]);
                for frame in &frames[time * tubelet..(time + 1) * tubelet] {
                    for row in top..top + patch {
                        let start = (row * image_side + left) * 3;
                        let pixels = frame[start..start + patch * 3].iter().skip(channel).step_by(3);
                        values.extend(pixels.map(|&byte| (f32::from(byte) / 255.0 - mean) / std));
                    }
                }
            }
        }
        values
    }

    /// Mean absolute change of the pixels of each cell from frame to frame.
    fn motion(&self, frames: &[Vec<u8>]) -> Vec<f32> {
        let EncoderSizes { image_side, patch, .. } = self.sizes;
        let grid = self.sizes.grid();
        let mut motion = vec![0.0f32; grid.rows * grid.columns];
        for pair in frames.windows(2) {
            for (at, (before, after)) in pair[0].iter().zip(&pair[1]).enumerate() {
                let (row, column) = (at / 3 / image_side, at / 3 % image_side);
                motion[row / patch * grid.columns + column / patch] += f32::from(before.abs_diff(*after));
            }
        }
        motion
    }
}

/// The order of the clips in one pass through all.
#[derive(Debug)]
pub(super) struct Epoch {
    number: usize,
    order: Vec<u32>,
}

impl ClipBatch {
    /// The tubelets `numbers` of the clips from `first` on, `[clips, numbers, I]`.
    pub fn gather(&self, first: usize, numbers: &[Vec<u32>], values: usize) -> Vec<f32> {
        let tokens = self.tubelets.len() / self.clips.max(1) / values;
        let mut rows = Vec::with_capacity(numbers.len() * numbers.first().map_or(0, Vec::len) * values);
        for (clip, numbers) in numbers.iter().enumerate() {
            for &number in numbers {
                let start = ((first + clip) * tokens + number as usize) * values;
                rows.extend_from_slice(&self.tubelets[start..start + values]);
            }
        }
        rows
    }
}
