//! Filling of a cache from a data set: files in parallel, with a result that does not depend on their order.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use mindseye_interface::{ImageSize, Progress};
use rayon::prelude::*;

use super::frames::{FrameCache, Images};
use super::store::{self, Header, Store, Stored};
use crate::cameras::ImageOptions;
use crate::episode::{EpisodeArrays, EpisodeShape};
use crate::source::{EpisodeSource, ReadRequest};
use crate::{Error, Result};

/// How a data set is decoded and held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheOptions {
    /// Images are scaled to this size (of the stack of all cameras) by area averages; `None` keeps them as recorded.
    pub image_size: Option<ImageSize>,
    /// Of each episode, only the images of timesteps 0, `stride`, 2 `stride`, ... are kept; at least 1. Actions, states
    /// and proprioception are kept of every timestep.
    pub stride: usize,
    /// Only the first episodes, this many; `None` takes all.
    pub max_episodes: Option<usize>,
    /// A cache that needs more memory is refused before anything is decoded, bytes. Ignored with a `folder`.
    pub memory_limit_bytes: u64,
    /// Folder for decoded frames, which later runs map without decoding; `None` keeps them in memory.
    pub folder: Option<PathBuf>,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { image_size: None, stride: 1, max_episodes: None, memory_limit_bytes: 8 << 30, folder: None }
    }
}

/// Called with the numbers of timesteps that are done and of all, from any thread. Returning `false` stops the work.
type Report<'a> = dyn Fn(usize, usize) -> bool + Sync + 'a;

