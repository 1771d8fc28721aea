//! Reading a LeRobotDataset v3.0 folder; everything that is read is checked.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use arrow::array::Array;
use mindseye_interface::{Image, ImageSize};
use rayon::prelude::*;

use super::episodes_table::{EpisodeRow, read_rows};
use super::info::{ACTION, CAMERA_PREFIX, Feature, FilePlace, Info, PROPRIOCEPTION, STATE, info_path};
use super::moments_table::{PackedEpisode, read_moments};
use super::sidecar::Sidecar;
use super::tables::TableFile;
use super::tasks::read_tasks;
use crate::episode::{EpisodeData, EpisodeShape};
use crate::picture::decode_png;
use crate::{Error, Result};

/// What is known of an episode without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EpisodeMeta {
    /// Index of the episode.
    pub index: usize,
    /// Number of moments `T`.
    pub length: usize,
    /// Texts of its tasks.
    pub tasks: Vec<String>,
}

/// A LeRobotDataset v3.0 folder with pictures in its tables, open for reading.
#[derive(Debug)]
pub struct Dataset {
    root: PathBuf,
    pub(super) info: Info,
    camera: String,
    shape: EpisodeShape,
    pub(super) rows: Vec<EpisodeRow>,
    /// Index of the first moment in each data file.
    file_starts: BTreeMap<FilePlace, usize>,
    tasks: Vec<String>,
    sidecar: Option<Sidecar>,
}

impl Dataset {
    /// Opens the data set in folder `path`: reads `meta/`, not the data. Its first camera is the one that is read.
    ///
    /// # Errors
    /// [`Error::File`] when a file is missing or broken; [`Error::Content`] for another version than v3.0, for video or Lance
    /// storage, for a missing camera or action, and for tables that contradict `info.json`.
    pub fn open(path: &Path) -> Result<Self> {
        let info = Info::read(path)?;
        let (camera, image_size) = first_camera(path, &info)?;
        let width = |name: &str| info.features.get(name).map_or(0, Feature::width);
        let shape = EpisodeShape {
            image_size,
            proprioception: width(PROPRIOCEPTION),
            state: width(STATE),
            action: width(ACTION),
        };
        if shape.action == 0 {
            return Err(Error::content(&info_path(path), "features", "a feature called action", "none"));
        }
        let (rows, _) = read_rows(path, &info)?;
        let mut file_starts = BTreeMap::new();
        for row in &rows {
            file_starts.entry(row.data).or_insert(row.first_frame);
        }
        // An interrupted first segment may have left no table yet.
        let tasks = if info.total_tasks == 0 { Vec::new() } else { read_tasks(path)? };
        let sidecar = Sidecar::read(path, shape.action)?;
        Ok(Self { root: path.to_path_buf(), info, camera, shape, rows, file_starts, tasks, sidecar })
    }

