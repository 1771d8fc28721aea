//! Filling of a cache from a data set, or from the file with what was decoded before.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mindseye_interface::text::printable_path;
use mindseye_interface::{ImageSize, Progress};

use super::decode::{Decoding, Report, Target, stopped};
use super::frames::{FrameCache, Images};
use super::header::Header;
use super::key::key;
use super::size::Size;
use super::store::{Begun, Store};
use super::stored::{self, Found, Stored};
use crate::episode::EpisodeShape;
use crate::source::EpisodeSource;
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
    /// Folder for decoded frames, which later runs read without decoding; `None` keeps them in memory. Where no file
    /// can be written there, memory is used, if it suffices.
    pub folder: Option<PathBuf>,
}

impl Default for CacheOptions {
    fn default() -> Self {
        Self { image_size: None, stride: 1, max_episodes: None, memory_limit_bytes: 8 << 30, folder: None }
    }
}

/// Time between two looks at a file that another process is writing.
const WAIT: Duration = Duration::from_millis(100);

/// Version of decoding, raised when equal files give other images than before: 2 since edit lists and the colours of
/// H.264 are followed, 3 since videos and JPEG have the bytes of FFmpeg and libjpeg-turbo.
const DECODING: u32 = 3;

impl FrameCache {
    /// Reads and decodes `source` on rayon's threads. `progress(done, all)` is called with numbers of timesteps, from
    /// any thread. The result does not depend on the number of threads.
    ///
    /// With [`CacheOptions::folder`] the decoded frames are kept in a file there, named after the bytes that they are
    /// decoded from. The next time, nothing is decoded. Of several processes one decodes, the others wait. A file that
    /// was changed or cut off is never used.
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
            .with_proprioception_names(source.proprioception_names())
            .with_camera_names(source.camera_names());
        cache.notes = source.notes().to_vec();
        let lengths = lengths(source, options)?;
        let size = Size::of(&lengths, shape, options.stride);
        size.check_index(source.path())?;
        if options.folder.is_none() {
            size.check_memory(options.memory_limit_bytes)?;
        }
        lengths.iter().for_each(|&length| cache.push_range(length));
        let Some(folder) = &options.folder else { return cache.load_to_memory(source, &lengths, report) };
        let header = cache.header(lengths);
        let path = folder.join(format!("{}.frames", key(source.path(), &cache.request(source)?)?));
        let mut written = false;
        loop {
            match stored::open(&path)? {
                Found::Whole(stored) if stored.header == header => {
                    return if report(cache.len(), cache.len()) {
                        Ok(cache.with_stored(*stored))
                    } else {
                        Err(stopped())
                    };
                }
                _ if written => {
                    return Err(Error::content(&path, "decoded frames", "the bytes that were written", "others"));
                }
                Found::Nothing => (),
                _ => {
                    let path = printable_path(&path);
                    cache.notes.push(format!("{path}: decoded frames that were changed or are incomplete: made anew"));
                }
            }
            match Store::begin(&path, &header) {
                Ok(Begun::Elsewhere) => {
                    std::thread::sleep(WAIT);
                    if !report(0, cache.len()) {
                        return Err(stopped());
                    }
                }
                Ok(Begun::Here(store)) => {
                    // Another process may have finished it since the look at it above.
                    let done = matches!(stored::open(&path)?, Found::Whole(stored) if stored.header == header);
                    if !done {
                        let decoding = Decoding { source, lengths: &header.lengths, stride: cache.stride, image_size };
                        let [actions, states, proprioception] = decoding.run(report, Target::File(&store))?;
                        store.finish([&actions, &states, &proprioception])?;
                        written = true;
                    }
                }
                Err(error) if size.check_memory(options.memory_limit_bytes).is_ok() => {
                    cache.notes.push(format!("{error}: decoded frames are kept in memory instead"));
                    return cache.load_to_memory(source, &header.lengths, report);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Decodes the episodes of `lengths`, which this cache is for, to memory.
    fn load_to_memory(mut self, source: &dyn EpisodeSource, lengths: &[usize], report: &Report<'_>) -> Result<Self> {
        let image_size = self.shape.image_size;
        let mut images = vec![0; self.kept as usize * image_size.rgb_len()];
        let decoding = Decoding { source, lengths, stride: self.stride, image_size };
        let numbers = decoding.run(report, Target::Memory(&mut images))?;
        [self.actions, self.states, self.proprioception] = numbers;
        self.mark_missing_actions();
        self.images = vec![(0, Images::Memory(images))];
        Ok(self)
    }

    /// Bytes that decoding `source` with `options` needs.
    ///
    /// # Errors
    /// [`Error::Content`] when an episode is missing.
    pub fn needed_bytes(source: &dyn EpisodeSource, options: &CacheOptions) -> Result<u64> {
        let image_size = options.image_size.unwrap_or(source.shape().image_size);
        let shape = EpisodeShape { image_size, ..*source.shape() };
        Ok(Size::of(&lengths(source, options)?, shape, options.stride.max(1)).bytes())
    }

    fn with_stored(mut self, stored: Stored) -> Self {
        let [actions, states, proprioception] = stored.numbers;
        self.images = vec![(0, Images::File(Arc::new(stored.images)))];
        (self.actions, self.states, self.proprioception) = (actions, states, proprioception);
        self.mark_missing_actions();
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
        let text = serde_json::to_string(&(header, source.mapping(), DECODING));
        text.map_err(|error| Error::content(source.path(), "frame cache", "a description", error))
    }
}

/// The lengths of the episodes that are decoded.
fn lengths(source: &dyn EpisodeSource, options: &CacheOptions) -> Result<Vec<usize>> {
    let episodes = options.max_episodes.unwrap_or(usize::MAX).min(source.len());
    (0..episodes).map(|index| Ok(source.episode(index)?.length)).collect()
}
