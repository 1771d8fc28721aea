//! Live cameras: the newest frame of each, how old it is, and whether to trust it.
//!
//! - [`Camera::open`] takes an address with settings: `v4l2:/dev/video0#fps=30,width=640`, MJPEG over `http://...`,
//!   `file:clip.mp4`, `file:folder` with images, `file:recording#episode=3`, or `synthetic:`. [`Sources`] adds schemes
//!   of your own, [`from_fn`] makes a camera of a function, [`from_environment`] of a simulator.
//! - Three reads, as LeRobot has them: [`Camera::read`] waits for the next frame, [`Camera::async_read`] gives the
//!   newest one that was not read yet, [`Camera::read_latest`] the newest one at once, if it is young enough to act on.
//! - [`Camera::status`] tells the [`State`]: connecting, live, stale (old, or frozen), lost, ended. Connections that
//!   break are made again, with pauses that double.
//! - [`CameraSet`] reads several cameras whose capture times agree.
//! - [`record_cameras`] records them as a LeRobot data set, with the actions of a driver ([`ActionFeed`]) or none.
//! - [`Camera::record`] is what to keep beside an episode: settings, and what the camera granted.
//!
//! Each camera has two threads: one receives, one decodes the newest received frame; a newer frame replaces one that
//! waits. What comes from the network is bounded in size and time, and never trusted.

mod actions;
mod address;
mod camera;
mod capture;
mod devices;
mod error;
mod fourcc;
mod frame;
mod framing;
mod health;
mod jpeg;
mod pixels;
mod prepare;
mod recording;
mod set;
mod settings;
mod shared;
mod source;
mod sources;
mod survey;

pub use actions::{ActionCounts, ActionFeed, DrivenAction};
pub use address::CameraUri;
pub use camera::{Camera, CameraRecord, Status};
pub use devices::{Device, DeviceFormat};
pub use error::{Error, Fault, Result};
pub use fourcc::FourCc;
pub use frame::{CameraFrame, CaptureTime, FrameData, Granted, RawFrame, RawPixels};
pub use framing::{Framing, JpegFraming};
pub use health::State;
pub use jpeg::decode_encoded;
pub use pixels::decode_pixels;
pub use recording::{
    CameraRecordingArguments, EpisodeRecorder, LiveRecordingReport, RecordedEpisode, RecordingOptions, Timestep,
    column_name, driver, ended, max_age, open_set, record_cameras, stacked,
};
pub use set::{CameraSet, FrameSet};
pub use settings::{CameraSettings, ColorMode, Crop, Rotation};
pub use shared::Counters;
pub use source::{Connect, SharedClock, Source, SourceDefaults, from_environment, from_fn, system_clock};
pub use sources::Sources;
pub use survey::{CameraReport, CamerasArguments, Survey, devices, survey};
