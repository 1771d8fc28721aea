//! The trait that every format of recorded episodes implements.

use std::fmt::Debug;
use std::ops::Range;
use std::path::Path;

use mindseye_interface::memory::{product, sum};
use mindseye_interface::text::printable_path;
use mindseye_interface::{ImageSize, MemoryLimit};

use crate::cameras::{ImageOptions, RecordedCamera};
use crate::episode::{EpisodeArrays, EpisodeData, EpisodeShape};
use crate::mapping::Mapping;
use crate::sidecar::Sidecar;
use crate::summary::{DatasetSummary, FeatureSummary};
use crate::{Error, Result};

/// Bytes of images of one episode that [`EpisodeSource::read_episode`] holds in memory at once.
const MAX_EPISODE_BYTES: u64 = 8 << 30;

/// Description of an episode, without its data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeMeta {
    /// Index of the episode.
    pub index: usize,
    /// Number of timesteps `T`.
    pub length: usize,
    /// Texts of its tasks.
    pub tasks: Vec<String>,
}

/// An episode to be read, and the memory for its images.
#[derive(Debug)]
pub struct ReadRequest<'a> {
    /// Index of the episode.
    pub episode: usize,
    /// Memory for its images, `[T / stride, C * H, W, 3]`.
    pub images: &'a mut [u8],
}

/// Recorded episodes, open for reading, in any format.
pub trait EpisodeSource: Debug + Send + Sync {
    /// Name of the format, with its version.
    fn format(&self) -> String;

    /// The folder or file.
    fn path(&self) -> &Path;

    /// Widths and image size that all episodes have.
    fn shape(&self) -> &EpisodeShape;

    /// The cameras that are read, in the order in which their images are stacked; at least one.
    fn cameras(&self) -> &[RecordedCamera];

    /// Names of the cameras that are read.
    fn camera_names(&self) -> Vec<String> {
        self.cameras().iter().map(|camera| camera.name.clone()).collect()
    }

    /// Number of episodes.
    fn len(&self) -> usize;

    /// Whether there is no episode.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of timesteps of all episodes.
    fn frames(&self) -> usize;

    /// Timesteps per second, where the format records them.
    fn frames_per_second(&self) -> Option<f64> {
        None
    }

    /// Description of episode `index`; reads none of its data.
    ///
    /// # Errors
    /// [`Error::Content`] when there is no such episode.
    fn episode(&self, index: usize) -> Result<EpisodeMeta>;

    /// Names of the elements of the true state; empty where none are recorded.
    fn state_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Names of the elements of proprioception; empty where none are recorded.
    fn proprioception_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Names of the elements of an action; empty where none are recorded.
    fn action_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// The columns that are read, including the default ones.
    fn mapping(&self) -> Mapping;

    /// What the user should know about how the data are read, for example which columns are not: one line each.
    fn notes(&self) -> &[String] {
        &[]
    }

    /// What mindseye recorded beside the data; `None` for data of other tools.
    fn sidecar(&self) -> Option<&Sidecar> {
        None
    }

    /// Whether live cameras were recorded, by `mindseye record --camera`: without actions such a recording is whole.
    fn is_of_cameras(&self) -> bool {
        false
    }

    /// Summary of the data set; reads its description, not its data.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be read.
    fn summary(&self) -> Result<DatasetSummary>;

    /// `episodes` (cut at the last episode) in parts that are best read one after the other, for example those in one
    /// file.
    fn parts(&self, episodes: Range<usize>) -> Vec<Range<usize>>;

    /// Reads the episodes of one part and decodes their images on the current rayon pool. `done` is called with the
    /// number of timesteps of every episode that is read, from any thread.
    ///
    /// # Errors
    /// [`Error::Content`] or [`Error::File`] that names the file, the frame and the feature.
    fn read(
        &self,
        part: Vec<ReadRequest<'_>>,
        options: ImageOptions,
        done: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<EpisodeArrays>>;

    /// Reads the whole of episode `index`.
    ///
    /// # Errors
    /// As [`EpisodeSource::read`].
    fn read_episode(&self, index: usize) -> Result<EpisodeData> {
        let (arrays, pixels) = read_whole(self, index)?;
        EpisodeData::from_parts(&pixels, &arrays, self.shape())
    }
}

/// Reads the whole of episode `index`: its numbers, and its images `[T, C * H, W, 3]`.
///
/// # Errors
/// As [`EpisodeSource::read`].
pub(crate) fn read_whole<S: EpisodeSource + ?Sized>(source: &S, index: usize) -> Result<(EpisodeArrays, Vec<u8>)> {
    read_scaled(source, index, source.shape().image_size)
}

/// Reads the whole of episode `index` like [`read_whole`], with images `[T, C * H, W, 3]` of `size`.
///
/// # Errors
/// As [`EpisodeSource::read`].
pub(crate) fn read_scaled<S: EpisodeSource + ?Sized>(
    source: &S,
    index: usize,
    size: ImageSize,
) -> Result<(EpisodeArrays, Vec<u8>)> {
    let (length, shape) = (source.episode(index)?.length, *source.shape());
    let needed_bytes = (length as u64).saturating_mul(size.rgb_len() as u64);
    if needed_bytes > MAX_EPISODE_BYTES {
        let what = "one episode's images";
        return Err(Error::Memory { what, limit_bytes: MAX_EPISODE_BYTES, needed_bytes });
    }
    // The images are there twice for a while: end to end, and one by one.
    let numbers = shape.action + shape.state + shape.proprioception;
    let needed = sum(&[2 * u128::from(needed_bytes), product(&[length, numbers, 8])]);
    let field = format!("{}: episode {index}", printable_path(source.path()));
    MemoryLimit::of_this_machine().require(&field, needed)?;
    let mut pixels = vec![0; length * size.rgb_len()];
    let request = ReadRequest { episode: index, images: &mut pixels };
    let options = ImageOptions { stride: 1, size };
    let arrays = source.read(vec![request], options, &|_| ())?.pop().unwrap_or_default();
    Ok((arrays, pixels))
}

/// Summary of a source that records only its episodes and `features`.
///
/// # Errors
/// As [`EpisodeSource::episode`].
pub(crate) fn plain_summary(
    source: &dyn EpisodeSource,
    features: Vec<FeatureSummary>,
    bytes_on_disk: u64,
) -> Result<DatasetSummary> {
    let lengths = (0..source.len()).map(|episode| Ok(source.episode(episode)?.length));
    let lengths = lengths.collect::<Result<Vec<usize>>>()?;
    let length = |of: Option<&usize>| of.copied().unwrap_or(0);
    Ok(DatasetSummary {
        path: source.path().to_path_buf(),
        format: source.format(),
        episodes: source.len(),
        frames: source.frames(),
        frames_per_second: source.frames_per_second(),
        episode_frames: [length(lengths.iter().min()), length(lengths.iter().max())],
        tasks: Vec::new(),
        features,
        bytes_on_disk,
        action: None,
        sidecar: None,
        notes: source.notes().to_vec(),
    })
}
