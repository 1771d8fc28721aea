//! stable-worldmodel's folders, its formats `video` and `folder`: columns of numbers in npz files, and images beside
//! them.
//!
//! ```text
//! ep_len.npz, ep_offset.npz       as in HDF5
//! action.npz, proprio.npz, ...    one column each
//! pixels/ep_<i>.mp4               a video per episode (`video`), or
//! pixels/ep_<i>_step_<t>.jpeg     an image per step (`folder`); .jpg and .png are read as well
//! ```

use std::ops::Range;
use std::path::{Path, PathBuf};

use mindseye_interface::MemoryLimit;
use mindseye_interface::text::printable_path;

use super::images::EpisodeImages;
use super::npz;
use super::{DEFAULT_COLUMNS, IMAGES, LENGTHS, OFFSETS};
use crate::cameras::{ImageOptions, RecordedCamera, fill_stack};
use crate::columns::{ColumnSlice, Columns, actions_side_by_side, side_by_side};
use crate::episode::{EpisodeArrays, EpisodeShape};
use crate::mapping::{AvailableColumn, ColumnKind, DefaultColumns, Mapping};
use crate::rows::{self, missing};
use crate::source::{EpisodeMeta, EpisodeSource, ReadRequest, plain_summary};
use crate::summary::{DatasetSummary, FeatureSummary, folder_bytes};
use crate::{Error, Result};

/// Bytes that a number takes while it is read: as in the file, as a value, and as `f32`.
const VALUE_BYTES: u128 = 20;

/// A folder of stable-worldmodel, open for reading; its numbers are in memory.
#[derive(Debug)]
pub(crate) struct SwmFolder {
    root: PathBuf,
    columns: Columns,
    fps: Option<f64>,
    shape: EpisodeShape,
    /// One entry per camera.
    images: Vec<EpisodeImages>,
    /// The columns of numbers that are read, each once.
    numbers: Vec<NumberColumn>,
    episodes: Vec<Range<usize>>,
}

/// A column of numbers `[N, width]`.
#[derive(Debug)]
struct NumberColumn {
    path: PathBuf,
    name: String,
    rows: u64,
    width: usize,
    values: Vec<f32>,
}

impl SwmFolder {
    /// Opens the folder at `path` with the columns that `mapping` names: reads its numbers, and the image size from the
    /// first image or video that can be opened.
    ///
    /// # Errors
    /// [`Error::File`] when a file is missing or broken; [`Error::Content`] when a column is missing or contradicts the
    /// others.
    pub fn open_with(path: &Path, mapping: &Mapping) -> Result<Self> {
        let (names, folders) = list_columns(path)?;
        let (lengths, offsets) = (integers(path, LENGTHS)?, integers(path, OFFSETS)?);
        let mut available = Vec::new();
        let (mut found, mut first_error) = (Vec::new(), None);
        for name in &folders {
            let name = name.clone();
            match EpisodeImages::find(path, &name, lengths.len()) {
                Some(Ok((images, size))) => {
                    available.push(AvailableColumn::new(&name, ColumnKind::Image(size)));
                    found.push((name, images));
                }
                Some(Err(error)) => first_error = first_error.or(Some(error)),
                None => (),
            }
        }
        // Folders with default names come first.
        available.sort_by_key(|column| IMAGES.iter().position(|name| *name == column.name).unwrap_or(IMAGES.len()));
        if available.is_empty() && mapping.cameras.is_none() {
            let expected = "a folder with ep_0.mp4 or ep_0_step_0.jpeg";
            let missing = || Error::content(path, IMAGES.join(" or "), expected, format!("folders {folders:?}"));
            return Err(first_error.unwrap_or_else(missing));
        }
        for name in names {
            let header = npz::read_header(&npz_path(path, &name));
            let kind = header.ok().map(|header| ColumnKind::numbers(header.shape()));
            let kind = kind.filter(|kind| matches!(kind, ColumnKind::Vector(_)));
            // A column that cannot be read is refused when it is requested, with the reason.
            available.push(AvailableColumn::new(name, kind.unwrap_or(ColumnKind::Vector(1))));
        }
        let columns = mapping.resolve(path, &available, &DefaultColumns { cameras: None, ..DEFAULT_COLUMNS })?;
        require_memory(path, &columns)?;
        let mut numbers: Vec<NumberColumn> = Vec::new();
        for slice in columns.slices() {
            if !numbers.iter().any(|column| column.name == slice.column) {
                numbers.push(NumberColumn::read(path, &slice.column, numbers.first().map(|first| first.rows))?);
            }
        }
        let all = || lengths.iter().map(|length| u64::try_from(*length).unwrap_or(0)).sum();
        let rows = numbers.first().map_or_else(all, |column| column.rows);
        let episodes = rows::episodes(&npz_path(path, LENGTHS), &lengths, &offsets, rows)?;
        let mut images = Vec::new();
        for camera in &columns.cameras {
            let place = found.iter().position(|(name, _)| *name == camera.column);
            images.extend(place.map(|place| found.swap_remove(place).1));
        }
        if images.len() != columns.cameras.len() {
            return Err(Error::content(path, "cameras", "each once", "one of them twice"));
        }
        let shape = columns.shape()?;
        Ok(Self { root: path.to_path_buf(), columns, fps: mapping.fps, shape, images, numbers, episodes })
    }
}