    /// Reads another camera, by its name without `observation.images.`.
    ///
    /// # Errors
    /// [`Error::Content`] when there is none of that name.
    pub fn with_camera(mut self, name: &str) -> Result<Self> {
        let feature = format!("{CAMERA_PREFIX}{name}");
        self.shape.image_size = camera_size(&self.root, &self.info, &feature)?;
        self.camera = feature;
        Ok(self)
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// Number of episodes.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no episode.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Number of moments of all episodes.
    pub fn frames(&self) -> usize {
        self.info.total_frames
    }

    /// Moments per second.
    pub fn frames_per_second(&self) -> u32 {
        self.info.fps
    }

    /// Size of the recorded pictures.
    pub fn image_size(&self) -> ImageSize {
        self.shape.image_size
    }

    /// Widths and picture size that all episodes have.
    pub fn shape(&self) -> &EpisodeShape {
        &self.shape
    }

    /// Texts of the tasks, by number.
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    /// What mindseye recorded beside the data; `None` for data sets of other tools.
    pub fn sidecar(&self) -> Option<&Sidecar> {
        self.sidecar.as_ref()
    }

    /// Names of the elements of proprioception; empty where the data set has none or does not say.
    pub fn proprioception_names(&self) -> Vec<String> {
        self.element_names(PROPRIOCEPTION)
    }

    /// Names of the elements of the true state; empty where the data set has none or does not say.
    pub fn state_names(&self) -> Vec<String> {
        self.element_names(STATE)
    }

    /// Names of the elements of an action; empty where the data set does not say.
    pub fn action_names(&self) -> Vec<String> {
        self.element_names(ACTION)
    }

    fn element_names(&self, feature: &str) -> Vec<String> {
        self.info.features.get(feature).map(Feature::element_names).unwrap_or_default()
    }

    /// What is known of episode `index` without reading it.
    ///
    /// # Errors
    /// [`Error::Content`] when there is no such episode.
    pub fn episode(&self, index: usize) -> Result<EpisodeMeta> {
        let row = self.row(index)?;
        Ok(EpisodeMeta { index, length: row.length, tasks: row.tasks.clone() })
    }

    /// Reads episode `index`, pictures decoded.
    ///
    /// # Errors
    /// [`Error::Content`] or [`Error::File`] that names the file, the frame and the feature.
    pub fn read_episode(&self, index: usize) -> Result<EpisodeData> {
        let table = self.open_file(self.row(index)?.data)?;
        let packed = self.read_packed(&table, index)?;
        let frames = (0..packed.pictures.len()).into_par_iter();
        let frames = frames.map(|frame| self.decode(&table, &packed, index, frame)).collect::<Result<Vec<Image>>>()?;
        let split = |values: &[f32], width: usize| -> Vec<Vec<f32>> {
            (0..frames.len()).map(|frame| values[frame * width..(frame + 1) * width].to_vec()).collect()
        };
        let proprioception = split(&packed.proprioception, self.shape.proprioception);
        let states = split(&packed.states, self.shape.state);
        let actions = split(&packed.actions, self.shape.action);
        Ok(EpisodeData { frames, proprioception, states, actions })
    }

    fn row(&self, index: usize) -> Result<&EpisodeRow> {
        let missing = || Error::content(&self.root, "episode", format!("below {}", self.len()), index);
        self.rows.get(index).ok_or_else(missing)
    }

    /// Data files with the episodes in each, in order; `episodes` limits which.
    pub(crate) fn files(&self, episodes: Range<usize>) -> Vec<(FilePlace, Range<usize>)> {
        let mut files: Vec<(FilePlace, Range<usize>)> = Vec::new();
        for episode in episodes.start..episodes.end.min(self.len()) {
            let place = self.rows[episode].data;
            match files.last_mut() {
                Some((last, range)) if *last == place => range.end = episode + 1,
                _ => files.push((place, episode..episode + 1)),
            }
        }
        files
    }

    pub(crate) fn open_file(&self, place: FilePlace) -> Result<TableFile> {
        TableFile::open(&self.info.data_file(&self.root, place))
    }

    /// Reads episode `index` from the open file that holds it, pictures still packed.
    pub(crate) fn read_packed(&self, table: &TableFile, index: usize) -> Result<PackedEpisode> {
        let row = self.row(index)?;
        let file_start = self.file_starts.get(&row.data).copied().unwrap_or(0);
        let start = row.first_frame - file_start;
        read_moments(table, &self.camera, &self.shape, start, row.length, (index, row.first_frame))
    }

    /// Decodes the picture at `frame` of episode `index`.
    pub(crate) fn decode(
        &self,
        table: &TableFile,
        packed: &PackedEpisode,
        index: usize,
        frame: usize,
    ) -> Result<Image> {
        decode_png(packed.pictures.value(frame), self.shape.image_size).map_err(|reason| {
            let field = format!("episode {index} frame {frame} {}", self.camera);
            Error::content(table.path(), field, "a PNG picture", reason)
        })
    }
}

fn first_camera(root: &Path, info: &Info) -> Result<(String, ImageSize)> {
    if let Some((name, _)) = info.features.0.iter().find(|(_, feature)| feature.is_image()) {
        return Ok((name.clone(), camera_size(root, info, name)?));
    }
    let got = match info.features.0.iter().find(|(_, feature)| feature.dtype == "video") {
        Some((name, _)) => format!("{name} with dtype video (a later version of mindseye will read it)"),
        None => "none".into(),
    };
    Err(Error::content(&info_path(root), "features", "a camera with dtype image", got))
}

fn camera_size(root: &Path, info: &Info, name: &str) -> Result<ImageSize> {
    match info.features.get(name).filter(|feature| feature.is_image()).map(|feature| &feature.shape[..]) {
        Some(&[height, width, _]) => Ok(ImageSize::new(height, width)?),
        _ => Err(Error::content(&info_path(root), "features", format!("a camera {name} with dtype image"), "none")),
    }
}
