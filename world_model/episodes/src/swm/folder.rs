//! stable-worldmodel's folders, of its formats `video` and `folder`: columns of numbers in npz files, pictures beside them.
//!
//! ```text
//! ep_len.npz, ep_offset.npz       as in HDF5
//! action.npz, proprio.npz, ...    one column each
//! pixels/ep_<i>.mp4               a video for every episode (`video`), or
//! pixels/ep_<i>_step_<t>.jpeg     a picture for every step (`folder`); .jpg and .png are read, too
//! ```

use std::ops::Range;
use std::path::{Path, PathBuf};

use mindseye_interface::ImageSize;

use super::npz;
use super::pictures::Pictures;
use super::{LENGTHS, OFFSETS, PICTURES, USUAL};
use crate::episode::EpisodeShape;
use crate::lerobot::dataset::EpisodeMeta;
use crate::lerobot::summary::{DatasetSummary, FeatureSummary, folder_bytes};
use crate::mapping::{Columns, Kind, Known, Mapping, Part, Usual, side_by_side, stacked};
use crate::rows::{self, missing};
use crate::source::{EpisodeSource, Numbers, PictureOptions, Wanted};
use crate::{Error, Result};

/// A folder of stable-worldmodel, open for reading; its numbers are in memory.
#[derive(Debug)]
pub struct SwmFolder {
    root: PathBuf,
    columns: Columns,
    fps: Option<f64>,
    shape: EpisodeShape,
    /// Of every camera.
    pictures: Vec<Pictures>,
    /// Those that are read, each once.
    numbers: Vec<Column>,
    episodes: Vec<Range<usize>>,
}

/// A column of numbers `[N, width]`.
#[derive(Debug)]
struct Column {
    path: PathBuf,
    name: String,
    rows: u64,
    width: usize,
    values: Vec<f32>,
}

impl SwmFolder {
    /// Whether the folder at `path` is of stable-worldmodel.
    pub fn is_one(path: &Path) -> bool {
        npz_path(path, LENGTHS).is_file()
    }

    /// Opens the folder at `path`: reads its numbers and what the first picture or video that can be opened says of its size.
    ///
    /// # Errors
    /// [`Error::File`] when a file is missing or broken; [`Error::Content`] when a column is missing or contradicts the others.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &Mapping::default())
    }

    /// As [`SwmFolder::open`], with the columns that `mapping` names.
    ///
    /// # Errors
    /// As [`SwmFolder::open`].
    pub fn open_with(path: &Path, mapping: &Mapping) -> Result<Self> {
        let (names, folders) = inside(path)?;
        let (lengths, offsets) = (wholes(path, LENGTHS)?, wholes(path, OFFSETS)?);
        let mut known = Vec::new();
        let (mut found, mut first_error) = (Vec::new(), None);
        for name in &folders {
            let name = name.clone();
            match Pictures::find(path, &name, lengths.len()) {
                Some(Ok((pictures, size))) => {
                    known.push(Known { name: name.clone(), kind: Kind::Pictures(size), elements: Vec::new() });
                    found.push((name, pictures));
                }
                Some(Err(error)) => first_error = first_error.or(Some(error)),
                None => (),
            }
        }
        // Folders of the usual names come before others.
        known.sort_by_key(|column| PICTURES.iter().position(|name| *name == column.name).unwrap_or(PICTURES.len()));
        if known.is_empty() && mapping.cameras.is_none() {
            let expected = "a folder with ep_0.mp4 or ep_0_step_0.jpeg";
            let missing = || Error::content(path, PICTURES.join(" or "), expected, format!("folders {folders:?}"));
            return Err(first_error.unwrap_or_else(missing));
        }
        for name in names {
            let header = npz::read_header(&npz_path(path, &name));
            let kind = header.ok().and_then(|header| Kind::of(&header.shape));
            let kind = kind.filter(|kind| matches!(kind, Kind::Numbers(_)));
            // One that cannot be read is refused when it is wanted, with what is wrong with it.
            known.push(Known { name, kind: kind.unwrap_or(Kind::Numbers(1)), elements: Vec::new() });
        }
        let columns = mapping.resolve(path, &known, &Usual { cameras: None, ..USUAL })?;
        let mut numbers: Vec<Column> = Vec::new();
        for part in [&columns.action, &columns.state, &columns.proprioception].into_iter().flatten() {
            if !numbers.iter().any(|column| column.name == part.column) {
                numbers.push(Column::read(path, &part.column, numbers.first().map(|first| first.rows))?);
            }
        }
        let all = || lengths.iter().map(|length| u64::try_from(*length).unwrap_or(0)).sum();
        let rows = numbers.first().map_or_else(all, |column| column.rows);
        let episodes = rows::episodes(&npz_path(path, LENGTHS), &lengths, &offsets, rows)?;
        let mut pictures = Vec::new();
        for (camera, _) in &columns.cameras {
            let place = found.iter().position(|(name, _)| name == camera);
            pictures.extend(place.map(|place| found.swap_remove(place).1));
        }
        if pictures.len() != columns.cameras.len() {
            return Err(Error::content(path, "cameras", "each once", "one of them twice"));
        }
        let shape = columns.shape()?;
        Ok(Self { root: path.to_path_buf(), columns, fps: mapping.fps, shape, pictures, numbers, episodes })
    }
}

