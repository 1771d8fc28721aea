//! Recording: a LeRobotDataset v3.0 folder, durable segment by segment.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mindseye_interface::files;
use rayon::prelude::*;

use super::dataset::Dataset;
use super::episodes_table::{EpisodeRow, EpisodeStatistics, VideoPlace, read_rows, read_statistics, write_rows};
use super::info::{ACTION, CAMERA_PREFIX, Feature, FilePlace, Info, PROPRIOCEPTION, STATE, VERSION, info_path};
use super::moments_table::{Moments, write_moments};
use super::sidecar::Sidecar;
use super::spec::{DatasetSpec, PictureStorage, WriteMode, fresh_info, make_room};
use super::statistics::Statistics;
use super::summary::write_statistics;
use super::tasks::write_tasks;
use crate::episode::{EpisodeData, EpisodeShape};
use crate::picture::encode_png;
use crate::source::EpisodeSource as _;
use crate::video::{encode, mp4};
use crate::{Error, Result};

/// Writes episodes into a data set. What [`DatasetWriter::flush`] has written is on the disk whole; without
/// [`DatasetWriter::finish`] the episodes since then are lost, and the data set stays readable.
#[derive(Debug)]
pub struct DatasetWriter {
    root: PathBuf,
    spec: DatasetSpec,
    shape: EpisodeShape,
    info: Info,
    task: usize,
    tasks: Vec<String>,
    next_data: FilePlace,
    next_video: FilePlace,
    next_rows: FilePlace,
    pending: Vec<Moments>,
    pending_statistics: Vec<EpisodeStatistics>,
    pending_bytes: u64,
    /// Over all committed episodes, in the order of the features.
    statistics: Option<EpisodeStatistics>,
}

impl DatasetWriter {
    /// Begins (or goes on with) the data set in folder `path`.
    ///
    /// # Errors
    /// [`Error::Content`] when the spec makes no sense, when `mode` forbids what is there, or when the data set that is there
    /// has other features; [`Error::File`] when the disk refuses.
    pub fn create(path: &Path, spec: DatasetSpec, mode: WriteMode) -> Result<Self> {
        let fresh = fresh_info(path, &spec)?;
        let recorded = info_path(path).exists();
        if mode == WriteMode::Append && recorded {
            return Self::resume(path, spec, &fresh);
        }
        make_room(path, mode, recorded)?;
        let mut writer = Self::with_info(path, spec, fresh);
        // The description comes first: from now on the folder can be recognised, appended to and overwritten.
        writer.info.write(path)?;
        if let Some(sidecar) = &writer.spec.sidecar {
            sidecar.write(path)?;
        }
        writer.set_tasks(Vec::new())?;
        Ok(writer)
    }

    fn with_info(root: &Path, spec: DatasetSpec, info: Info) -> Self {
        let shape = spec.shape();
        Self {
            root: root.to_path_buf(),
            spec,
            shape,
            info,
            task: 0,
            tasks: Vec::new(),
            next_data: FilePlace::FIRST,
            next_video: FilePlace::FIRST,
            next_rows: FilePlace::FIRST,
            pending: Vec::new(),
            pending_statistics: Vec::new(),
            pending_bytes: 0,
            statistics: None,
        }
    }

    fn resume(path: &Path, spec: DatasetSpec, fresh: &Info) -> Result<Self> {
        let existing = Dataset::open(path)?;
        let info = existing.info.clone();
        let field = info_path(path);
        if info.is_old() {
            return Err(Error::content(&field, "codebase_version to append to", VERSION, &info.codebase_version));
        }
        if info.fps != fresh.fps {
            return Err(Error::content(&field, "fps", info.fps, fresh.fps));
        }
        let takes = |((name, own), (other_name, other)): (&(String, Feature), &(String, Feature))| {
            name == other_name && own.takes(other)
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
        let (_, last_rows) = read_rows(path, &info)?;
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
            let sidecar_path = Sidecar::path(path);
            let continued = match existing.sidecar() {
                Some(old) => old.clone().continued(sidecar, existing.len(), &sidecar_path)?,
                None => sidecar.clone(),
            };
            continued.write(path)?;
        }
        writer.set_tasks(existing.tasks().to_vec())?;
        Ok(writer)
    }

    /// Number of episodes, whether already on the disk or not.
    pub fn episodes(&self) -> usize {
        self.info.total_episodes + self.pending.len()
    }

    /// Number of moments, whether already on the disk or not.
    pub fn frames(&self) -> usize {
        self.info.total_frames + self.pending.iter().map(|moments| moments.pictures.len()).sum::<usize>()
    }

