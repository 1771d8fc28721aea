//! Recorded episodes, whatever they are stored as.

use std::fmt::Debug;
use std::ops::Range;
use std::path::Path;

use mindseye_interface::ImageSize;

use crate::episode::{EpisodeData, EpisodeShape};
use crate::hdf5::{self, SwmFile};
use crate::lerobot::dataset::{Dataset, EpisodeMeta};
use crate::lerobot::sidecar::Sidecar;
use crate::lerobot::summary::DatasetSummary;
use crate::mapping::Mapping;
use crate::swm::folder::SwmFolder;
use crate::{Error, Result};

/// Pictures of one episode that are held in memory at once, where nobody says how much may be.
const MOST_EPISODE_BYTES: u64 = 8 << 30;

/// What an episode brings beside its pictures.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Numbers {
    /// `[T, A]`.
    pub actions: Vec<f32>,
    /// `[T, K]`.
    pub states: Vec<f32>,
    /// `[T, P]`.
    pub proprioception: Vec<f32>,
}

/// An episode that is to be read, and where its pictures go: `[T / stride, H, W, 3]`.
#[derive(Debug)]
pub struct Wanted<'a> {
    /// Index of the episode.
    pub episode: usize,
    /// Memory for its pictures.
    pub pictures: &'a mut [u8],
}

/// How pictures are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureOptions {
    /// Those of moments 0, `stride`, 2 `stride`, ...
    pub stride: usize,
    /// Scaled to this size by area averages.
    pub size: ImageSize,
}

/// Recorded episodes, open for reading: one way in for all formats.
pub trait EpisodeSource: Debug + Send + Sync {
    /// Name of the format, with its version.
    fn format(&self) -> String;

    /// The folder or file.
    fn path(&self) -> &Path;

    /// Widths and picture size that all episodes have.
    fn shape(&self) -> &EpisodeShape;

    /// Number of episodes.
    fn len(&self) -> usize;

    /// Whether there is no episode.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Number of moments of all episodes.
    fn frames(&self) -> usize;

    /// Moments per second, where the format says.
    fn frames_per_second(&self) -> Option<f64> {
        None
    }

    /// What is known of episode `index` without reading it.
    ///
    /// # Errors
    /// [`Error::Content`] when there is no such episode.
    fn episode(&self, index: usize) -> Result<EpisodeMeta>;

    /// Names of the elements of the true state; empty where none are known.
    fn state_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Names of the elements of proprioception; empty where none are known.
    fn proprioception_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// Names of the elements of an action; empty where none are known.
    fn action_names(&self) -> Vec<String> {
        Vec::new()
    }

    /// The columns that are read, those that were guessed, too.
    fn mapping(&self) -> Mapping;

    /// What mindseye recorded beside the data; `None` for data of other tools.
    fn sidecar(&self) -> Option<&Sidecar> {
        None
    }

    /// The data set at a glance; reads what describes it, not its moments.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be read.
    fn summary(&self) -> Result<DatasetSummary>;

    /// `episodes` (cut at the last one there is) in parts that are best read one after the other: those in one file.
    fn parts(&self, episodes: Range<usize>) -> Vec<Range<usize>>;

    /// Reads the episodes of one part, pictures decoded on the current rayon pool. `done` is called with the number of moments of every
    /// episode that is read, from any thread.
    ///
    /// # Errors
    /// [`Error::Content`] or [`Error::File`] that names the file, the frame and the feature.
    fn read(
        &self,
        part: Vec<Wanted<'_>>,
        options: PictureOptions,
        done: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Numbers>>;

    /// Reads episode `index` whole.
    ///
    /// # Errors
    /// As [`EpisodeSource::read`].
    fn read_episode(&self, index: usize) -> Result<EpisodeData> {
        let (length, shape) = (self.episode(index)?.length, *self.shape());
        let needed_bytes = (length as u64).saturating_mul(shape.image_size.rgb_len() as u64);
        if needed_bytes > MOST_EPISODE_BYTES {
            let what = "one episode's pictures";
            return Err(Error::Memory { what, limit_bytes: MOST_EPISODE_BYTES, needed_bytes });
        }
        let mut pixels = vec![0; length * shape.image_size.rgb_len()];
        let wanted = Wanted { episode: index, pictures: &mut pixels };
        let options = PictureOptions { stride: 1, size: shape.image_size };
        let numbers = self.read(vec![wanted], options, &|_| ())?.pop().unwrap_or_default();
        EpisodeData::from_parts(&pixels, &numbers, &shape)
    }
}

/// Opens what is at `path`: a LeRobot folder, an HDF5 file of stable-worldmodel or robomimic, or a folder of stable-worldmodel.
///
/// # Errors
/// [`Error::Content`] when it is none of what is read, with the command that converts it where it is known; else what the reader says.
pub fn open(path: &Path) -> Result<Box<dyn EpisodeSource>> {
    open_with(path, &Mapping::default())
}

/// As [`open`], with the columns that `mapping` names.
///
/// # Errors
/// As [`open`]; [`Error::Content`] when a column is missing or of another kind.
pub fn open_with(path: &Path, mapping: &Mapping) -> Result<Box<dyn EpisodeSource>> {
    let expected = "a LeRobot folder (with meta/info.json), an HDF5 file or folder of stable-worldmodel, or an HDF5 file of robomimic";
    let refused = |got: &str| Err(Error::content(path, "data set", expected, got));
    let metadata = std::fs::metadata(path).map_err(|error| Error::file(path, "opening", error))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    if metadata.is_file() {
        if SwmFile::is_hdf5(path) {
            return hdf5::open(path, mapping);
        }
        let packed = name.ends_with(".zst");
        return refused(if packed { "a file compressed with zstd (zstd -d FILE unpacks it)" } else { "another file" });
    }
    if path.join("meta").join("info.json").is_file() {
        return Ok(Box::new(Dataset::open_with(path, mapping)?));
    }
    if name.ends_with(".lance") {
        return refused("a Lance table (swm convert PATH --format hdf5 makes a file that is read)");
    }
    if SwmFolder::is_one(path) {
        return Ok(Box::new(SwmFolder::open_with(path, mapping)?));
    }
    refused("another folder")
}
