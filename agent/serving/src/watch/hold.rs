//! Events while a watch is on hold: kept back, and told after it where the alarm still goes on.

use super::watcher::{Look, Tick};

/// Whether an event is kept back.
#[derive(Debug, Default)]
pub(super) struct Hold {
    kept_back: bool,
}

impl Hold {
    /// Whether an event begins for others at `tick`, while the watch `holds` or not. An alarm that began on hold begins
    /// an event at the first frame after it; one that has ended by then has been nothing.
    pub fn lets_through(&mut self, tick: &Tick, holds: bool) -> bool {
        if !matches!(tick.look, Look::Seen(_)) {
            return false; // nothing was judged
        }
        let begins = (tick.event || self.kept_back) && tick.alarm;
        self.kept_back = begins && holds;
        begins && !holds
    }
}

#[cfg(test)]
mod tests {
    use mindseye_world_model::surprise::{Alarm, AlarmRule, KINDS, RawScores};

    use super::super::watcher::Seen;
    use super::*;

    fn tick(alarm: &mut Alarm, score: Option<f64>) -> Tick {
        let seen = |score| {
            let raw = RawScores::default();
            let (read_outs, expected) = (Vec::new(), Vec::new());
            Look::Seen(Box::new(Seen { score, scores: [None; KINDS], raw, read_outs, goal_distance: None, expected }))
        };
        let event = score.is_some_and(|score| alarm.takes(score));
        Tick { at_secs: 0.0, look: score.map_or(Look::Same, seen), band: 1.0, event, alarm: alarm.is_active() }
    }

    /// The ticks at which events begin; a tick is its score (none: the same frame) and whether the watch holds.
    fn events(ticks: &[(Option<f64>, bool)]) -> Vec<usize> {
        let mut alarm = Alarm::new(AlarmRule { band: 1.0, ticks: 2, of: 2 });
        let mut hold = Hold::default();
        let begins = |at: &usize| hold.lets_through(&tick(&mut alarm, ticks[*at].0), ticks[*at].1);
        (0..ticks.len()).filter(begins).collect()
    }

    /// Symptom: something that appeared while a watch was on hold, and stayed, was never an event.
    /// Cause: the alarm had begun, and its beginning was only not told.
    /// Fix: it is kept back, and told after the hold if the alarm goes on.
    #[test]
    fn an_alarm_that_outlasts_the_hold_is_an_event_after_it() {
        let (calm, high) = (Some(0.0), Some(2.0));
        assert_eq!(events(&[(high, false), (high, false), (high, false)]), [1]);
        assert_eq!(events(&[(high, true), (high, true), (high, true), (high, false), (high, false)]), [3]);
        let over =
            [(high, true), (high, true), (calm, true), (calm, true), (calm, false), (high, false), (high, false)];
        assert_eq!(events(&over), [6], "what ended on hold is none, and the next one is");
        let again = [(high, false), (high, false), (high, true), (high, false)];
        assert_eq!(events(&again), [1], "it was told before the hold");
        let nothing_new = [(high, true), (high, true), (None, false), (high, false)];
        assert_eq!(events(&nothing_new), [3], "at the first frame after it");
    }
}
