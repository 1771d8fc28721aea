//! Decoding of recorded episodes, and windows out of the decoded frames.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use mindseye_episodes::{CacheOptions, DatasetWriter, EpisodeSource, FrameCache, Windows, WriteMode, open};
use mindseye_evaluation::collection::{dataset_spec, scripted_episode};
use mindseye_interface::{ImageSize, Seed, recorded_episode};
use mindseye_sim::{SceneOptions, demonstrator, make};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::timing::{pool, require_rounds};
use crate::{Error, Result};

/// Decoding of recorded episodes, and windows out of the decoded frames.
#[derive(Debug, Clone, PartialEq)]
pub struct DataBench {
    /// What is decoded.
    pub source: DataSource,
    /// Threads.
    pub threads: usize,
    /// The best of so many rounds counts; at least 1.
    pub rounds: usize,
    /// Root of every random choice.
    pub seed: Seed,
}

/// What is decoded.
#[derive(Debug, Clone, PartialEq)]
pub enum DataSource {
    /// The data set at a path.
    Dataset(PathBuf),
    /// A fresh recording of the scene of this name.
    Scene(String),
}

/// How fast frames come.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataSpeed {
    /// What was decoded.
    pub format: String,
    /// Threads.
    pub threads: usize,
    /// Height and width of the recorded images, pixels.
    pub image_size: [usize; 2],
    /// Timesteps of the data set.
    pub frames: usize,
    /// Frames decoded per second, at the recorded size, with nothing prepared.
    pub decoded_frames_per_sec: f64,
    /// Random windows out of decoded frames, at several image sizes.
    pub cached: Vec<CachedSpeed>,
}

/// Random windows out of decoded frames.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CachedSpeed {
    /// Side of the square images, pixels.
    pub image_side: usize,
    /// Frames per second, with their states and action chunks, copied side by side into batches.
    pub samples_per_sec: f64,
    /// The same in mebibytes of image per second.
    pub mib_per_sec: f64,
}

/// Sides at which frames are kept, pixels.
const SIDES: [usize; 2] = [64, 224];
/// Episodes and control steps of a recording made for this.
const RECORDED: (u64, usize) = (20, 100);
/// Frames per window, and control steps between them.
const WINDOW: (usize, usize) = (4, 5);
/// Windows per batch.
const BATCH: usize = 64;
/// Shortest time that a rate is measured over, seconds.
const LEAST_SECS: f64 = 1.0;

impl DataBench {
    /// Runs the measurement.
    ///
    /// # Errors
    /// When the data set is broken or too short, or temporary files cannot be written.
    pub fn measure(&self) -> Result<DataSpeed> {
        require_rounds(self.rounds)?;
        let folder = tempfile::tempdir().map_err(Error::TemporaryFolder)?;
        let pool = pool(self.threads)?;
        let path = match &self.source {
            DataSource::Dataset(path) => path.clone(),
            DataSource::Scene(scene) => {
                let path = folder.path().join("recording");
                self.record(scene, &path)?;
                path
            }
        };
        let source = open(&path)?;
        let size = source.shape().image_size;
        let decoded = pool.install(|| self.decoding(source.as_ref()))?;
        let cached = SIDES.map(|side| pool.install(|| self.windows(source.as_ref(), side, folder.path())));
        Ok(DataSpeed {
            format: source.format(),
            threads: self.threads,
            image_size: [size.height(), size.width()],
            frames: source.frames(),
            decoded_frames_per_sec: decoded,
            cached: cached.into_iter().collect::<Result<_>>()?,
        })
    }

    /// Records scripted episodes of `scene` at the largest image size.
    fn record(&self, scene: &str, out: &Path) -> Result<()> {
        let options = SceneOptions::with_side(SIDES[1])?;
        let (mut simulator, mut script) = (make(scene, &options)?, demonstrator(scene, "mixture", &options)?);
        let spec = dataset_spec(scene, options.image_size, simulator.as_ref());
        let mut writer = DatasetWriter::create(out, spec, WriteMode::Error)?;
        let (episodes, steps) = RECORDED;
        for episode in 0..episodes {
            let seed = recorded_episode(self.seed, episode);
            writer.add_episode(&scripted_episode(simulator.as_mut(), script.as_mut(), seed, steps)?)?;
        }
        writer.finish()?;
        Ok(())
    }

    fn decoding(&self, source: &dyn EpisodeSource) -> Result<f64> {
        let options = CacheOptions { memory_limit_bytes: u64::MAX, ..CacheOptions::default() };
        let mut best = 0.0f64;
        for _ in 0..self.rounds {
            let started = Instant::now();
            let cache = FrameCache::load(source, &options, &|_, _| ())?;
            best = best.max(black_box(cache.len()) as f64 / started.elapsed().as_secs_f64());
        }
        Ok(best)
    }

    fn windows(&self, source: &dyn EpisodeSource, side: usize, folder: &Path) -> Result<CachedSpeed> {
        let options = CacheOptions {
            image_size: Some(ImageSize::square(side)?),
            folder: Some(folder.join("frames")),
            ..CacheOptions::default()
        };
        let cache = FrameCache::load(source, &options, &|_, _| ())?;
        let (frames, chunk) = WINDOW;
        let all: Vec<usize> = (0..cache.episodes().len()).collect();
        let windows = Windows::new(&cache, &all, frames, chunk);
        if windows.is_empty() {
            return Err(Error::Data {
                operation: source.path().display().to_string(),
                expected: format!("episodes of at least {} frames", 1 + (frames - 1) * chunk),
                got: "none".into(),
            });
        }
        let mut best = 0.0f64;
        for round in 0..self.rounds {
            let (started, mut samples, mut epoch) = (Instant::now(), 0, 0);
            while started.elapsed().as_secs_f64() < LEAST_SECS {
                let order = windows.epoch_order(self.seed.index(round as u64), epoch);
                order.par_chunks(BATCH).try_for_each(|batch| {
                    black_box(windows.gather(&cache, batch)?);
                    Ok::<(), Error>(())
                })?;
                (samples, epoch) = (samples + order.len() * frames, epoch + 1);
            }
            best = best.max(samples as f64 / started.elapsed().as_secs_f64());
        }
        let bytes = best * cache.image_size().rgb_len() as f64;
        Ok(CachedSpeed { image_side: side, samples_per_sec: best, mib_per_sec: bytes / f64::from(1 << 20) })
    }
}
