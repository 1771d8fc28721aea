//! Decoding of recorded episodes, and windows out of the decoded frames.

use std::hint::black_box;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use mindseye_episodes::{CacheOptions, EpisodeSource, FrameCache, Windows, open};
use mindseye_interface::{ImageSize, Seed};
use rayon::prelude::*;
use serde::Serialize;

use super::BenchArguments;
use crate::commands::record::record_scene;

/// How fast frames come.
#[derive(Debug, Serialize)]
pub struct DataSpeed {
    /// What was decoded.
    format: String,
    threads: usize,
    /// Height and width of the recorded pictures, pixels.
    image_size: [usize; 2],
    frames: usize,
    /// Frames decoded per second, at the recorded size, with nothing prepared.
    decoded_frames_per_sec: f64,
    cached: Vec<Cached>,
}

/// Random windows out of decoded frames.
#[derive(Debug, Serialize)]
struct Cached {
    image_side: usize,
    /// Frames with their states and action blocks, copied side by side into batches.
    samples_per_sec: f64,
    mib_per_sec: f64,
}

impl DataSpeed {
    /// For people.
    pub fn say(&self) {
        let Self { format, threads, image_size: [height, width], frames, decoded_frames_per_sec, .. } = self;
        println!(
            "{format}, {frames} frames of {height}x{width}, {threads} threads: {decoded_frames_per_sec:.0} decoded/s"
        );
        for Cached { image_side, samples_per_sec, mib_per_sec } in &self.cached {
            println!(
                "  from the cache at {image_side}x{image_side}: {samples_per_sec:.0} samples/s ({mib_per_sec:.0} MiB/s)"
            );
        }
    }
}

/// Sides at which frames are kept, pixels.
const SIDES: [usize; 2] = [64, 224];
/// Episodes and control steps of a recording made for this.
const RECORDED: (usize, usize) = (20, 100);
/// Frames per window, and control steps between them.
const WINDOW: (usize, usize) = (4, 5);
/// Windows per batch.
const BATCH: usize = 64;
/// Shortest time that a rate is measured over, seconds.
const LEAST_SECS: f64 = 1.0;

/// The best of `arguments.rounds`: on the data set of `arguments.data`, or on a fresh recording of the scene.
///
/// # Errors
/// When the data set is broken, too short, or temporary files cannot be written.
pub fn data_speed(arguments: &BenchArguments) -> Result<DataSpeed> {
    let folder = tempfile::tempdir().context("a temporary folder")?;
    let pool = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads).build().context("starting threads")?;
    let path = match &arguments.data {
        Some(path) => path.clone(),
        None => {
            let path = folder.path().join("recording");
            record_scene(&arguments.scene, SIDES[1], RECORDED, Seed::new(arguments.seed), &path)?;
            path
        }
    };
    let source = open(&path)?;
    let size = source.shape().image_size;
    let decoded = pool.install(|| decoding(source.as_ref(), arguments.rounds))?;
    let cached = SIDES.map(|side| pool.install(|| from_cache(source.as_ref(), side, folder.path(), arguments)));
    Ok(DataSpeed {
        format: source.format(),
        threads: arguments.threads,
        image_size: [size.height(), size.width()],
        frames: source.frames(),
        decoded_frames_per_sec: decoded,
        cached: cached.into_iter().collect::<Result<_>>()?,
    })
}

fn decoding(source: &dyn EpisodeSource, rounds: usize) -> Result<f64> {
    let options = CacheOptions { memory_limit_bytes: u64::MAX, ..CacheOptions::default() };
    let mut best = 0.0f64;
    for _ in 0..rounds {
        let started = Instant::now();
        let cache = FrameCache::load(source, &options, &|_, _| ())?;
        best = best.max(black_box(cache.len()) as f64 / started.elapsed().as_secs_f64());
    }
    Ok(best)
}

fn from_cache(source: &dyn EpisodeSource, side: usize, folder: &Path, arguments: &BenchArguments) -> Result<Cached> {
    let options = CacheOptions {
        image_size: Some(ImageSize::square(side)?),
        folder: Some(folder.join("frames")),
        ..CacheOptions::default()
    };
    let cache = FrameCache::load(source, &options, &|_, _| ())?;
    let (frames, block) = WINDOW;
    let all: Vec<usize> = (0..cache.episodes().len()).collect();
    let windows = Windows::new(&cache, &all, frames, block);
    if windows.is_empty() {
        bail!(
            "{}: expected episodes of at least {} moments, got none",
            source.path().display(),
            1 + (frames - 1) * block
        );
    }
    let mut best = 0.0f64;
    for round in 0..arguments.rounds {
        let (started, mut samples, mut epoch) = (Instant::now(), 0, 0);
        while started.elapsed().as_secs_f64() < LEAST_SECS {
            let order = windows.epoch_order(Seed::new(arguments.seed).index(round as u64), epoch);
            order.par_chunks(BATCH).for_each(|batch| {
                black_box(windows.gather(&cache, batch));
            });
            (samples, epoch) = (samples + order.len() * frames, epoch + 1);
        }
        best = best.max(samples as f64 / started.elapsed().as_secs_f64());
    }
    let bytes = best * cache.image_size().rgb_len() as f64;
    Ok(Cached { image_side: side, samples_per_sec: best, mib_per_sec: bytes / f64::from(1 << 20) })
}
