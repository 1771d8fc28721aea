//! Recorded episodes for training: windows of a training and a validation part.

use std::sync::Arc;

use mindseye_episodes::{FrameCache, RobustRange, Split, WindowBatch, Windows};
use mindseye_interface::config::Validate;
use mindseye_interface::image::median_rgb;
use mindseye_interface::{ActionSpace, Seed};
use rand::Rng;
use rand::seq::SliceRandom as _;
use serde::{Deserialize, Serialize};

use super::config::TrainingConfig;
use super::data_statistics::DataStatistics;
use super::seen::SeenEpisodes;
use crate::{Error, Result};

/// Largest mean or standard deviation of normalised actions: more is a glitch.
const MAX_ACTION: f64 = 1e12;

/// Windows side by side, see [`WindowBatch`].
pub type Batch = WindowBatch;

/// The frames of a data set, divided by episode.
pub struct TrainingData {
    cache: Arc<FrameCache>,
    split: Split,
    frames: usize,
    action_chunk: usize,
}

impl TrainingData {
    /// Divides `cache` by `config`. The division does not depend on the training seed, so that models of different
    /// seeds are validated on the same episodes.
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
        let cache = Arc::new(cache);
        Ok(Self { cache, split, frames: config.data.frames, action_chunk: config.model.action_chunk })
    }

    /// Side of the frames, pixels.
    pub fn image_side(&self) -> usize {
        self.cache.image_size().width()
    }

    /// Width of proprioception.
    pub fn proprioception_width(&self) -> usize {
        self.cache.proprioception_width()
    }

    /// Numbers per action chunk.
    pub fn chunk_width(&self) -> usize {
        self.cache.action_width() * self.action_chunk
    }

    /// Names of the cameras, in the order of their images.
    pub fn camera_names(&self) -> &[String] {
        self.cache.camera_names()
    }

    /// One name per dimension of the true state.
    pub fn state_names(&self) -> &[String] {
        self.cache.state_names()
    }

    /// Names of the dimensions of proprioception; empty without.
    pub fn proprioception_names(&self) -> &[String] {
        self.cache.proprioception_names()
    }

    /// Number of training episodes.
    pub fn training_episodes(&self) -> usize {
        self.split.training.len()
    }

    /// Indices of the episodes that are kept for validation, ascending.
    pub fn validation_episodes(&self) -> &[usize] {
        &self.split.validation
    }

    /// Number of training windows.
    pub(crate) fn training_windows(&self) -> usize {
        self.windows(&self.split.training, self.frames).len()
    }

    /// Number of training windows of `frames` frames.
    fn training_windows_of(&self, frames: usize) -> usize {
        self.windows(&self.split.training, frames).len()
    }

    /// Number of validation windows of `frames` frames.
    pub fn validation_windows(&self, frames: usize) -> usize {
        self.windows(&self.split.validation, frames).len()
    }

    fn windows(&self, episodes: &[usize], frames: usize) -> Windows {
        Windows::new(&self.cache, episodes, frames, self.action_chunk)
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
            let expected = format!("episodes of at least {} frames", frames.saturating_sub(1) * self.action_chunk + 1);
            return Err(Error::Data { field, expected, got: "none".into() });
        }
        let mut rng = seed.child(field).rng();
        let indices: Vec<u32> = (0..count).map(|_| rng.random_range(0..windows.len() as u32)).collect();
        Ok(windows.gather(&self.cache, &indices)?)
    }

    /// Training windows in the order of the steps that will use them.
    pub(super) fn batches(&self, batch: usize, seed: Seed) -> Batches<'_> {
        self.windows_of(self.frames, batch, seed)
    }

    /// Training windows of `frames` frames, in the order of the steps that will use them.
    pub(super) fn windows_of(&self, frames: usize, batch: usize, seed: Seed) -> Batches<'_> {
        let windows = self.windows(&self.split.training, frames);
        Batches { cache: &self.cache, windows, action_chunk: self.action_chunk, batch, seed, order: None }
    }

    /// The same with the first `count` training episodes of a fixed random order, and all of its validation episodes.
    #[must_use]
    pub fn with_fewer_training_episodes(&self, count: usize) -> Self {
        let mut training = self.split.training.clone();
        training.shuffle(&mut Seed::new(0).child("fewer episodes").rng());
        training.truncate(count);
        training.sort_unstable();
        let split = Split { training, validation: self.split.validation.clone() };
        Self { cache: self.cache.clone(), split, ..*self }
    }

    /// The same with `validation` as validation episodes, and all others to train on.
    #[must_use]
    pub fn with_validation_episodes(&self, validation: Vec<usize>) -> Self {
        let all = 0..self.cache.episodes().len();
        let training = all.filter(|episode| !validation.contains(episode)).collect();
        Self { cache: self.cache.clone(), split: Split { training, validation }, ..*self }
    }

    /// Which episodes these are.
    ///
    /// # Errors
    /// [`Error::Episodes`] when the file of decoded frames was changed or cut off.
    pub fn seen(&self) -> Result<SeenEpisodes> {
        SeenEpisodes::of(&self.cache, &self.split, self.action_chunk)
    }

    /// The frames of all episodes.
    pub fn cache(&self) -> &FrameCache {
        &self.cache
    }

    /// The frames of training episodes whose images are kept.
    pub(super) fn training_frames_with_images(&self) -> Vec<usize> {
        let episodes = self.split.training.iter().map(|&episode| self.cache.episodes()[episode].clone());
        episodes.flatten().filter(|&frame| self.cache.has_image(frame)).collect()
    }

    /// What distinguishes these data from others: a resumed run must continue with the same.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        let bytes = self.cache.actions().iter().flat_map(|action| action.to_le_bytes());
        Fingerprint {
            episodes: self.cache.episodes().len(),
            frames: self.cache.len(),
            actions_crc32c: crc32c::crc32c(&bytes.collect::<Vec<u8>>()),
            weights: self.cache.weights(),
        }
    }

    /// Checks `config` by itself and against these data.
    pub(super) fn require_fit(&self, config: &TrainingConfig) -> Result<()> {
        config.validate()?;
        let same = |field: &'static str, expected: usize, got: usize| {
            if expected == got {
                Ok(())
            } else {
                Err(Error::Data { field, expected: expected.to_string(), got: got.to_string() })
            }
        };
        same("image side", config.model.image_side, self.image_side())?;
        if config.model.proprioception_width > 0 {
            same("proprioception width", config.model.proprioception_width, self.proprioception_width())?;
        }
        same("model.action_width x model.action_chunk", config.model.chunk_width(), self.chunk_width())?;
        if self.cache.episodes().len() < 2 {
            let expected = "at least 2, of which a training holds out one".into();
            return Err(Error::Data { field: "episodes", expected, got: self.cache.episodes().len().to_string() });
        }
        if self.training_windows() == 0 {
            let expected =
                format!("episodes of at least {} frames", (config.data.frames - 1) * config.model.action_chunk + 1);
            return Err(Error::Data { field: "training windows", expected, got: "none".into() });
        }
        if config.finetuning.steps > 0 && self.training_windows_of(config.finetuning.frames) == 0 {
            let expected = format!(
                "episodes of at least {} frames",
                (config.finetuning.frames - 1) * config.model.action_chunk + 1
            );
            return Err(Error::Data { field: "finetuning windows", expected, got: "none".into() });
        }
        if self.validation_windows(2) == 0 {
            let expected = format!("validation episodes of at least {} frames", config.model.action_chunk + 1);
            return Err(Error::Data { field: "validation windows", expected, got: "none".into() });
        }
        Ok(())
    }

    /// Refuses actions that no checkpoint can be saved with, before the first step: values far too large, and the same
    /// ones throughout where `space` lets them change.
    ///
    /// # Errors
    /// [`Error::Data`] with the dimension and what was found.
    pub fn require_useful_actions(&self, space: &ActionSpace) -> Result<()> {
        let (mean, std) = mean_and_std(&self.cache.taken_actions(), self.cache.action_width());
        let refused =
            |expected: &str, got: String| Err(Error::Data { field: "actions", expected: expected.into(), got });
        let is_moderate = |(mean, std): (&f64, &f64)| mean.abs().max(*std) <= MAX_ACTION;
        if let Some(dimension) = mean.iter().zip(&std).position(|both| !is_moderate(both)) {
            let got = format!("a mean of {:.3e} in dimension {dimension}", mean[dimension]);
            return refused("values of moderate size (mindseye data validate finds a glitch)", got);
        }
        if space.moves() && std.iter().all(|&std| std == 0.0) {
            let got = format!("{mean:?} at every timestep");
            return refused("ones that change, since nothing follows from others", got);
        }
        Ok(())
    }

    /// Statistics for the checkpoint.
    ///
    /// # Errors
    /// [`Error::Episodes`] when the file of decoded frames was changed or cut off.
    pub fn statistics(&self) -> Result<DataStatistics> {
        let (action_mean, action_std) = mean_and_std(&self.cache.taken_actions(), self.cache.action_width());
        let (proprioception_mean, proprioception_std) =
            robust_mean_and_std(self.cache.proprioception(), self.cache.proprioception_width());
        Ok(DataStatistics {
            episodes: self.cache.episodes().len(),
            frames: self.cache.len(),
            action_mean,
            action_std,
            proprioception_mean,
            proprioception_std,
            background_rgb: self.background_rgb()?,
        })
    }

    /// The median colour of images that are evenly spread over all.
    fn background_rgb(&self) -> Result<Option<[u8; 3]>> {
        const SAMPLED: usize = 200;
        let size = self.cache.image_size();
        if size.height() != size.width() {
            return Ok(None); // several cameras on top of each other
        }
        let frames = (0..SAMPLED).map(|index| index * self.cache.len() / SAMPLED);
        // Where not every frame has an image, the last image before.
        let images = frames.filter_map(|frame| (0..=frame).rev().find(|frame| self.cache.has_image(*frame)));
        let mut pixels = Vec::new();
        images.into_iter().try_for_each(|frame| self.cache.append_image(frame, &mut pixels))?;
        Ok(median_rgb(&pixels))
    }
}

