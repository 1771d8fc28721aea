//! Goal images of a task, read from files.

use std::path::Path;
use std::sync::Arc;

use mindseye_episodes::image_codec::{decode_image, encoded_image_size, resized};
use mindseye_interface::{Frame, Image, ImageSize, Observation, inputs};

use super::GoalConfig;
use crate::{Error, Result};

/// The key frames of `goal` in their order, each as frames of the cameras of `like` and of its first image's size; none
/// of other kinds of goals.
///
/// # Errors
/// [`Error::GoalFile`] for a file that cannot be read; [`Error::Task`] where `like` has no image.
pub fn key_frames(goal: &GoalConfig, like: &Observation) -> Result<Vec<Vec<Frame>>> {
    let GoalConfig::KeyFrames { files } = goal else { return Ok(Vec::new()) };
    let size = like.image().map(Image::size).ok_or_else(|| Error::task("goal", "an image", "none"))?;
    let frames = |path: &std::path::PathBuf| -> Result<Vec<Frame>> {
        let image = Arc::new(read(path, size)?);
        Ok(like.frames.iter().map(|frame| Frame { image: image.clone(), ..frame.clone() }).collect())
    };
    files.iter().map(frames).collect()
}

/// Most bytes of an image's file.
const MAX_IMAGE_BYTES: u64 = 256 << 20;

/// The image in the file at `path`, resized.
fn read(path: &Path, size: ImageSize) -> Result<Image> {
    let unreadable = |reason: String| Error::GoalFile { field: "goal.files", path: path.to_path_buf(), reason };
    let bytes = inputs::read(path, MAX_IMAGE_BYTES).map_err(|error| unreadable(error.to_string()))?;
    let decoded = encoded_image_size(&bytes).and_then(|own| decode_image(&bytes, own));
    let image = decoded.map_err(|error| unreadable(error.to_string()))?;
    Ok(Image::new(size, resized(&image, size))?)
}
