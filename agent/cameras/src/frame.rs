//! A frame as it comes from a camera, and as readers get it.

use std::sync::Arc;

use mindseye_episodes::Colours;
use mindseye_interface::{Frame, Image, ImageSize};
use serde::{Deserialize, Serialize};

use crate::FourCc;

/// What the capture time of a frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CaptureTime {
    /// The driver's, of the exposure or its end.
    Driver,
    /// When its first byte came: the source says no other. The true time is earlier.
    FirstByte,
    /// When it was made or was due: files, synthetic images, simulators.
    Made,
}

/// One frame of a camera, decoded, as readers get it. Seconds are those of the clock that the camera was opened with.
#[derive(Debug, Clone, PartialEq)]
pub struct CameraFrame {
    /// Name of the camera.
    pub camera: Arc<str>,
    /// The image: rotated, cropped and scaled as the settings say.
    pub image: Arc<Image>,
    /// Number of the frame among those of this camera: rises by at least 1, over reconnections too. What is left out
    /// was dropped for a newer one.
    pub sequence: u64,
    /// The driver's own number, where there is one.
    pub driver_sequence: Option<u64>,
    /// When it was captured, seconds.
    pub captured_secs: f64,
    /// What the capture time is.
    pub capture_time: CaptureTime,
    /// When all of it was there, seconds.
    pub received_secs: f64,
    /// When it was decoded and could be read, seconds.
    pub available_secs: f64,
    /// The system's time of day when it was received, seconds since 1970. It may be set at any time: for records, never
    /// for ages.
    pub wall_secs: f64,
}

impl CameraFrame {
    /// The frame as an observation has it, with its capture time counted from `start_secs` (the reset of an episode).
    pub fn observed(&self, start_secs: f64) -> Frame {
        let captured_secs = self.captured_secs - start_secs;
        Frame { camera: self.camera.clone(), image: self.image.clone(), captured_secs }
    }
}

/// A frame as a source gives it.
#[derive(Debug, Clone, PartialEq)]
pub struct RawFrame {
    /// The driver's own number, where there is one.
    pub driver_sequence: Option<u64>,
    /// When it was captured, seconds of the camera's clock.
    pub captured_secs: f64,
    /// What the capture time is.
    pub capture_time: CaptureTime,
    /// When all of it was there, seconds of the camera's clock.
    pub received_secs: f64,
    /// The image.
    pub data: FrameData,
}

/// An image as a source gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum FrameData {
    /// Decoded.
    Image(Image),
    /// JPEG or PNG.
    Encoded(Vec<u8>),
    /// Pixels in the order of a driver.
    Raw(RawPixels),
    /// No image: what is wrong, on one line.
    Broken(String),
}

/// Pixels in the order of a driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawPixels {
    /// Their order.
    pub fourcc: FourCc,
    /// Rows and columns.
    pub size: ImageSize,
    /// Bytes from one row to the next, of the first plane.
    pub stride: usize,
    /// Matrix and range, for formats with luma.
    pub colours: Colours,
    /// All planes.
    pub bytes: Vec<u8>,
}

/// What a source delivers, as far as it says.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Granted {
    /// Columns, before rotation.
    pub width: Option<usize>,
    /// Rows, before rotation.
    pub height: Option<usize>,
    /// Frames per second.
    pub fps: Option<f64>,
    /// Pixel format.
    pub fourcc: Option<FourCc>,
    /// Matrix and range of the pixels, in words.
    pub colours: Option<String>,
    /// Exposure time in units of 100 microseconds, where it was set by hand.
    pub exposure: Option<i32>,
    /// Colour temperature in kelvin, where it was set by hand.
    pub white_balance: Option<i32>,
    /// Gain, where it was set.
    pub gain: Option<i32>,
    /// Name of the device, of the server's software, or of the file's format.
    pub device: Option<String>,
    /// What differs from what was asked for, and was accepted.
    pub notes: Vec<String>,
}