impl FrameCache {
    /// Reads and decodes `source` on rayon's threads. `progress(done, all)` is called with numbers of timesteps, from
    /// any thread. The result does not depend on the number of threads.
    ///
    /// With [`CacheOptions::folder`] the decoded frames are kept in a file there, named after the bytes that they are
    /// decoded from, and mapped into memory. The next time, nothing is decoded.
    ///
    /// # Errors
    /// [`Error::Memory`] when it would not fit; otherwise as [`EpisodeSource::read`]. Of several broken files the first
    /// is named.
    pub fn load(
        source: &dyn EpisodeSource,
        options: &CacheOptions,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<Self> {
        Self::load_reporting(source, options, &|done, all| {
            progress(done, all);
            true
        })
    }

    /// Reads and decodes `source` like [`FrameCache::load`], as one stage of `progress`.
    ///
    /// # Errors
    /// As [`FrameCache::load`]; [`Error::Stopped`] when `progress` asks to stop.
    pub fn load_with(source: &dyn EpisodeSource, options: &CacheOptions, progress: &dyn Progress) -> Result<Self> {
        progress.begin("decode", source.frames(), "frames");
        let loaded = Self::load_reporting(source, options, &|done, _| progress.advance(done, ""));
        progress.end();
        loaded
    }

    pub(crate) fn load_reporting(
        source: &dyn EpisodeSource,
        options: &CacheOptions,
        report: &Report<'_>,
    ) -> Result<Self> {
        if options.stride == 0 {
            return Err(Error::content(source.path(), "stride", "at least 1", 0));
        }
        let image_size = options.image_size.unwrap_or(source.shape().image_size);
        let shape = EpisodeShape { image_size, ..*source.shape() };
        let mut cache = Self::empty(shape, options.stride)
            .with_state_names(source.state_names())
            .with_camera_names(source.camera_names());
        let episodes = options.max_episodes.unwrap_or(usize::MAX).min(source.len());
        let mut lengths = Vec::with_capacity(episodes);
        for index in 0..episodes {
            let length = source.episode(index)?.length;
            lengths.push(length);
            cache.push_range(length);
        }
        let Some(folder) = &options.folder else {
            cache.check_memory(options.memory_limit_bytes)?;
            let mut images = vec![0; cache.kept as usize * image_size.rgb_len()];
            let arrays = cache.decode(source, &lengths, report, Target::Memory(&mut images))?;
            cache.append(arrays);
            cache.images = vec![(0, Images::Memory(images))];
            return Ok(cache);
        };
        let header = cache.header(lengths);
        let path = folder.join(format!("{}.frames", store::key(source.path(), &cache.request(source)?)?));
        if let Some(stored) = store::open(&path)?.filter(|stored| stored.header == header) {
            return if report(cache.len(), cache.len()) { Ok(cache.with_stored(stored)) } else { Err(stopped()) };
        }
        let store = Store::begin(&path, &header)?;
        let arrays = cache.decode(source, &header.lengths, report, Target::File(&store))?;
        cache.append(arrays);
        store.finish([&cache.actions, &cache.states, &cache.proprioception])?;
        match store::open(&path)? {
            Some(stored) => Ok(cache.with_stored(stored)),
            None => Err(Error::content(&path, "file of frames", "the bytes that were written", "others")),
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

    /// Decodes the episodes of `lengths` to `target`; returns their arrays, in order.
    fn decode(
        &self,
        source: &dyn EpisodeSource,
        lengths: &[usize],
        report: &Report<'_>,
        target: Target<'_>,
    ) -> Result<Vec<EpisodeArrays>> {
        let options = ImageOptions { stride: self.stride, size: self.shape.image_size };
        let image_bytes = options.size.rgb_len();
        let kept = |episode: usize| lengths[episode].div_ceil(self.stride);
        let bytes = |part: &Range<usize>| part.clone().map(kept).sum::<usize>() * image_bytes;
        let (done, all, stop) = (AtomicUsize::new(0), self.len(), AtomicBool::new(false));
        let count = |length| {
            if !report(done.fetch_add(length, Ordering::Relaxed) + length, all) {
                stop.store(true, Ordering::Relaxed);
            }
        };
        let read = |part: &Range<usize>, memory: &mut [u8]| {
            if stop.load(Ordering::Relaxed) {
                return Err(stopped());
            }
            source.read(requests(part, memory, image_bytes, kept), options, &count)
        };
        let parts = source.parts(0..lengths.len());
        let files: Vec<Result<Vec<EpisodeArrays>>> = match target {
            Target::Memory(mut rest) => {
                // The memory is divided among the parts before any of them is read.
                let mut jobs = Vec::with_capacity(parts.len());
                for part in parts {
                    let (memory, after) = std::mem::take(&mut rest).split_at_mut(bytes(&part));
                    jobs.push((part, memory));
                    rest = after;
                }
                jobs.into_par_iter().map(|(part, memory)| read(&part, memory)).collect()
            }
            Target::File(store) => {
                let mut first = 0;
                let numbered = |part: Range<usize>| {
                    let number = first;
                    first += part.clone().map(kept).sum::<usize>();
                    (part, number)
                };
                let jobs: Vec<(Range<usize>, usize)> = parts.into_iter().map(numbered).collect();
                let read = |(part, number): (Range<usize>, usize)| {
                    let mut memory = vec![0; bytes(&part)];
                    let arrays = read(&part, &mut memory)?;
                    store.put(number, &memory)?;
                    Ok(arrays)
                };
                jobs.into_par_iter().map(read).collect()
            }
        };
        let mut arrays = Vec::with_capacity(lengths.len());
        for file in files {
            arrays.extend(file?);
        }
        Ok(arrays)
    }

    fn append(&mut self, episodes: Vec<EpisodeArrays>) {
        for arrays in episodes {
            self.actions.extend(arrays.actions);
            self.states.extend(arrays.states);
            self.proprioception.extend(arrays.proprioception);
        }
    }

    fn with_stored(mut self, stored: Stored) -> Self {
        let [actions, states, proprioception] = stored.numbers;
        let images = vec![(0, Images::Mapped(Arc::new(stored.images)))];
        self.images = images;
        (self.actions, self.states, self.proprioception) = (actions, states, proprioception);
        self
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

    /// Description of what is decoded of `source`, beyond the bytes of its files: which columns, and how.
    fn request(&self, source: &dyn EpisodeSource) -> Result<String> {
        let header = Header { lengths: vec![self.episodes().len()], ..self.header(Vec::new()) };
        let text = serde_json::to_string(&(header, source.mapping()));
        text.map_err(|error| Error::content(source.path(), "frame cache", "a description", error))
    }

    /// Bytes of the images and the numbers of all timesteps.
    fn bytes(&self) -> u64 {
        let numbers = self.shape.action + self.shape.state + self.shape.proprioception + 1;
        let images = u64::from(self.kept).saturating_mul(self.shape.image_size.rgb_len() as u64);
        (self.len() as u64).saturating_mul(4 * numbers as u64).saturating_add(images)
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

/// The episodes of `part`, each with its piece of `memory` for `kept` images of `image_bytes`.
fn requests<'a>(
    part: &Range<usize>,
    mut memory: &'a mut [u8],
    image_bytes: usize,
    kept: impl Fn(usize) -> usize,
) -> Vec<ReadRequest<'a>> {
    let mut requests = Vec::with_capacity(part.len());
    for episode in part.clone() {
        let (images, rest) = memory.split_at_mut(kept(episode) * image_bytes);
        requests.push(ReadRequest { episode, images });
        memory = rest;
    }
    requests
}

fn stopped() -> Error {
    Error::Stopped { operation: "decoding frames" }
}

/// Destination of decoded images.
enum Target<'a> {
    Memory(&'a mut [u8]),
    File(&'a Store),
}
