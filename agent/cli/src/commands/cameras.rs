//! Live cameras: `mindseye cameras` and `mindseye watch`.

use anyhow::{Result, bail};
use mindseye_cameras::{CameraUri, CamerasArguments, Connect, Error, Sources, from_environment};
use mindseye_interface::Seed;
use mindseye_serving::watch::{EVENT_EXIT, WatchArguments};
use mindseye_sim::SceneOptions;

use crate::progress::stop_on_ctrl_c;
use crate::streams::say;

/// Runs `cameras`.
///
/// # Errors
/// When an address makes no sense or an image cannot be written.
pub fn run(arguments: &CamerasArguments) -> Result<()> {
    let (report, dark) = arguments.run(&sources(), stop_on_ctrl_c()?)?;
    say!("{report}");
    if dark.is_empty() { Ok(()) } else { bail!("cameras: expected an image of each, got none of {}", dark.join(", ")) }
}

/// Runs `watch`.
///
/// # Errors
/// When an argument makes no sense or the checkpoint cannot watch.
pub fn watch(arguments: &WatchArguments) -> Result<()> {
    let mut arguments = arguments.clone();
    arguments.checkpoint = mindseye_assets::resolve(&arguments.checkpoint);
    let watched = arguments.run(&sources(), stop_on_ctrl_c()?)?;
    if watched.ends_with_event { std::process::exit(EVENT_EXIT.into()) } else { Ok(()) }
}

/// All kinds of cameras, those of scenes too.
pub fn sources() -> Sources {
    Sources::standard().with("sim", simulated)
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
