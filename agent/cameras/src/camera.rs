//! A live camera: its newest frame, its age, its state.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::address::CameraUri;
use crate::capture;
use crate::frame::{CameraFrame, Granted};
use crate::health::{State, Thresholds};
use crate::settings::CameraSettings;
use crate::shared::{Counters, Seen, Shared};
use crate::source::{Connect, SharedClock};
use crate::{Error, Result};

/// Longest wait for a camera's thread when it is dropped: a device has to be free for the next user. A thread that
/// waits for a server ends later, by itself.
const LEAVE: Duration = Duration::from_millis(500);
/// Longest wait of [`Camera::read`], as LeRobot's.
const READ: Duration = Duration::from_secs(10);

/// A camera that is captured on threads of its own until it is dropped.
///
/// Readers never wait behind old frames: whoever reads gets the newest one, and each frame says how old it is.
pub struct Camera {
    name: Arc<str>,
    uri: String,
    settings: CameraSettings,
    clock: SharedClock,
    shared: Arc<Shared>,
    /// Number of the newest frame that [`Camera::async_read`] returned.
    read: AtomicU64,
}

/// A camera at one time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Its state.
    pub state: State,
    /// Why it is not live; empty if it is.
    pub reason: String,
    /// Age of the newest frame, seconds.
    pub age_secs: Option<f64>,
    /// Frames per second, measured over the newest 60.
    pub fps: Option<f64>,
    /// What was counted.
    pub counters: Counters,
}

/// What a frame was captured with: to be kept beside an episode.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CameraRecord {
    /// Name of the camera.
    pub name: String,
    /// Its address, without a password.
    pub uri: String,
    /// What was asked for, and what is done to images.
    pub settings: CameraSettings,
    /// What the camera granted.
    pub granted: Granted,
}

impl Camera {
    /// A camera called `name` whose frames come from `connect`, with times of `clock`.
    ///
    /// # Errors
    /// [`Error::Argument`] for settings that make no sense, [`Error::NotLive`] when the system gives no thread.
    pub fn start(name: &str, connect: Box<dyn Connect>, settings: &CameraSettings, clock: SharedClock) -> Result<Self> {
        let settings = settings.clone();
        let uri = CameraUri { scheme: "fn".into(), place: String::new(), name: name.into(), settings };
        Self::start_at(&uri, connect, clock)
    }

    /// As [`Camera::start`], with the name, settings and place of `uri`.
    pub(crate) fn start_at(uri: &CameraUri, connect: Box<dyn Connect>, clock: SharedClock) -> Result<Self> {
        let settings = uri.settings.clone();
        settings.validate()?;
        let defaults = connect.defaults();
        let thresholds = Thresholds {
            stale_secs: settings.stale_s,
            lost_secs: settings.lost_s,
            frozen_frames: settings.frozen_frames.unwrap_or(defaults.frozen_frames),
        };
        let warmup_secs = settings.warmup_s.unwrap_or(defaults.warmup_secs);
        let shared = Arc::new(Shared::new(clock.now_secs(), thresholds, warmup_secs));
        let name: Arc<str> = uri.name.as_str().into();
        let camera = Self { name, uri: uri.to_string(), settings, clock, shared, read: AtomicU64::new(0) };
        let (settings, clock, shared) = (camera.settings.clone(), camera.clock.clone(), camera.shared.clone());
        camera.spawn("receive", move || capture::receive(connect, &settings, &clock, &shared))?;
        let (settings, clock, shared) = (camera.settings.clone(), camera.clock.clone(), camera.shared.clone());
        let name = camera.name.clone();
        camera.spawn("decode", move || capture::decode(&name, &settings, &clock, &shared))?;
        Ok(camera)
    }

    fn spawn(&self, work: &str, run: impl FnOnce() + Send + 'static) -> Result<()> {
        let thread = std::thread::Builder::new().name(format!("{work} {}", self.name));
        thread.spawn(run).map(drop).map_err(|error| self.not_live(State::Lost, error.to_string()))
    }

    /// Name that its frames carry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its settings.
    pub fn settings(&self) -> &CameraSettings {
        &self.settings
    }

