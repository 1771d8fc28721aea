//! What is asked of a camera: LeRobot's fields, what is done to its images, and when it counts as stale or lost.

use std::str::FromStr;

use mindseye_interface::ImageSize;
use serde::{Deserialize, Serialize};

use crate::{Error, FourCc, Result};

/// Settings of one camera. `fps` to `fourcc` are LeRobot's fields, with its meanings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CameraSettings {
    /// Frames per second asked for; the camera's own by default.
    pub fps: Option<f64>,
    /// Columns asked for, of the image after `rotation`; the camera's own by default.
    pub width: Option<usize>,
    /// Rows asked for, of the image after `rotation`; the camera's own by default.
    pub height: Option<usize>,
    /// Order of the colours in a pixel: `rgb`, as models of mindseye expect, or `bgr`.
    pub color_mode: ColorMode,
    /// Clockwise rotation of the image in degrees: 0, 90, 180, 270 (or -90).
    pub rotation: Rotation,
    /// Seconds after the start whose frames are dropped, for exposure and white balance to settle. By default 1 for
    /// V4L2, and 0 for the others.
    pub warmup_s: Option<f64>,
    /// Pixel format asked for. By default `MJPG` above 640 x 480 and an uncompressed one else.
    pub fourcc: Option<FourCc>,
    /// Takes what the camera grants where it differs from what was asked for, and says so in a note.
    pub best_effort: bool,
    /// Part of the (rotated) image that is kept.
    pub crop: Option<Crop>,
    /// Size that the (cropped) image is scaled to, by area averages as in training.
    pub resize: Option<ImageSize>,
    /// Exposure time in units of 100 microseconds, set by hand where the driver can. Automatic exposure changes what a
    /// world model sees.
    pub exposure: Option<i32>,
    /// Colour temperature in kelvin, set by hand where the driver can.
    pub white_balance: Option<i32>,
    /// Gain in units of the driver, where it can.
    pub gain: Option<i32>,
    /// Age of the newest frame, seconds, from which the camera is stale. Above the time between two frames.
    pub stale_s: f64,
    /// Age of the newest frame, seconds, from which the camera is lost.
    pub lost_s: f64,
    /// Identical frames in a row from which the feed counts as frozen (stale); 0 for never. By default 30 for cameras
    /// and 0 for files, synthetic images and simulators, where nothing may happen for a while. Sensors have noise.
    pub frozen_frames: Option<u64>,
    /// Longest time without a whole frame, seconds, before the connection is given up and made anew.
    pub timeout_s: f64,
    /// Longest pause before the next try to connect, seconds: pauses double from 0.1 on.
    pub retry_s: f64,
    /// How long before its first byte came a frame was captured, seconds: exposure, encoding, network. Capture times of
    /// sources that say no other are so much earlier. By default 0, and 0.05 where an agent acts.
    pub latency_s: Option<f64>,
    /// Receives RTSP's images by UDP instead of TCP: sooner where packets are lost, and through no firewall.
    pub udp: bool,
    /// Most bytes of one encoded frame.
    pub max_frame_bytes: usize,
    /// Takes JPEG images with defects, which decode to something.
    pub tolerant: bool,
    /// Begins again at the end of a file.
    pub repeat: bool,
    /// Episode of a recording.
    pub episode: usize,
}

impl Default for CameraSettings {
    fn default() -> Self {
        Self {
            fps: None,
            width: None,
            height: None,
            color_mode: ColorMode::Rgb,
            rotation: Rotation::None,
            warmup_s: None,
            fourcc: None,
            best_effort: false,
            crop: None,
            resize: None,
            exposure: None,
            white_balance: None,
            gain: None,
            stale_s: 0.5,
            lost_s: 5.0,
            frozen_frames: None,
            timeout_s: 3.0,
            retry_s: 5.0,
            latency_s: None,
            udp: false,
            max_frame_bytes: 16 << 20,
            tolerant: false,
            repeat: false,
            episode: 0,
        }
    }
}

/// Order of the colours in a pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ColorMode {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
}

/// Clockwise rotation, in degrees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i32", into = "i32")]
pub enum Rotation {
    /// As the camera sees it.
    None,
    /// A quarter turn to the right.
    Right,
    /// Upside down.
    Half,
    /// A quarter turn to the left.
    Left,
}

