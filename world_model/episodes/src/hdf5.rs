//! HDF5 files: stable-worldmodel's (columns as in [`crate::swm`], all datasets of the file's root) and [`robomimic`]'s.
//!
//! Of stable-worldmodel, both the current recorder's files and those of the older one, whose pictures went through Blosc, are read.

mod blosc;
mod columns;
pub mod robomimic;

use std::ops::Range;
use std::path::{Path, PathBuf};

use columns::{Column, broken};
use hdf5_pure::File;

use self::robomimic::RobomimicFile;
use crate::Result;
use crate::episode::EpisodeShape;
use crate::lerobot::dataset::EpisodeMeta;
use crate::lerobot::summary::DatasetSummary;
use crate::rows::{self, first_of, missing};
use crate::source::{EpisodeSource, Numbers, PictureOptions, Wanted};
use crate::swm::{ACTIONS, LENGTHS, OFFSETS, PICTURES, PROPRIOCEPTION, STATES};

/// Opens the HDF5 file at `path`, whoever's it is: robomimic's have a group `data`.
///
/// # Errors
/// As [`SwmFile::open`] and [`RobomimicFile::open`].
pub fn open(path: &Path) -> Result<Box<dyn EpisodeSource>> {
    let file = File::open_streaming(path).map_err(|error| broken(path, error))?;
    let groups = file.root().groups().map_err(|error| broken(path, error))?;
    if groups.iter().any(|group| group == robomimic::DATA) {
        return Ok(Box::new(RobomimicFile::open(path)?));
    }
    Ok(Box::new(SwmFile::open(path)?))
}

/// A file of stable-worldmodel, open for reading.
pub struct SwmFile {
    path: PathBuf,
    file: File,
    shape: EpisodeShape,
    columns: Columns,
    fps: Option<f64>,
    episodes: Vec<Range<usize>>,
    frames: usize,
}

impl std::fmt::Debug for SwmFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SwmFile").field("path", &self.path).field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl SwmFile {
    /// Whether the file at `path` begins as HDF5 files do.
    pub fn is_hdf5(path: &Path) -> bool {
        hdf5_pure::is_hdf5(path).unwrap_or(false)
    }

    /// Opens the file at `path`: reads what columns there are, not their rows.
    ///
    /// # Errors
    /// [`crate::Error::File`] when it is broken; [`crate::Error::Content`] when a column is missing or contradicts the others.
    pub fn open(path: &Path) -> Result<Self> {
        let file = File::open_streaming(path).map_err(|error| broken(path, error))?;
        let names = file.root().datasets().map_err(|error| broken(path, error))?;
        let pictures = first_of(&PICTURES, &names).ok_or_else(|| missing(path, &PICTURES, &names))?;
        let action = first_of(&ACTIONS, &names).ok_or_else(|| missing(path, &ACTIONS, &names))?;
        let (rows, image_size) = Column::open(&file, path, pictures)?.pictures()?;
        let width = |name: &'static str| -> Result<(String, usize)> {
            Ok((name.into(), Column::open(&file, path, name)?.width(rows)?)) //
        };
        let optional = |wanted: &[&'static str]| first_of(wanted, &names).map(width).transpose();
        let numbers = [Some(width(action)?), optional(&STATES)?, optional(&PROPRIOCEPTION)?];
        let of = |index: usize| numbers[index].as_ref().map_or(0, |(_, width)| *width);
        let shape = EpisodeShape { image_size, action: of(0), state: of(1), proprioception: of(2) };
        let whole = |name: &'static str| -> Result<Vec<i64>> {
            first_of(&[name], &names).ok_or_else(|| missing(path, &[name], &names))?;
            Column::open(&file, path, name)?.wholes()
        };
        let episodes = rows::episodes(path, &whole(LENGTHS)?, &whole(OFFSETS)?, rows)?;
        let frames = episodes.iter().map(Range::len).sum();
        Ok(Self { path: path.to_path_buf(), file, shape, pictures: pictures.into(), numbers, episodes, frames })
    }

    fn column<'a>(&'a self, name: &'a str) -> Result<Column<'a>> {
        Column::open(&self.file, &self.path, name)
    }
}

impl EpisodeSource for SwmFile {
    fn format(&self) -> String {
        "stable-worldmodel HDF5".into()
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn shape(&self) -> &EpisodeShape {
        &self.shape
    }

    fn len(&self) -> usize {
        self.episodes.len()
    }

    fn frames(&self) -> usize {
        self.frames
    }

    fn frames_per_second(&self) -> Option<f64> {
        self.fps
    }

    fn episode(&self, index: usize) -> Result<EpisodeMeta> {
        let length = rows::episode(&self.path, &self.episodes, index)?.len();
        Ok(EpisodeMeta { index, length, tasks: Vec::new() })
    }

    fn mapping(&self) -> Mapping {
        self.columns.mapping(self.fps)
    }

    fn summary(&self) -> Result<DatasetSummary> {
        let names = self.file.root().datasets().map_err(|error| broken(&self.path, error))?;
        let features = names.iter().map(|name| self.column(name)?.summary()).collect::<Result<_>>()?;
        DatasetSummary::plain(self, features, self.file.file_size())
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
            let range = rows::episode(&self.path, &self.episodes, wanted.episode)?;
            let [actions, states, proprioception] = self.numbers.each_ref().map(|column| match column {
                Some((name, width)) => self.column(name)?.numbers(range, *width, wanted.episode),
                None => Ok(Vec::new()),
            });
            let numbers = Numbers { actions: actions?, states: states?, proprioception: proprioception? };
            self.column(&self.pictures)?.fill(range.start, self.shape.image_size, options, wanted.pictures)?;
            done(range.len());
            Ok(numbers)
        };
        part.into_iter().map(one).collect()
    }
}

/// What can be mapped of a column of `shape`.
fn known(name: &str, shape: &[u64]) -> Option<Known> {
    let kind = match *shape {
        [_, height, width, 3] if height.max(width) <= ImageSize::MAX_SIDE as u64 => {
            Kind::Pictures(ImageSize::new(height as usize, width as usize).ok()?)
        }
        [_, width] if (1..=MAX_WIDTH).contains(&width) => Kind::Numbers(width as usize),
        [_] => Kind::Numbers(1),
        _ => return None,
    };
    Some(Known { name: name.into(), kind, elements: Vec::new() })
}
