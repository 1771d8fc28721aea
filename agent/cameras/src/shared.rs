//! What the threads of a camera and its readers share: the newest frames, counters, and what happened.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use mindseye_interface::ImageSize;
use serde::{Deserialize, Serialize};

use crate::error::Fault;
use crate::frame::{CameraFrame, FrameData, Granted, RawFrame};
use crate::health::{Facts, Thresholds};

/// Frames that are kept to be matched with those of other cameras, and with control steps; more of small ones.
const KEPT: usize = 3;
const KEPT_SMALL: usize = 8;
/// Bytes of RGB up to which a frame is small.
const SMALL_BYTES: usize = 1 << 20;
/// Frames whose times make the measured rate.
const RATED: usize = 60;
/// Most notes that are kept.
const NOTES: usize = 8;

/// Counts since the camera was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Whole frames that came.
    pub received: u64,
    /// Frames that were decoded and could be read.
    pub published: u64,
    /// Frames replaced by a newer one before they were decoded.
    pub replaced: u64,
    /// Frames dropped during the warm-up.
    pub warmup: u64,
    /// Frames that were no image, or had another size.
    pub broken: u64,
    /// Frames that the driver says it captured and did not deliver.
    pub lost_in_driver: u64,
    /// Connections made.
    pub connections: u64,
    /// Tries to connect that failed, and connections that broke.
    pub faults: u64,
}

/// State behind a lock, and who waits for it.
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    changed: Condvar,
    pub thresholds: Thresholds,
    warmup_secs: f64,
}

#[derive(Default)]
struct Inner {
    stop: bool,
    receiver_left: bool,
    waiting: Option<(RawFrame, u64)>,
    frames: VecDeque<Arc<CameraFrame>>,
    times: VecDeque<f64>,
    facts: Facts,
    counters: Counters,
    granted: Granted,
    sequence: u64,
    driver_sequence: Option<u64>,
    last_received_secs: f64,
}

/// What a reader sees at one time.
pub(crate) struct Seen {
    pub frames: Vec<Arc<CameraFrame>>,
    pub facts: Facts,
    pub counters: Counters,
    pub granted: Granted,
    pub fps: Option<f64>,
}

