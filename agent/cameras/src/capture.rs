//! The two threads of a camera: one receives, one decodes the newest frame that was received.
//!
//! A frame that comes while another is still decoded replaces the one that waits, so that neither a fast camera nor a
//! slow processor makes readers late: there is one place, and no queue.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use mindseye_interface::{Image, ImageSize};

use crate::error::Fault;
use crate::frame::{CameraFrame, CaptureTime, FrameData, RawFrame};
use crate::health::Backoff;
use crate::jpeg::decode_encoded;
use crate::pixels::decode_pixels;
use crate::prepare::prepare;
use crate::settings::CameraSettings;
use crate::shared::{Shared, require_frames};
use crate::source::{Connect, SharedClock, wall_secs};

/// Longest wait of a thread before it looks whether it should stop.
const LOOK: Duration = Duration::from_millis(100);

/// Receives frames until the camera is dropped or the source ends, and connects again after every passing fault.
pub(crate) fn receive(mut connect: Box<dyn Connect>, settings: &CameraSettings, clock: &SharedClock, shared: &Shared) {
    let mut backoff = Backoff::new(settings.retry_s);
    while !shared.stops() {
        let begun = clock.now_secs();
        let mut first_secs = None;
        let ended = caught(|| {
            let mut source = connect.connect(settings, clock)?;
            shared.connected(source.granted());
            while !shared.stops() {
                match source.next(LOOK)? {
                    Some(frame) => {
                        let first = *first_secs.get_or_insert(frame.received_secs);
                        let warm = frame.received_secs - first >= shared.warmup_secs();
                        shared.received(frame, warm);
                    }
                    None => {
                        let last_secs = begun.max(shared.last_received_secs());
                        require_frames(clock.now_secs(), last_secs, settings.timeout_s)?;
                    }
                }
            }
            Ok(())
        });
        match ended.unwrap_or_else(|panic| Err(Fault::Passing(panic))) {
            Ok(()) => break,
            Err(Fault::Passing(trouble)) => {
                shared.disconnected(trouble);
                let lasted = first_secs.map_or(0.0, |first| clock.now_secs() - first);
                shared.sleep(Duration::from_secs_f64(backoff.pause_secs(lasted)));
            }
            Err(lasting) => {
                shared.ended(lasting.to_string());
                break;
            }
        }
    }
    shared.receiver_left();
}

/// Decodes the newest received frame, again and again, until the camera is dropped.
pub(crate) fn decode(camera: &Arc<str>, settings: &CameraSettings, clock: &SharedClock, shared: &Shared) {
    let mut before: Option<FrameData> = None;
    let mut size: Option<ImageSize> = None;
    while !shared.stops() {
        let Some((raw, sequence)) = shared.take_received(LOOK) else { continue };
        let identical = before.as_ref() == Some(&raw.data);
        let decoded = caught(|| image_of(&raw.data, settings.tolerant)).and_then(|image| image);
        let checked = decoded.and_then(|image| require_size(image, &mut size, settings, shared));
        match checked.and_then(|image| prepare(image, settings)) {
            Ok(image) => {
                let RawFrame { driver_sequence, captured_secs, capture_time, received_secs, .. } = raw;
                let is_known = capture_time != CaptureTime::FirstByte;
                let captured_secs = captured_secs - settings.latency_s.filter(|_| !is_known).unwrap_or(0.0);
                let (wall_secs, now) = (wall_secs(), clock.now_secs());
                let frame = CameraFrame {
                    camera: camera.clone(),
                    image: Arc::new(image),
                    sequence,
                    driver_sequence,
                    captured_secs,
                    capture_time,
                    received_secs,
                    available_secs: now,
                    wall_secs: wall_secs - (now - received_secs),
                };
                shared.publish(frame, identical);
            }
            Err(reason) => shared.broken(reason),
        }
        before = Some(raw.data);
    }
}

fn image_of(data: &FrameData, tolerant: bool) -> Result<Image, String> {
    match data {
        FrameData::Image(image) => Ok(image.clone()),
        FrameData::Encoded(bytes) => decode_encoded(bytes, tolerant),
        FrameData::Raw(pixels) => decode_pixels(pixels),
        FrameData::Broken(reason) => Err(reason.clone()),
    }
}

/// Refuses an image of another size than was asked for, or than those before: it shows another part of the world, or
/// the same at another scale.
fn require_size(
    image: Image,
    seen: &mut Option<ImageSize>,
    settings: &CameraSettings,
    shared: &Shared,
) -> Result<Image, String> {
    let size = image.size();
    let shown = |size: ImageSize| format!("{}x{}", size.width(), size.height());
    let (width, height) = settings.captured_size();
    let asked = (width.unwrap_or(size.width()), height.unwrap_or(size.height()));
    let problem = if asked != (size.width(), size.height()) {
        Some(format!("asked for {}x{}, granted {}", asked.0, asked.1, shown(size)))
    } else {
        seen.filter(|seen| *seen != size)
            .map(|seen| format!("the resolution changed from {} to {}", shown(seen), shown(size)))
    };
    match problem {
        Some(problem) if !settings.best_effort => Err(problem),
        Some(problem) => {
            *seen = Some(size);
            shared.note(problem);
            Ok(image)
        }
        None => {
            if *seen != Some(size) {
                shared.sized(size);
            }
            *seen = Some(size);
            Ok(image)
        }
    }
}

/// Runs `work`; a panic in it becomes its message: libraries meet bytes that they do not expect.
fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| format!("a panic: {}", message(panic.as_ref())))
}

fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}
