//! Time as an argument, so that a recorded life can be replayed.

use std::cell::Cell;
use std::time::Instant;

/// Something that tells the time since it was made.
pub trait Clock {
    /// Seconds since the clock was made.
    fn now_secs(&self) -> f64;
}

/// The operating system's monotonic clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now_secs(&self) -> f64 {
        self.0.elapsed().as_secs_f64()
    }
}

/// A clock that moves by a fixed amount each time it is read: for tests and for replay.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_secs: Cell<f64>,
    /// Seconds that pass with every reading.
    pub secs_per_reading: f64,
}

impl ManualClock {
    /// A clock at zero that moves by `secs_per_reading` with every reading.
    pub fn ticking(secs_per_reading: f64) -> Self {
        Self { now_secs: Cell::new(0.0), secs_per_reading }
    }
}

impl Clock for ManualClock {
    fn now_secs(&self) -> f64 {
        let now = self.now_secs.get();
        self.now_secs.set(now + self.secs_per_reading);
        now
    }
}
