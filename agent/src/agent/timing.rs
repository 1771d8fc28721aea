//! How long the parts of a tick take that follow the search.

use std::sync::atomic::{AtomicU64, Ordering};

use mindseye_interface::Clock;

use crate::actor::pace::{Durations, Pace};

/// Most of the budget that is kept free for rare delays: on a machine whose cores are all busy with other processes a
/// thread may not run for several of the scheduler's slices of 3 to 4 ms in turn.
const MOST_OF_BUDGET: f64 = 0.5;
/// What the longest delay is multiplied by: the next longest is longer.
const FACTOR_OF_LONGEST: f64 = 1.25;
/// Ticks whose closing parts are remembered: enough for a delay that one tick in some hundred has.
const REMEMBERED: usize = 512;
/// Share of the budget. A search that ends earlier says nothing about what a late one leaves to do: a thread that has
/// run for a few milliseconds is not interrupted by other processes yet.
const LATE_SHARE: f64 = 0.5;
/// After so many ticks in turn without a late search what is known of them is forgotten: else a spell on a busy machine
/// could keep so much of the budget free that no search would ever be begun again.
const MOST_EARLY: usize = 2048;
/// Fewer ticks than these say little about rare delays.
const FEW: usize = 16;
/// Least share of the budget that is kept free while few ticks have been timed.
const AT_FIRST: f64 = 0.35;

/// What is known from former ticks of the time after a search.
#[derive(Debug, Clone, Default)]
pub(super) struct TickTimes {
    /// From the last time that a search looked at the clock until the end of the tick, without the rollout of the
    /// expected outcome; or from the search's deadline on, if that is longer: the last group was late. Of ticks with
    /// late searches only.
    closing: Durations<REMEMBERED>,
    /// Ticks since the last one with a late search.
    early: usize,
    /// The rollout of the expected outcome of one plan.
    pub outcome: Pace,
    /// When the closing part of this tick would have begun without that rollout, seconds.
    closing_since_secs: Option<f64>,
}

impl TickTimes {
    /// How long before the end of a budget of `budget_secs` a search has to end, seconds: what follows typically takes
    /// so long, or, where that is little of the budget, somewhat longer than it ever took.
    pub fn margin_secs(&self, budget_secs: f64) -> f64 {
        if budget_secs == f64::INFINITY {
            return 0.0;
        }
        let (typical_secs, longest_secs) =
            self.closing.typical_secs().zip(self.closing.longest_secs()).unwrap_or_default();
        let at_first_secs = if self.closing.seen() < FEW { AT_FIRST * budget_secs } else { 0.0 };
        let rare_secs = (FACTOR_OF_LONGEST * longest_secs).max(at_first_secs);
        typical_secs.max(rare_secs.min(MOST_OF_BUDGET * budget_secs))
    }

    /// The closing part began `since_secs` ago, at `now_secs` on the tick's clock.
    pub fn close(&mut self, now_secs: f64, since_secs: f64) {
        self.closing_since_secs = Some(now_secs - since_secs);
    }

    /// The tick began at `started_secs`, has a budget of `budget_secs`, and ends at `now_secs`; its search was to end
    /// at `deadline_secs`.
    pub fn end(&mut self, now_secs: f64, (started_secs, budget_secs): (f64, f64), deadline_secs: f64) {
        let Some(since_secs) = self.closing_since_secs.take() else { return };
        if since_secs - started_secs > LATE_SHARE * budget_secs {
            self.closing.add(now_secs - since_secs.min(deadline_secs.max(started_secs)));
            self.early = 0;
        } else if self.early < MOST_EARLY {
            self.early += 1;
        } else {
            (self.closing, self.early) = (Durations::default(), 0);
        }
    }
}

/// A clock that knows when it was read last, on any thread.
pub(super) struct LastReading<'a> {
    clock: &'a dyn Clock,
    /// Bits of the last reading.
    last_secs: AtomicU64,
}

impl<'a> LastReading<'a> {
    /// `clock`, read now.
    pub fn of(clock: &'a dyn Clock) -> Self {
        Self { clock, last_secs: AtomicU64::new(clock.now_secs().to_bits()) }
    }

    /// The last reading, seconds.
    pub fn last_secs(&self) -> f64 {
        f64::from_bits(self.last_secs.load(Ordering::Relaxed))
    }
}

impl Clock for LastReading<'_> {
    fn now_secs(&self) -> f64 {
        let now_secs = self.clock.now_secs();
        self.last_secs.store(now_secs.to_bits(), Ordering::Relaxed);
        now_secs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_search_is_expected_to_take_what_it_took() {
        let mut times = TickTimes::default();
        assert_eq!((times.margin_secs(1.0), times.margin_secs(f64::INFINITY)), (AT_FIRST, 0.0));
        let tick = |times: &mut TickTimes, secs: f64, deadline_secs: f64| {
            times.close(10.0, 0.0);
            times.end(10.0 + secs, (9.0, 1.0), deadline_secs);
        };
        (0..FEW / 2).for_each(|_| tick(&mut times, 0.125, 10.0));
        assert_eq!(times.margin_secs(1.0), AT_FIRST, "a few ticks say little");
        (0..FEW).for_each(|index| tick(&mut times, if index == 3 { 0.25 } else { 0.125 }, 10.0));
        assert_eq!(times.margin_secs(4.0), 1.25 * 0.25, "rare delays, where there is time for them");
        assert_eq!(times.margin_secs(0.5), MOST_OF_BUDGET * 0.5, "a part of a short budget");
        assert_eq!(times.margin_secs(0.1), 0.125, "what it always takes");
        times.end(50.0, (0.0, 1.0), 0.0);
        assert_eq!(times.margin_secs(4.0), 1.25 * 0.25, "a tick that failed before its end says nothing");
        tick(&mut times, 0.125, 9.5); // the last group ended half a second after the deadline
        assert_eq!(times.margin_secs(4.0), 1.25 * 0.625);
        tick(&mut times, 0.125, 8.0); // the deadline was over before the tick began
        assert_eq!(times.margin_secs(8.0), 1.25 * 1.125, "no tick takes longer than since it began");
    }

    #[test]
    fn ticks_without_a_late_search_are_not_what_a_search_is_timed_by() {
        let mut times = TickTimes::default();
        let tick = |times: &mut TickTimes, searched_secs: f64, secs: f64| {
            times.close(searched_secs, 0.0);
            times.end(searched_secs + secs, (0.0, 1.0), 1.0);
        };
        (0..FEW).for_each(|_| tick(&mut times, 0.875, 0.25));
        (0..MOST_EARLY).for_each(|_| tick(&mut times, 0.125, 0.0));
        assert_eq!(times.margin_secs(4.0), 1.25 * 0.25);
        tick(&mut times, 0.125, 0.0);
        assert_eq!(times.margin_secs(4.0), AT_FIRST * 4.0, "long ago");
    }
}
