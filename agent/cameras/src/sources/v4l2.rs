//! `v4l2:/dev/video0`: cameras of Linux by Video4Linux, through `linuxvideo`.

mod buffer;
mod negotiation;

use std::io;
use std::panic::catch_unwind;
use std::path::PathBuf;
use std::time::Duration;

use linuxvideo::controls::Cid;
use linuxvideo::format::{Format, FrameIntervals, FrameSizes, PixFormat, PixelFormat};
use linuxvideo::stream::ReadStream;
use linuxvideo::{BufType, BufTypes, Fract};
use mindseye_episodes::{Colours, Matrix};
use mindseye_interface::ImageSize;
use negotiation::{Control, Controls, choose, compare, fix};

use crate::FourCc;
use crate::address::CameraUri;
use crate::devices::{Device, DeviceFormat};
use crate::error::Fault;
use crate::frame::{CaptureTime, FrameData, Granted, RawFrame, RawPixels};
use crate::settings::CameraSettings;
use crate::source::{Connect, SharedClock, Source, SourceDefaults};

/// Seconds in which exposure and white balance settle.
const WARMUP_SECS: f64 = 1.0;

/// A V4L2 device.
pub(super) struct V4l2 {
    path: PathBuf,
}

impl V4l2 {
    pub fn new(uri: &CameraUri) -> Self {
        let place = if uri.place.is_empty() { "/dev/video0" } else { &uri.place };
        Self { path: place.into() }
    }
}

impl Connect for V4l2 {
    fn connect(
        &mut self,
        settings: &CameraSettings,
        clock: &SharedClock,
    ) -> std::result::Result<Box<dyn Source>, Fault> {
        let shown = self.path.display().to_string();
        let passing =
            |doing: &str, error: io::Error| Fault::Passing(format!("{shown}: {doing}: {}", explained(&error)));
        let mut device = linuxvideo::Device::open(&self.path).map_err(|error| passing("opening", error))?;
        if !device.supported_buf_types().contains(BufTypes::VIDEO_CAPTURE) {
            return Err(Fault::Lasting(format!("{shown}: expected a device that captures video in one plane")));
        }
        let name = device.capabilities().map(|found| found.card().to_owned()).ok();
        let mut granted = Granted { device: name, ..Granted::default() };
        let mut differences = fix(&mut Controlled(&mut device), settings, &mut granted);
        let current = match device.format(BufType::VIDEO_CAPTURE) {
            Ok(Format::VideoCapture(format)) => [format.width(), format.height()],
            _ => [640, 480],
        };
        let (width, height) = settings.captured_size();
        let size = [width.map_or(current[0], |side| side as u32), height.map_or(current[1], |side| side as u32)];
        let formats = device.formats(BufType::VIDEO_CAPTURE);
        let formats: Vec<FourCc> =
            formats.filter_map(|found| Some(FourCc(found.ok()?.pixel_format().as_fourcc()))).collect();
        let fourcc = choose(&formats, size, settings).map_err(|error| Fault::Lasting(format!("{shown}: {error}")))?;
        let asked = PixFormat::new(size[0], size[1], PixelFormat::from_fourcc(fourcc.0));
        let device = device.video_capture(asked).map_err(|error| passing("setting the format", error))?;
        let format = device.format();
        let fourcc = FourCc(format.pixel_format().as_fourcc());
        if !FourCc::DECODED.contains(&fourcc) {
            return Err(Fault::Lasting(format!("{shown}: granted format {fourcc}, which is not decoded")));
        }
        let size = ImageSize::new(format.height() as usize, format.width() as usize);
        let size = size.map_err(|error| Fault::Lasting(format!("{shown}: {error}")))?;
        let stride = format.bytes_per_line() as usize;
        let rate = settings.fps.map(|fps| device.set_frame_interval(Fract::new(1000, (fps * 1000.0).round() as u32)));
        granted.fps = rate
            .and_then(Result::ok)
            .filter(|interval| interval.numerator() > 0)
            .map(|interval| f64::from(interval.denominator()) / f64::from(interval.numerator()));
        (granted.width, granted.height, granted.fourcc) = (Some(size.width()), Some(size.height()), Some(fourcc));
        differences.extend(compare(settings, &granted));
        let notes = differences.iter().map(ToString::to_string);
        match (differences.is_empty(), settings.best_effort) {
            (false, false) => {
                let list = notes.collect::<Vec<_>>().join("; ");
                return Err(Fault::Lasting(format!("{shown}: {list} (best_effort=true takes it)")));
            }
            _ => granted.notes.extend(notes),
        }
        let stream = device.into_stream().map_err(|error| passing("starting the stream", error))?;
        let unlabelled = Colours { matrix: Matrix::Bt601, full_range: false };
        let colours = buffer::colours(&stream).unwrap_or(unlabelled);
        if !fourcc.is_jpeg() {
            granted.colours = Some(format!("{colours:?}"));
        }
        Ok(Box::new(Capture {
            stream,
            clock: clock.clone(),
            granted,
            fourcc,
            size,
            stride,
            colours,
            shown,
            wraps: Wraps::default(),
        }))
    }

