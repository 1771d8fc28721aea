//! Reading a LeRobotDataset folder, v3.0 or v2.1; everything that is read is checked.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mindseye_interface::{Image, ImageSize};
use rayon::prelude::*;

use super::episodes_table::{EpisodeRow, read_rows};
use super::info::{ACTION, CAMERA_PREFIX, Feature, FilePlace, Info, PROPRIOCEPTION, STATE, info_path};
use super::moments_table::{PackedEpisode, read_moments};
use super::sidecar::Sidecar;
use super::summary::DatasetSummary;
use super::tables::TableFile;
use super::tasks::read_tasks;
use crate::episode::EpisodeShape;
use crate::picture::{decode_png, fit};
use crate::source::{EpisodeSource, Numbers, PictureOptions, Wanted};
use crate::video::Video;
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

/// A LeRobotDataset folder (v3.0 or v2.1), its pictures in tables or in video files, open for reading.
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
    /// Video files of the camera that have been opened.
    videos: Mutex<BTreeMap<FilePlace, Arc<Video>>>,
}

impl Dataset {
    /// Opens the data set in folder `path`: reads `meta/`, not the data. Its first camera is the one that is read.
    ///
    /// # Errors
    /// [`Error::File`] when a file is missing or broken; [`Error::Content`] for another version than v3.0 and v2.1, for Lance
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
        let tasks = if info.total_tasks == 0 { Vec::new() } else { read_tasks(path, &info)? };
        let sidecar = Sidecar::read(path, shape.action)?;
        let videos = Mutex::default();
        Ok(Self { root: path.to_path_buf(), info, camera, shape, rows, file_starts, tasks, sidecar, videos })
    }

    /// Reads another camera, by its name without `observation.images.`.
    ///
    /// # Errors
    /// [`Error::Content`] when there is none of that name.
    pub fn with_camera(mut self, name: &str) -> Result<Self> {
        let feature = format!("{CAMERA_PREFIX}{name}");
        self.shape.image_size = camera_size(&self.root, &self.info, &feature)?;
        self.camera = feature;
        self.videos = Mutex::default();
        Ok(self)
    }

    /// Moments per second, a whole number.
    pub fn fps(&self) -> u32 {
        self.info.fps
    }

    /// Size of the recorded pictures.
    pub fn image_size(&self) -> ImageSize {
        self.shape.image_size
    }

    /// Texts of the tasks, by number.
    pub fn tasks(&self) -> &[String] {
        &self.tasks
    }

    fn element_names(&self, feature: &str) -> Vec<String> {
        self.info.features.get(feature).map(Feature::element_names).unwrap_or_default()
    }

    fn row(&self, index: usize) -> Result<&EpisodeRow> {
        let missing = || Error::content(&self.root, "episode", format!("below {}", self.len()), index);
        self.rows.get(index).ok_or_else(missing)
    }

    fn open_file(&self, place: FilePlace) -> Result<TableFile> {
        TableFile::open(&self.info.data_file(&self.root, place))
    }

    /// Reads episode `index` from the open file that holds it, pictures still packed.
    fn read_packed(&self, table: &TableFile, index: usize) -> Result<PackedEpisode> {
        let row = self.row(index)?;
        let file_start = self.file_starts.get(&row.data).copied().unwrap_or(0);
        let start = row.first_frame - file_start;
        let camera = if self.films() { None } else { Some(self.camera.as_str()) };
        let shape = (&self.shape, self.info.fps);
        read_moments(table, camera, shape, start, row.length, (index, row.first_frame))
    }

    /// Whether the camera's pictures are in video files.
    fn films(&self) -> bool {
        self.info.features.get(&self.camera).is_some_and(Feature::is_video)
    }

    /// Decodes the pictures of every `stride`-th moment of episode `index` into `target`, scaled to `size`.
    fn fill_pictures(
        &self,
        table: &TableFile,
        packed: &PackedEpisode,
        index: usize,
        PictureOptions { stride, size }: PictureOptions,
        target: &mut [u8],
    ) -> Result<()> {
        let Some(pictures) = &packed.pictures else {
            return self.film(index, packed.length, stride, &mut |number, picture| {
                fit(picture, size, &mut target[number * size.rgb_len()..(number + 1) * size.rgb_len()]);
            });
        };
        target.par_chunks_exact_mut(size.rgb_len()).enumerate().try_for_each(|(number, target)| {
            let frame = number * stride;
            let picture = decode_png(pictures.value(frame), self.shape.image_size);
            let broken = |reason| {
                let field = format!("episode {index} frame {frame} {}", self.camera);
                Error::content(table.path(), field, "a PNG picture", reason)
            };
            fit(&picture.map_err(broken)?, size, target);
            Ok(())
        })
    }

    /// Decodes the pictures of every `stride`-th moment of episode `index`, `length` moments long, from its video file.
    fn film(&self, index: usize, length: usize, stride: usize, each: &mut dyn FnMut(usize, &Image)) -> Result<()> {
        let Some(place) = self.row(index)?.videos.get(&self.camera).copied() else {
            return Err(Error::content(&self.root, format!("episode {index} {}", self.camera), "a video file", "none"));
        };
        let path = self.info.video_file(&self.root, &self.camera, place.file);
        let video = self.video(&path, place.file)?;
        let mut wanted = Vec::with_capacity(length.div_ceil(stride));
        for frame in (0..length).step_by(stride) {
            let number = video.frame_at(place.from_secs + frame as f64 / f64::from(self.info.fps))?;
            if wanted.last().is_some_and(|last| *last >= number) {
                let field = format!("episode {index} frame {frame}");
                let expected = format!("a picture of its own ({} frames a second)", self.info.fps);
                return Err(Error::content(&path, field, expected, "the one of the moment before"));
            }
            wanted.push(number);
        }
        video.pictures(&wanted, self.shape.image_size, each)
    }

    /// The video file at `path`, opened once.
    fn video(&self, path: &Path, place: FilePlace) -> Result<Arc<Video>> {
        let mut videos = self.videos.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(video) = videos.get(&place) {
            return Ok(video.clone());
        }
        let video = Arc::new(Video::open(path)?);
        videos.insert(place, video.clone());
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

    fn len(&self) -> usize {
        self.rows.len()
    }

    fn frames(&self) -> usize {
        self.info.total_frames
    }

    fn frames_per_second(&self) -> Option<f64> {
        Some(f64::from(self.info.fps))
    }

    fn episode(&self, index: usize) -> Result<EpisodeMeta> {
        let row = self.row(index)?;
        Ok(EpisodeMeta { index, length: row.length, tasks: row.tasks.clone() })
    }

    fn state_names(&self) -> Vec<String> {
        self.element_names(STATE)
    }

    fn proprioception_names(&self) -> Vec<String> {
        self.element_names(PROPRIOCEPTION)
    }

    fn action_names(&self) -> Vec<String> {
        self.element_names(ACTION)
    }

    fn sidecar(&self) -> Option<&Sidecar> {
        self.sidecar.as_ref()
    }

    fn summary(&self) -> Result<DatasetSummary> {
        self.at_a_glance()
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
        part: Vec<Wanted<'_>>,
        options: PictureOptions,
        done: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Numbers>> {
        let Some(first) = part.first() else { return Ok(Vec::new()) };
        let table = self.open_file(self.row(first.episode)?.data)?;
        // One reader per file: its place in it is its own. Pictures are decoded side by side after that.
        let packed = part.into_iter().map(|wanted| Ok((self.read_packed(&table, wanted.episode)?, wanted)));
        let packed: Vec<(PackedEpisode, Wanted<'_>)> = packed.collect::<Result<_>>()?;
        let decode = |(packed, wanted): (PackedEpisode, Wanted<'_>)| -> Result<Numbers> {
            self.fill_pictures(&table, &packed, wanted.episode, options, wanted.pictures)?;
            done(packed.length);
            Ok(packed.numbers)
        };
        let decoded: Vec<Result<Numbers>> = packed.into_par_iter().map(decode).collect();
        decoded.into_iter().collect()
    }
}

fn first_camera(root: &Path, info: &Info) -> Result<(String, ImageSize)> {
    match info.features.0.iter().find(|(_, feature)| feature.is_camera()) {
        Some((name, _)) => Ok((name.clone(), camera_size(root, info, name)?)),
        None => Err(Error::content(&info_path(root), "features", "a camera with dtype image or video", "none")),
    }
}

fn camera_size(root: &Path, info: &Info, name: &str) -> Result<ImageSize> {
    match info.features.get(name).filter(|feature| feature.is_camera()).map(|feature| &feature.shape[..]) {
        Some(&[height, width, _]) => Ok(ImageSize::new(height, width)?),
        _ => Err(Error::content(&info_path(root), "features", format!("a camera {name}"), "none")),
    }
}
