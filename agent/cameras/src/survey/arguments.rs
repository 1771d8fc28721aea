//! The arguments of `mindseye cameras`.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clap::Args;
use mindseye_interface::text::printable;

use super::survey;
use crate::address::CameraUri;
use crate::error::{Error, Result};
use crate::sources::Sources;

/// List cameras; measure rate, latency and losses of some, and keep an image of each (docs/guides/cameras.md).
#[derive(Debug, Args)]
#[command(
    after_help = "Examples: mindseye cameras v4l2:/dev/video0#fps=30,width=640,height=480 --snapshot images\n          \
                        mindseye cameras http://10.0.0.7:8080/video.mjpg synthetic: --seconds 10 --json"
)]
pub struct CamerasArguments {
    /// Addresses: v4l2:/dev/video0, http://HOST:PORT/PATH (MJPEG), file:VIDEO_OR_FOLDER, synthetic:, sim:SCENE;
    /// settings follow a `#`. Without any, the video devices of this machine are listed.
    #[arg(value_name = "URI")]
    cameras: Vec<CameraUri>,
    /// Folder for an image of each camera.
    #[arg(long, value_name = "DIR")]
    snapshot: Option<PathBuf>,
    /// How long they are read, seconds, after up to 5 s for the first image. Ctrl-C ends it and shows what was
    /// measured.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

impl CamerasArguments {
    /// Measures until `stop` is set at the latest; what is to be printed, and the cameras that gave no image.
    ///
    /// # Errors
    /// When an address makes no sense or an image cannot be written.
    pub fn run(&self, sources: &Sources, stop: &AtomicBool) -> Result<(String, Vec<String>)> {
        let found = survey(sources, &self.cameras, self.seconds, self.snapshot.as_deref(), stop)?;
        let dark = found.without_image().into_iter().map(|name| printable(name).into_owned()).collect();
        if !self.json {
            return Ok((found.to_string(), dark));
        }
        let json = serde_json::to_string_pretty(&found);
        Ok((json.map_err(|error| Error::argument("cameras", "a report as JSON", error))?, dark))
    }
}
