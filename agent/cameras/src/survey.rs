//! What cameras there are, and how well they do: for `mindseye cameras` and programs like it.

mod arguments;

use std::fmt::{Display, Formatter};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use mindseye_interface::percentiles::Percentiles;
use mindseye_interface::text::{printable, printable_path};
use serde::{Deserialize, Serialize};

pub use arguments::CamerasArguments;

use crate::Result;
use crate::address::CameraUri;
use crate::camera::{Camera, CameraRecord, Status};
use crate::devices::Device;
use crate::error::Error;
use crate::frame::CaptureTime;
use crate::set::require_different_names;
use crate::sources::{Sources, write_png};

/// Most cameras that are read together: each has two threads.
const MAX_CAMERAS: usize = 64;
/// Longest wait between two looks at whether to stop.
const LOOK: Duration = Duration::from_millis(100);

/// The video devices that can capture; none where there is no V4L2.
pub fn devices() -> Vec<Device> {
    #[cfg(target_os = "linux")]
    return crate::sources::v4l2::devices();
    #[cfg(not(target_os = "linux"))]
    Vec::new()
}

/// Which cameras there are, and what was measured of several at the same time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Survey {
    /// The video devices of this machine, where no addresses were given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub devices: Option<Vec<Device>>,
    /// The cameras, in the order of their addresses.
    pub cameras: Vec<CameraReport>,
}

/// What was measured of one camera.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CameraReport {
    /// Address, settings, and what the camera granted.
    #[serde(flatten)]
    pub record: CameraRecord,
    /// State, rate and counters at the end.
    pub status: Status,
    /// Columns and rows as readers get them.
    pub size: Option<[usize; 2]>,
    /// From capture to where it can be read, milliseconds.
    pub latency_ms: Option<Percentiles>,
    /// What latency is counted from.
    pub capture_time: Option<CaptureTime>,
    /// The file with its first image.
    pub snapshot: Option<PathBuf>,
}

/// Reads the cameras at `uris` for `seconds`, after each had its first frame or 5 s, and writes an image of each to
/// `snapshots`. Without addresses the devices of this machine are listed, and read where `snapshots` are asked for.
///
/// # Errors
/// For an address that makes no sense, two cameras of one name, and a snapshot that cannot be written. A camera that
/// gives no frame is no error: its state says why. Once `stop` is set, what was measured so far is the result.
pub fn survey(
    sources: &Sources,
    uris: &[CameraUri],
    seconds: f64,
    snapshots: Option<&Path>,
    stop: &AtomicBool,
) -> Result<Survey> {
    const FIRST: Duration = Duration::from_secs(5);
    if !(0.0..=86_400.0).contains(&seconds) {
        return Err(Error::argument("seconds", "0 to 86400", seconds));
    }
    let found = uris.is_empty().then(devices);
    let found_uris = found.iter().flatten().filter(|_| snapshots.is_some()).map(|device| device.uri.parse());
    let uris = [uris.to_vec(), found_uris.collect::<Result<Vec<CameraUri>>>()?].concat();
    if uris.len() > MAX_CAMERAS {
        return Err(Error::argument("cameras", format!("at most {MAX_CAMERAS}"), uris.len()));
    }
    require_different_names(uris.iter().map(|uri| uri.name.as_str()))?;
    let cameras = uris.iter().map(|uri| sources.open(uri)).collect::<Result<Vec<Camera>>>()?;
    let measured: Vec<Result<CameraReport>> = std::thread::scope(|scope| {
        let threads: Vec<_> = cameras
            .iter()
            .map(|camera| {
                scope.spawn(move || {
                    let first = Instant::now() + FIRST;
                    while !stop.load(Ordering::Relaxed) && Instant::now() < first {
                        match camera.wait_until_live(LOOK) {
                            Err(Error::Timeout { .. }) => {}
                            _ => break, // why it is not live is in the report
                        }
                    }
                    measure(camera, Instant::now() + Duration::from_secs_f64(seconds), snapshots, stop)
                })
            })
            .collect();
        let joined = threads.into_iter().map(|thread| thread.join());
        joined.map(|report| report.unwrap_or_else(|_| Err(Error::argument("camera", "a report", "a panic")))).collect()
    });
    cameras.iter().for_each(Camera::leave); // all at once: each may take a while to let go
    Ok(Survey { devices: found, cameras: measured.into_iter().collect::<Result<_>>()? })
}

