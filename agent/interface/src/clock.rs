//! Time as an argument, so that a recorded run can be replayed.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// A source of time, which any thread may read. It must not go back between two readings.
pub trait Clock: Sync {
    /// Seconds since the clock's zero.
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

/// A clock for tests and for replay: it moves by a fixed amount with each reading, and where [`ManualClock::set`] puts
/// it.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_secs: Mutex<f64>,
    /// Seconds that pass with each reading; 0 by default.
    pub secs_per_reading: f64,
}

impl ManualClock {
    /// A clock at zero that moves by `secs_per_reading` with each reading.
    pub fn ticking(secs_per_reading: f64) -> Self {
        Self { now_secs: Mutex::new(0.0), secs_per_reading }
    }

    /// Sets the time of the next reading, seconds.
    pub fn set(&self, now_secs: f64) {
        *self.now() = now_secs;
    }

    /// Moves the clock by `secs`, without a reading.
    pub fn advance(&self, secs: f64) {
        *self.now() += secs;
    }

    fn now(&self) -> MutexGuard<'_, f64> {
        self.now_secs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now_secs(&self) -> f64 {
        let mut now = self.now();
        let reading = *now;
        *now += self.secs_per_reading;
        reading
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_with_readings_and_when_it_is_set() {
        let clock = ManualClock::ticking(0.5);
        assert_eq!((clock.now_secs(), clock.now_secs()), (0.0, 0.5));
        clock.set(10.0);
        assert_eq!(clock.now_secs(), 10.0);
        clock.advance(1.0);
        assert_eq!(clock.now_secs(), 11.5);
        let still = ManualClock::default();
        assert_eq!((still.now_secs(), still.now_secs()), (0.0, 0.0));
    }

    #[test]
    fn the_system_clock_never_goes_back() {
        let clock = SystemClock::start();
        let first = clock.now_secs();
        assert!(first >= 0.0 && clock.now_secs() >= first);
    }
}
