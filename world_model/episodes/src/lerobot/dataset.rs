//! Reading a LeRobotDataset folder, v3.0 or v2.1; everything that is read is checked.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use mindseye_interface::{Image, ImageSize};
use rayon::prelude::*;

use super::episodes_table::{EpisodeRow, read_rows};
use super::info::{ACTION, Feature, FilePlace, Info, PROPRIOCEPTION, STATE, info_path};
use super::moments_table::{DEFAULT_FEATURES, PackedEpisode, read_moments};
use super::sidecar::Sidecar;
use super::summary::DatasetSummary;
use super::tables::TableFile;
use super::tasks::read_tasks;
use crate::episode::EpisodeShape;
use crate::mapping::{Columns, Kind, Known, Mapping, Usual, element_names, stacked};
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
    columns: Columns,
    fps: f64,
    shape: EpisodeShape,
    pub(super) rows: Vec<EpisodeRow>,
    /// Index of the first moment in each data file.
    file_starts: BTreeMap<FilePlace, usize>,
    tasks: Vec<String>,
    sidecar: Option<Sidecar>,
    /// Video files that have been opened.
    videos: Mutex<BTreeMap<PathBuf, Arc<Video>>>,
}

/// Names that LeRobot's columns have.
const USUAL: Usual = Usual { cameras: None, action: &[ACTION], proprioception: &[PROPRIOCEPTION], state: &[STATE] };

impl Dataset {
    /// Opens the data set in folder `path`: reads `meta/`, not the data. Its first camera is the one that is read.
    ///
    /// # Errors
    /// [`Error::File`] when a file is missing or broken; [`Error::Content`] for another version than v3.0 and v2.1, for Lance
    /// storage, for a missing camera, and for tables that contradict `info.json`.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &Mapping::default())
    }

    /// As [`Dataset::open`], with the columns that `mapping` names.
    ///
    /// # Errors
    /// As [`Dataset::open`]; [`Error::Content`] when a column is missing or of another kind.
    pub fn open_with(path: &Path, mapping: &Mapping) -> Result<Self> {
        let info = Info::read(path)?;
        let known: Vec<Known> = info.features.0.iter().filter_map(known).collect();
        let columns = mapping.resolve(&info_path(path), &known, &USUAL)?;
        let shape = columns.shape()?;
        let (rows, _) = read_rows(path, &info)?;
        let mut file_starts = BTreeMap::new();
        for row in &rows {
            file_starts.entry(row.data).or_insert(row.first_frame);
        }
        // An interrupted first segment may have left no table yet.
        let tasks = if info.total_tasks == 0 { Vec::new() } else { read_tasks(path, &info)? };
        let sidecar = Sidecar::read(path, info.features.get(ACTION).map_or(0, Feature::width))?;
        let sidecar = sidecar.filter(|_| columns.act_by(ACTION));
        let fps = mapping.fps.unwrap_or(f64::from(info.fps));
        let videos = Mutex::default();
        Ok(Self { root: path.to_path_buf(), info, columns, fps, shape, rows, file_starts, tasks, sidecar, videos })
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
        read_moments(table, &self.columns, &self.info, start, row.length, (index, row.first_frame))
    }

    /// Decodes the pictures of every `stride`-th moment of episode `index` into `target`, those of all cameras scaled to `size` together.
    fn fill_pictures(
        &self,
        table: &TableFile,
        packed: &PackedEpisode,
        index: usize,
        options: PictureOptions,
        target: &mut [u8],
    ) -> Result<()> {
        let mut cameras = packed.pictures.iter();
        stacked(&self.columns.cameras, options, target, &mut |(name, own), PictureOptions { stride, size }, target| {
            let Some(Some(pictures)) = cameras.next() else {
                return self.film((name, own), index, packed.length, stride, &mut |moment, picture| {
                    fit(picture, size, &mut target[moment * size.rgb_len()..(moment + 1) * size.rgb_len()]);
                });
            };
            target.par_chunks_exact_mut(size.rgb_len()).enumerate().try_for_each(|(moment, target)| -> Result<()> {
                let frame = moment * stride;
                let picture = decode_png(pictures.value(frame), own);
                let broken = |reason| {
                    let field = format!("episode {index} frame {frame} {name}");
                    Error::content(table.path(), field, "a PNG picture", reason)
                };
                fit(&picture.map_err(broken)?, size, target);
                Ok(())
            })
        })
    }

    /// Decodes the pictures of every `stride`-th moment of episode `index`, `length` moments long, from its video file.
    fn film(
        &self,
        (camera, size): (&str, ImageSize),
        index: usize,
        length: usize,
        stride: usize,
        each: &mut dyn FnMut(usize, &Image),
    ) -> Result<()> {
        let Some(place) = self.row(index)?.videos.get(camera).copied() else {
            return Err(Error::content(&self.root, format!("episode {index} {camera}"), "a video file", "none"));
        };
        let path = self.info.video_file(&self.root, camera, place.file);
        let video = self.video(&path)?;
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
        video.pictures(&wanted, size, each)
    }

    /// The video file at `path`, opened once.
    fn video(&self, path: &Path) -> Result<Arc<Video>> {
        let mut videos = self.videos.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(video) = videos.get(path) {
            return Ok(video.clone());
        }
        let video = Arc::new(Video::open(path)?);
        videos.insert(path.to_path_buf(), video.clone());
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
        Some(self.fps)
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

    fn sidecar(&self) -> Option<&Sidecar> {
        self.sidecar.as_ref()
    }

    fn mapping(&self) -> Mapping {
        self.columns.mapping(Some(self.fps))
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

/// What can be mapped of a feature: pictures in colour, and numbers. What only counts moments cannot.
fn known((name, feature): &(String, Feature)) -> Option<Known> {
    let kind = match feature.shape[..] {
        [height, width, _] if feature.is_camera() => Kind::Pictures(ImageSize::new(height, width).ok()?),
        _ if feature.is_image() || feature.is_video() || feature.dtype == "string" => return None,
        _ if DEFAULT_FEATURES.contains(&name.as_str()) => return None,
        _ => Kind::Numbers(feature.width()),
    };
    Some(Known { name: name.clone(), kind, elements: feature.element_names() })
}