impl Shared {
    pub fn new(opened_secs: f64, thresholds: Thresholds, warmup_secs: f64) -> Self {
        let facts = Facts { opened_secs, ..Facts::default() };
        let inner = Inner { facts, last_received_secs: opened_secs, ..Inner::default() };
        Self { inner: Mutex::new(inner), changed: Condvar::new(), thresholds, warmup_secs }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is shared, and wakes all who wait.
    fn change<T>(&self, change: impl FnOnce(&mut Inner) -> T) -> T {
        let changed = change(&mut self.inner());
        self.changed.notify_all();
        changed
    }

    /// Waits at most `wait` until `found` finds something.
    fn wait_for<T>(&self, wait: Duration, mut found: impl FnMut(&mut Inner) -> Option<T>) -> Option<T> {
        let until = Instant::now() + wait;
        let mut inner = self.inner();
        loop {
            if let Some(found) = found(&mut inner) {
                return Some(found);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub fn warmup_secs(&self) -> f64 {
        self.warmup_secs
    }

    /// Whether the camera was dropped.
    pub fn stops(&self) -> bool {
        self.inner().stop
    }

    /// Makes the threads end, and waits at most `wait` for the one that holds the device.
    pub fn stop(&self, wait: Duration) {
        self.change(|inner| inner.stop = true);
        self.wait_for(wait, |inner| inner.receiver_left.then_some(()));
    }

    /// Waits for `pause`, or until the camera is dropped.
    pub fn sleep(&self, pause: Duration) {
        self.wait_for(pause, |inner| inner.stop.then_some(()));
    }

    pub fn receiver_left(&self) {
        self.change(|inner| inner.receiver_left = true);
    }

    pub fn connected(&self, granted: Granted) {
        self.change(|inner| {
            inner.counters.connections += 1;
            inner.driver_sequence = None;
            let before = std::mem::replace(&mut inner.granted, granted);
            inner.granted.width = inner.granted.width.or(before.width);
            inner.granted.height = inner.granted.height.or(before.height);
            before.notes.into_iter().for_each(|note| inner.note(note));
        });
    }

    pub fn disconnected(&self, trouble: String) {
        self.change(|inner| {
            inner.counters.faults += 1;
            inner.facts.trouble = Some(trouble);
        });
    }

    pub fn ended(&self, reason: String) {
        self.change(|inner| inner.facts.ended = Some(reason));
    }

    pub fn note(&self, note: String) {
        self.change(|inner| inner.note(note));
    }

    /// The size of the images that come.
    pub fn sized(&self, size: ImageSize) {
        self.change(|inner| {
            inner.granted.width = Some(size.width());
            inner.granted.height = Some(size.height());
        });
    }

    /// A frame came. One that still waits to be decoded gives way; frames before the camera is `warm` are dropped.
    pub fn received(&self, frame: RawFrame, warm: bool) {
        self.change(|inner| {
            inner.counters.received += 1;
            inner.sequence += 1;
            inner.last_received_secs = frame.received_secs;
            if let Some((before, now)) = inner.driver_sequence.zip(frame.driver_sequence) {
                inner.counters.lost_in_driver += now.saturating_sub(before + 1);
            }
            inner.driver_sequence = frame.driver_sequence.or(inner.driver_sequence);
            if !warm {
                inner.counters.warmup += 1;
                inner.facts.trouble = Some("warming up".into());
                return;
            }
            if let FrameData::Broken(reason) = frame.data {
                inner.broken(reason); // it takes no good frame's place
                return;
            }
            inner.counters.replaced += u64::from(inner.waiting.is_some());
            inner.waiting = Some((frame, inner.sequence));
        });
    }

    /// When the last frame came, or the camera was opened, seconds.
    pub fn last_received_secs(&self) -> f64 {
        self.inner().last_received_secs
    }

    pub fn take_received(&self, wait: Duration) -> Option<(RawFrame, u64)> {
        self.wait_for(wait, |inner| if inner.stop { None } else { inner.waiting.take() })
    }

    pub fn publish(&self, frame: CameraFrame, identical: bool) {
        self.change(|inner| {
            inner.counters.published += 1;
            inner.facts.newest_secs = Some(frame.captured_secs);
            inner.facts.identical = if identical { inner.facts.identical + 1 } else { 0 };
            inner.facts.trouble = None;
            inner.times.push_back(frame.received_secs);
            let kept = if frame.image.size().rgb_len() <= SMALL_BYTES { KEPT_SMALL } else { KEPT };
            inner.frames.push_back(Arc::new(frame));
            while inner.frames.len() > kept {
                inner.frames.pop_front();
            }
            while inner.times.len() > RATED {
                inner.times.pop_front();
            }
        });
    }

    pub fn broken(&self, reason: String) {
        self.change(|inner| inner.broken(reason));
    }

    /// The newest frame whose number is above `after`, within `wait`. Returns early where there will be none.
    pub fn newer_than(&self, after: u64, wait: Duration) -> Option<Arc<CameraFrame>> {
        let found = self.wait_for(wait, |inner| {
            let newest = inner.frames.back().filter(|frame| frame.sequence > after).cloned();
            (newest.is_some() || inner.receiver_left && inner.waiting.is_none() && inner.facts.ended.is_some())
                .then_some(newest)
        });
        found.flatten()
    }

    /// Number of the newest frame that was received.
    pub fn sequence(&self) -> u64 {
        self.inner().sequence
    }

    pub fn seen(&self) -> Seen {
        let inner = self.inner();
        let spread = inner.times.back().zip(inner.times.front()).map_or(0.0, |(last, first)| last - first);
        let fps = (spread > 0.0).then(|| (inner.times.len() - 1) as f64 / spread);
        let frames = inner.frames.iter().cloned().collect();
        Seen { frames, facts: inner.facts.clone(), counters: inner.counters, granted: inner.granted.clone(), fps }
    }
}

impl Inner {
    fn broken(&mut self, reason: String) {
        self.counters.broken += 1;
        self.facts.trouble = Some(reason);
    }

    fn note(&mut self, note: String) {
        if self.granted.notes.len() < NOTES && !self.granted.notes.contains(&note) {
            self.granted.notes.push(note);
        }
    }
}

/// Refuses to wait longer than `timeout_secs` for a frame, at `now_secs`, after the last came at `last_secs`.
pub(crate) fn require_frames(now_secs: f64, last_secs: f64, timeout_secs: f64) -> std::result::Result<(), Fault> {
    if now_secs - last_secs <= timeout_secs {
        return Ok(());
    }
    Err(Fault::Passing(format!("expected a frame within {timeout_secs} s, got none")))
}
