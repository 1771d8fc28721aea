//! HDF5 files: stable-worldmodel's (columns as in [`crate::swm`], all datasets of the file's root) and [`robomimic`]'s.
//!
//! Of stable-worldmodel, both the current recorder's files and those of the older one, whose pictures went through Blosc, are read. What is
//! written here has `episode_idx` and `step_idx` as well (which step of which episode a row is), and what mindseye knows beside in an
//! attribute of the root group, `mindseye`.

mod blosc;
mod columns;
mod notes;
pub mod robomimic;
mod writer;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use columns::{Column, Kept, broken};
use hdf5_pure::File;

use self::notes::Notes;
use self::robomimic::RobomimicFile;
pub use self::writer::SwmWriter;
use crate::episode::EpisodeShape;
use crate::lerobot::dataset::EpisodeMeta;
use crate::lerobot::sidecar::Sidecar;
use crate::lerobot::summary::{DatasetSummary, FeatureSummary};
use crate::mapping::{Columns, Kind, Known, Mapping, Part, element_names, side_by_side, stacked};
use crate::rows::{self, missing};
use crate::source::{EpisodeSource, Numbers, PictureOptions, Wanted};
use crate::swm::{ACTIONS, LENGTHS, OFFSETS, USUAL};
use crate::{Error, Result};

/// Opens the HDF5 file at `path`, whoever's it is: robomimic's have a group `data`.
///
/// # Errors
/// As [`SwmFile::open_with`] and [`RobomimicFile::open_with`].
pub fn open(path: &Path, mapping: &Mapping) -> Result<Box<dyn EpisodeSource>> {
    let file = File::open_streaming(path).map_err(|error| broken(path, error))?;
    let groups = file.root().groups().map_err(|error| broken(path, error))?;
    if groups.iter().any(|group| group == robomimic::DATA) {
        return Ok(Box::new(RobomimicFile::open_with(path, mapping)?));
    }
    Ok(Box::new(SwmFile::open_with(path, mapping)?))
}

/// A file of stable-worldmodel, open for reading.
pub struct SwmFile {
    path: PathBuf,
    file: File,
    shape: EpisodeShape,
    columns: Columns,
    /// The columns that are read, by name.
    open: BTreeMap<String, Kept>,
    fps: Option<f64>,
    episodes: Vec<Range<usize>>,
    frames: usize,
    /// What mindseye wrote beside the columns.
    notes: Option<Notes>,
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
    /// [`Error::File`] when it is broken; [`Error::Content`] when a column is missing or contradicts the others.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &Mapping::default())
    }

    /// As [`SwmFile::open`], with the columns that `mapping` names.
    ///
    /// # Errors
    /// As [`SwmFile::open`].
    pub fn open_with(path: &Path, mapping: &Mapping) -> Result<Self> {
        let file = File::open_streaming(path).map_err(|error| broken(path, error))?;
        let names = file.root().datasets().map_err(|error| broken(path, error))?;
        let mut notes = Notes::read(&file, path)?;
        let mut known = Vec::with_capacity(names.len());
        for name in &names {
            let shape = file.dataset(name).and_then(|column| column.shape()).map_err(|error| broken(path, error))?;
            let elements = notes.as_ref().map(|notes| notes.elements(name)).unwrap_or_default();
            known.extend(Kind::of(&shape).map(|kind| Known { name: name.clone(), kind, elements }));
        }
        let columns = mapping.resolve(path, &known, &USUAL)?;
        let (mut rows, mut open) = (None, BTreeMap::new());
        for (name, _) in &columns.cameras {
            let column = Column::open(&file, path, name)?.within(&file)?;
            open.insert(name.clone(), column.kept());
            let (own, _) = column.pictures()?;
            let rows = *rows.get_or_insert(own);
            if own != rows {
                return Err(Error::content(path, name, format!("{rows} pictures"), own));
            }
        }
        let rows = rows.unwrap_or(0);
        for part in [&columns.action, &columns.proprioception, &columns.state].into_iter().flatten() {
            let column = Column::open(&file, path, &part.column)?.within(&file)?;
            column.width(rows)?;
            open.insert(part.column.clone(), column.kept());
        }
        let whole = |name: &'static str| -> Result<Vec<i64>> {
            if !names.iter().any(|known| known == name) {
                return Err(missing(path, &[name], &names));
            }
            Column::open(&file, path, name)?.within(&file)?.wholes()
        };
        let episodes = rows::episodes(path, &whole(LENGTHS)?, &whole(OFFSETS)?, rows)?;
        let frames = episodes.iter().map(Range::len).sum();
        let shape = columns.shape()?;
        if let Some(notes) = &mut notes {
            notes.check(path, |name| known.iter().find(|known| known.name == name).map(|known| known.kind))?;
            notes.sidecar = notes.sidecar.take().filter(|_| columns.act_by(ACTIONS[0]));
        }
        let fps = mapping.fps.or(notes.as_ref().map(|notes| notes.frames_per_second));
        Ok(Self { path: path.to_path_buf(), file, shape, columns, open, fps, episodes, frames, notes })
    }

    fn column<'a>(&'a self, name: &'a str) -> Result<Column<'a>> {
        match self.open.get(name) {
            Some(kept) => Ok(Column::of(kept, &self.path, name)),
            None => Column::open(&self.file, &self.path, name),
        }
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
        let task = self.notes.as_ref().and_then(|notes| notes.task(index));
        Ok(EpisodeMeta { index, length, tasks: task.map(String::from).into_iter().collect() })
    }

    fn mapping(&self) -> Mapping {
        self.columns.mapping(self.fps)
    }

    fn state_names(&self) -> Vec<String> {
        element_names(&self.columns.state)
    }

    fn proprioception_names(&self) -> Vec<String> {
        element_names(&self.columns.proprioception)
    }

    fn action_names(&self) -> Vec<String> {
        element_names(&self.columns.action)
    }

    fn sidecar(&self) -> Option<&Sidecar> {
        self.notes.as_ref()?.sidecar.as_ref()
    }

    fn summary(&self) -> Result<DatasetSummary> {
        let names = self.file.root().datasets().map_err(|error| broken(&self.path, error))?;
        let feature = |name: &String| -> Result<FeatureSummary> {
            let element_names = self.notes.as_ref().map(|notes| notes.elements(name)).unwrap_or_default();
            Ok(FeatureSummary { element_names, ..self.column(name)?.summary()? })
        };
        let features = names.iter().map(feature).collect::<Result<_>>()?;
        Ok(DatasetSummary {
            tasks: self.notes.as_ref().map(Notes::texts).unwrap_or_default(),
            sidecar: self.sidecar().cloned(),
            ..DatasetSummary::plain(self, features, self.file.file_size())?
        })
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
            let column = |part: &Part| self.column(&part.column)?.numbers(range, part.width, wanted.episode);
            let Columns { cameras, action, state, proprioception } = &self.columns;
            let numbers = Numbers {
                actions: side_by_side(action, column)?,
                states: side_by_side(state, column)?,
                proprioception: side_by_side(proprioception, column)?,
            };
            stacked(cameras, options, wanted.pictures, &mut |(name, size), options, target| {
                self.column(name)?.fill(range.start, size, options, target)
            })?;
            done(range.len());
            Ok(numbers)
        };
        part.into_iter().map(one).collect()
    }
}
