//! Writing of a LeRobotDataset v3.0 folder, durable segment by segment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mindseye_interface::{FolderLock, files};

use super::camera_images::{CameraImages, by_camera, encoded};
use super::dataset::Dataset;
use super::episode_row::{EpisodeRow, VideoPlace};
use super::episodes_table::{EpisodeStatistics, episodes_file, read_rows, read_statistics, write_rows};
use super::frames_table::{EncodedEpisode, write_frames};
use super::info::{
    ACTION, CAMERA_PREFIX, Feature, FilePlace, Info, PROPRIOCEPTION, STATE, VERSION, info_path, sidecar_path,
};
use super::new_dataset::{
    check_room, clear_aside, delete_dataset, fresh_info, make_folder, remove_left_overs, set_aside,
};
use super::outputs::{Outputs, make_folder_of};
use super::sidecar_file::write_sidecar;
use super::statistics::Statistics;
use super::statistics_file::write_statistics;
use super::tasks::write_tasks;
use crate::episode::{EpisodeData, EpisodeShape};
use crate::source::EpisodeSource as _;
use crate::spec::{DatasetSpec, ImageStorage, WriteMode};
use crate::video::mp4;
use crate::{Error, Result};

/// Writes episodes into a LeRobotDataset v3.0 folder. [`DatasetWriter::flush`] makes all episodes so far durable.
/// Without [`DatasetWriter::finish`] the episodes since the last flush are lost, and the data set stays readable; one
/// that has none yet is removed, if its writer began it.
///
/// The folder is locked until the writer is dropped: a second writer is refused.
#[derive(Debug)]
pub struct DatasetWriter {
    root: PathBuf,
    /// `None` where the folder above it is locked.
    lock: Option<FolderLock>,
    /// Whether the data set has nothing but its description, which this writer wrote.
    is_new: bool,
    /// Whether the folder still has another data set, which the first file of this one replaces.
    replaces: bool,
    spec: DatasetSpec,
    shape: EpisodeShape,
    info: Info,
    task: usize,
    tasks: Vec<String>,
    seed_shift: usize,
    next_data: FilePlace,
    next_video: FilePlace,
    next_rows: FilePlace,
    pending: Vec<EncodedEpisode>,
    pending_statistics: Vec<EpisodeStatistics>,
    pending_bytes: u64,
    outputs: Outputs,
    /// Statistics over all committed episodes, in the order of the features.
    statistics: Option<EpisodeStatistics>,
}

impl DatasetWriter {
    /// Starts or continues the data set in folder `path`, depending on `mode`.
    ///
    /// # Errors
    /// [`Error::Content`] when the spec is invalid, when `mode` forbids the existing content, or when the existing data
    /// set has other features; [`Error::Interface`] when another process writes to the folder; [`Error::File`] when a
    /// file cannot be written.
    pub fn create(path: &Path, spec: DatasetSpec, mode: WriteMode) -> Result<Self> {
        let fresh = fresh_info(path, &spec)?;
        let lock = FolderLock::acquire(path, "record")?;
        let mut writer = Self::begin(path, spec, fresh, mode)?;
        writer.lock = Some(lock);
        Ok(writer)
    }

    /// Starts a data set in folder `path`, which exists, is empty and belongs to this process: that of a
    /// [`StagedFolder`](mindseye_interface::StagedFolder), for data sets that appear whole or not at all.
    ///
    /// # Errors
    /// As [`DatasetWriter::create`].
    pub fn create_staged(path: &Path, spec: DatasetSpec) -> Result<Self> {
        let fresh = fresh_info(path, &spec)?;
        Self::begin(path, spec, fresh, WriteMode::Error)
    }

    fn begin(path: &Path, spec: DatasetSpec, fresh: Info, mode: WriteMode) -> Result<Self> {
        clear_aside(path)?; // of a writer that was killed
        let recorded = info_path(path).exists();
        if mode == WriteMode::Append && recorded {
            return Self::resume(path, spec, &fresh);
        }
        check_room(path, mode, recorded)?;
        let mut writer = Self::with_info(path, spec, fresh);
        writer.replaces = recorded;
        if !recorded {
            writer.describe()?;
        }
        writer.set_tasks(Vec::new())?;
        Ok(writer)
    }

