//! The seam between a kind of source and the capture of its frames.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mindseye_interface::{Action, Clock, Environment, Error as InterfaceError, Image, Seed, SystemClock};

use crate::error::Fault;
use crate::frame::{CaptureTime, FrameData, Granted, RawFrame};
use crate::settings::CameraSettings;

/// A clock that the threads of all cameras of a program read.
pub type SharedClock = Arc<dyn Clock + Send>;

/// A clock that starts now.
pub fn system_clock() -> SharedClock {
    Arc::new(SystemClock::start())
}

/// One connection to a camera.
pub trait Source: Send {
    /// The next frame; none if there is none within about `wait`. It may block longer only where the connection itself
    /// has a time-out of [`CameraSettings::timeout_s`].
    ///
    /// # Errors
    /// A [`Fault`] ends the connection. It says whether to try again.
    fn next(&mut self, wait: Duration) -> std::result::Result<Option<RawFrame>, Fault>;

    /// What the camera granted, as far as it says.
    fn granted(&self) -> Granted {
        Granted::default()
    }
}

/// Makes connections to one camera, as often as they break.
pub trait Connect: Send {
    /// A new connection, with the frames' times taken from `clock`.
    ///
    /// # Errors
    /// A [`Fault`], which says whether to try again.
    fn connect(
        &mut self,
        settings: &CameraSettings,
        clock: &SharedClock,
    ) -> std::result::Result<Box<dyn Source>, Fault>;

    /// Settings where the user gave none: a file does not warm up, a simulator may stand still.
    fn defaults(&self) -> SourceDefaults {
        SourceDefaults::default()
    }
}

/// Defaults that depend on the kind of source.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SourceDefaults {
    /// Warm-up, seconds.
    pub warmup_secs: f64,
    /// Identical frames from which the feed counts as frozen; 0 for never.
    pub frozen_frames: u64,
}

impl Default for SourceDefaults {
    fn default() -> Self {
        Self { warmup_secs: 0.0, frozen_frames: 0 }
    }
}

/// A source made of a function that gives the next image, for example of a simulator: it is called at the rate of the
/// settings (10 times a second by default), on the camera's thread. `None` ends it.
///
/// ```
/// use std::time::Duration;
///
/// use mindseye_cameras::{Camera, CameraSettings, from_fn, system_clock};
/// use mindseye_interface::{Image, ImageSize};
///
/// let size = ImageSize::square(8)?;
/// let mut brightness = 0u8;
/// let source = from_fn(move || {
///     brightness = brightness.wrapping_add(1);
///     Ok(Some(Image::filled(size, [brightness; 3])))
/// });
/// let camera = Camera::start("top", source, &CameraSettings::default(), system_clock())?;
/// assert_eq!(camera.async_read(Duration::from_secs(5))?.image.size(), size);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn from_fn<F>(next: F) -> Box<dyn Connect>
where
    F: FnMut() -> std::result::Result<Option<Image>, Fault> + Send + 'static,
{
    Box::new(FromFn { next: Some(Box::new(next)) })
}

/// The first camera of `world`, which is reset with `seed` and whose robot sways, so that images change: a feed without
/// hardware.
pub fn from_environment(mut world: Box<dyn Environment>, seed: Seed) -> Box<dyn Connect> {
    /// Phase of the sway from one control step to the next, radians.
    const SWAY: f32 = 0.1;
    let mut steps = 0u32;
    from_fn(move || {
        let mut next = || -> std::result::Result<Option<Image>, InterfaceError> {
            let observation = if steps == 0 {
                world.reset(seed)?
            } else {
                let axes = 0..world.action_space().low.len();
                let sway = axes.map(|axis| (steps as f32 * SWAY + axis as f32).sin()).collect();
                world.step(&Action::new(sway)?)?.observation
            };
            steps = steps.wrapping_add(1).max(1);
            Ok(observation.image().cloned())
        };
        next().map_err(|error| Fault::Lasting(error.to_string()))
    })
}

type NextImage = Box<dyn FnMut() -> std::result::Result<Option<Image>, Fault> + Send>;

struct FromFn {
    next: Option<NextImage>,
}

/// Rate of a source of images that has none of its own, frames per second.
const DEFAULT_FPS: f64 = 10.0;

impl Connect for FromFn {
    fn connect(
        &mut self,
        settings: &CameraSettings,
        clock: &SharedClock,
    ) -> std::result::Result<Box<dyn Source>, Fault> {
        let next = self.next.take().ok_or_else(|| Fault::Lasting("the source has ended".into()))?;
        let fps = settings.fps.unwrap_or(DEFAULT_FPS);
        let produce = {
            let mut next = next;
            move || Ok(next()?.map(FrameData::Image))
        };
        Ok(Box::new(Paced::new(fps, clock.clone(), Granted::default(), produce)))
    }
}

/// Frames at a rate: the next is due `1 / fps` after the one before was due. After a pause the rate goes on from now,
/// without a burst.
pub(crate) struct Paced<F> {
    period_secs: f64,
    due_secs: f64,
    clock: SharedClock,
    granted: Granted,
    produce: F,
}

impl<F> Paced<F>
where
    F: FnMut() -> std::result::Result<Option<FrameData>, Fault> + Send,
{
    pub fn new(fps: f64, clock: SharedClock, granted: Granted, produce: F) -> Self {
        let granted = Granted { fps: Some(fps), ..granted };
        Self { period_secs: 1.0 / fps, due_secs: clock.now_secs(), clock, granted, produce }
    }
}

impl<F> Source for Paced<F>
where
    F: FnMut() -> std::result::Result<Option<FrameData>, Fault> + Send,
{
    fn next(&mut self, wait: Duration) -> std::result::Result<Option<RawFrame>, Fault> {
        let early = self.due_secs - self.clock.now_secs();
        if early > 0.0 {
            std::thread::sleep(Duration::from_secs_f64(early).min(wait));
            if early > wait.as_secs_f64() {
                return Ok(None);
            }
        }
        self.due_secs = (self.due_secs + self.period_secs).max(self.clock.now_secs());
        let Some(data) = (self.produce)()? else {
            return Err(Fault::End("the source".into()));
        };
        // It may have waited for something to show.
        let (captured_secs, capture_time) = (self.clock.now_secs(), CaptureTime::Made);
        let received_secs = captured_secs;
        Ok(Some(RawFrame { driver_sequence: None, captured_secs, capture_time, received_secs, data }))
    }

    fn granted(&self) -> Granted {
        self.granted.clone()
    }
}

/// The system's time of day, seconds since 1970.
pub(crate) fn wall_secs() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}
