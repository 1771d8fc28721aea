//! Recorded episodes as training sees them: windows of a training and a validation part.

use mindseye_episodes::{FrameCache, Split, WindowBatch, Windows};
use mindseye_interface::Seed;
use mindseye_interface::image::median_rgb;
use rand::Rng;
use serde::{Deserialize, Serialize};

use super::config::TrainingConfig;
use crate::checkpoint::DataStatistics;
use crate::encoder::Sensed;
use crate::jepa::ModelConfig;
use crate::{Error, Result};

/// Windows side by side, see [`WindowBatch`].
pub type Batch = WindowBatch;

/// What a model of the shape `config` is shown of `batch`; one that takes no proprioception is shown none.
pub(crate) fn sensed<'a>(config: &ModelConfig, batch: &'a Batch) -> Sensed<'a> {
    let proprioception = if config.proprioception_width == 0 { &[] } else { &batch.proprioception[..] };
    Sensed { pictures: &batch.pictures, proprioception }
}

/// The frames of a data set, divided by episode.
pub struct TrainingData {
    cache: FrameCache,
    split: Split,
    frames: usize,
    action_block: usize,
}

impl TrainingData {
    /// Divides `cache` as `config` says. The division does not depend on the training seed, so that models of different seeds are
    /// validated on the same episodes.
    ///
    /// # Errors
    /// [`Error::Data`] when the frames are not the model's number of squares on top of each other.
    pub fn new(cache: FrameCache, config: &TrainingConfig) -> Result<Self> {
        let (size, cameras) = (cache.image_size(), config.model.cameras);
        if size.height() != cameras * size.width() {
            let got = format!("{}x{}", size.height(), size.width());
            let expected = format!("{cameras} squares, one per camera, on top of each other");
            return Err(Error::Data { field: "image size", expected, got });
        }
        let split = Split::new(cache.episodes().len(), config.data.validation_fraction, Seed::new(0));
        Ok(Self { cache, split, frames: config.data.frames, action_block: config.model.action_block })
    }

    /// Side of the frames, pixels.
    pub fn image_side(&self) -> usize {
        self.cache.image_size().width()
    }

    /// Width of proprioception.
    pub fn proprioception_width(&self) -> usize {
        self.cache.proprioception_width()
    }

    /// Numbers per action block.
    pub fn block_width(&self) -> usize {
        self.cache.action_width() * self.action_block
    }

    /// One name per dimension of the true state.
    pub fn state_names(&self) -> &[String] {
        self.cache.state_names()
    }

    /// Number of training episodes.
    pub fn training_episodes(&self) -> usize {
        self.split.training.len()
    }

    /// Number of training windows.
    pub fn training_windows(&self) -> usize {
        self.windows(&self.split.training, self.frames).len()
    }

    /// Number of training windows of `frames` frames.
    pub(super) fn training_windows_of(&self, frames: usize) -> usize {
        self.windows(&self.split.training, frames).len()
    }

    /// Number of validation windows of `frames` frames.
    pub fn validation_windows(&self, frames: usize) -> usize {
        self.windows(&self.split.validation, frames).len()
    }

    fn windows(&self, episodes: &[usize], frames: usize) -> Windows {
        Windows::new(&self.cache, episodes, frames, self.action_block)
    }

    /// Random training windows.
    ///
    /// # Errors
    /// [`Error::Data`] when no window fits.
    pub fn training_sample(&self, count: usize, frames: usize, seed: Seed) -> Result<Batch> {
        self.sample(&self.split.training, "training windows", count, frames, seed)
    }

    /// Random validation windows.
    ///
    /// # Errors
    /// [`Error::Data`] when no window fits.
    pub fn validation_sample(&self, count: usize, frames: usize, seed: Seed) -> Result<Batch> {
        self.sample(&self.split.validation, "validation windows", count, frames, seed)
    }

    fn sample(
        &self,
        episodes: &[usize],
        field: &'static str,
        count: usize,
        frames: usize,
        seed: Seed,
    ) -> Result<Batch> {
        let windows = self.windows(episodes, frames);
        if windows.is_empty() {
            let expected = format!("episodes of at least {} frames", frames.saturating_sub(1) * self.action_block + 1);
            return Err(Error::Data { field, expected, got: "none".into() });
        }
        let mut rng = seed.child(field).rng();
        let indices: Vec<u32> = (0..count).map(|_| rng.random_range(0..windows.len() as u32)).collect();
        Ok(windows.gather(&self.cache, &indices))
    }

