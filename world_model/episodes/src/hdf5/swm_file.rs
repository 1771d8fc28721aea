//! stable-worldmodel's HDF5 files: columns as in [`crate::swm`], all datasets of the file's root.
//!
//! Files of the current recorder and of the older one, with images compressed by Blosc, are read. The files written
//! here also have `episode_idx` and `step_idx` (the episode and the step of every row), and an attribute `mindseye` of
//! the root group with what these columns cannot express.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5_pure::File;

use super::columns::{Column, SharedColumn};
use super::file::open_file;
use super::notes::Notes;
use super::tree::{Node, Tree};
use crate::cameras::{ImageOptions, RecordedCamera, fill_stack};
use crate::columns::{ColumnSlice, Columns, actions_side_by_side, element_names, side_by_side};
use crate::episode::{EpisodeArrays, EpisodeShape};
use crate::mapping::{AvailableColumn, ColumnKind, Mapping};
use crate::rows::{self, missing};
use crate::sidecar::Sidecar;
use crate::source::{EpisodeMeta, EpisodeSource, ReadRequest, plain_summary};
use crate::summary::{DatasetSummary, FeatureSummary};
use crate::swm::{ACTIONS, DEFAULT_COLUMNS, LENGTHS, OFFSETS};
use crate::{Error, Result};

/// A file of stable-worldmodel, open for reading.
pub(super) struct SwmFile {
    path: PathBuf,
    file: File,
    root: Node,
    shape: EpisodeShape,
    columns: Columns,
    /// The columns that are read, by name.
    open: BTreeMap<String, SharedColumn>,
    fps: Option<f64>,
    episodes: Vec<Range<usize>>,
    frames: usize,
    /// The attribute that mindseye writes.
    notes: Option<Notes>,
}

impl std::fmt::Debug for SwmFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("SwmFile").field("path", &self.path).field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl SwmFile {
    /// Opens the file at `path` with the columns that `mapping` names: reads the list of columns, not their rows.
    ///
    /// # Errors
    /// [`Error::File`] when it is broken; [`Error::Content`] when a column is missing or contradicts the others.
    pub fn open_with(path: &Path, mapping: &Mapping) -> Result<Self> {
        let file = open_file(path)?;
        let root = Tree::new(&file, path).root();
        let names = root.datasets(&file, path)?;
        let mut notes = Notes::read(&file, path)?;
        let mut available = Vec::with_capacity(names.len());
        for name in &names {
            let elements = notes.as_ref().map(|notes| notes.elements(name)).unwrap_or_default();
            available.push(match Column::open(&root, name, &file, path, name) {
                Ok(column) => AvailableColumn { elements, ..column.available(name) },
                Err(error) => AvailableColumn::new(name, ColumnKind::Unread(error.to_string())),
            });
        }
        let columns = mapping.resolve(path, &available, &DEFAULT_COLUMNS)?;
        let (mut rows, mut open) = (None, BTreeMap::new());
        for RecordedCamera { column: name, .. } in &columns.cameras {
            let column = Column::open(&root, name, &file, path, name)?.within(file.file_size())?;
            open.insert(name.clone(), column.shared());
            let own = column.images()?.rows;
            let rows = *rows.get_or_insert(own);
            if own != rows {
                return Err(Error::content(path, name, format!("{rows} images"), own));
            }
        }
        let rows = rows.unwrap_or(0);
        for slice in columns.slices() {
            let column = Column::open(&root, &slice.column, &file, path, &slice.column)?.within(file.file_size())?;
            column.width(rows)?;
            open.insert(slice.column.clone(), column.shared());
        }
        let integers = |name: &'static str| -> Result<Vec<i64>> {
            if !names.iter().any(|available| available == name) {
                return Err(missing(path, &[name], &names));
            }
            Column::open(&root, name, &file, path, name)?.within(file.file_size())?.integers()
        };
        let episodes = rows::episodes(path, &integers(LENGTHS)?, &integers(OFFSETS)?, rows)?;
        let frames = episodes.iter().map(Range::len).sum();
        let shape = columns.shape()?;
        if let Some(notes) = &mut notes {
            notes.check(path, |name| available.iter().find(|column| column.name == name).map(|column| &column.kind))?;
            notes.sidecar = notes.sidecar.take().filter(|_| columns.action_is(ACTIONS[0]));
        }
        let fps = mapping.fps.or(notes.as_ref().map(|notes| notes.frames_per_second));
        Ok(Self { path: path.to_path_buf(), file, root, shape, columns, open, fps, episodes, frames, notes })
    }

    fn column<'a>(&'a self, name: &'a str) -> Result<Column<'a>> {
        match self.open.get(name) {
            Some(shared) => Ok(Column::from_shared(shared, &self.path, name)),
            None => Column::open(&self.root, name, &self.file, &self.path, name),
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

    fn cameras(&self) -> &[RecordedCamera] {
        &self.columns.cameras
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
        Mapping::of(&self.columns, self.fps)
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
        let names = self.root.datasets(&self.file, &self.path)?;
        // Only what is read must be right: other columns are left out where they cannot be described.
        let feature = |name: &String| -> Option<FeatureSummary> {
            let element_names = self.notes.as_ref().map(|notes| notes.elements(name)).unwrap_or_default();
            Some(FeatureSummary { element_names, ..self.column(name).ok()?.summary().ok()? })
        };
        let features = names.iter().filter_map(feature).collect();
        Ok(DatasetSummary {
            tasks: self.notes.as_ref().map(Notes::texts).unwrap_or_default(),
            sidecar: self.sidecar().cloned(),
            ..plain_summary(self, features, self.file.file_size())?
        })
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
            let range = rows::episode(&self.path, &self.episodes, request.episode)?;
            let column = |slice: &ColumnSlice| self.column(&slice.column)?.numbers(range, slice, request.episode);
            let action = |slice: &ColumnSlice| self.column(&slice.column)?.actions(range, slice, request.episode);
            let arrays = EpisodeArrays {
                actions: actions_side_by_side(&self.columns.action, action)?,
                states: side_by_side(&self.columns.state, column)?,
                proprioception: side_by_side(&self.columns.proprioception, column)?,
                ..EpisodeArrays::default()
            };
            fill_stack(&self.columns.cameras, options, request.images, &mut |camera, options, target| {
                self.column(&camera.column)?.fill(range.start, camera.size, options, target)
            })?;
            done(range.len());
            Ok(arrays)
        };
        part.into_iter().map(one).collect()
    }
}
