//! Writing of stable-worldmodel's HDF5 files, each as a whole.

use std::path::{Path, PathBuf};

use hdf5_pure::{AttrValue, DatasetBuilder, FileBuilder, MaxExtent, make_u8_type};
use mindseye_interface::files;

use super::file::is_hdf5;
use super::notes::{NOTES, Notes};
use crate::episode::{EpisodeData, EpisodeShape};
use crate::rows::MAX_FRAMES;
use crate::spec::{DatasetSpec, WriteMode};
use crate::swm::{ACTIONS, IMAGES, PROPRIOCEPTION, STATES};
use crate::{Error, Result};

/// Rows of numbers per chunk. Images have one chunk each, as in stable-worldmodel's recorder.
const ROWS_PER_CHUNK: usize = 1024;
/// Default limit of memory, bytes.
const LIMIT_BYTES: u64 = 4 << 30;
/// Copies in memory while the file is written: the columns, their chunks and the file (measured: 24.5 GB for 8.1 GB of
/// images).
const COPIES: usize = 3;

/// Writes episodes into one HDF5 file. The HDF5 library takes a column of images as a whole and copies it twice. So all
/// episodes are held in memory until [`SwmWriter::finish`], up to a limit; before that there is no file.
#[derive(Debug)]
pub struct SwmWriter {
    path: PathBuf,
    mode: WriteMode,
    shape: EpisodeShape,
    limit_bytes: u64,
    notes: Notes,
    /// `[N, H, W, 3]`.
    pixels: Vec<u8>,
    /// `[N, A]`.
    actions: Vec<f32>,
    /// `[N, K]`.
    states: Vec<f32>,
    /// `[N, P]`.
    proprioception: Vec<f32>,
    lengths: Vec<i32>,
    frames: usize,
    task: String,
}

impl SwmWriter {
    /// Begins the file at `path`. The camera's name, the robot, the image storage and the episodes per file of `spec`
    /// are not used.
    ///
    /// # Errors
    /// [`Error::Content`] when the spec is invalid, when `mode` forbids the existing file, or when `mode` is to append,
    /// which these files do not support.
    pub fn create(path: &Path, spec: &DatasetSpec, mode: WriteMode) -> Result<Self> {
        spec.check(path)?;
        if spec.action_names.is_empty() || !spec.more_cameras.is_empty() {
            let expected = "actions and one camera in an HDF5 file; LeRobot's format has neither limit";
            let got = format!("{} actions, {} cameras", spec.action_names.len(), spec.cameras().count());
            return Err(Error::content(path, "action_names", expected, got));
        }
        require_room(path, mode)?;
        if let Some(folder) = path.parent().filter(|folder| folder.is_dir()) {
            // What killed writers left; a folder that cannot be listed is refused when the file is written.
            let _ = files::remove_left_overs(folder);
            remove_former_left_over(path);
        }
        let names = [&spec.action_names, &spec.state_names, &spec.proprioception_names].map(Clone::clone);
        Ok(Self {
            // The file that a link leads to is replaced, not the link.
            path: std::fs::canonicalize(path).unwrap_or_else(|_| path.to_path_buf()),
            mode,
            shape: spec.shape(),
            limit_bytes: LIMIT_BYTES,
            notes: Notes::new(f64::from(spec.frames_per_second), names, spec.sidecar.clone()),
            pixels: Vec::new(),
            actions: Vec::new(),
            states: Vec::new(),
            proprioception: Vec::new(),
            lengths: Vec::new(),
            frames: 0,
            task: spec.task.clone(),
        })
    }

    /// Sets the limit of memory in bytes (default 4 GiB). Writing needs three times the size of the file.
    #[must_use]
    pub fn with_limit_bytes(mut self, bytes: u64) -> Self {
        self.limit_bytes = bytes;
        self
    }

    /// Sets the timesteps per second, which need be no whole number here; ignored unless it is finite and above 0.
    #[must_use]
    pub fn with_frames_per_second(mut self, rate: f64) -> Self {
        if rate.is_finite() && rate > 0.0 {
            self.notes.frames_per_second = rate;
        }
        self
    }

    /// Replaces the last action of the last episode by NaN, as stable-worldmodel's recorder does: nothing is done after
    /// the last image.
    pub fn end_without_action(&mut self) {
        let last = self.actions.len().saturating_sub(self.shape.action);
        self.actions[last..].fill(f32::NAN);
    }

    /// Number of episodes so far.
    pub fn episodes(&self) -> usize {
        self.lengths.len()
    }

    /// Number of timesteps so far.
    pub fn frames(&self) -> usize {
        self.frames
    }

    /// Sets the task of the episodes that follow.
    ///
    /// # Errors
    /// [`Error::Content`] when `task` is empty.
    pub fn begin_task(&mut self, task: &str) -> Result<()> {
        if task.is_empty() {
            return Err(Error::content(&self.path, "task", "a text", "none"));
        }
        self.task = task.into();
        Ok(())
    }

