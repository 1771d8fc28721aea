//! How fast one client may talk.

use std::time::{Duration, Instant};

/// Allows so many messages per second in the mean, and a second's worth at once.
pub(super) struct Rate {
    per_sec: f64,
    allowed: f64,
    counted: Instant,
}

impl Rate {
    /// Allows `per_sec` messages per second.
    pub fn new(per_sec: f64, now: Instant) -> Self {
        Self { per_sec, allowed: per_sec, counted: now }
    }

    /// A message comes at `now`: how long it has to wait.
    pub fn wait(&mut self, now: Instant) -> Duration {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = now;
        self.allowed = (self.allowed + passed * self.per_sec).min(self.per_sec) - 1.0;
        Duration::from_secs_f64((-self.allowed / self.per_sec).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_and_a_flood_waits() {
        let begun = Instant::now();
        let mut rate = Rate::new(10.0, begun);
        assert!((0..10).all(|_| rate.wait(begun).is_zero()));
        let waits = [rate.wait(begun), rate.wait(begun)].map(|wait| wait.as_secs_f64());
        assert!((waits[0] - 0.1).abs() < 1e-9 && (waits[1] - 0.2).abs() < 1e-9, "{waits:?}");
        assert!(rate.wait(begun + Duration::from_secs(5)).is_zero());
    }
}