/// Whether the folder at `path` is one of stable-worldmodel.
pub(crate) fn is_swm_folder(path: &Path) -> bool {
    npz_path(path, LENGTHS).is_file()
}

/// The file of a column.
fn npz_path(root: &Path, name: &str) -> PathBuf {
    root.join(format!("{name}.npz"))
}

/// Names of the npz files and of the folders in `root`, sorted.
fn list_columns(root: &Path) -> Result<(Vec<String>, Vec<String>)> {
    let failed = |error| Error::file(root, "listing", error);
    let (mut columns, mut folders) = (Vec::new(), Vec::new());
    for entry in std::fs::read_dir(root).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = |name: Option<&std::ffi::OsStr>| name.and_then(|name| name.to_str()).map(str::to_owned);
        if path.is_dir() {
            folders.extend(name(path.file_name()));
        } else if path.extension().is_some_and(|extension| extension == "npz") {
            columns.extend(name(path.file_stem()));
        }
    }
    columns.sort();
    folders.sort();
    Ok((columns, folders))
}

/// A column of integers.
fn integers(root: &Path, name: &str) -> Result<Vec<i64>> {
    let path = npz_path(root, name);
    let array = npz::read(&path)?;
    let (axes, got) =
        (array.header.shape().len(), format!("{:?} of {}", array.header.shape(), array.header.type_name()));
    let values = array.integers().filter(|_| axes == 1);
    values.ok_or_else(|| Error::content(&path, name, "[episodes] of whole numbers", got))
}

