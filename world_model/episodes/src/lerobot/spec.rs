//! What a new data set is to hold, and making room for it.

use std::collections::BTreeMap;
use std::path::Path;

use mindseye_interface::ImageSize;

use super::info::{Feature, Info, VERSION, default_chunks_size, default_data_files_size, default_video_files_size};
use super::moments_table::features;
use super::sidecar::Sidecar;
use crate::episode::EpisodeShape;
use crate::video::SHORTEST_SIDE;
use crate::{Error, Result};

/// What to do about a folder that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// Refuse unless the folder is missing or empty.
    Error,
    /// Delete the data set that is there; anything else is refused. Files that do not belong to a data set stay.
    Overwrite,
    /// Add episodes to the data set that is there, which must have the same features; begin a new one where there is none.
    Append,
}

/// How pictures are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PictureStorage {
    /// As PNG in the tables, without loss: what any reader can read.
    #[default]
    Png,
    /// As AV1 in video files, a file to a data file: much smaller, with some loss (34 to 41 dB on made-up pictures), and much slower
    /// to write. Sides of at least 16 pixels.
    Av1,
}

/// What the episodes of a data set have in common.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetSpec {
    /// Moments per second; `timestamp` is the frame number divided by it.
    pub frames_per_second: u32,
    /// Name of the camera: the feature is `observation.images.<camera>`.
    pub camera: String,
    /// Size of its pictures.
    pub image_size: ImageSize,
    /// How its pictures are kept.
    pub pictures: PictureStorage,
    /// Names of the elements of proprioception `[P]`, SI units; may be empty.
    pub proprioception_names: Vec<String>,
    /// Names of the elements of the true state `[K]`, SI units; empty on a robot.
    pub state_names: Vec<String>,
    /// Names of the elements of an action `[A]`, at least one.
    pub action_names: Vec<String>,
    /// What is being done, in words.
    pub task: String,
    /// The robot, for example `two_room`.
    pub robot: Option<String>,
    /// Episodes per data file. A crash loses at most the episodes of one unfinished file: 1 for robots, about 50 for simulation.
    pub episodes_per_file: usize,
    /// What mindseye wants to remember; its `first_episode`s are filled in when appending.
    pub sidecar: Option<Sidecar>,
}

impl DatasetSpec {
    /// Widths and picture size.
    pub(crate) fn shape(&self) -> EpisodeShape {
        EpisodeShape {
            image_size: self.image_size,
            proprioception: self.proprioception_names.len(),
            state: self.state_names.len(),
            action: self.action_names.len(),
        }
    }

    /// Refuses what makes no sense; `path` is what the error names.
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        let refuse = |field: &str, expected: &str, got: String| Err(Error::content(path, field, expected, got));
        if self.frames_per_second == 0 {
            return refuse("frames_per_second", "at least 1", "0".into());
        }
        let plain =
            |name: &str| !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
        if !plain(&self.camera) {
            return refuse("camera", "a name of letters, digits and _", format!("{:?}", self.camera));
        }
        if self.action_names.is_empty() {
            return refuse("action_names", "at least one", "none".into());
        }
        if self.task.is_empty() {
            return refuse("task", "a text", "none".into());
        }
        if self.episodes_per_file == 0 {
            return refuse("episodes_per_file", "at least 1", "0".into());
        }
        match &self.sidecar {
            Some(sidecar) => sidecar.check(path, self.action_names.len()),
            None => Ok(()),
        }
    }
}

/// The description of a data set that has no episodes yet.
pub(super) fn fresh_info(path: &Path, spec: &DatasetSpec) -> Result<Info> {
    spec.check(path)?;
    let (height, width) = (spec.image_size.height(), spec.image_size.width());
    if spec.pictures == PictureStorage::Av1 && height.min(width) < SHORTEST_SIDE {
        let expected = format!("sides of at least {SHORTEST_SIDE} pixels for video");
        return Err(Error::content(path, "image_size", expected, format!("{height}x{width}")));
    }
    let (camera, video_path) = match spec.pictures {
        PictureStorage::Png => (Feature::image(spec.image_size), None),
        PictureStorage::Av1 => {
            let path = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4";
            (Feature::video(spec.image_size, spec.frames_per_second), Some(path.into()))
        }
    };
    let (proprioception, state, action) = (&spec.proprioception_names, &spec.state_names, &spec.action_names);
    Ok(Info {
        codebase_version: VERSION.into(),
        fps: spec.frames_per_second,
        features: features(&spec.camera, camera, proprioception, state, action),
        total_episodes: 0,
        total_frames: 0,
        total_tasks: 0,
        chunks_size: default_chunks_size(),
        data_files_size_in_mb: default_data_files_size(),
        video_files_size_in_mb: default_video_files_size(),
        data_path: "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet".into(),
        video_path,
        robot_type: spec.robot.clone(),
        splits: BTreeMap::from([("train".into(), "0:0".into())]),
        other: BTreeMap::new(),
    })
}

/// Makes sure that a new data set can begin in `path`.
pub(super) fn make_room(path: &Path, mode: WriteMode, recorded: bool) -> Result<()> {
    let empty = match std::fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(Error::file(path, "listing", error)),
    };
    match mode {
        _ if empty => Ok(()),
        WriteMode::Overwrite if recorded => delete_dataset(path),
        WriteMode::Error if recorded => {
            let expected = "a new or empty folder, or the mode overwrite or append";
            Err(Error::content(path, "folder", expected, "a data set"))
        }
        _ => Err(Error::content(path, "folder", "a new or empty folder", "files that are no data set")),
    }
}

/// Deletes what belongs to a data set; `info.json` goes last, so that an interrupted deletion can be repeated.
fn delete_dataset(path: &Path) -> Result<()> {
    let delete = |target: &Path, folder: bool| -> Result<()> {
        let result = if folder { std::fs::remove_dir_all(target) } else { std::fs::remove_file(target) };
        match result {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(target, "deleting", error)),
            _ => Ok(()),
        }
    };
    for folder in ["data", "videos", "images", "meta/episodes"] {
        delete(&path.join(folder), true)?;
    }
    for file in ["stats.json", "tasks.parquet", "mindseye.json", "info.json"] {
        delete(&path.join("meta").join(file), false)?;
    }
    Ok(())
}