/// See [`TrainingData::fingerprint`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fingerprint {
    episodes: usize,
    frames: usize,
    actions_crc32c: u32,
    /// Weights of the data sets; none where every window counts the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    weights: Vec<f64>,
}

/// As [`mean_and_std`], without outliers: a glitch of a sensor does not compress what it measures otherwise.
fn robust_mean_and_std(values: &[f32], width: usize) -> (Vec<f64>, Vec<f64>) {
    let column = |index: usize| {
        let mut column: Vec<f32> = values.iter().skip(index).step_by(width.max(1)).copied().collect();
        let outliers = RobustRange::of(&column).outliers;
        let mut index = 0..;
        column.retain(|_| index.next().is_some_and(|index| outliers.binary_search(&index).is_err()));
        let (mean, std) = mean_and_std(&column, 1);
        (mean[0], std[0])
    };
    (0..width).map(column).unzip()
}

/// Mean and standard deviation of the columns of `values [N, width]`.
fn mean_and_std(values: &[f32], width: usize) -> (Vec<f64>, Vec<f64>) {
    let rows = values.len().checked_div(width).unwrap_or(0).max(1) as f64;
    let column_mean = |column: usize, of: &dyn Fn(f64) -> f64| {
        values.iter().skip(column).step_by(width.max(1)).map(|&value| of(f64::from(value))).sum::<f64>() / rows
    };
    let mean: Vec<f64> = (0..width).map(|column| column_mean(column, &|value| value)).collect();
    let std = |column: usize| column_mean(column, &|value| (value - mean[column]).powi(2)).sqrt();
    let std = (0..width).map(std).collect();
    (mean, std)
}