    /// Adds an episode.
    ///
    /// # Errors
    /// [`Error::Episode`] when it does not fit (length, width, image size, NaN, with a sidecar an action outside `[-1,
    /// 1]`); [`Error::Memory`] when it would exceed the limit. The writer is then unchanged.
    pub fn add_episode(&mut self, episode: &EpisodeData) -> Result<()> {
        let number = self.episodes();
        episode.check(number, &self.shape, self.notes.sidecar.is_some())?;
        let frames = self.frames + episode.len();
        let length = i32::try_from(episode.len()).ok().filter(|_| frames <= MAX_FRAMES);
        let Some(length) = length else {
            return Err(Error::episode(number, "frames", format!("at most {MAX_FRAMES} in all"), frames));
        };
        let numbers = 4 * (self.shape.action + self.shape.state + self.shape.proprioception);
        let needed_bytes = (COPIES * frames * (self.shape.image_size.rgb_len() + numbers)) as u64;
        if needed_bytes > self.limit_bytes {
            let what = "an HDF5 file, which is written as a whole \
                        (allow more; several files, or LeRobot's format, need less)";
            return Err(Error::Memory { what, limit_bytes: self.limit_bytes, needed_bytes });
        }
        episode.frames.iter().for_each(|image| self.pixels.extend_from_slice(image.pixels()));
        self.actions.extend(episode.actions.iter().flatten());
        self.states.extend(episode.states.iter().flatten());
        self.proprioception.extend(episode.proprioception.iter().flatten());
        self.notes.begin_task(number, &self.task);
        self.lengths.push(length);
        self.frames = frames;
        Ok(())
    }

    /// Writes the file under a temporary name, syncs it to disk and renames it. Returns the number of episodes.
    ///
    /// # Errors
    /// [`Error::Content`] when there is no episode, [`Error::File`] when the file cannot be written; an existing file
    /// is then unchanged.
    pub fn finish(self) -> Result<usize> {
        if self.lengths.is_empty() {
            return Err(Error::content(&self.path, "episodes", "at least 1", 0));
        }
        let (path, episodes) = (self.path.clone(), self.lengths.len());
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, "creating the folder", error))?;
        }
        let failed = |error: &dyn std::fmt::Display| Error::file(&path, "writing HDF5", error);
        files::remove_left_overs_beside(&path);
        let partial = files::Partial::create(&path).map_err(|error| failed(&error))?;
        let mode = self.mode;
        self.write(partial.temporary()).map_err(|error| failed(&error))?;
        require_room(&path, mode)?; // another process may have been faster
        partial.publish().map_err(|error| failed(&error))?;
        Ok(episodes)
    }

    fn write(self, path: &Path) -> std::result::Result<(), Box<dyn std::error::Error>> {
        let mut builder = FileBuilder::new();
        let (rows, size, values) = (self.frames, self.shape.image_size, self.pixels.len() as u64);
        let images = builder.create_dataset(IMAGES[0]).with_raw_data(make_u8_type(), self.pixels, values);
        lay_out(images, rows, &[size.height(), size.width(), 3], 1);
        for (name, values, width) in [
            (ACTIONS[0], &self.actions, self.shape.action),
            (PROPRIOCEPTION[0], &self.proprioception, self.shape.proprioception),
            (STATES[0], &self.states, self.shape.state),
        ] {
            if width > 0 {
                lay_out(builder.create_dataset(name).with_f32_data(values), rows, &[width], ROWS_PER_CHUNK);
            }
        }
        let (mut episodes, mut steps, mut offsets) = (Vec::new(), Vec::new(), Vec::new());
        for (number, length) in self.lengths.iter().enumerate() {
            offsets.push(steps.len() as i64);
            episodes.extend((0..*length).map(|_| number as i64));
            steps.extend((0..*length).map(i64::from));
        }
        lay_out(builder.create_dataset("episode_idx").with_i64_data(&episodes), rows, &[], ROWS_PER_CHUNK);
        lay_out(builder.create_dataset("step_idx").with_i64_data(&steps), rows, &[], ROWS_PER_CHUNK);
        let count = self.lengths.len();
        lay_out(builder.create_dataset("ep_len").with_i32_data(&self.lengths), count, &[], ROWS_PER_CHUNK);
        lay_out(builder.create_dataset("ep_offset").with_i64_data(&offsets), count, &[], ROWS_PER_CHUNK);
        builder.set_attr(NOTES, AttrValue::VarLenString(serde_json::to_string(&self.notes)?));
        Ok(builder.write(path)?)
    }
}

/// Removes the temporary file of an earlier version, which had a name of its own for each output.
fn remove_former_left_over(path: &Path) {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", files::PARTIAL_ENDING));
    let former = PathBuf::from(name);
    if former.is_file() && matches!(files::lock_file(&former), Ok(files::Exclusive::Held(_))) {
        let _ = std::fs::remove_file(&former);
    }
}

/// Checks that `mode` allows a file at `path`.
fn require_room(path: &Path, mode: WriteMode) -> Result<()> {
    let link = std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    match mode {
        WriteMode::Append => {
            let expected = "a new file, or --overwrite (LeRobot folders can be appended to)";
            Err(Error::content(path, "mode", expected, "append"))
        }
        _ if link && !path.exists() => Err(Error::content(path, "file", "no file", "a link that leads nowhere")),
        WriteMode::Overwrite if !path.exists() || is_hdf5(path) => Ok(()),
        WriteMode::Error if !path.exists() => Ok(()),
        _ => {
            let expected = "no file, or --overwrite for one of HDF5";
            Err(Error::content(path, "file", expected, "something of that name"))
        }
    }
}

/// Sets the layout of a column of `rows` rows of shape `row`, so that the official recorder can append to it.
fn lay_out(column: &mut DatasetBuilder, rows: usize, row: &[usize], rows_per_chunk: usize) {
    let row: Vec<u64> = row.iter().map(|side| *side as u64).collect();
    let with = |rows: usize| [&[rows as u64], row.as_slice()].concat();
    let most = row.iter().map(|side| MaxExtent::Fixed(*side));
    let most: Vec<MaxExtent> = std::iter::once(MaxExtent::Unlimited).chain(most).collect();
    column.with_shape(&with(rows)).with_maxshape(&most).with_chunks(&with(rows_per_chunk));
}
