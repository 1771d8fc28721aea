//! Reading a LeRobotDataset folder, v3.0 or v2.1; everything that is read is checked.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mindseye_interface::{Image, ImageSize};
use rayon::prelude::*;

use super::capture_log::CaptureLog;
use super::episode_row::EpisodeRow;
use super::episodes_table::read_rows;
use super::frames_table::{EpisodePlace, read_frames};
use super::image_feature::{TEXTS, available_column};
use super::images_table::fill_from_table;
use super::info::{ACTION, CAMERA_PREFIX, Feature, FilePlace, Info, PROPRIOCEPTION, STATE, info_path};
use super::sidecar_file::read_sidecar;
use super::statistics_file::read_action_statistics;
use super::tables::TableFile;
use super::tasks::read_tasks;
use super::video_frames::EpisodesVideo;
use crate::cameras::{ImageOptions, RecordedCamera, fill_stack};
use crate::columns::{Columns, element_names};
use crate::episode::{EpisodeArrays, EpisodeShape};
use crate::image_codec::fit;
use crate::mapping::{AvailableColumn, ColumnKind, DefaultColumns, Mapping};
use crate::sidecar::Sidecar;
use crate::source::{EpisodeMeta, EpisodeSource, ReadRequest};
use crate::summary::{DatasetSummary, FeatureSummary, folder_bytes};
use crate::video::Video;
use crate::{Error, Result};

/// A LeRobotDataset folder (v3.0 or v2.1) with images in tables or in video files, open for reading.
#[derive(Debug)]
pub struct Dataset {
    root: PathBuf,
    pub(super) info: Info,
    columns: Columns,
    /// Timesteps per second: that of the mapping, and that of the description, which is also tried for the timestamps.
    rates: Vec<f64>,
    /// What is not read, and why.
    notes: Vec<String>,
    shape: EpisodeShape,
    pub(super) rows: Vec<EpisodeRow>,
    /// Index of the first timestep in each data file.
    file_starts: BTreeMap<FilePlace, usize>,
    tasks: Vec<String>,
    sidecar: Option<Sidecar>,
    /// Video files that have been opened.
    videos: Mutex<BTreeMap<PathBuf, Arc<EpisodesVideo>>>,
}

/// LeRobot's names of columns.
const DEFAULT_COLUMNS: DefaultColumns = DefaultColumns {
    cameras: None,
    camera_prefix: CAMERA_PREFIX,
    action: &[ACTION],
    proprioception: &[PROPRIOCEPTION],
    state: &[STATE],
};

