//! Filling a cache from a data set: files side by side, everything at its place whatever finishes first.

use std::sync::atomic::{AtomicUsize, Ordering};

use mindseye_interface::ImageSize;
use rayon::prelude::*;

use super::FrameCache;
use crate::episode::EpisodeShape;
use crate::source::{EpisodeSource, Numbers, PictureOptions, Wanted};
use crate::{Error, Result};

/// How a data set is held in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOptions {
    /// Pictures are scaled to this size by area averages; `None` keeps them as recorded.
    pub image_size: Option<ImageSize>,
    /// Of each episode, only the pictures of moments 0, `stride`, 2 `stride`, ... are kept; at least 1. Actions, states and
    /// proprioception are kept whole.
    pub stride: usize,
    /// Only the first so many episodes; `None` takes all.
    pub max_episodes: Option<usize>,
    /// More memory than this is refused before anything is decoded, bytes.
    pub memory_limit_bytes: u64,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { image_size: None, stride: 1, max_episodes: None, memory_limit_bytes: 8 << 30 }
    }
}

impl FrameCache {
    /// Reads and decodes `source`, on all of rayon's threads. `progress(done, all)` is called with numbers of moments, from any
    /// of the threads. The result does not depend on the number of threads.
    ///
    /// # Errors
    /// [`Error::Memory`] when it would not fit; otherwise as [`EpisodeSource::read`]. Of several bad files the first is named.
    pub fn load(
        source: &dyn EpisodeSource,
        options: &CacheOptions,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self> {
        if options.stride == 0 {
            return Err(Error::content(source.path(), "stride", "at least 1", 0));
        }
        let image_size = options.image_size.unwrap_or(source.shape().image_size);
        let shape = EpisodeShape { image_size, ..*source.shape() };
        let mut cache = Self::empty(shape, options.stride).with_state_names(source.state_names());
        let episodes = options.max_episodes.unwrap_or(usize::MAX).min(source.len());
        let mut kept = Vec::with_capacity(episodes);
        for index in 0..episodes {
            let length = source.episode(index)?.length;
            kept.push(length.div_ceil(options.stride));
            cache.push_range(length);
        }
        cache.check_memory(kept.iter().sum(), options.memory_limit_bytes)?;
        cache.pictures = vec![0; kept.iter().sum::<usize>() * image_size.rgb_len()];

        // Every episode gets its own part of the memory before the work begins.
        let mut rest = cache.pictures.as_mut_slice();
        let mut jobs = Vec::new();
        for range in source.parts(0..episodes) {
            let mut part = Vec::with_capacity(range.len());
            for episode in range {
                let (pictures, after) = rest.split_at_mut(kept[episode] * image_size.rgb_len());
                part.push(Wanted { episode, pictures });
                rest = after;
            }
            jobs.push(part);
        }
        let (done, all) = (AtomicUsize::new(0), cache.picture_of.len());
        let count = |length| progress(done.fetch_add(length, Ordering::Relaxed) + length, all);
        let pictures = PictureOptions { stride: options.stride, size: image_size };
        let files: Vec<Result<Vec<Numbers>>> =
            jobs.into_par_iter().map(|part| source.read(part, pictures, &count)).collect();
        for numbers in files {
            for episode in numbers? {
                cache.actions.extend(episode.actions);
                cache.states.extend(episode.states);
                cache.proprioception.extend(episode.proprioception);
            }
        }
        Ok(cache)
    }

    /// Refuses more memory than allowed for `kept` pictures and the numbers of all moments.
    fn check_memory(&self, kept: usize, limit_bytes: u64) -> Result<()> {
        let numbers = self.shape.action + self.shape.state + self.shape.proprioception + 1;
        let pictures = (kept as u64).saturating_mul(self.shape.image_size.rgb_len() as u64);
        let needed_bytes = (self.len() as u64).saturating_mul(4 * numbers as u64).saturating_add(pictures);
        if needed_bytes > limit_bytes {
            let what = "frame cache (a smaller image size, a larger stride or fewer episodes need less)";
            return Err(Error::Memory { what, limit_bytes, needed_bytes });
        }
        Ok(())
    }
}
