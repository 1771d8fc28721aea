//! Images and videos, cut into what an encoder takes.

use std::path::{Path, PathBuf};

use mindseye_episodes::Video;
use mindseye_episodes::image_codec::{decode_image, encoded_image_size};
use mindseye_interface::config::require_range;
use mindseye_interface::{ImageSize, inputs};
use mindseye_world_model::families::vit::Vit;

use crate::{Error, Result};

/// Most bytes of an image file.
const MAX_IMAGE_BYTES: u64 = 256 << 20;
/// Most files of a folder.
const MAX_FILES: usize = 100_000;
/// Most clips of one video.
const MAX_CLIPS: usize = 100_000;

/// A file with images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// PNG or JPEG.
    Image(PathBuf),
    /// An mp4.
    Video(PathBuf),
}

impl Input {
    /// The file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Image(path) | Self::Video(path) => path,
        }
    }
}

/// The images and videos at `path`: one file, or those in a folder, by name.
///
/// # Errors
/// [`Error::File`] when there is none.
pub fn inputs_at(path: &Path) -> Result<Vec<Input>> {
    if path.is_file() {
        let input = input_of(path);
        return input.map(|input| vec![input]).ok_or_else(|| Error::file(path, "expected a PNG, JPEG or mp4 file"));
    }
    let entries = std::fs::read_dir(path).map_err(|error| Error::file(path, error))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).filter(|file| file.is_file()).collect();
    files.sort();
    let found: Vec<Input> = files.iter().filter_map(|file| input_of(file)).collect();
    match found.len() {
        0 => Err(Error::file(path, "expected a folder with PNG, JPEG or mp4 files, got none of them")),
        count if count > MAX_FILES => {
            Err(Error::file(path, format!("expected at most {MAX_FILES} files, got {count}")))
        }
        _ => Ok(found),
    }
}

fn input_of(path: &Path) -> Option<Input> {
    let ending = path.extension()?.to_string_lossy().to_lowercase();
    match ending.as_str() {
        "png" | "jpg" | "jpeg" => Some(Input::Image(path.to_path_buf())),
        "mp4" | "m4v" | "mov" => Some(Input::Video(path.to_path_buf())),
        _ => None,
    }
}

/// Which frames of a video a clip has.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sampling {
    /// Clip after clip, frames at this rate, Hz.
    Rate(f64),
    /// One clip with frames evenly over the whole video.
    Spread,
}

/// How videos are cut.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ClipOptions {
    /// Frames of a clip; 1: every frame stands for itself.
    pub frames: usize,
    /// Which frames.
    pub sampling: Sampling,
}

impl ClipOptions {
    /// Refuses numbers that make no sense.
    ///
    /// # Errors
    /// Naming the option.
    pub fn validate(&self) -> Result<()> {
        require_range("--frames", self.frames, 1, 4096)?;
        if let Sampling::Rate(rate) = self.sampling {
            require_range("--fps", rate, 0.001, 1000.0)?;
        }
        Ok(())
    }
}

/// A prepared clip.
#[derive(Debug, Clone)]
pub(crate) struct PreparedClip {
    /// Normalised values, `[T, C, H, W]`.
    pub values: Vec<f32>,
    pub frames: usize,
    pub size: [usize; 2],
    /// Time of its first frame, seconds; of an image 0.
    pub start_secs: f64,
}

/// Calls `visit` with every clip of `input` as `model` takes it; an image is repeated to the frames of a clip.
pub(crate) fn for_clips(
    input: &Input,
    model: &Vit,
    options: ClipOptions,
    visit: &mut dyn FnMut(PreparedClip) -> Result<()>,
) -> Result<()> {
    match input {
        Input::Image(path) => {
            let bytes = inputs::read(path, MAX_IMAGE_BYTES).map_err(|error| Error::file(path, error))?;
            let size = encoded_image_size(&bytes).map_err(|error| Error::file(path, error))?;
            require(path, model, options.frames, size)?;
            let image = decode_image(&bytes, size).map_err(|error| Error::file(path, error))?;
            let prepared = model.preprocessing().apply(&image)?;
            let (frames, size) = (options.frames, prepared.size);
            visit(PreparedClip { values: prepared.values.repeat(frames), frames, size, start_secs: 0.0 })
        }
        Input::Video(path) => {
            let video = Video::open(path)?;
            if video.is_empty() {
                return Err(Error::file(path, "expected a video with a frame, got none"));
            }
            for numbers in clips_of(video.times(), options) {
                visit(prepared_clip(&video, model, &numbers)?)?;
            }
            Ok(())
        }
    }
}