    /// Writes the description of a data set without episodes. It is written first: it makes the folder a data set that
    /// can be appended to and overwritten.
    fn describe(&mut self) -> Result<()> {
        make_folder(&self.root, &self.root.join("meta"))?;
        self.is_new = true;
        self.info.write(&self.root)?;
        self.spec.sidecar.as_ref().map_or(Ok(()), |sidecar| write_sidecar(&self.root, sidecar))
    }

    /// Moves the data set that is to be replaced aside.
    fn replace(&mut self) -> Result<()> {
        set_aside(&self.root)?;
        self.replaces = false;
        self.describe()?;
        write_tasks(&self.root, &self.tasks)
    }

    fn with_info(root: &Path, spec: DatasetSpec, info: Info) -> Self {
        let shape = spec.shape();
        Self {
            root: root.to_path_buf(),
            lock: None,
            is_new: false,
            replaces: false,
            spec,
            shape,
            info,
            task: 0,
            tasks: Vec::new(),
            seed_shift: 0,
            next_data: FilePlace::FIRST,
            next_video: FilePlace::FIRST,
            next_rows: FilePlace::FIRST,
            pending: Vec::new(),
            pending_statistics: Vec::new(),
            pending_bytes: 0,
            outputs: Outputs::default(),
            statistics: None,
        }
    }

    fn resume(path: &Path, spec: DatasetSpec, fresh: &Info) -> Result<Self> {
        remove_left_overs(path)?;
        let existing = Dataset::open(path)?;
        let info = existing.info.clone();
        let field = info_path(path);
        if info.is_v21() {
            return Err(Error::content(&field, "codebase_version to append to", VERSION, &info.codebase_version));
        }
        if info.fps != fresh.fps {
            return Err(Error::content(&field, "fps", info.fps, fresh.fps));
        }
        let takes = |((name, own), (other_name, other)): (&(String, Feature), &(String, Feature))| {
            name == other_name && own.accepts(other)
        };
        let (own, others) = (&info.features.0, &fresh.features.0);
        if own.len() != others.len() || !own.iter().zip(others).all(takes) {
            let describe = |info: &Info| {
                let describe = |(name, feature): &(String, Feature)| {
                    format!("{name} {}{:?} {}", feature.dtype, feature.shape, feature.names)
                };
                info.features.0.iter().map(describe).collect::<Vec<_>>().join(", ")
            };
            return Err(Error::content(&field, "features to append", describe(&info), describe(fresh)));
        }
        let (_, last_rows) = read_rows(path, &info, existing.cameras())?;
        let statistics = read_statistics(path, &info)?;
        let mut writer = Self::with_info(path, spec, info);
        let chunks_size = writer.info.chunks_size;
        let last_data = existing.rows.iter().map(|row| row.data).max();
        writer.next_data = last_data.map_or(FilePlace::FIRST, |last| last.next(chunks_size));
        let last_video = existing.rows.iter().flat_map(|row| row.videos.values().map(|place| place.file)).max();
        writer.next_video = last_video.map_or(FilePlace::FIRST, |last| last.next(chunks_size));
        writer.next_rows = last_rows.map_or(FilePlace::FIRST, |last| last.next(chunks_size));
        for episode in &statistics {
            writer.add_statistics(episode);
        }
        if let Some(statistics) = &writer.statistics {
            write_statistics(path, &writer.info.features, statistics)?;
        }
        if let Some(sidecar) = &writer.spec.sidecar {
            let continued = match existing.sidecar() {
                Some(old) => old.clone().continued(sidecar, existing.len(), &sidecar_path(path))?,
                None => sidecar.clone(),
            };
            writer.seed_shift = continued.shift(existing.len(), sidecar);
            write_sidecar(path, &continued)?;
        }
        writer.set_tasks(existing.tasks().to_vec())?;
        Ok(writer)
    }

    /// What the user should know: that the file system of the folder has no locks.
    pub fn note(&self) -> Option<String> {
        self.lock.as_ref()?.note()
    }

    /// Number of episodes, including those that are not yet on disk.
    pub fn episodes(&self) -> usize {
        self.info.total_episodes + self.pending.len()
    }