    /// Takes an episode; writes a file when enough have come together.
    ///
    /// # Errors
    /// [`Error::Episode`] when it does not fit (length, width, picture size, NaN, with a sidecar an action outside `[-1, 1]`): nothing of it is
    /// kept. [`Error::File`] when the disk refuses.
    pub fn add_episode(&mut self, episode: &EpisodeData) -> Result<()> {
        let number = self.episodes();
        episode.check(number, &self.shape, self.spec.sidecar.is_some())?;
        let (encoded, expected) = match self.spec.pictures {
            PictureStorage::Png => (episode.frames.par_iter().map(encode_png).collect(), "a PNG encoding"),
            PictureStorage::Av1 => (encode(&episode.frames, self.shape.image_size, self.info.fps), "an AV1 encoding"),
        };
        let pictures: Vec<Vec<u8>> = encoded.map_err(|reason| Error::episode(number, "picture", expected, reason))?;
        let flat = |rows: &[Vec<f32>]| rows.iter().flatten().copied().collect::<Vec<f32>>();
        let moments = Moments {
            episode: number,
            first_frame: self.frames(),
            task: self.task,
            pictures,
            proprioception: flat(&episode.proprioception),
            states: flat(&episode.states),
            actions: flat(&episode.actions),
        };
        self.pending_statistics.push(self.episode_statistics(episode, &moments));
        self.pending_bytes += moments.pictures.iter().map(|png| png.len() as u64).sum::<u64>();
        self.pending.push(moments);
        let megabytes = match self.spec.pictures {
            PictureStorage::Png => self.info.data_files_size_in_mb,
            PictureStorage::Av1 => self.info.video_files_size_in_mb,
        };
        let file_limit = megabytes.saturating_mul(1 << 20);
        if self.pending.len() >= self.spec.episodes_per_file || self.pending_bytes >= file_limit {
            self.flush()?;
        }
        Ok(())
    }

    fn episode_statistics(&self, episode: &EpisodeData, moments: &Moments) -> EpisodeStatistics {
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        let of_feature = |(name, feature): &(String, Feature)| match name.as_str() {
            _ if feature.has_pictures() => Statistics::of_pictures(&episode.frames),
            PROPRIOCEPTION => Statistics::of_rows(&wide(&moments.proprioception), self.shape.proprioception),
            STATE => Statistics::of_rows(&wide(&moments.states), self.shape.state),
            ACTION => Statistics::of_rows(&wide(&moments.actions), self.shape.action),
            name => Statistics::of_rows(&moments.default_feature(name, self.info.fps), 1),
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

    /// What the episodes that follow are about, in words.
    ///
    /// # Errors
    /// [`Error::Content`] when `task` is empty, [`Error::File`] when the disk refuses.
    pub fn begin_task(&mut self, task: &str) -> Result<()> {
        if task.is_empty() {
            return Err(Error::content(&self.root, "task", "a text", "none"));
        }
        self.task = self.tasks.iter().position(|known| known == task).unwrap_or(self.tasks.len());
        if self.task == self.tasks.len() {
            let tasks: Vec<String> = self.tasks.iter().cloned().chain([task.into()]).collect();
            write_tasks(&self.root, &tasks)?;
            self.tasks = tasks;
        }
        Ok(())
    }

    /// Writes the episodes that wait. The description (`info.json`) is rewritten last: until then readers see the data set as it
    /// was, and a writer that goes on after a crash replaces the files that nobody refers to.
    ///
    /// # Errors
    /// [`Error::File`] when the disk refuses; the episodes then still wait, and calling again tries again.
    pub fn flush(&mut self) -> Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let data = self.next_data;
        let films = self.spec.pictures == PictureStorage::Av1;
        if films {
            self.write_video()?;
        }
        let (camera, first_frame) = (format!("{CAMERA_PREFIX}{}", self.spec.camera), self.info.total_frames);
        let row = |moments: &Moments| {
            let from_secs = (moments.first_frame - first_frame) as f64 / f64::from(self.info.fps);
            let place = VideoPlace { file: self.next_video, from_secs };
            EpisodeRow {
                length: moments.pictures.len(),
                tasks: vec![self.tasks[moments.task].clone()],
                data,
                first_frame: moments.first_frame,
                videos: films.then(|| (camera.clone(), place)).into_iter().collect(),
            }
        };
        let rows: Vec<EpisodeRow> = self.pending.iter().map(row).collect();
        write_moments(&self.info.data_file(&self.root, data), &self.info, &self.pending)?;
        let first = self.info.total_episodes;
        write_rows(&self.root, self.next_rows, &self.info, first, &rows, &self.pending_statistics)?;

        let mut info = self.info.clone();
        info.total_episodes = self.episodes();
        info.total_frames = self.frames();
        info.total_tasks = self.tasks.len();
        info.splits = BTreeMap::from([("train".into(), format!("0:{}", info.total_episodes))]);
        info.write(&self.root)?;
        self.info = info;
        for episode in std::mem::take(&mut self.pending_statistics) {
            self.add_statistics(&episode);
        }
        self.pending.clear();
        self.pending_bytes = 0;
        self.next_data = data.next(self.info.chunks_size);
        self.next_video = self.next_video.next(self.info.chunks_size);
        self.next_rows = self.next_rows.next(self.info.chunks_size);
        // Derived from the tables, and the next writer derives it again: a crash before this line loses nothing.
        write_statistics(&self.root, &self.info.features, self.statistics.as_deref().unwrap_or_default())
    }

    /// Writes the pictures of the episodes that wait, one after the other, to a file that nothing refers to yet.
    fn write_video(&self) -> Result<()> {
        let camera = format!("{CAMERA_PREFIX}{}", self.spec.camera);
        let path = self.info.video_file(&self.root, &camera, self.next_video);
        let episodes: Vec<&[Vec<u8>]> = self.pending.iter().map(|moments| moments.pictures.as_slice()).collect();
        let bytes = mp4(&episodes, self.shape.image_size, self.info.fps)
            .map_err(|reason| Error::file(&path, "encoding", reason))?;
        files::write_whole(&path, &bytes).map_err(|error| Error::file(&path, "writing", error))
    }

    /// Writes the episodes that wait and ends the recording. Gives the number of episodes in the data set.
    ///
    /// # Errors
    /// As [`DatasetWriter::flush`].
    pub fn finish(mut self) -> Result<usize> {
        self.flush()?;
        Ok(self.info.total_episodes)
    }
}
