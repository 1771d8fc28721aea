//! From scores to alarms: several of the newest ticks above the band.

use std::collections::VecDeque;

use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

/// When scores are an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmRule {
    /// Score from which a tick is surprising.
    pub band: f64,
    /// Surprising ticks that make an alarm...
    pub ticks: usize,
    /// ... among so many newest ones.
    pub of: usize,
}

impl AlarmRule {
    /// Refuses numbers that make no sense.
    ///
    /// # Errors
    /// Naming the field.
    pub fn validate(&self) -> mindseye_interface::Result<()> {
        require_range("rule.band", self.band, 1e-6, 1e9)?;
        require_range("rule.of", self.of, 1, 1000)?;
        require_range("rule.ticks", self.ticks, 1, self.of)
    }

    /// For the scores of consecutive ticks: at each, the largest band at which there would be an alarm.
    pub(super) fn levels(&self, scores: &[f64]) -> Vec<f64> {
        let level = |end: usize| {
            let mut newest: Vec<f64> = scores[(end + 1).saturating_sub(self.of)..=end].to_vec();
            newest.sort_by(|a, b| b.total_cmp(a));
            newest.get(self.ticks - 1).copied().unwrap_or(0.0)
        };
        (0..scores.len()).map(level).collect()
    }
}

/// Whether there is an alarm now.
#[derive(Debug, Clone)]
pub struct Alarm {
    rule: AlarmRule,
    newest: VecDeque<bool>,
    active: bool,
}

impl Alarm {
    /// No alarm yet.
    pub fn new(rule: AlarmRule) -> Self {
        Self { rule, newest: VecDeque::new(), active: false }
    }

    /// Takes the score of a tick; `true` where an alarm begins. It ends when none of the newest ticks is surprising.
    pub fn takes(&mut self, score: f64) -> bool {
        if self.newest.len() >= self.rule.of {
            self.newest.pop_front();
        }
        self.newest.push_back(score.is_nan() || score > self.rule.band);
        let surprising = self.newest.iter().filter(|is| **is).count();
        let begins = !self.active && surprising >= self.rule.ticks;
        self.active = begins || (self.active && surprising > 0);
        begins
    }

    /// Whether an alarm goes on.
    pub fn is_active(&self) -> bool {
        self.active
    }

    /// What was seen before does not count any more: nothing was seen for a while.
    pub fn forget(&mut self) {
        self.newest.clear();
        self.active = false;
    }
}

/// How many alarms begin in `scores`, those of consecutive ticks.
pub(super) fn alarms(rule: AlarmRule, scores: &[f64]) -> usize {
    let mut alarm = Alarm::new(rule);
    scores.iter().filter(|score| alarm.takes(**score)).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: AlarmRule = AlarmRule { band: 1.0, ticks: 3, of: 5 };

    #[test]
    fn an_alarm_begins_once_and_ends_when_all_is_calm() {
        let scores = [2.0, 0.0, 2.0, 0.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 2.0, 2.0, 2.0];
        let mut alarm = Alarm::new(RULE);
        let begun: Vec<usize> = (0..scores.len()).filter(|tick| alarm.takes(scores[*tick])).collect();
        assert_eq!(begun, [4, 13]);
        assert_eq!(alarms(RULE, &scores), 2);
        assert_eq!(alarms(RULE, &[f64::NAN; 3]), 1, "what is no number is no calm");
        alarm.forget();
        assert!(!alarm.is_active() && !alarm.takes(9.0));
    }

    #[test]
    fn the_level_of_a_tick_is_the_band_that_would_just_be_reached() {
        let scores = [1.0, 5.0, 2.0, 4.0, 0.5];
        assert_eq!(RULE.levels(&scores), [0.0, 0.0, 1.0, 2.0, 2.0]);
        let rule = |band: f64| AlarmRule { band, ..RULE };
        assert_eq!((alarms(rule(1.9), &scores), alarms(rule(2.1), &scores)), (1, 0));
    }
}