/// The batch of every step, epoch after epoch.
pub(super) struct Batches<'a> {
    cache: &'a FrameCache,
    windows: Windows,
    action_chunk: usize,
    batch: usize,
    seed: Seed,
    /// The order of the newest epoch.
    order: Option<(usize, Vec<u32>)>,
}

impl Batches<'_> {
    /// The windows of `step`. The rest of an epoch after whole batches is dropped, so that the windows of a step follow
    /// from its number alone; a data set smaller than a batch is repeated.
    ///
    /// # Errors
    /// [`Error::Episodes`] when the file of decoded frames was changed or cut off.
    pub fn get(&mut self, step: usize) -> Result<Batch> {
        let indices = self.indices(step);
        Ok(self.windows.gather(self.cache, &indices)?)
    }

    /// The windows of `step` without images, and the indices of their frames.
    pub fn chunks(&mut self, step: usize) -> (Batch, Vec<usize>) {
        let indices = self.indices(step);
        self.windows.gather_chunks(self.cache, &indices)
    }

    /// The first two frames of every window.
    pub fn transitions(&self) -> Vec<(usize, usize)> {
        self.windows.starts().iter().map(|&start| (start, start + self.action_chunk)).collect()
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

#[cfg(test)]
mod tests {
    use super::{mean_and_std, robust_mean_and_std};

    #[test]
    fn a_glitch_of_a_sensor_does_not_compress_what_it_measures() {
        let mut values: Vec<f32> = (0..200).flat_map(|step| [(step as f32 * 0.7).sin(), 0.25]).collect();
        assert_eq!(robust_mean_and_std(&values, 2), mean_and_std(&values, 2), "equal bits without one");
        let clean = mean_and_std(&values, 2);
        (values[40], values[81]) = (4e5, -7e5);
        let (mean, std) = robust_mean_and_std(&values, 2);
        assert!((mean[0] - clean.0[0]).abs() < 0.01 && (std[0] - clean.1[0]).abs() < 0.01, "{mean:?} {std:?}");
        assert_eq!((mean[1], std[1]), (0.25, 0.0), "a joint that never moved");
    }
}