/// The file of a column.
fn npz_path(root: &Path, name: &str) -> PathBuf {
    root.join(format!("{name}.npz"))
}

/// Names of the columns in npz files, and of the folders, sorted.
fn inside(root: &Path) -> Result<(Vec<String>, Vec<String>)> {
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

/// A column of whole numbers.
fn wholes(root: &Path, name: &str) -> Result<Vec<i64>> {
    let path = npz_path(root, name);
    let array = npz::read(&path)?;
    let values = array.wholes().filter(|_| array.header.shape.len() == 1);
    let got = || format!("{:?} of {}", array.header.shape, array.header.type_name());
    values.ok_or_else(|| Error::content(&path, name, "[episodes] of whole numbers", got()))
}

impl Column {
    /// Reads column `name`, of `rows` rows where it is known how many there are.
    fn read(root: &Path, name: &str, rows: Option<u64>) -> Result<Self> {
        let path = npz_path(root, name);
        let array = npz::read(&path)?;
        let shape = &array.header.shape;
        let rows = rows.or(shape.first().copied()).unwrap_or(0);
        let width = rows::width(&path, name, shape, rows)?;
        let values = array.floats().ok_or_else(|| Error::content(&path, name, "numbers", array.header.type_name()))?;
        Ok(Self { path, name: name.into(), rows, width, values })
    }

    /// Rows `range`, finite.
    fn rows(&self, range: &Range<usize>, episode: usize) -> Result<Vec<f32>> {
        let values = self.values.get(range.start * self.width..range.end * self.width).unwrap_or_default();
        rows::finite(&self.path, episode, &self.name, [range.len(), self.width], values.to_vec())
    }
}

impl SwmFolder {
    fn are_videos(&self) -> bool {
        self.pictures.iter().any(Pictures::are_videos)
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

    fn len(&self) -> usize {
        self.episodes.len()
    }

    fn frames(&self) -> usize {
        self.episodes.iter().map(Range::len).sum()
    }

    // The videos' rate is no answer: the writer says 25 unless told otherwise, however fast was recorded.
    fn frames_per_second(&self) -> Option<f64> {
        self.fps
    }

    fn mapping(&self) -> Mapping {
        self.columns.mapping(self.fps)
    }

    fn episode(&self, index: usize) -> Result<EpisodeMeta> {
        let length = rows::episode(&self.root, &self.episodes, index)?.len();
        Ok(EpisodeMeta { index, length, tasks: Vec::new() })
    }

    fn summary(&self) -> Result<DatasetSummary> {
        let picture = |((_, size), pictures): (&(String, ImageSize), &Pictures)| FeatureSummary {
            name: pictures.name(),
            dtype: if pictures.are_videos() { "video" } else { "image" }.into(),
            shape: vec![self.frames(), size.height(), size.width(), 3],
            element_names: Vec::new(),
        };
        let mut features: Vec<FeatureSummary> = self.columns.cameras.iter().zip(&self.pictures).map(picture).collect();
        for name in inside(&self.root)?.0 {
            let header = npz::read_header(&npz_path(&self.root, &name))?;
            let (dtype, shape) = (header.type_name(), header.shape.iter().map(|side| *side as usize).collect());
            features.push(FeatureSummary { name, dtype, shape, element_names: Vec::new() });
        }
        DatasetSummary::plain(self, features, folder_bytes(&self.root)?)
    }

    fn parts(&self, episodes: Range<usize>) -> Vec<Range<usize>> {
        rows::one_by_one(episodes, self.len())
    }

    fn read(
        &self,
        part: Vec<Wanted<'_>>,
        options: PictureOptions,
        done: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Numbers>> {
        let one = |wanted: Wanted<'_>| -> Result<Numbers> {
            let episode = wanted.episode;
            let range = rows::episode(&self.root, &self.episodes, episode)?;
            let column = |part: &Part| {
                let column = self.numbers.iter().find(|column| column.name == part.column);
                column.ok_or_else(|| missing(&self.root, &[&part.column], &[]))?.rows(range, episode)
            };
            let Columns { cameras, action, state, proprioception } = &self.columns;
            let numbers = Numbers {
                actions: side_by_side(action, column)?,
                states: side_by_side(state, column)?,
                proprioception: side_by_side(proprioception, column)?,
            };
            let mut pictures = self.pictures.iter();
            stacked(cameras, options, wanted.pictures, &mut |(_, size), options, target| match pictures.next() {
                Some(pictures) => pictures.fill([episode, range.len()], size, options, target),
                None => Ok(()),
            })?;
            done(range.len());
            Ok(numbers)
        };
        part.into_iter().map(one).collect()
    }
}