    /// How much further under its seed every episode that is added is than its number in the data set says: above 0
    /// where this appends to a part of a recording, which has later episodes of the seed.
    pub fn seed_shift(&self) -> usize {
        self.seed_shift
    }

    /// Number of timesteps, including those that are not yet on disk.
    pub fn frames(&self) -> usize {
        self.info.total_frames + self.pending.iter().map(|encoded| encoded.images.len()).sum::<usize>()
    }

    /// Adds an episode, and writes a file when there are enough for one.
    ///
    /// # Errors
    /// [`Error::Episode`] when it does not fit (length, width, image size, NaN, with a sidecar an action outside `[-1,
    /// 1]`); the data set is then unchanged. [`Error::File`] when a file cannot be written.
    pub fn add_episode(&mut self, episode: &EpisodeData) -> Result<()> {
        self.still_here()?;
        let number = self.episodes();
        episode.check(number, &self.shape, self.spec.sidecar.is_some())?;
        let cameras = by_camera(&episode.frames, &self.spec)?;
        let mut more_images = encoded(&cameras, &self.spec, number)?;
        let (_, images) = more_images.remove(0);
        let flat = |rows: &[Vec<f32>]| rows.iter().flatten().copied().collect::<Vec<f32>>();
        let encoded = EncodedEpisode {
            episode: number,
            first_frame: self.frames(),
            task: self.task,
            images,
            more_images,
            proprioception: flat(&episode.proprioception),
            states: flat(&episode.states),
            actions: flat(&episode.actions),
        };
        self.pending_statistics.push(self.episode_statistics(&cameras, &encoded));
        self.pending_bytes += encoded.memory_bytes() as u64;
        self.pending.push(encoded);
        let megabytes = match self.spec.image_storage {
            ImageStorage::Png => self.info.data_files_size_in_mb,
            ImageStorage::Av1 => self.info.video_files_size_in_mb,
        };
        let file_limit = megabytes.saturating_mul(1 << 20);
        if self.pending.len() >= self.spec.episodes_per_file || self.pending_bytes >= file_limit {
            self.flush()?;
        }
        Ok(())
    }