impl Dataset {
    /// Opens the data set in folder `path`: reads `meta/`, not the data. Of several cameras, the first is read.
    ///
    /// # Errors
    /// [`Error::File`] when a file is missing or broken; [`Error::Content`] for another version than v3.0 and v2.1, for
    /// Lance storage, for a missing camera, and for tables that contradict `info.json`.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &Mapping::default())
    }

    /// Opens the data set like [`Dataset::open`], with the columns that `mapping` names.
    ///
    /// # Errors
    /// As [`Dataset::open`]; [`Error::Content`] when a column is missing or of another kind.
    pub fn open_with(path: &Path, mapping: &Mapping) -> Result<Self> {
        let info = Info::read(path)?;
        let available: Vec<AvailableColumn> = info.features.0.iter().filter_map(available_column).collect();
        let columns = mapping.resolve(&info_path(path), &available, &DEFAULT_COLUMNS)?;
        columns.cameras.iter().try_for_each(|camera| info.check_camera(path, &camera.column))?;
        let shape = columns.shape()?;
        let (rows, _) = read_rows(path, &info, &columns.cameras)?;
        let mut file_starts = BTreeMap::new();
        for row in &rows {
            file_starts.entry(row.data).or_insert(row.first_frame);
        }
        // An interrupted first segment may have left no table.
        let tasks = if info.total_tasks == 0 { Vec::new() } else { read_tasks(path, &info)? };
        let sidecar = read_sidecar(path, info.features.get(ACTION).map_or(0, Feature::width))?;
        let sidecar = sidecar.filter(|_| columns.action_is(ACTION));
        let mut rates: Vec<f64> = mapping.fps.into_iter().chain([info.fps]).collect();
        rates.dedup();
        let (root, videos, mut notes) = (path.to_path_buf(), Mutex::default(), unread(&available));
        for column in columns.cameras.iter().map(|camera| &camera.column) {
            let place = rows.first().and_then(|row| row.videos.get(column));
            // A file that cannot be opened is an error of the episode that is in it.
            let video = place.and_then(|place| Video::open(&info.video_file(path, column, place.file)).ok());
            notes.extend(video.and_then(|video| video.note().ok()?));
        }
        Ok(Self { root, info, columns, rates, notes, shape, rows, file_starts, tasks, sidecar, videos })
    }

    /// Timesteps per second as `info.json` says, rounded to a whole number; see
    /// [`EpisodeSource::frames_per_second`].
    pub fn fps(&self) -> u32 {
        self.info.fps.round() as u32
    }

    /// Size of the recorded images.
    pub fn image_size(&self) -> ImageSize {
        self.shape.image_size
    }

    /// Texts of the tasks, by number.
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    fn row(&self, index: usize) -> Result<&EpisodeRow> {
        let missing = || Error::content(&self.root, "episode", format!("below {}", self.len()), index);
        self.rows.get(index).ok_or_else(missing)
    }

    fn open_file(&self, place: FilePlace) -> Result<TableFile> {
        TableFile::open(&self.info.data_file(&self.root, place))
    }

    /// The rows of episode `index` in the file that holds it.
    fn rows_of(&self, index: usize) -> Result<Range<usize>> {
        let row = self.row(index)?;
        let file_start = self.file_starts.get(&row.data).copied().unwrap_or(0);
        let start = row.first_frame - file_start;
        Ok(start..start.saturating_add(row.length))
    }

    /// Reads the numbers of episode `index` from the open file that holds it.
    fn read_numbers(&self, table: &TableFile, index: usize) -> Result<EpisodeArrays> {
        let (rows, first_frame) = (self.rows_of(index)?, self.row(index)?.first_frame);
        let place = EpisodePlace { episode: index, first_frame, start: rows.start, length: rows.len() };
        read_frames(table, &self.columns, &self.rates, place)
    }

    /// Decodes the images of episode `index` into `target` as `options` say.
    fn fill_images(&self, table: &TableFile, index: usize, options: ImageOptions, target: &mut [u8]) -> Result<()> {
        let rows = self.rows_of(index)?;
        fill_stack(&self.columns.cameras, options, target, &mut |camera, ImageOptions { stride, size }, target| {
            if self.info.features.get(&camera.column).is_some_and(Feature::is_image) {
                return fill_from_table(table, (index, rows.clone()), camera, ImageOptions { stride, size }, target);
            }
            self.decode_video(camera, index, rows.len(), stride, &mut |timestep, image| {
                fit(image, size, &mut target[timestep * size.rgb_len()..(timestep + 1) * size.rgb_len()]);
            })
        })
    }

    /// Decodes the images of every `stride`-th timestep of episode `index`, `length` timesteps long, from the video
    /// file of `camera`.
    fn decode_video(
        &self,
        camera: &RecordedCamera,
        index: usize,
        length: usize,
        stride: usize,
        each: &mut dyn FnMut(usize, &Image),
    ) -> Result<()> {
        let column = &camera.column;
        let Some(place) = self.row(index)?.videos.get(column).copied() else {
            return Err(Error::content(&self.root, format!("episode {index} {column}"), "a video file", "none"));
        };
        let opened = self.video(column, place.file)?;
        let numbers: Vec<usize> = opened.frames_of(index)?.take(length).step_by(stride).collect();
        opened.video.images(&numbers, camera.size, each)
    }

    /// The video file of `column` at `place`; every file is opened once.
    fn video(&self, column: &str, place: FilePlace) -> Result<Arc<EpisodesVideo>> {
        let path = self.info.video_file(&self.root, column, place);
        let mut videos = self.videos.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(video) = videos.get(&path) {
            return Ok(video.clone());
        }
        let video = Video::open(&path)?;
        let video = Arc::new(EpisodesVideo::new(video, (column, place), &self.rows, &self.info, &self.rates));
        videos.insert(path, video.clone());
        Ok(video)
    }
}

