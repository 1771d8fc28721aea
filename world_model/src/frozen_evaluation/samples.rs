//! Clips of recorded episodes as an encoder sees them.

use std::sync::atomic::{AtomicUsize, Ordering};

use mindseye_episodes::{CacheOptions, DatasetMixture, FrameCache, Windows};
use mindseye_interface::config::require_range;
use mindseye_interface::memory::product;
use mindseye_interface::{Image, ImageSize, MemoryLimit, Progress, Seed};
use rand::seq::SliceRandom as _;
use rayon::prelude::*;
use sha2::{Digest as _, Sha256};

use super::encoder::ProbedEncoder;
use super::task::ProbeTask;
use crate::ops::{standardise, tensor, with_values};
use crate::{Error, Result};

/// Clips whose tokens are hashed.
const HASHED: usize = 8;

/// Which clips are encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SampleOptions {
    /// Clips in all, drawn evenly.
    pub clips: usize,
    /// Most memory for their tokens.
    pub memory: MemoryLimit,
}

/// Decoded episodes of the size that an encoder takes.
#[derive(Debug)]
pub struct ProbeData {
    cache: FrameCache,
}

impl ProbeData {
    /// Decodes `sources` for `encoder`: images are scaled to its size; of several cameras an encoder of one camera sees
    /// the first.
    ///
    /// # Errors
    /// [`Error::Data`] when the encoder takes more cameras than there are; else as [`DatasetMixture::load`].
    pub fn load(
        sources: &DatasetMixture,
        encoder: &ProbedEncoder,
        options: &CacheOptions,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let ([height, width], cameras) = encoder.cameras();
        let recorded = sources.cameras().len().max(1);
        if cameras > recorded {
            let expected = format!("{cameras} cameras, as the encoder takes");
            return Err(Error::Data { field: "cameras", expected, got: recorded.to_string() });
        }
        let image_size = Some(ImageSize::new(recorded * height, width)?);
        Ok(Self { cache: sources.load(&CacheOptions { image_size, ..options.clone() }, progress)? })
    }

    /// Episodes in memory, whose images have the encoder's size.
    pub fn of(cache: FrameCache) -> Self {
        Self { cache }
    }

    /// The episodes.
    pub fn cache(&self) -> &FrameCache {
        &self.cache
    }

    /// The frame that begins at timestep `index`, for `encoder`.
    fn frame(&self, encoder: &ProbedEncoder, index: usize) -> Result<(Vec<Image>, Vec<f32>)> {
        let ([height, width], cameras) = encoder.cameras();
        let size = ImageSize::new(height, width)?;
        let stack = self.cache.image(index)?;
        let images = stack.chunks_exact(size.rgb_len()).take(cameras);
        let images =
            images.map(|pixels| Image::new(size, pixels.to_vec())).collect::<mindseye_interface::Result<_>>()?;
        Ok((images, self.cache.proprioception_at(index).to_vec()))
    }
}

/// Encoded clips.
pub(super) struct Samples {
    /// Tokens `[n, P, D]`.
    pub values: Vec<f32>,
    /// Their means in each step in time, side by side.
    pub means: Vec<f32>,
    /// Numbers of them per clip.
    pub mean_width: usize,
    /// `P`.
    pub tokens: usize,
    /// `D`.
    pub width: usize,
    /// Episode of each clip.
    pub episodes: Vec<usize>,
    /// Timesteps of its first and last frame.
    pub spans: Vec<(usize, usize)>,
    /// Whether it runs backwards.
    pub reversed: Vec<bool>,
    pub frames: usize,
    pub stride: usize,
    digest: String,
}