impl Survey {
    /// Names of the cameras that gave no image.
    pub fn without_image(&self) -> Vec<&str> {
        let dark = self.cameras.iter().filter(|camera| camera.size.is_none());
        dark.map(|camera| camera.record.name.as_str()).collect()
    }
}

fn measure(camera: &Camera, until: Instant, snapshots: Option<&Path>, stop: &AtomicBool) -> Result<CameraReport> {
    let (mut latencies, mut capture_time, mut size, mut snapshot) = (Vec::new(), None, None, None);
    loop {
        let left = until.saturating_duration_since(Instant::now());
        // The first frame is there already.
        match camera.async_read(left.min(LOOK)) {
            Ok(frame) => {
                latencies.push((frame.available_secs - frame.captured_secs) * 1e3);
                capture_time = Some(frame.capture_time);
                size = Some([frame.image.size().width(), frame.image.size().height()]);
                if let (Some(folder), None) = (snapshots, &snapshot) {
                    let path = folder.join(format!("{}.png", camera.name()));
                    write_png(&path, &frame.image)?;
                    snapshot = Some(path);
                }
            }
            Err(Error::Timeout { .. }) => {}
            Err(_) => break, // it has ended
        }
        if left.is_zero() || stop.load(Ordering::Relaxed) {
            break;
        }
    }
    let latency_ms = (!latencies.is_empty()).then(|| Percentiles::of(latencies));
    Ok(CameraReport { record: camera.record(), status: camera.status(), size, latency_ms, capture_time, snapshot })
}

impl Display for Survey {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let mut lines: Vec<String> = self.devices.iter().flatten().map(Device::to_string).collect();
        if self.devices.as_ref().is_some_and(Vec::is_empty) {
            lines.push("no video device found; try mindseye cameras synthetic: (or http://HOST:PORT/PATH)".into());
        }
        lines.extend(self.cameras.iter().map(CameraReport::to_string));
        formatter.write_str(&lines.join("\n"))
    }
}

impl Display for CameraReport {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let CameraReport { record, status, size, latency_ms, capture_time, snapshot } = self;
        write!(formatter, "{}  {}  {}", printable(&record.name), printable(&record.uri), status.state)?;
        if !status.reason.is_empty() {
            write!(formatter, ": {}", printable(&status.reason))?;
        }
        if let Some([width, height]) = size {
            write!(formatter, "\n    {width}x{height}")?;
            if let Some(fourcc) = record.granted.fourcc {
                write!(formatter, " of {fourcc}")?;
            }
            if let Some(fps) = status.fps {
                write!(formatter, ", {fps:.1} frames/s")?;
            }
        }
        if let Some(Percentiles { p50, p95, max, .. }) = latency_ms {
            let from = match capture_time {
                Some(CaptureTime::Driver) => "capture",
                Some(CaptureTime::Made) => "its making",
                _ => "its first byte (the source does not say when it was captured)",
            };
            let times = format!("{p50:.1} / {p95:.1} / {max:.1} ms (p50 / p95 / max)");
            write!(formatter, "\n    readable after {times} from {from}")?;
        }
        let counters = &status.counters;
        write!(
            formatter,
            "\n    {} received, {} replaced by newer ones, {} broken, {} lost in the driver, {} connections, {} faults",
            counters.received,
            counters.replaced,
            counters.broken,
            counters.lost_in_driver,
            counters.connections,
            counters.faults
        )?;
        for note in &record.granted.notes {
            write!(formatter, "\n    note: {}", printable(note))?;
        }
        if let Some(snapshot) = snapshot {
            write!(formatter, "\n    {}", printable_path(snapshot))?;
        }
        Ok(())
    }
}