/// Whether `model` takes clips of `frames` images of `size`, before the first of them is decoded.
fn require(path: &Path, model: &Vit, frames: usize, size: ImageSize) -> Result<()> {
    model.require_input(frames, size.height(), size.width()).map_err(|error| Error::file(path, error))
}

/// Numbers of the frames of every clip of a video with frames at `times` (seconds, ascending). Clips stand one after
/// the other; a rest that is no whole clip is left out, but of a video that is shorter than a clip the last frame is
/// repeated.
fn clips_of(times: &[f64], options: ClipOptions) -> Vec<Vec<usize>> {
    let ClipOptions { frames, sampling } = options;
    let (first, last) = (times.first().copied().unwrap_or(0.0), times.last().copied().unwrap_or(0.0));
    let rate = match sampling {
        Sampling::Spread => {
            let place = |index: usize| (2 * index + 1) * times.len() / (2 * frames);
            return vec![(0..frames).map(|index| place(index).min(times.len() - 1)).collect()];
        }
        Sampling::Rate(rate) => rate,
    };
    // The newest frame that is shown; half a millisecond covers rounded times.
    let shown = |at: f64| times.partition_point(|time| *time <= at + 5e-4).saturating_sub(1);
    let count = ((last - first) * rate + 1e-6).floor() as usize + 1;
    let clips = (count / frames).clamp(1, MAX_CLIPS);
    let clip = |clip: usize| (0..frames).map(|index| shown(first + (clip * frames + index) as f64 / rate)).collect();
    (0..clips).map(clip).collect()
}

fn prepared_clip(video: &Video, model: &Vit, numbers: &[usize]) -> Result<PreparedClip> {
    let size = video.image_size()?;
    require(video.path(), model, numbers.len(), size)?;
    let preprocessing = model.preprocessing();
    let [height, width] = preprocessing.output_size(size.height(), size.width());
    let mut distinct = numbers.to_vec();
    distinct.dedup();
    let mut prepared: Vec<Vec<f32>> = Vec::with_capacity(distinct.len());
    let mut failed = None;
    video.images(&distinct, size, &mut |_, image| match preprocessing.apply(image) {
        Ok(image) => prepared.push(image.values),
        Err(error) => failed = Some(error),
    })?;
    if let Some(error) = failed {
        return Err(error.into());
    }
    let mut values = Vec::with_capacity(numbers.len() * 3 * height * width);
    for number in numbers {
        let at = distinct.partition_point(|known| known < number);
        let Some(frame) = prepared.get(at) else {
            let reason = format!("expected {} frames, got {}", distinct.len(), prepared.len());
            return Err(Error::file(video.path(), reason));
        };
        values.extend_from_slice(frame);
    }
    let start_secs = numbers.first().and_then(|number| video.times().get(*number)).copied().unwrap_or(0.0);
    Ok(PreparedClip { values, frames: numbers.len(), size: [height, width], start_secs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clips_follow_each_other_at_the_rate_and_short_videos_repeat_their_last_frame() {
        let times: Vec<f64> = (0..30).map(|frame| f64::from(frame) / 10.0).collect();
        let of = |frames, sampling| clips_of(&times, ClipOptions { frames, sampling });
        assert_eq!(of(4, Sampling::Rate(5.0)), [[0, 2, 4, 6], [8, 10, 12, 14], [16, 18, 20, 22]]);
        assert_eq!(of(4, Sampling::Spread), [[3, 11, 18, 26]]);
        assert_eq!(of(1, Sampling::Rate(1.0)), [[0], [10], [20]]);
        assert_eq!(of(8, Sampling::Rate(2.0)), [[0, 5, 10, 15, 20, 25, 29, 29]]);
        assert_eq!(clips_of(&[0.0], ClipOptions { frames: 3, sampling: Sampling::Spread }), [[0, 0, 0]]);
    }
}