    /// The next frame that is captured from now on; waits for it up to 10 s.
    ///
    /// # Errors
    /// [`Error::Timeout`], or [`Error::NotLive`] where there will be none.
    pub fn read(&self) -> Result<Arc<CameraFrame>> {
        self.next(self.shared.sequence(), READ)
    }

    /// The newest frame that this function has not returned yet; waits for one up to `timeout`. For recorders.
    ///
    /// # Errors
    /// [`Error::Timeout`], or [`Error::NotLive`] where there will be none.
    pub fn async_read(&self, timeout: Duration) -> Result<Arc<CameraFrame>> {
        let frame = self.next(self.read.load(Ordering::Relaxed), timeout)?;
        self.read.fetch_max(frame.sequence, Ordering::Relaxed);
        Ok(frame)
    }

    /// The newest frame, at once, if it is at most `max_age` old and the feed is not frozen. For control: without a
    /// frame, hold still.
    ///
    /// # Errors
    /// [`Error::TooOld`] with both ages, [`Error::NotLive`] without a frame, at a frozen feed, and once the source has
    /// ended.
    pub fn read_latest(&self, max_age: Duration) -> Result<Arc<CameraFrame>> {
        let Seen { frames, facts, .. } = self.shared.seen();
        let now = self.clock.now_secs();
        let (state, reason) = facts.state(now, &self.shared.thresholds);
        let (Some(frame), Some(age_secs)) = (frames.last(), facts.age_secs(now)) else {
            return Err(self.not_live(state, reason));
        };
        if age_secs > max_age.as_secs_f64() {
            let (camera, max_age_secs) = (self.name.to_string(), max_age.as_secs_f64());
            return Err(Error::TooOld { camera, age_secs, max_age_secs, state: shown(state, &reason) });
        }
        let frozen = self.shared.thresholds.frozen_frames;
        if facts.ended.is_some() || frozen > 0 && facts.identical >= frozen {
            return Err(self.not_live(state, reason));
        }
        Ok(frame.clone())
    }

    /// The newest frames, oldest first: at least 3, once there were so many.
    pub(crate) fn newest(&self) -> Vec<Arc<CameraFrame>> {
        self.shared.seen().frames
    }

    /// Waits until the camera is live, at most `timeout`.
    ///
    /// # Errors
    /// [`Error::Timeout`] with the state and its reason, or [`Error::NotLive`] where it never will be.
    pub fn wait_until_live(&self, timeout: Duration) -> Result<()> {
        self.next(0, timeout).map(drop)
    }

    fn next(&self, after: u64, timeout: Duration) -> Result<Arc<CameraFrame>> {
        self.shared.newer_than(after, timeout).ok_or_else(|| {
            let Status { state, reason, .. } = self.status();
            let ended = self.shared.seen().facts.ended.is_some();
            let (camera, waited_secs) = (self.name.to_string(), timeout.as_secs_f64());
            match ended {
                true => self.not_live(state, reason),
                false => Error::Timeout { camera, waited_secs, state: shown(state, &reason) },
            }
        })
    }

    /// State, age, rate and counters now.
    pub fn status(&self) -> Status {
        let Seen { facts, counters, fps, .. } = self.shared.seen();
        let now = self.clock.now_secs();
        let (state, reason) = facts.state(now, &self.shared.thresholds);
        Status { state, reason, age_secs: facts.age_secs(now), fps, counters }
    }

    /// What is to be kept beside an episode: address, settings, and what the camera granted.
    pub fn record(&self) -> CameraRecord {
        let granted = self.shared.seen().granted;
        CameraRecord { name: self.name.to_string(), uri: self.uri.clone(), settings: self.settings.clone(), granted }
    }

    /// Asks its threads to end, without waiting for them.
    pub(crate) fn leave(&self) {
        self.shared.stop(Duration::ZERO);
    }

    fn not_live(&self, state: State, reason: String) -> Error {
        Error::NotLive { camera: self.name.to_string(), state, reason }
    }
}

fn shown(state: State, reason: &str) -> String {
    if reason.is_empty() { state.to_string() } else { format!("{state}: {reason}") }
}

impl Drop for Camera {
    fn drop(&mut self) {
        self.shared.stop(LEAVE);
    }
}

impl std::fmt::Debug for Camera {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Camera").field("name", &self.name).field("uri", &self.uri).finish_non_exhaustive()
    }
}