impl EpisodeSource for Dataset {
    fn format(&self) -> String {
        format!("LeRobotDataset {}", self.info.codebase_version)
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
        self.rows.len()
    }

    fn frames(&self) -> usize {
        self.info.total_frames
    }

    fn frames_per_second(&self) -> Option<f64> {
        self.rates.first().copied()
    }

    fn notes(&self) -> &[String] {
        &self.notes
    }

    fn episode(&self, index: usize) -> Result<EpisodeMeta> {
        let row = self.row(index)?;
        Ok(EpisodeMeta { index, length: row.length, tasks: row.tasks.clone() })
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

    fn is_of_cameras(&self) -> bool {
        self.sidecar.is_none() && CaptureLog::is_at(&self.root)
    }

    fn sidecar(&self) -> Option<&Sidecar> {
        self.sidecar.as_ref()
    }

    fn mapping(&self) -> Mapping {
        Mapping::of(&self.columns, self.frames_per_second())
    }

    fn summary(&self) -> Result<DatasetSummary> {
        let lengths = || self.rows.iter().map(|row| row.length);
        let feature = |(name, feature): &(String, Feature)| FeatureSummary {
            name: name.clone(),
            dtype: feature.dtype.clone(),
            shape: feature.shape.clone(),
            element_names: feature.element_names(),
        };
        Ok(DatasetSummary {
            path: self.path().to_path_buf(),
            format: self.format(),
            episodes: self.len(),
            frames: self.frames(),
            frames_per_second: self.frames_per_second(),
            episode_frames: [lengths().min().unwrap_or(0), lengths().max().unwrap_or(0)],
            tasks: self.tasks().to_vec(),
            features: self.info.features.0.iter().map(feature).collect(),
            bytes_on_disk: folder_bytes(self.path())?,
            action: read_action_statistics(self.path())?,
            sidecar: self.sidecar().cloned(),
            notes: self.notes.clone(),
        })
    }

    fn parts(&self, episodes: Range<usize>) -> Vec<Range<usize>> {
        let mut parts: Vec<Range<usize>> = Vec::new();
        for episode in episodes.start..episodes.end.min(self.rows.len()) {
            match parts.last_mut() {
                Some(last) if self.rows[last.start].data == self.rows[episode].data => last.end = episode + 1,
                _ => parts.push(episode..episode + 1),
            }
        }
        parts
    }

    fn read(
        &self,
        part: Vec<ReadRequest<'_>>,
        options: ImageOptions,
        done: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<EpisodeArrays>> {
        let Some(first) = part.first() else { return Ok(Vec::new()) };
        let table = self.open_file(self.row(first.episode)?.data)?;
        // Numbers are read by one reader, in order; images are read in small parts and decoded in parallel.
        let packed = part.into_iter().map(|request| Ok((self.read_numbers(&table, request.episode)?, request)));
        let packed: Vec<(EpisodeArrays, ReadRequest<'_>)> = packed.collect::<Result<_>>()?;
        let decode = |(arrays, request): (EpisodeArrays, ReadRequest<'_>)| -> Result<EpisodeArrays> {
            self.fill_images(&table, request.episode, options, request.images)?;
            done(self.row(request.episode)?.length);
            Ok(arrays)
        };
        let decoded: Vec<Result<EpisodeArrays>> = packed.into_par_iter().map(decode).collect();
        decoded.into_iter().collect()
    }
}

/// One line for each column that cannot be read.
fn unread(available: &[AvailableColumn]) -> Vec<String> {
    let line = |column: &AvailableColumn| match &column.kind {
        // Texts describe the task, and are nothing to learn from.
        ColumnKind::Unread(what) if what != TEXTS => Some(format!("{}: not read: {what}", column.name)),
        _ => None,
    };
    available.iter().filter_map(line).collect()
}