    fn defaults(&self) -> SourceDefaults {
        SourceDefaults { warmup_secs: WARMUP_SECS, frozen_frames: super::mjpeg::FROZEN_FRAMES }
    }
}

/// What to do about the most common errors.
fn explained(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EBUSY) => format!("{error} (another program has the camera)"),
        Some(libc::EACCES) => format!("{error} (are you in the group `video`?)"),
        Some(libc::ENOSPC) => format!("{error} (too many cameras on one USB bus; fourcc=MJPG takes less)"),
        _ => error.to_string(),
    }
}

struct Controlled<'a>(&'a mut linuxvideo::Device);

impl Controls for Controlled<'_> {
    fn set(&mut self, control: Control, value: i32) -> std::result::Result<i32, String> {
        let cid = match control {
            Control::ExposureAuto => Cid::EXPOSURE_AUTO,
            Control::Exposure => Cid::EXPOSURE_ABSOLUTE,
            Control::WhiteBalanceAuto => Cid::AUTO_WHITE_BALANCE,
            Control::WhiteBalance => Cid::WHITE_BALANCE_TEMPERATURE,
            Control::GainAuto => Cid::AUTOGAIN,
            Control::Gain => Cid::GAIN,
        };
        self.0.write_control_raw(cid, value).map_err(|error| error.to_string())?;
        self.0.read_control_raw(cid).map_err(|error| error.to_string())
    }
}

/// A driver's number of 32 bits, counted on where it wraps.
#[derive(Debug, Default)]
struct Wraps {
    last: Option<u32>,
    count: u64,
}

impl Wraps {
    fn widen(&mut self, sequence: u32) -> u64 {
        let step = self.last.map_or(0, |last| sequence.wrapping_sub(last));
        self.last = Some(sequence);
        self.count += u64::from(step);
        self.count
    }
}

struct Capture {
    stream: ReadStream,
    clock: SharedClock,
    granted: Granted,
    fourcc: FourCc,
    size: ImageSize,
    stride: usize,
    colours: Colours,
    shown: String,
    wraps: Wraps,
}

impl Source for Capture {
    fn next(&mut self, wait: Duration) -> std::result::Result<Option<RawFrame>, Fault> {
        let shown = &self.shown;
        let passing = |error: io::Error| Fault::Passing(format!("{shown}: {}", explained(&error)));
        let milliseconds = i32::try_from(wait.as_millis()).unwrap_or(i32::MAX);
        if !buffer::wait(&self.stream, milliseconds).map_err(passing)? {
            return Ok(None);
        }
        let stamp = buffer::next_stamp(&self.stream).unwrap_or(None);
        let taken = self.stream.dequeue(|view| Ok(if view.is_error() { None } else { Some(view.to_vec()) }));
        let bytes = taken.map_err(passing)?;
        let (received_secs, monotonic) = (self.clock.now_secs(), buffer::monotonic_secs());
        let stamped = stamp.and_then(|stamp| stamp.monotonic_secs);
        let (captured_secs, capture_time) = match stamped.map(|stamped| monotonic - stamped) {
            Some(age) if (0.0..10.0).contains(&age) => (received_secs - age, CaptureTime::Driver),
            _ => (received_secs, CaptureTime::FirstByte),
        };
        let driver_sequence = stamp.map(|stamp| self.wraps.widen(stamp.sequence));
        let RawPixels { fourcc, size, stride, colours, .. } = self.pixels();
        let data = match bytes {
            None => FrameData::Broken("the driver marks the frame as damaged".into()),
            Some(bytes) if fourcc.is_jpeg() => FrameData::Encoded(bytes),
            Some(bytes) => FrameData::Raw(RawPixels { fourcc, size, stride, colours, bytes }),
        };
        Ok(Some(RawFrame { driver_sequence, captured_secs, capture_time, received_secs, data }))
    }

