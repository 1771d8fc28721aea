//! What the verbs about unlabelled clips read: recorded episodes of any format, or folders of videos.

use std::path::{Path, PathBuf};

use clap::Args;
use mindseye_episodes::image_codec::resized;
use mindseye_episodes::{CacheOptions, DatasetMixture, EpisodeData, FrameCache, Mapping, Video, is_recording};
use mindseye_interface::config::{load, require_range};
use mindseye_interface::memory::product;
use mindseye_interface::{Image, ImageSize, MemoryLimit, Progress};

use crate::inputs::{Input, inputs_at};
use crate::{Error, Result};

/// Which recordings are read, and where decoded frames are kept.
#[derive(Debug, Args)]
pub(crate) struct DataArguments {
    /// Data sets (LeRobot, HDF5, ...) or, for pretrain, videos (mp4) and folders of them; give it again for more.
    #[arg(long, required = true)]
    pub data: Vec<PathBuf>,
    /// A file that says which columns to take (TOML), one for all data sets or one for each.
    #[arg(long)]
    pub mapping: Vec<PathBuf>,
    /// Folder for decoded frames, which the next run on the same data reuses; by default they are in memory.
    #[arg(long)]
    pub cache: Option<PathBuf>,
    /// Most memory, GiB; by default three quarters of what is free.
    #[arg(long)]
    pub memory_gib: Option<f64>,
}

impl DataArguments {
    /// The limit of memory.
    pub fn memory(&self) -> Result<MemoryLimit> {
        Ok(self.memory_gib.map_or(Ok(MemoryLimit::default()), MemoryLimit::from_gib)?)
    }

    /// The data sets.
    pub fn open(&self) -> Result<DatasetMixture> {
        let mappings = self.mapping.iter().map(|path| load::<Mapping>(path));
        let mappings = mappings.collect::<mindseye_interface::Result<Vec<Mapping>>>()?;
        Ok(DatasetMixture::open(&self.data, &mappings, &[])?)
    }

    /// How they are decoded.
    pub fn options(&self) -> Result<CacheOptions> {
        let memory_limit_bytes = self.memory()?.bytes();
        Ok(CacheOptions { folder: self.cache.clone(), memory_limit_bytes, ..CacheOptions::default() })
    }

    /// Frames in squares of `side` pixels: of data sets those of each camera, of videos `fps` a second.
    pub fn squares(&self, side: usize, fps: f64, progress: &dyn Progress) -> Result<FrameCache> {
        if self.are_videos() {
            return self.videos(side, fps, progress);
        }
        let sources = self.open()?;
        let image_size = Some(ImageSize::new(sources.cameras().len().max(1) * side, side)?);
        Ok(sources.load(&CacheOptions { image_size, ..self.options()? }, progress)?)
    }

    /// Whether these are videos, or folders without a data set.
    fn are_videos(&self) -> bool {
        let is_video = |path: &Path| match path.is_dir() {
            true => !is_recording(path) && inputs_at(path).is_ok(),
            false => matches!(inputs_at(path).as_deref(), Ok([Input::Video(_)])),
        };
        !self.data.is_empty() && self.data.iter().all(|path| is_video(path))
    }

    fn videos(&self, side: usize, fps: f64, progress: &dyn Progress) -> Result<FrameCache> {
        require_range("--fps", fps, 0.001, 1000.0)?;
        let size = ImageSize::square(side)?;
        let mut files = Vec::new();
        for path in &self.data {
            files.extend(inputs_at(path)?.into_iter().filter(|input| matches!(input, Input::Video(_))));
        }
        let (mut cache, memory) = (FrameCache::new(size, 0, 0, 0), self.memory()?);
        progress.begin("decode", files.len(), "videos");
        for (done, file) in files.iter().enumerate() {
            let video = Video::open(file.path())?;
            let numbers = at_rate(video.times(), fps);
            memory.require("frames", product(&[cache.len() + 2 * numbers.len(), size.rgb_len()]))?;
            let mut frames = Vec::with_capacity(numbers.len());
            video.images(&numbers, video.image_size()?, &mut |_, image| frames.push(resized(image, size)))?;
            let frames = frames.into_iter().map(|pixels| Image::new(size, pixels));
            let frames = frames.collect::<mindseye_interface::Result<Vec<Image>>>()?;
            let empty = vec![vec![]; frames.len()];
            let (proprioception, states, actions) = (empty.clone(), empty.clone(), empty);
            if !frames.is_empty() {
                cache.push(&EpisodeData { frames, proprioception, states, actions })?;
            }
            if !progress.advance(done + 1, "") {
                return Err(Error::Stopped);
            }
        }
        progress.end();
        Ok(cache)
    }
}

/// Ascending numbers of the frames that are shown `fps` times a second; slower videos give each frame once.
fn at_rate(times: &[f64], fps: f64) -> Vec<usize> {
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return Vec::new() };
    let count = (((last - first) * fps + 1e-6).floor() as usize).min(times.len().saturating_mul(64));
    let shown = |index: usize| times.partition_point(|time| *time <= first + index as f64 / fps + 5e-4);
    let mut numbers: Vec<usize> = (0..=count).map(|index| shown(index).saturating_sub(1)).collect();
    numbers.dedup();
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_taken_at_the_rate_and_none_twice() {
        let times: Vec<f64> = (0..30).map(|frame| f64::from(frame) / 10.0).collect();
        assert_eq!(at_rate(&times, 5.0)[..4], [0, 2, 4, 6]);
        assert_eq!(at_rate(&times, 20.0), (0..30).collect::<Vec<usize>>());
        assert!(at_rate(&[], 5.0).is_empty());
    }
}
