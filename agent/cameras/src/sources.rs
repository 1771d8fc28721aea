//! Kinds of sources by the scheme of an address.

mod files;
mod mjpeg;
#[cfg(feature = "rtsp")]
mod rtsp;
mod synthetic;
#[cfg(target_os = "linux")]
pub(crate) mod v4l2;

pub(crate) use files::write_png;

use crate::address::CameraUri;
use crate::camera::Camera;
use crate::source::{Connect, SharedClock, system_clock};
use crate::{Error, Result};

/// Makes the source of an address.
type Open = Box<dyn Fn(&CameraUri) -> Result<Box<dyn Connect>> + Send + Sync>;

/// The schemes that addresses can have, and the clock that all cameras opened here share.
pub struct Sources {
    schemes: Vec<(String, Open)>,
    clock: SharedClock,
}

impl Sources {
    /// `http`, `rtsp` (with the feature of this name), `file`, `synthetic`, and `v4l2` on Linux, with a clock that
    /// starts now.
    pub fn standard() -> Self {
        let sources = Self { schemes: Vec::new(), clock: system_clock() };
        let sources = sources
            .with("http", |uri| Ok(Box::new(mjpeg::MjpegOverHttp::new(uri)?)))
            .with("rtsp", open_rtsp)
            .with("file", files::open)
            .with("synthetic", |uri| Ok(Box::new(synthetic::Synthetic::new(uri)?)));
        #[cfg(target_os = "linux")]
        let sources = sources.with("v4l2", |uri| Ok(Box::new(v4l2::V4l2::new(uri))));
        sources
    }

    /// As before, with `scheme`, which replaces one of this name: a simulator, a driver of your own.
    #[must_use]
    pub fn with<F>(mut self, scheme: &str, open: F) -> Self
    where
        F: Fn(&CameraUri) -> Result<Box<dyn Connect>> + Send + Sync + 'static,
    {
        self.schemes.retain(|(name, _)| name != scheme);
        self.schemes.push((scheme.into(), Box::new(open)));
        self
    }

    /// As before, with times of `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: SharedClock) -> Self {
        self.clock = clock;
        self
    }

    /// The clock of all cameras opened here.
    pub fn clock(&self) -> &SharedClock {
        &self.clock
    }

    /// Opens the camera at `uri`; returns at once.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown scheme, or a place that the scheme cannot have.
    pub fn open(&self, uri: &CameraUri) -> Result<Camera> {
        let Some((_, open)) = self.schemes.iter().find(|(name, _)| *name == uri.scheme) else {
            let known: Vec<String> = self.schemes.iter().map(|(name, _)| format!("{name}:")).collect();
            return Err(Error::argument("camera", known.join(", "), format!("{}:", uri.scheme)));
        };
        Camera::start_at(uri, open(uri)?, self.clock.clone())
    }
}

#[cfg(feature = "rtsp")]
fn open_rtsp(uri: &CameraUri) -> Result<Box<dyn Connect>> {
    Ok(Box::new(rtsp::Rtsp::new(uri)?))
}

#[cfg(not(feature = "rtsp"))]
fn open_rtsp(uri: &CameraUri) -> Result<Box<dyn Connect>> {
    let expected = "a program that was built with the feature rtsp (cargo build --release --features rtsp)";
    Err(Error::argument("camera", expected, format!("{uri} and a program without it")))
}

impl Camera {
    /// Opens the camera at `uri`, as `v4l2:/dev/video0#fps=30` (see [`CameraUri`]), with a clock that starts now. It
    /// returns at once; [`Camera::wait_until_live`] waits.
    ///
    /// # Errors
    /// [`Error::Argument`] for an address that makes no sense or a scheme that is not built in.
    pub fn open(uri: &str) -> Result<Self> {
        Sources::standard().open(&uri.parse()?)
    }
}