    /// Training windows in the order of the steps that will see them.
    pub(super) fn batches(&self, batch: usize, seed: Seed) -> Batches<'_> {
        self.windows_of(self.frames, batch, seed)
    }

    /// As [`TrainingData::batches`], of another number of frames.
    pub(super) fn windows_of(&self, frames: usize, batch: usize, seed: Seed) -> Batches<'_> {
        let windows = self.windows(&self.split.training, frames);
        Batches { cache: &self.cache, windows, action_block: self.action_block, batch, seed, order: None }
    }

    /// Number of moments in all episodes.
    pub(super) fn moments(&self) -> usize {
        self.cache.len()
    }

    /// The moments of training episodes whose pictures are kept.
    pub(super) fn moments_with_pictures(&self) -> impl Iterator<Item = usize> {
        let episodes = self.split.training.iter().map(|&episode| self.cache.episodes()[episode].clone());
        episodes.flatten().filter(|&moment| self.cache.has_picture(moment))
    }

    /// Bytes of the picture at `moment`.
    pub(super) fn picture(&self, moment: usize) -> &[u8] {
        self.cache.picture(moment)
    }

    /// Proprioception at `moment`, as far as a model of the shape `config` takes it.
    pub(super) fn proprioception(&self, moment: usize, config: &ModelConfig) -> &[f32] {
        if config.proprioception_width == 0 { &[] } else { self.cache.proprioception_at(moment) }
    }

    /// What tells these data from others: a resumed run must go on with the same.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let bytes = self.cache.actions().iter().flat_map(|action| action.to_le_bytes());
        Fingerprint {
            episodes: self.cache.episodes().len(),
            frames: self.cache.len(),
            actions_crc32c: crc32c::crc32c(&bytes.collect::<Vec<u8>>()),
            weights: self.cache.weights(),
        }
    }

    /// Statistics that a checkpoint carries.
    pub fn statistics(&self) -> DataStatistics {
        let (action_mean, action_std) = moments(self.cache.actions(), self.cache.action_width());
        let (proprioception_mean, proprioception_std) =
            moments(self.cache.proprioception(), self.cache.proprioception_width());
        DataStatistics {
            episodes: self.cache.episodes().len(),
            frames: self.cache.len(),
            action_mean,
            action_std,
            proprioception_mean,
            proprioception_std,
            background_rgb: self.background_rgb(),
        }
    }

    /// The colour that most of the pictures show, of those that lie evenly spread over all.
    fn background_rgb(&self) -> Option<[u8; 3]> {
        const LOOKED_AT: usize = 200;
        let size = self.cache.image_size();
        if size.height() != size.width() {
            return None; // several cameras on top of each other
        }
        let frames = (0..LOOKED_AT).map(|index| index * self.cache.len() / LOOKED_AT);
        // With fewer pictures than moments, the one before.
        let pictures = frames.filter_map(|frame| (0..=frame).rev().find(|frame| self.cache.has_picture(*frame)));
        let pixels: Vec<u8> = pictures.flat_map(|frame| self.cache.picture(frame)).copied().collect();
        median_rgb(&pixels)
    }
}

/// See [`TrainingData::fingerprint`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fingerprint {
    episodes: usize,
    frames: usize,
    actions_crc32c: u32,
    /// Shares of the data sets; none where every window counts the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    weights: Vec<f64>,
}

/// Mean and standard deviation of the columns of `values [N, width]`.
fn moments(values: &[f32], width: usize) -> (Vec<f64>, Vec<f64>) {
    let rows = values.len().checked_div(width).unwrap_or(0).max(1) as f64;
    let column_mean = |column: usize, of: &dyn Fn(f64) -> f64| {
        values.iter().skip(column).step_by(width.max(1)).map(|&value| of(f64::from(value))).sum::<f64>() / rows
    };
    let mean: Vec<f64> = (0..width).map(|column| column_mean(column, &|value| value)).collect();
    let spread = |column: usize| column_mean(column, &|value| (value - mean[column]).powi(2)).sqrt();
    let spread = (0..width).map(spread).collect();
    (mean, spread)
}

/// The batch of every step, epoch after epoch.
pub(super) struct Batches<'a> {
    cache: &'a FrameCache,
    windows: Windows,
    action_block: usize,
    batch: usize,
    seed: Seed,
    /// The order of the newest epoch asked for.
    order: Option<(usize, Vec<u32>)>,
}

impl Batches<'_> {
    /// The windows of `step`. What is left of an epoch after whole batches is dropped, so that a step's windows follow from its
    /// number alone; a data set smaller than a batch is repeated.
    pub fn get(&mut self, step: usize) -> Batch {
        let indices = self.indices(step);
        self.windows.gather(self.cache, &indices)
    }

    /// As [`Batches::get`], without pictures; beside it the moments of the frames.
    pub fn blocks(&mut self, step: usize) -> (Batch, Vec<usize>) {
        let indices = self.indices(step);
        self.windows.gather_blocks(self.cache, &indices)
    }

    /// The first two frames of every window, as moments.
    pub fn neighbours(&self) -> Vec<(usize, usize)> {
        self.windows.starts().iter().map(|&start| (start, start + self.action_block)).collect()
    }

    fn indices(&mut self, step: usize) -> Vec<u32> {
        let per_epoch = (self.windows.len() / self.batch).max(1);
        let epoch = step / per_epoch;
        let order = match &self.order {
            Some((of, order)) if *of == epoch => order,
            _ => &self.order.insert((epoch, self.windows.epoch_order(self.seed, epoch))).1,
        };
        let first = step % per_epoch * self.batch;
        order.iter().cycle().skip(first).take(self.batch).copied().collect()
    }
}