impl Samples {
    /// Encodes clips of all episodes, each also backwards where the order of time is asked for.
    pub fn encode(
        encoder: &ProbedEncoder,
        data: &ProbeData,
        task: &ProbeTask,
        options: &SampleOptions,
        seed: Seed,
        progress: &dyn Progress,
    ) -> Result<Self> {
        require_range("--clips", options.clips, 10, 10_000_000)?;
        let (frames, stride) = (encoder.frames(), encoder.stride());
        require_range("--frames", frames, 1, 4096)?;
        require_range("--stride", stride, 1, 100_000)?;
        if matches!(task, ProbeTask::Action | ProbeTask::Order) {
            require_range("--frames (of this task)", frames, 2, 4096)?;
        }
        let cache = data.cache();
        let all: Vec<usize> = (0..cache.episodes().len()).collect();
        let mut starts = Windows::new(cache, &all, frames, stride).starts().to_vec();
        if starts.is_empty() {
            let expected = format!("episodes of at least {} timesteps", (frames - 1) * stride + 1);
            return Err(Error::Data { field: "clips", expected, got: "none".into() });
        }
        starts.shuffle(&mut seed.child("samples").rng());
        starts.truncate(options.clips);
        starts.sort_unstable();
        let directions: &[bool] = if *task == ProbeTask::Order { &[false, true] } else { &[false] };
        let asked: Vec<(usize, bool)> =
            starts.iter().flat_map(|&start| directions.iter().map(move |&reversed| (start, reversed))).collect();
        let (first, width) = Self::clip(encoder, data, asked[0])?;
        options.memory.require("tokens", product(&[asked.len(), first.len(), 12]))?;
        progress.begin("encode", asked.len(), "clips");
        let done = AtomicUsize::new(0);
        let encode = |&clip: &(usize, bool)| -> Result<Vec<f32>> {
            let (tokens, _) = Self::clip(encoder, data, clip)?;
            match progress.advance(done.fetch_add(1, Ordering::Relaxed) + 1, "") {
                true => Ok(tokens),
                false => Err(Error::Cancelled),
            }
        };
        let clips: Vec<Vec<f32>> = asked.par_iter().map(encode).collect::<Result<_>>()?;
        progress.end();
        let digest = digest(&clips);
        let values = clips.concat();
        if values.len() != asked.len() * first.len() || values.iter().any(|value| !value.is_finite()) {
            let expected = format!("{} finite values per clip", first.len());
            return Err(Error::Shape { operation: "frozen evaluation", expected, got: "others".into() });
        }
        let tokens = first.len() / width;
        let slots = if tokens.is_multiple_of(encoder.slots()) { encoder.slots() } else { 1 };
        let episode = |start: usize| cache.episodes().partition_point(|episode| episode.end <= start);
        Ok(Self {
            means: means(&values, (tokens, slots), width)?,
            mean_width: slots * width,
            values,
            tokens,
            width,
            episodes: asked.iter().map(|(start, _)| episode(*start)).collect(),
            spans: asked.iter().map(|(start, _)| (*start, start + (frames - 1) * stride)).collect(),
            reversed: asked.iter().map(|(_, reversed)| *reversed).collect(),
            frames,
            stride,
            digest,
        })
    }

    fn clip(encoder: &ProbedEncoder, data: &ProbeData, (start, reversed): (usize, bool)) -> Result<(Vec<f32>, usize)> {
        let steps = (0..encoder.frames()).map(|frame| start + frame * encoder.stride());
        let mut frames = steps.map(|index| data.frame(encoder, index)).collect::<Result<Vec<_>>>()?;
        if reversed {
            frames.reverse();
        }
        encoder.tokens(frames)
    }

    /// SHA-256 of the tokens of the first clips.
    pub fn first_digest(&self) -> String {
        self.digest.clone()
    }

    /// The same of clips that are encoded again.
    pub fn digest_again(&self, encoder: &ProbedEncoder, data: &ProbeData) -> Result<String> {
        let first = self.spans.iter().zip(&self.reversed).take(HASHED);
        let again = first.map(|(span, reversed)| Ok(Self::clip(encoder, data, (span.0, *reversed))?.0));
        Ok(digest(&again.collect::<Result<Vec<_>>>()?))
    }

    /// Number of clips `n`.
    pub fn len(&self) -> usize {
        self.episodes.len()
    }

    /// The clips of these episodes.
    pub fn rows_of(&self, episodes: &[usize]) -> Vec<usize> {
        (0..self.len()).filter(|&row| episodes.contains(&self.episodes[row])).collect()
    }

    /// Mean tokens of clip `row`.
    pub fn mean(&self, row: usize) -> &[f32] {
        &self.means[row * self.mean_width..(row + 1) * self.mean_width]
    }

    /// Tokens `[P, D]` of clip `row`.
    pub fn clip_tokens(&self, row: usize) -> &[f32] {
        let length = self.tokens * self.width;
        &self.values[row * length..(row + 1) * length]
    }
}

/// Of each clip the means of its layer-normed tokens in each of `slots` steps in time, side by side: what moves and in
/// which order stays readable. Latents that are one token per frame are taken as they are.
fn means(values: &[f32], (tokens, slots): (usize, usize), width: usize) -> Result<Vec<f32>> {
    if tokens == slots {
        return Ok(values.to_vec());
    }
    let rows = values.len() / width;
    let normed = with_values(&standardise(&tensor(values.to_vec(), (rows, width))?, 1e-5)?, <[f32]>::to_vec)?;
    let of_slot = tokens / slots;
    let mut means = vec![0.0f32; values.len() / of_slot];
    for (mean, slot) in means.chunks_exact_mut(width).zip(normed.chunks_exact(of_slot * width)) {
        for token in slot.chunks_exact(width) {
            mean.iter_mut().zip(token).for_each(|(mean, value)| *mean += value / of_slot as f32);
        }
    }
    Ok(means)
}

fn digest(clips: &[Vec<f32>]) -> String {
    let mut hasher = Sha256::new();
    clips.iter().take(HASHED).flatten().for_each(|value| hasher.update(value.to_le_bytes()));
    hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
