//! Description of a data set that is to be written, whatever its format.

use std::path::Path;

use mindseye_interface::ImageSize;

use crate::episode::EpisodeShape;
use crate::sidecar::Sidecar;
use crate::{Error, Result};

/// Handling of a folder or file that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// Refuse unless the folder is missing or empty.
    Error,
    /// Delete the existing data set. Anything else is refused, and files that do not belong to a data set stay.
    Overwrite,
    /// Add episodes to the existing data set, which must have the same features. Where there is none, a new one begins.
    Append,
}

impl WriteMode {
    /// As two switches say: [`WriteMode::Error`] without either.
    pub fn of(overwrite: bool, append: bool) -> Self {
        match (overwrite, append) {
            (true, _) => Self::Overwrite,
            (_, true) => Self::Append,
            _ => Self::Error,
        }
    }
}

/// Storage of images in a LeRobot folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ImageStorage {
    /// As PNG in the tables: lossless, and any reader can read it.
    #[default]
    Png,
    /// As AV1 in video files, one per data file: much smaller, with some loss (34 to 41 dB on synthetic images), and
    /// much slower to write. Sides of at least 16 pixels.
    Av1,
}

/// Description of a data set that is to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct DatasetSpec {
    /// Timesteps per second; `timestamp` is the frame number divided by it.
    pub frames_per_second: u32,
    /// Name of the camera: the feature is `observation.images.<camera>`.
    pub camera: String,
    /// Names of further cameras with images of the same size; PNG only. The frames of an episode are then stacks of all
    /// cameras in this order, and each camera is a feature of its own.
    pub more_cameras: Vec<String>,
    /// Size of the images of each camera.
    pub image_size: ImageSize,
    /// Storage of its images.
    pub image_storage: ImageStorage,
    /// Names of the elements of proprioception `[P]`, SI units; may be empty.
    pub proprioception_names: Vec<String>,
    /// Names of the elements of the true state `[K]`, SI units; empty on a robot.
    pub state_names: Vec<String>,
    /// Names of the elements of an action `[A]`; empty for recordings without actions.
    pub action_names: Vec<String>,
    /// Text of the task of the first episodes.
    pub task: String,
    /// The robot, for example `two_room`.
    pub robot: Option<String>,
    /// Episodes per data file. A crash loses at most the episodes of one unfinished file: 1 for robots, about 50 for
    /// simulation.
    pub episodes_per_file: usize,
    /// Origin of the episodes, kept beside the data; its `first_episode`s are filled in when appending.
    pub sidecar: Option<Sidecar>,
}

impl DatasetSpec {
    /// Widths and image size of its episodes.
    pub(crate) fn shape(&self) -> EpisodeShape {
        EpisodeShape {
            image_size: self.stack_size().unwrap_or(self.image_size),
            proprioception: self.proprioception_names.len(),
            state: self.state_names.len(),
            action: self.action_names.len(),
        }
    }

    /// Names of all cameras, in the order in which their images are stacked.
    pub(crate) fn cameras(&self) -> impl Iterator<Item = &String> {
        std::iter::once(&self.camera).chain(&self.more_cameras)
    }

    /// Size of a frame: the images of all cameras on top of each other.
    fn stack_size(&self) -> mindseye_interface::Result<ImageSize> {
        ImageSize::new(self.cameras().count() * self.image_size.height(), self.image_size.width())
    }

    /// Checks the fields; the error names `path`.
    ///
    /// # Errors
    /// [`Error::Content`] for the first invalid field.
    pub(crate) fn check(&self, path: &Path) -> Result<()> {
        let refuse = |field: &str, expected: &str, got: String| Err(Error::content(path, field, expected, got));
        if self.frames_per_second == 0 {
            return refuse("frames_per_second", "at least 1", "0".into());
        }
        if let Some(name) = self.cameras().find(|name| !is_plain_name(name)) {
            return refuse("camera", "a name of letters, digits and _", format!("{name:?}"));
        }
        let mut names: Vec<&String> = self.cameras().collect();
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            return refuse("camera", "a name of its own for each", pair[0].clone());
        }
        if self.action_names.is_empty() && self.sidecar.is_some() {
            return refuse("action_names", "at least one", "none".into());
        }
        if !self.more_cameras.is_empty() && self.image_storage == ImageStorage::Av1 {
            return refuse("image_storage", "PNG for several cameras", "AV1".into());
        }
        if let Err(error) = self.stack_size() {
            return refuse("image_size", "a stack of all cameras", error.to_string());
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

/// Whether `name` can be a camera's name in a LeRobot folder: letters, digits and `_` only.
pub(crate) fn is_plain_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}
