//! `file:` videos, folders with images, single images and episodes of recordings, played at their rate.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, sync_channel};

use mindseye_episodes::image_codec::encode_png;
use mindseye_episodes::{EpisodeSource, Error as EpisodeError, Video};
use mindseye_interface::text::printable_path;
use mindseye_interface::{Image, inputs};

use crate::Result;
use crate::address::CameraUri;
use crate::error::Fault;
use crate::frame::{FrameData, Granted};
use crate::settings::CameraSettings;
use crate::source::{Connect, Paced, SharedClock, Source};

/// Rate of folders with images, frames per second.
const FOLDER_FPS: f64 = 10.0;
/// Frames of a video that are decoded ahead.
const AHEAD: usize = 2;

/// The source of a `file:` address.
#[expect(clippy::unnecessary_wraps, reason = "as the sources of other schemes")]
pub(super) fn open(uri: &CameraUri) -> Result<Box<dyn Connect>> {
    Ok(Box::new(Files { path: PathBuf::from(&uri.place) }))
}

struct Files {
    path: PathBuf,
}

/// Images one after the other; none at the end.
type Images = Box<dyn FnMut() -> std::result::Result<Option<FrameData>, Fault> + Send>;

/// What was found at a path.
struct Opened {
    format: String,
    fps: f64,
    images: Images,
}

impl Connect for Files {
    fn connect(
        &mut self,
        settings: &CameraSettings,
        clock: &SharedClock,
    ) -> std::result::Result<Box<dyn Source>, Fault> {
        let (path, episode) = (self.path.clone(), settings.episode);
        let Opened { format, fps, mut images } = find(&path, episode)?;
        let repeat = settings.repeat;
        let produce = move || {
            if let Some(data) = images()? {
                return Ok(Some(data));
            }
            if !repeat {
                return Err(Fault::End(printable_path(&path)));
            }
            images = find(&path, episode)?.images;
            images()
        };
        let granted = Granted { device: Some(format), ..Granted::default() };
        Ok(Box::new(Paced::new(settings.fps.unwrap_or(fps), clock.clone(), granted, produce)))
    }
}

fn find(path: &Path, episode: usize) -> std::result::Result<Opened, Fault> {
    let lasting = |reason: String| Fault::Lasting(format!("{}: {reason}", printable_path(path)));
    let metadata = std::fs::metadata(path).map_err(|error| lasting(error.to_string()))?;
    if metadata.is_dir() {
        let images = images_in(path).map_err(|error| lasting(error.to_string()))?;
        return if images.is_empty() { recording(path, episode) } else { Ok(list(images)) };
    }
    match extension(path).as_str() {
        "png" | "jpg" | "jpeg" => Ok(list(vec![path.to_path_buf()])),
        "h5" | "hdf5" => recording(path, episode),
        _ => video(path),
    }
}

fn extension(path: &Path) -> String {
    path.extension().map(|end| end.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// Images in a folder, by name.
fn images_in(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut images = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if matches!(extension(&path).as_str(), "png" | "jpg" | "jpeg") {
            images.push(path);
        }
    }
    images.sort();
    Ok(images)
}

fn list(paths: Vec<PathBuf>) -> Opened {
    const MAX_BYTES: u64 = 64 << 20;
    let format = format!("{} images", paths.len());
    let mut paths = paths.into_iter();
    let images = move || {
        let Some(path) = paths.next() else { return Ok(None) };
        let read = inputs::read(&path, MAX_BYTES);
        let lasting = |error: std::io::Error| Fault::Lasting(format!("{}: {error}", printable_path(&path)));
        Ok(Some(FrameData::Encoded(read.map_err(lasting)?)))
    };
    Opened { format, fps: FOLDER_FPS, images: Box::new(images) }
}

/// A video, decoded by a thread that ends when nobody takes its frames.
fn video(path: &Path) -> std::result::Result<Opened, Fault> {
    let lasting = |error: EpisodeError| Fault::Lasting(error.to_string());
    let video = Video::open(path).map_err(lasting)?;
    let times = video.times();
    let secs = times.last().zip(times.first()).map_or(0.0, |(last, first)| last - first);
    let fps = if secs > 0.0 { (times.len() - 1) as f64 / secs } else { FOLDER_FPS };
    let (send, receive) = sync_channel::<std::result::Result<Image, String>>(AHEAD);
    let shown = printable_path(path);
    let decode = move || {
        let failed = send.clone();
        let mut left = false;
        let decoded = video.decode(0..video.len(), &mut |_, planes| {
            left = send.send(planes.rgb()).is_err();
            // Any error ends the decoding.
            if left { Err(stopped(video.path())) } else { Ok(()) }
        });
        if let (Err(error), false) = (decoded, left) {
            let _ = failed.send(Err(error.to_string()));
        }
    };
    let thread = std::thread::Builder::new().name("video".into()).spawn(decode);
    thread.map_err(|error| Fault::Passing(error.to_string()))?;
    Ok(Opened { format: format!("video of {:.1} s", secs), fps, images: Box::new(received(receive, shown)) })
}

fn stopped(path: &Path) -> EpisodeError {
    EpisodeError::File { path: path.to_path_buf(), operation: "decoding", reason: "stopped".into() }
}

fn received(
    receive: Receiver<std::result::Result<Image, String>>,
    path: String,
) -> impl FnMut() -> std::result::Result<Option<FrameData>, Fault> + Send {
    move || match receive.recv() {
        Ok(Ok(image)) => Ok(Some(FrameData::Image(image))),
        Ok(Err(reason)) => Err(Fault::Lasting(format!("{path}: {reason}"))),
        Err(_) => Ok(None),
    }
}

/// An episode of a recording; of several cameras, their stack.
fn recording(path: &Path, episode: usize) -> std::result::Result<Opened, Fault> {
    let lasting = |error: EpisodeError| Fault::Lasting(error.to_string());
    let source: Box<dyn EpisodeSource> = mindseye_episodes::open(path).map_err(lasting)?;
    let fps = source.frames_per_second().filter(|fps| *fps > 0.0).unwrap_or(FOLDER_FPS);
    let format = format!("{}, episode {episode} of {}", source.format(), source.len());
    let mut frames = source.read_episode(episode).map_err(lasting)?.frames.into_iter();
    Ok(Opened { format, fps, images: Box::new(move || Ok(frames.next().map(FrameData::Image))) })
}

/// Writes `image` as PNG to `path`.
///
/// # Errors
/// [`crate::Error::File`].
pub(crate) fn write_png(path: &Path, image: &Image) -> Result<()> {
    let failed = |reason: String| crate::Error::File { path: printable_path(path), reason };
    let bytes = encode_png(image).map_err(failed)?;
    mindseye_interface::files::write_whole_with_folders(path, &bytes).map_err(|error| failed(error.to_string()))
}
