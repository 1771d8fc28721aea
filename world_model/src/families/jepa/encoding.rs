//! Recorded frames and episodes as a JEPA encodes them.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use mindseye_episodes::{FrameCache, WindowBatch};
use mindseye_interface::Progress;
use rayon::prelude::*;

use super::config::ModelConfig;
use super::encoder::SensorBatch;
use super::network::Jepa;
use crate::Result;
use crate::encoded_dataset::{EncodedDataset, episodes_of};

/// Frames encoded at a time. Part of every result: matrix products of another size round differently.
const FRAMES_PER_PASS: usize = 256;

/// Latents `[N, D]` of the frames `frames [N]` of `cache`, on the current rayon pool; `done` gets the number of encoded
/// frames.
///
/// # Errors
/// [`Error::Shape`] when the images do not fit the model.
pub(crate) fn encode_frames(
    model: &Jepa,
    cache: &FrameCache,
    frames: &[usize],
    done: &(dyn Fn(usize) + Sync),
) -> Result<Vec<f32>> {
    let observes_itself = model.config().proprioception_width > 0;
    let count = AtomicUsize::new(0);
    let encode = |frames: &[usize]| -> Result<Vec<f32>> {
        let mut images = Vec::with_capacity(frames.len() * cache.image_size().rgb_len());
        frames.iter().try_for_each(|&frame| cache.append_image(frame, &mut images))?;
        let own = |&frame: &usize| if observes_itself { cache.proprioception_at(frame) } else { &[] };
        let proprioception: Vec<f32> = frames.iter().flat_map(own).copied().collect();
        let latents = model.encode(SensorBatch { images: &images, proprioception: &proprioception })?;
        done(count.fetch_add(frames.len(), Ordering::Relaxed) + frames.len());
        Ok(latents)
    };
    let parts: Vec<Vec<f32>> = frames.par_chunks(FRAMES_PER_PASS).map(encode).collect::<Result<_>>()?;
    Ok(parts.concat())
}

/// Latents `[B * T, D]` of a batch of windows, on the current rayon pool.
///
/// # Errors
/// `Error::Shape` when the images have another size than the model's.
pub fn encode_batch(model: &Jepa, batch: &WindowBatch) -> Result<Vec<f32>> {
    let parts: Vec<SensorBatch<'_>> =
        sensors_of(model.config(), batch).chunks(model.config(), FRAMES_PER_PASS).collect();
    let encoded: Vec<Vec<f32>> = parts.into_par_iter().map(|part| model.encode(part)).collect::<Result<_>>()?;
    Ok(encoded.concat())
}

/// What a model of the shape `config` takes of `batch`: no proprioception where it takes none.
pub(crate) fn sensors_of<'a>(config: &ModelConfig, batch: &'a WindowBatch) -> SensorBatch<'a> {
    let proprioception = if config.proprioception_width == 0 { &[] } else { &batch.proprioception[..] };
    SensorBatch { images: &batch.images, proprioception }
}

impl EncodedDataset {
    /// Encodes the frames of `cache` that have images, one action chunk apart, with `model`, on the current rayon pool.
    /// Episodes of fewer than two frames are left out. Actions must be normalised as in training.
    ///
    /// # Errors
    /// [`crate::Error::Shape`] when the images do not fit the model; [`crate::Error::Data`] when no episode has two
    /// frames.
    pub fn encode(model: &Jepa, cache: &FrameCache, progress: &dyn Progress) -> Result<Self> {
        let with_images = |episode: &Range<usize>| episode.clone().filter(|&frame| cache.has_image(frame)).collect();
        Self::encode_episodes(model, cache, cache.episodes().iter().map(with_images), progress)
    }

    /// The same of the episodes `chosen` alone, of a cache that keeps more images than one per action chunk.
    ///
    /// # Errors
    /// As [`EncodedDataset::encode`].
    pub fn encode_some(model: &Jepa, cache: &FrameCache, chosen: &[usize], progress: &dyn Progress) -> Result<Self> {
        let by_chunk = |&episode: &usize| {
            let episode = cache.episodes()[episode].clone();
            episode.step_by(model.config().action_chunk).filter(|&frame| cache.has_image(frame)).collect()
        };
        Self::encode_episodes(model, cache, chosen.iter().map(by_chunk), progress)
    }

    fn encode_episodes(
        model: &Jepa,
        cache: &FrameCache,
        chosen: impl Iterator<Item = Vec<usize>>,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let config = model.config();
        let sequences: Vec<Vec<usize>> = chosen.collect();
        episodes_of(&sequences)?;
        let frames = sequences.concat();
        progress.begin("encode", frames.len(), "frames");
        let latents = encode_frames(model, cache, &frames, &|done| {
            progress.advance(done, "");
        })?;
        progress.end();
        Self::of_sequences(latents, config.latent_width, config.action_chunk, cache, &sequences)
    }
}