/// A part of an image, pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// First column.
    pub left: usize,
    /// First row.
    pub top: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl CameraSettings {
    /// Names of the settings, as they are written behind a `#` in an address.
    pub const NAMES: &'static str = "fps, width, height, color_mode, rotation, warmup_s, fourcc, best_effort, \
        crop (WIDTHxHEIGHT+LEFT+TOP), resize (WIDTHxHEIGHT), exposure, white_balance, gain, stale_s, lost_s, \
        frozen_frames, timeout_s, retry_s, latency_s, udp, \
        max_frame_bytes, tolerant, repeat, episode, name";

    /// Sets the field called `name` from `text`.
    ///
    /// # Errors
    /// [`Error::Argument`] for an unknown name or a value of another kind.
    pub fn set(&mut self, name: &str, text: &str) -> Result<()> {
        match name {
            "fps" => self.fps = Some(number(name, text)?),
            "width" => self.width = Some(number(name, text)?),
            "height" => self.height = Some(number(name, text)?),
            "color_mode" => {
                self.color_mode = match text {
                    "rgb" => ColorMode::Rgb,
                    "bgr" => ColorMode::Bgr,
                    _ => return Err(Error::argument(name, "rgb or bgr", text)),
                }
            }
            "rotation" => self.rotation = Rotation::try_from(number::<i32>(name, text)?)?,
            "warmup_s" => self.warmup_s = Some(number(name, text)?),
            "fourcc" => self.fourcc = Some(text.parse()?),
            "best_effort" => self.best_effort = number(name, text)?,
            "crop" => self.crop = Some(text.parse()?),
            "resize" => self.resize = Some(size(name, text)?),
            "exposure" => self.exposure = Some(number(name, text)?),
            "white_balance" => self.white_balance = Some(number(name, text)?),
            "gain" => self.gain = Some(number(name, text)?),
            "stale_s" => self.stale_s = number(name, text)?,
            "lost_s" => self.lost_s = number(name, text)?,
            "frozen_frames" => self.frozen_frames = Some(number(name, text)?),
            "timeout_s" => self.timeout_s = number(name, text)?,
            "retry_s" => self.retry_s = number(name, text)?,
            "latency_s" => self.latency_s = Some(number(name, text)?),
            "udp" => self.udp = number(name, text)?,
            "max_frame_bytes" => self.max_frame_bytes = number(name, text)?,
            "tolerant" => self.tolerant = number(name, text)?,
            "repeat" => self.repeat = number(name, text)?,
            "episode" => self.episode = number(name, text)?,
            _ => return Err(Error::argument("setting of a camera", Self::NAMES, name)),
        }
        Ok(())
    }

    /// Refuses values that no camera can have.
    ///
    /// # Errors
    /// [`Error::Argument`] that names the field.
    pub fn validate(&self) -> Result<()> {
        let range = |field: &str, value: f64, low: f64, high: f64| {
            let expected = format!("{low} to {high}");
            if (low..=high).contains(&value) { Ok(()) } else { Err(Error::argument(field, expected, value)) }
        };
        range("fps", self.fps.unwrap_or(30.0), 0.01, 1000.0)?;
        let side = ImageSize::MAX_SIDE as f64;
        range("width", self.width.unwrap_or(1) as f64, 1.0, side)?;
        range("height", self.height.unwrap_or(1) as f64, 1.0, side)?;
        range("warmup_s", self.warmup_s.unwrap_or(0.0), 0.0, 60.0)?;
        range("stale_s", self.stale_s, 0.001, 3600.0)?;
        range("lost_s", self.lost_s, self.stale_s, 86_400.0)?;
        range("timeout_s", self.timeout_s, 0.01, 3600.0)?;
        range("retry_s", self.retry_s, 0.01, 3600.0)?;
        range("latency_s", self.latency_s.unwrap_or(0.0), 0.0, 60.0)?;
        range("max_frame_bytes", self.max_frame_bytes as f64, 1024.0, (256 << 20) as f64)?;
        if let Some(crop) = self.crop {
            range("crop's width", crop.width as f64, 1.0, side)?;
            range("crop's height", crop.height as f64, 1.0, side)?;
        }
        Ok(())
    }

    /// Columns and rows asked of the camera itself, before `rotation`.
    pub(crate) fn captured_size(&self) -> (Option<usize>, Option<usize>) {
        match self.rotation {
            Rotation::None | Rotation::Half => (self.width, self.height),
            Rotation::Right | Rotation::Left => (self.height, self.width),
        }
    }
}

fn number<T: FromStr>(field: &str, text: &str) -> Result<T> {
    text.parse().map_err(|_| Error::argument(field, "a value of its kind, as fps=30 or repeat=true", text))
}

/// `WIDTHxHEIGHT`.
pub(crate) fn size(field: &str, text: &str) -> Result<ImageSize> {
    let sides = text.split_once('x').and_then(|(width, height)| Some((width.parse().ok()?, height.parse().ok()?)));
    let size = sides.and_then(|(width, height)| ImageSize::new(height, width).ok());
    size.ok_or_else(|| Error::argument(field, "WIDTHxHEIGHT in pixels, as 640x480", text))
}

impl FromStr for Crop {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || Error::argument("crop", "WIDTHxHEIGHT+LEFT+TOP in pixels, as 480x480+80+0", text);
        let mut parts = text.split('+');
        let (extent, left, top) = (parts.next(), parts.next(), parts.next());
        let extent = size("crop", extent.ok_or_else(refused)?).map_err(|_| refused())?;
        let place = |part: Option<&str>| part.and_then(|part| part.parse().ok()).ok_or_else(refused);
        let crop = Self { left: place(left)?, top: place(top)?, width: extent.width(), height: extent.height() };
        if parts.next().is_some() { Err(refused()) } else { Ok(crop) }
    }
}

impl TryFrom<i32> for Rotation {
    type Error = Error;

    fn try_from(degrees: i32) -> Result<Self> {
        match degrees {
            0 => Ok(Self::None),
            90 => Ok(Self::Right),
            180 => Ok(Self::Half),
            270 | -90 => Ok(Self::Left),
            _ => Err(Error::argument("rotation", "0, 90, 180, 270 or -90 degrees", degrees)),
        }
    }
}

impl From<Rotation> for i32 {
    fn from(rotation: Rotation) -> Self {
        match rotation {
            Rotation::None => 0,
            Rotation::Right => 90,
            Rotation::Half => 180,
            Rotation::Left => 270,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_camera_that_stands_on_its_side_captures_columns_as_rows() {
        let upright = CameraSettings { width: Some(640), height: Some(480), ..CameraSettings::default() };
        assert_eq!(upright.captured_size(), (Some(640), Some(480)));
        assert_eq!(CameraSettings { rotation: Rotation::Left, ..upright }.captured_size(), (Some(480), Some(640)));
    }
}