    fn granted(&self) -> Granted {
        self.granted.clone()
    }
}

impl Capture {
    /// The description of its pixels.
    fn pixels(&self) -> RawPixels {
        let Self { fourcc, size, stride, colours, .. } = *self;
        RawPixels { fourcc, size, stride, colours, bytes: Vec::new() }
    }
}

/// The devices that capture video, by path.
pub(crate) fn devices() -> Vec<Device> {
    let Ok(entries) = std::fs::read_dir("/dev") else { return Vec::new() };
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let is_video = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("video"));
    let mut paths: Vec<PathBuf> = paths.filter(is_video).collect();
    paths.sort();
    // The library expects UTF-8 in names of devices.
    paths.iter().filter_map(|path| catch_unwind(|| device(path)).unwrap_or(None)).collect()
}

/// The device at `path`; none if it is none that captures.
fn device(path: &PathBuf) -> Option<Device> {
    let uri = format!("v4l2:{}", path.display());
    let device = match linuxvideo::Device::open(path) {
        Ok(device) => device,
        Err(error) => {
            return Some(Device { uri, name: String::new(), formats: Vec::new(), problem: Some(explained(&error)) });
        }
    };
    if !device.supported_buf_types().contains(BufTypes::VIDEO_CAPTURE) {
        return None;
    }
    let name = device.capabilities().map(|found| found.card().to_owned()).unwrap_or_default();
    let found = device.formats(BufType::VIDEO_CAPTURE).filter_map(Result::ok);
    let formats = found.map(|format| {
        let (pixels, fourcc) = (format.pixel_format(), FourCc(format.pixel_format().as_fourcc()));
        let mut sizes = match device.frame_sizes(pixels) {
            Ok(FrameSizes::Discrete(sizes)) => sizes.iter().map(|size| [size.width(), size.height()]).collect(),
            Ok(FrameSizes::Stepwise(sizes) | FrameSizes::Continuous(sizes)) => {
                vec![[sizes.min_width(), sizes.min_height()], [sizes.max_width(), sizes.max_height()]]
            }
            Err(_) => Vec::new(),
        };
        sizes.sort_unstable();
        let fps = sizes.last().and_then(|[width, height]| highest_rate(&device, pixels, *width, *height));
        DeviceFormat { fourcc, decoded: FourCc::DECODED.contains(&fourcc), sizes, fps }
    });
    Some(Device { uri, name, formats: formats.collect(), problem: None })
}

fn highest_rate(device: &linuxvideo::Device, pixels: PixelFormat, width: u32, height: u32) -> Option<f64> {
    let FrameIntervals::Discrete(intervals) = device.frame_intervals(pixels, width, height).ok()? else { return None };
    let rates = intervals.iter().map(|interval| {
        let fract = interval.fract();
        f64::from(fract.denominator()) / f64::from(fract.numerator().max(1))
    });
    rates.max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_32_bits_is_counted_on_where_it_wraps() {
        let mut wraps = Wraps::default();
        let counted: Vec<u64> = [u32::MAX - 1, u32::MAX, 1, 2].map(|sequence| wraps.widen(sequence)).into();
        assert_eq!(counted, [0, 1, 3, 4]);
    }

    #[test]
    fn what_is_no_video_device_is_an_error_that_names_it() {
        let uri: CameraUri = "v4l2:/dev/null".parse().unwrap();
        let connected = V4l2::new(&uri).connect(&uri.settings, &crate::system_clock());
        let error = connected.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with("/dev/null: opening"), "{error}");
        devices(); // whatever this machine has
    }
}
