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

use super::npz;
use super::pictures::Pictures;
use super::{ACTIONS, LENGTHS, OFFSETS, PROPRIOCEPTION, STATES};
use crate::episode::EpisodeShape;
use crate::lerobot::dataset::EpisodeMeta;
use crate::lerobot::summary::{DatasetSummary, FeatureSummary, folder_bytes};
use crate::rows::{self, first_of, missing};
use crate::source::{EpisodeSource, Numbers, PictureOptions, Wanted};
use crate::{Error, Result};

/// A folder of stable-worldmodel, open for reading; its numbers are in memory.
#[derive(Debug)]
pub struct SwmFolder {
    root: PathBuf,
    pictures: Pictures,
    shape: EpisodeShape,
    /// Actions, true state, proprioception.
    numbers: [Option<Column>; 3],
    episodes: Vec<Range<usize>>,
}

/// A column of numbers `[N, width]`.
#[derive(Debug)]
struct Column {
    path: PathBuf,
    name: &'static str,
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
        let (columns, folders) = inside(path)?;
        let action = first_of(&ACTIONS, &columns).ok_or_else(|| missing(path, &ACTIONS, &columns))?;
        let action = Column::read(path, action, None)?;
        let rows = action.rows;
        let optional = |wanted: &[&'static str]| {
            first_of(wanted, &columns).map(|name| Column::read(path, name, Some(rows))).transpose() //
        };
        let (state, proprioception) = (optional(&STATES)?, optional(&PROPRIOCEPTION)?);
        let (lengths, offsets) = (wholes(path, LENGTHS)?, wholes(path, OFFSETS)?);
        let episodes = rows::episodes(&npz_path(path, LENGTHS), &lengths, &offsets, rows)?;
        let (pictures, image_size) = Pictures::find(path, &folders, episodes.len())?;
        let width = |column: &Option<Column>| column.as_ref().map_or(0, |column| column.width);
        let (action_width, state_width) = (action.width, width(&state));
        let shape = EpisodeShape {
            image_size,
            action: action_width,
            state: state_width,
            proprioception: width(&proprioception),
        };
        let numbers = [Some(action), state, proprioception];
        Ok(Self { root: path.to_path_buf(), pictures, shape, numbers, episodes })
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
    fn read(root: &Path, name: &'static str, rows: Option<u64>) -> Result<Self> {
        let path = npz_path(root, name);
        let array = npz::read(&path)?;
        let shape = &array.header.shape;
        let rows = rows.or(shape.first().copied()).unwrap_or(0);
        let width = rows::width(&path, name, shape, rows)?;
        let values = array.floats().ok_or_else(|| Error::content(&path, name, "numbers", array.header.type_name()))?;
        Ok(Self { path, name, rows, width, values })
    }

    /// Rows `range`, finite.
    fn rows(&self, range: &Range<usize>, episode: usize) -> Result<Vec<f32>> {
        let values = self.values.get(range.start * self.width..range.end * self.width).unwrap_or_default();
        rows::finite(&self.path, episode, self.name, [range.len(), self.width], values.to_vec())
    }
}

impl EpisodeSource for SwmFolder {
    fn format(&self) -> String {
        format!("stable-worldmodel {}", if self.pictures.are_videos() { "video" } else { "folder" })
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
        None
    }

    fn episode(&self, index: usize) -> Result<EpisodeMeta> {
        let length = rows::episode(&self.root, &self.episodes, index)?.len();
        Ok(EpisodeMeta { index, length, tasks: Vec::new() })
    }

    fn summary(&self) -> Result<DatasetSummary> {
        let picture = FeatureSummary {
            name: self.pictures.name(),
            dtype: if self.pictures.are_videos() { "video" } else { "image" }.into(),
            shape: vec![self.frames(), self.shape.image_size.height(), self.shape.image_size.width(), 3],
            element_names: Vec::new(),
        };
        let mut features = vec![picture];
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
            let [actions, states, proprioception] = self.numbers.each_ref().map(|column| match column {
                Some(column) => column.rows(range, episode),
                None => Ok(Vec::new()),
            });
            let numbers = Numbers { actions: actions?, states: states?, proprioception: proprioception? };
            self.pictures.fill([episode, range.len()], self.shape.image_size, options, wanted.pictures)?;
            done(range.len());
            Ok(numbers)
        };
        part.into_iter().map(one).collect()
    }
}
