//! Filling a cache from a data set: files side by side, everything at its place whatever finishes first.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use mindseye_interface::ImageSize;
use rayon::prelude::*;

use super::store::{self, Header, Store, Stored};
use super::{FrameCache, Pictures};
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
    /// More memory than this is refused before anything is decoded, bytes. It does not count with a `folder`.
    pub memory_limit_bytes: u64,
    /// Folder for decoded frames, to be there at once the next time; `None` keeps them in memory.
    pub folder: Option<PathBuf>,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { image_size: None, stride: 1, max_episodes: None, memory_limit_bytes: 8 << 30, folder: None }
    }
}

impl FrameCache {
    /// Reads and decodes `source`, on all of rayon's threads. `progress(done, all)` is called with numbers of moments, from any
    /// of the threads. The result does not depend on the number of threads.
    ///
    /// With [`CacheOptions::folder`] what was decoded is kept in a file there, named after the bytes it came from, and mapped into
    /// memory; the next time nothing is decoded.
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
        let mut lengths = Vec::with_capacity(episodes);
        for index in 0..episodes {
            let length = source.episode(index)?.length;
            lengths.push(length);
            cache.push_range(length);
        }
        let Some(folder) = &options.folder else {
            cache.check_memory(options.memory_limit_bytes)?;
            let mut pictures = vec![0; cache.kept as usize * image_size.rgb_len()];
            let numbers = cache.decode(source, &lengths, progress, Target::Memory(&mut pictures))?;
            cache.take(numbers);
            cache.pictures = vec![(0, Pictures::Memory(pictures))];
            return Ok(cache);
        };
        let header = cache.header(lengths);
        let path = folder.join(format!("{}.frames", store::key(source.path(), &cache.wanted(source)?)?));
        if let Some(stored) = store::open(&path)?.filter(|stored| stored.header == header) {
            progress(cache.len(), cache.len());
            return Ok(cache.with_stored(stored));
        }
        let store = Store::begin(&path, &header)?;
        let numbers = cache.decode(source, &header.lengths, progress, Target::File(&store))?;
        cache.take(numbers);
        store.finish([&cache.actions, &cache.states, &cache.proprioception])?;
        match store::open(&path)? {
            Some(stored) => Ok(cache.with_stored(stored)),
            None => Err(Error::content(&path, "file of frames", "as it was written", "another")),
        }
    }

    /// Bytes that decoding `source` with `options` needs.
    ///
    /// # Errors
    /// [`Error::Content`] when an episode is missing.
    pub fn needed_bytes(source: &dyn EpisodeSource, options: &CacheOptions) -> Result<u64> {
        let image_size = options.image_size.unwrap_or(source.shape().image_size);
        let mut cache = Self::empty(EpisodeShape { image_size, ..*source.shape() }, options.stride.max(1));
        for index in 0..options.max_episodes.unwrap_or(usize::MAX).min(source.len()) {
            cache.push_range(source.episode(index)?.length);
        }
        Ok(cache.bytes())
    }

    /// Decodes the episodes of `lengths` to `target`; their numbers, in order.
    fn decode(
        &self,
        source: &dyn EpisodeSource,
        lengths: &[usize],
        progress: &(dyn Fn(usize, usize) + Sync),
        target: Target<'_>,
    ) -> Result<Vec<Numbers>> {
        let options = PictureOptions { stride: self.stride, size: self.shape.image_size };
        let picture = options.size.rgb_len();
        let kept = |episode: usize| lengths[episode].div_ceil(self.stride);
        let (done, all) = (AtomicUsize::new(0), self.len());
        let count = |length| progress(done.fetch_add(length, Ordering::Relaxed) + length, all);
        let parts = source.parts(0..lengths.len());
        let files: Vec<Result<Vec<Numbers>>> = match target {
            Target::Memory(mut rest) => {
                // Every part gets its own piece of the memory before the work begins.
                let mut jobs = Vec::with_capacity(parts.len());
                for part in parts {
                    let bytes = part.clone().map(kept).sum::<usize>() * picture;
                    let (memory, after) = std::mem::take(&mut rest).split_at_mut(bytes);
                    jobs.push((part, memory));
                    rest = after;
                }
                let read = |(part, memory)| source.read(wanted(&part, memory, picture, kept), options, &count);
                jobs.into_par_iter().map(read).collect()
            }
            Target::File(store) => {
                let mut first = 0;
                let place = |part: Range<usize>| {
                    let place = first;
                    first += part.clone().map(kept).sum::<usize>();
                    (part, place)
                };
                let jobs: Vec<(Range<usize>, usize)> = parts.into_iter().map(place).collect();
                let read = |(part, place): (Range<usize>, usize)| {
                    let mut memory = vec![0; part.clone().map(kept).sum::<usize>() * picture];
                    let numbers = source.read(wanted(&part, &mut memory, picture, kept), options, &count)?;
                    store.put(place, &memory)?;
                    Ok(numbers)
                };
                jobs.into_par_iter().map(read).collect()
            }
        };
        let mut numbers = Vec::with_capacity(lengths.len());
        for file in files {
            numbers.extend(file?);
        }
        Ok(numbers)
    }

    fn take(&mut self, numbers: Vec<Numbers>) {
        for episode in numbers {
            self.actions.extend(episode.actions);
            self.states.extend(episode.states);
            self.proprioception.extend(episode.proprioception);
        }
    }

    fn with_stored(self, stored: Stored) -> Self {
        let [actions, states, proprioception] = stored.numbers;
        let pictures = vec![(0, Pictures::Mapped(Arc::new(stored.pictures)))];
        Self { pictures, actions, states, proprioception, ..self }
    }

    fn header(&self, lengths: Vec<usize>) -> Header {
        let EpisodeShape { image_size, action, state, proprioception } = self.shape;
        Header {
            image_size: [image_size.height(), image_size.width()],
            widths: [action, state, proprioception],
            state_names: self.state_names.clone(),
            stride: self.stride,
            lengths,
            kept: self.kept as usize,
        }
    }

    /// What of `source` is wanted, beside what its files say: which columns, and how.
    fn wanted(&self, source: &dyn EpisodeSource) -> Result<String> {
        let header = Header { lengths: vec![self.episodes.len()], ..self.header(Vec::new()) };
        let text = serde_json::to_string(&(header, source.mapping()));
        text.map_err(|error| Error::content(source.path(), "frame cache", "a description", error))
    }

    /// Bytes of the pictures and the numbers of all moments.
    fn bytes(&self) -> u64 {
        let numbers = self.shape.action + self.shape.state + self.shape.proprioception + 1;
        let pictures = u64::from(self.kept).saturating_mul(self.shape.image_size.rgb_len() as u64);
        (self.len() as u64).saturating_mul(4 * numbers as u64).saturating_add(pictures)
    }

    /// Refuses more memory than allowed.
    fn check_memory(&self, limit_bytes: u64) -> Result<()> {
        let needed_bytes = self.bytes();
        if needed_bytes > limit_bytes {
            let what =
                "frame cache (a smaller image size, a larger stride or fewer episodes need less, a file needs none)";
            return Err(Error::Memory { what, limit_bytes, needed_bytes });
        }
        Ok(())
    }
}

/// The episodes of `part`, each with its piece of `memory`: `kept` pictures of so many bytes.
fn wanted<'a>(
    part: &Range<usize>,
    mut memory: &'a mut [u8],
    picture: usize,
    kept: impl Fn(usize) -> usize,
) -> Vec<Wanted<'a>> {
    let mut wanted = Vec::with_capacity(part.len());
    for episode in part.clone() {
        let (pictures, rest) = memory.split_at_mut(kept(episode) * picture);
        wanted.push(Wanted { episode, pictures });
        memory = rest;
    }
    wanted
}

/// Where decoded pictures go.
enum Target<'a> {
    Memory(&'a mut [u8]),
    File(&'a Store),
}
