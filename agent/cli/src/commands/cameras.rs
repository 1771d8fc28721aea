//! `mindseye cameras`: the cameras of this machine and network, and how well they do.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_cameras::{CameraUri, Connect, Error, Sources, from_environment, survey};
use mindseye_interface::Seed;
use mindseye_sim::SceneOptions;

use super::print_json;
use crate::progress::stop_on_ctrl_c;
use crate::streams::say;

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
    /// How long they are read, seconds, after up to 5 s for the first image. Ctrl-C ends it and shows what was measured.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// When an address makes no sense or an image cannot be written.
pub fn run(arguments: &CamerasArguments) -> Result<()> {
    let sources = Sources::standard().with("sim", simulated);
    let stop = stop_on_ctrl_c()?;
    let found = survey(&sources, &arguments.cameras, arguments.seconds, arguments.snapshot.as_deref(), stop)?;
    if arguments.json {
        print_json(&found)?;
    } else {
        say!("{found}");
    }
    match found.without_image().as_slice() {
        [] => Ok(()),
        dark => bail!("cameras: expected an image of each, got none of {}", dark.join(", ")),
    }
}

/// The camera of a scene.
///
/// # Errors
/// When there is no such scene.
pub fn simulated(uri: &CameraUri) -> mindseye_cameras::Result<Box<dyn Connect>> {
    let options = SceneOptions::with_side(uri.settings.width.unwrap_or(64));
    let world = options.and_then(|options| mindseye_sim::make(&uri.place, &options)).map_err(Error::place("sim"))?;
    Ok(from_environment(world, Seed::new(0)))
}
