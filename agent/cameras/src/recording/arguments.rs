//! The arguments of `mindseye record --camera`.

use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use clap::Args;
use mindseye_episodes::WriteMode;
use mindseye_interface::ImageSize;

use super::{LiveRecordingReport, RecordingOptions, record_cameras};
use crate::actions::ActionFeed;
use crate::address::CameraUri;
use crate::error::{Error, Result};
use crate::set::CameraSet;
use crate::sources::Sources;

/// Where actions come from.
const STDIN: &str = "-";

/// Which live cameras are recorded, and how.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Live cameras")]
pub struct CameraRecordingArguments {
    /// Record this live camera instead of a scene, with what a driver does or without actions (several: one --camera
    /// each). See docs/guides/cameras.md for addresses.
    #[arg(
        long = "camera",
        value_name = "URI",
        conflicts_with_all = ["scene", "policy", "checkpoint", "task", "shard", "steps", "factors"]
    )]
    pub cameras: Vec<CameraUri>,
    /// Timesteps per second, each with the newest frames.
    #[arg(long, default_value_t = 10, requires = "cameras")]
    fps: u32,
    /// Duration of an episode, seconds.
    #[arg(long, default_value_t = 30.0, requires = "cameras")]
    seconds: f64,
    /// Side of the squares that frames are scaled to, pixels; by default as the camera gives them.
    #[arg(long, requires = "cameras")]
    size: Option<usize>,
    /// Most time between the captures of several cameras at one timestep, seconds; by default half a timestep.
    #[arg(long, requires = "cameras")]
    tolerance: Option<f64>,
    /// Actions of a driver: `-` reads lines of JSON from stdin, {"action": [0.1, -0.2]}, of which the newest counts.
    /// Without it the recording has no actions: a model of it can watch, not plan.
    #[arg(long, value_name = "-", requires = "cameras")]
    actions: Option<String>,
    /// Text of the task, as LeRobot keeps it.
    #[arg(long, default_value = "recorded", requires = "cameras")]
    text: String,
}

impl CameraRecordingArguments {
    /// Whether live cameras are to be recorded.
    pub fn is_asked_for(&self) -> bool {
        !self.cameras.is_empty()
    }

    /// Records `episodes` into `out`.
    ///
    /// # Errors
    /// When an argument makes no sense, a camera gives no frame, or the data set cannot be written.
    pub fn run(
        &self,
        sources: &Sources,
        (out, mode, video): (&Path, WriteMode, bool),
        episodes: usize,
        stop: &AtomicBool,
        tell: &mut dyn FnMut(&str),
    ) -> Result<LiveRecordingReport> {
        let driver = driver(self.actions.as_deref(), None, sources)?;
        self.run_driven(sources, (out, mode, video), episodes, driver.as_ref(), stop, tell)
    }

    /// Timesteps per second.
    pub fn fps(&self) -> u32 {
        self.fps
    }

    /// The same with the actions of another `driver`.
    ///
    /// # Errors
    /// As [`CameraRecordingArguments::run`].
    pub fn run_driven(
        &self,
        sources: &Sources,
        (out, mode, video): (&Path, WriteMode, bool),
        episodes: usize,
        driver: Option<&ActionFeed>,
        stop: &AtomicBool,
        tell: &mut dyn FnMut(&str),
    ) -> Result<LiveRecordingReport> {
        if !(1..=1000).contains(&self.fps) {
            return Err(Error::argument("--fps", "1 to 1000 timesteps per second", self.fps));
        }
        let cameras = open_set(sources, &self.cameras, self.size, self.tolerance.unwrap_or(0.5 / f64::from(self.fps)))?;
        let options = RecordingOptions {
            out: out.to_path_buf(),
            mode,
            video,
            fps: self.fps,
            episodes,
            seconds: self.seconds,
            task: self.text.clone(),
        };
        record_cameras(&cameras, driver, &options, sources.clock(), stop, tell)
    }
}

/// The cameras at `uris`, scaled to squares of `size` pixels where it is given and they do not say another; their
/// frames agree within `tolerance_secs`.
///
/// # Errors
/// When an address or a number makes no sense.
pub fn open_set(sources: &Sources, uris: &[CameraUri], size: Option<usize>, tolerance_secs: f64) -> Result<CameraSet> {
    if !(0.0..=3600.0).contains(&tolerance_secs) {
        return Err(Error::argument("--tolerance", "0 to 3600 s", tolerance_secs));
    }
    let size = size.map(ImageSize::square).transpose()?;
    let open = |uri: &CameraUri| {
        let mut uri = uri.clone();
        uri.settings.resize = uri.settings.resize.or(size);
        sources.open(&uri)
    };
    let cameras = uris.iter().map(open).collect::<Result<Vec<_>>>()?;
    CameraSet::new(cameras, Duration::from_secs_f64(tolerance_secs))
}

/// The driver behind an argument `--actions`.
///
/// # Errors
/// When it is another than `-`.
pub fn driver(actions: Option<&str>, width: Option<usize>, sources: &Sources) -> Result<Option<ActionFeed>> {
    match actions {
        None => Ok(None),
        Some(STDIN) => ActionFeed::read(std::io::stdin(), width, sources.clock().clone()).map(Some),
        Some(other) => Err(Error::argument("--actions", "- (lines of JSON on stdin)", other)),
    }
}