    fn episode_statistics(&self, cameras: &[CameraImages<'_>], encoded: &EncodedEpisode) -> EpisodeStatistics {
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        let of_feature = |(name, feature): &(String, Feature)| match name.as_str() {
            _ if feature.has_images() => {
                let of_camera = cameras.iter().find(|(camera, _)| camera == name);
                Statistics::of_images(of_camera.map_or(&[], |(_, frames)| frames))
            }
            PROPRIOCEPTION => Statistics::of_rows(&wide(&encoded.proprioception), self.shape.proprioception),
            STATE => Statistics::of_rows(&wide(&encoded.states), self.shape.state),
            ACTION => Statistics::of_rows(&wide(&encoded.actions), self.shape.action),
            name => Statistics::of_rows(&encoded.default_feature(name, self.info.fps), 1),
        };
        self.info.features.0.iter().map(of_feature).collect()
    }

    fn add_statistics(&mut self, episode: &EpisodeStatistics) {
        match &mut self.statistics {
            Some(all) => all.iter_mut().zip(episode).for_each(|(sum, statistics)| sum.merge(statistics)),
            None => self.statistics = Some(episode.clone()),
        }
    }

    fn set_tasks(&mut self, tasks: Vec<String>) -> Result<()> {
        self.tasks = tasks;
        let task = self.spec.task.clone();
        self.begin_task(&task)
    }

    /// Sets the task of the episodes that follow.
    ///
    /// # Errors
    /// [`Error::Content`] when `task` is empty, [`Error::File`] when a file cannot be written.
    pub fn begin_task(&mut self, task: &str) -> Result<()> {
        if task.is_empty() {
            return Err(Error::content(&self.root, "task", "a text", "none"));
        }
        self.task = self.tasks.iter().position(|known| known == task).unwrap_or(self.tasks.len());
        if self.task == self.tasks.len() {
            let tasks: Vec<String> = self.tasks.iter().cloned().chain([task.into()]).collect();
            if !self.replaces {
                write_tasks(&self.root, &tasks)?;
            }
            self.tasks = tasks;
        }
        Ok(())
    }

    /// Writes the pending episodes. The description (`info.json`) is rewritten last: until then readers see the old
    /// state, and a writer that appends after a crash replaces the files that `info.json` does not count.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be written; the episodes are then still pending, and a second call tries
    /// again.
    pub fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.still_here()?;
        if self.replaces {
            self.replace()?;
        }
        self.outputs.require()?;
        let data = self.next_data;
        let as_video = self.spec.image_storage == ImageStorage::Av1;
        if as_video {
            self.write_video()?;
        }
        let (camera, first_frame) = (format!("{CAMERA_PREFIX}{}", self.spec.camera), self.info.total_frames);
        let row = |encoded: &EncodedEpisode| {
            let from_secs = (encoded.first_frame - first_frame) as f64 / self.info.fps;
            let place = VideoPlace { file: self.next_video, from_secs };
            EpisodeRow {
                length: encoded.images.len(),
                tasks: vec![self.tasks[encoded.task].clone()],
                data,
                first_frame: encoded.first_frame,
                videos: as_video.then(|| (camera.clone(), place)).into_iter().collect(),
            }
        };
        let rows: Vec<EpisodeRow> = self.pending.iter().map(row).collect();
        let file = self.info.data_file(&self.root, data);
        let is_new = self.info.total_episodes == 0;
        make_folder_of(&self.root, &file, data, is_new)?;
        write_frames(&file, &self.info, &self.pending)?;
        self.outputs.add(file);
        let first = self.info.total_episodes;
        make_folder_of(&self.root, &episodes_file(&self.root, self.next_rows), self.next_rows, is_new)?;
        write_rows(&self.root, self.next_rows, &self.info, first, &rows, &self.pending_statistics)?;

        let mut info = self.info.clone();
        info.total_episodes = self.episodes();
        info.total_frames = self.frames();
        info.total_tasks = self.tasks.len();
        info.splits = BTreeMap::from([("train".into(), format!("0:{}", info.total_episodes))]);
        info.write(&self.root)?;
        (self.info, self.is_new) = (info, false);
        clear_aside(&self.root)?;
        for episode in std::mem::take(&mut self.pending_statistics) {
            self.add_statistics(&episode);
        }
        self.pending.clear();
        self.pending_bytes = 0;
        self.next_data = data.next(self.info.chunks_size);
        self.next_video = self.next_video.next(self.info.chunks_size);
        self.next_rows = self.next_rows.next(self.info.chunks_size);
        // Derived from the tables; the next writer derives it again, so a crash before this line loses nothing.
        write_statistics(&self.root, &self.info.features, self.statistics.as_deref().unwrap_or_default())
    }

    /// Writes the images of the pending episodes, one after the other, to a video file that `info.json` does not count
    /// yet.
    fn write_video(&self) -> Result<()> {
        let camera = format!("{CAMERA_PREFIX}{}", self.spec.camera);
        let path = self.info.video_file(&self.root, &camera, self.next_video);
        let episodes: Vec<&[Vec<u8>]> = self.pending.iter().map(|encoded| encoded.images.as_slice()).collect();
        let bytes = mp4(&episodes, self.shape.image_size, self.spec.frames_per_second)
            .map_err(|reason| Error::file(&path, "encoding", reason))?;
        make_folder_of(&self.root, &path, self.next_video, self.info.total_episodes == 0)?;
        files::write_whole(&path, &bytes).map_err(|error| Error::file(&path, "writing", error))
    }

    /// Writes the pending episodes and closes the data set. Returns its number of episodes.
    ///
    /// # Errors
    /// As [`DatasetWriter::flush`].
    pub fn finish(mut self) -> Result<usize> {
        self.flush()?;
        self.outputs.require()?;
        self.is_new = false;
        Ok(self.info.total_episodes)
    }

    /// Checks that the folder was not removed or moved.
    fn still_here(&self) -> Result<()> {
        Ok(self.lock.as_ref().map_or(Ok(()), FolderLock::still_here)?)
    }
}

impl Drop for DatasetWriter {
    /// Removes a data set without episodes that was not finished either: its command could not start.
    fn drop(&mut self) {
        if self.is_new && self.still_here().is_ok() {
            let _ = delete_dataset(&self.root); // best effort: the first error is the one to report
            let _ = std::fs::remove_dir(self.root.join("meta"));
            let _ = clear_aside(&self.root);
        }
    }
}