/// Adds up the numbers of all `columns` that are read from the folder `root`, before any of them is.
fn require_memory(root: &Path, columns: &Columns) -> Result<()> {
    let mut names: Vec<&str> = columns.slices().map(|slice| slice.column.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut bytes = 0u128;
    for name in names {
        // What cannot be read is refused when it is read.
        let header = npz::read_header(&npz_path(root, name)).ok();
        let shape = header.iter().flat_map(|header| header.shape());
        let values = shape.fold(1u128, |values, &side| values.saturating_mul(u128::from(side)));
        let values = values.saturating_mul(VALUE_BYTES);
        // A column that is too large by itself is refused by its name.
        bytes += if values > u128::from(npz::MAX_BYTES) * VALUE_BYTES { 0 } else { values };
    }
    let field = format!("{}: numbers of all columns", printable_path(root));
    Ok(MemoryLimit::of_this_machine().require(&field, bytes)?)
}

impl NumberColumn {
    /// Reads column `name`, which must have `rows` rows if given.
    fn read(root: &Path, name: &str, rows: Option<u64>) -> Result<Self> {
        let path = npz_path(root, name);
        let array = npz::read(&path)?;
        let shape = array.header.shape();
        let rows = rows.or(shape.first().copied()).unwrap_or(0);
        let width = rows::width(&path, name, shape, rows)?;
        Ok(Self { path, name: name.into(), rows, width, values: array.floats() })
    }

    /// Rows `range`.
    fn rows(&self, range: &Range<usize>) -> Vec<f32> {
        self.values.get(range.start * self.width..range.end * self.width).unwrap_or_default().to_vec()
    }
}

impl SwmFolder {
    fn are_videos(&self) -> bool {
        self.images.iter().any(EpisodeImages::are_videos)
    }
}

impl EpisodeSource for SwmFolder {
    fn format(&self) -> String {
        format!("stable-worldmodel {}", if self.are_videos() { "video" } else { "folder" })
    }

    fn path(&self) -> &Path {
        &self.root
    }

    fn shape(&self) -> &EpisodeShape {
        &self.shape
    }

    fn cameras(&self) -> &[RecordedCamera] {
        &self.columns.cameras
    }

    fn len(&self) -> usize {
        self.episodes.len()
    }

    fn frames(&self) -> usize {
        self.episodes.iter().map(Range::len).sum()
    }

    // The rate of the videos is not used: the official writer states 25 whatever the rate of the recording.
    fn frames_per_second(&self) -> Option<f64> {
        self.fps
    }

    fn mapping(&self) -> Mapping {
        Mapping::of(&self.columns, self.fps)
    }

    fn episode(&self, index: usize) -> Result<EpisodeMeta> {
        let length = rows::episode(&self.root, &self.episodes, index)?.len();
        Ok(EpisodeMeta { index, length, tasks: Vec::new() })
    }

    fn summary(&self) -> Result<DatasetSummary> {
        let image = |(camera, images): (&RecordedCamera, &EpisodeImages)| FeatureSummary {
            name: images.name(),
            dtype: if images.are_videos() { "video" } else { "image" }.into(),
            shape: vec![self.frames(), camera.size.height(), camera.size.width(), 3],
            element_names: Vec::new(),
        };
        let mut features: Vec<FeatureSummary> = self.columns.cameras.iter().zip(&self.images).map(image).collect();
        for name in list_columns(&self.root)?.0 {
            let header = npz::read_header(&npz_path(&self.root, &name))?;
            let (dtype, shape) = (header.type_name(), header.shape().iter().map(|side| *side as usize).collect());
            features.push(FeatureSummary { name, dtype, shape, element_names: Vec::new() });
        }
        plain_summary(self, features, folder_bytes(&self.root)?)
    }

    fn parts(&self, episodes: Range<usize>) -> Vec<Range<usize>> {
        rows::one_by_one(episodes, self.len())
    }

    fn read(
        &self,
        part: Vec<ReadRequest<'_>>,
        options: ImageOptions,
        done: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<EpisodeArrays>> {
        let one = |request: ReadRequest<'_>| -> Result<EpisodeArrays> {
            let episode = request.episode;
            let range = rows::episode(&self.root, &self.episodes, episode)?;
            let numbers = |slice: &ColumnSlice| {
                let column = self.numbers.iter().find(|column| column.name == slice.column);
                column.ok_or_else(|| missing(&self.root, &[&slice.column], &[]))
            };
            let column = |slice: &ColumnSlice| {
                let column = numbers(slice)?;
                rows::finite(&column.path, episode, (&column.name, slice), range.len(), column.rows(range))
            };
            let action = |slice: &ColumnSlice| {
                let column = numbers(slice)?;
                rows::finite_but_last(&column.path, episode, (&column.name, slice), range.len(), column.rows(range))
            };
            let arrays = EpisodeArrays {
                actions: actions_side_by_side(&self.columns.action, action)?,
                states: side_by_side(&self.columns.state, column)?,
                proprioception: side_by_side(&self.columns.proprioception, column)?,
                ..EpisodeArrays::default()
            };
            let mut images = self.images.iter();
            fill_stack(&self.columns.cameras, options, request.images, &mut |camera, options, target| match images
                .next()
            {
                Some(images) => images.fill([episode, range.len()], camera.size, options, target),
                None => Ok(()),
            })?;
            done(range.len());
            Ok(arrays)
        };
        part.into_iter().map(one).collect()
    }
}
