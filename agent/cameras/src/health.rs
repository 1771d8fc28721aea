//! The state of a camera: a function of what happened, the settings and the time.

use std::fmt::{Display, Formatter};

use serde::{Deserialize, Serialize};

/// What a camera is good for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// No frame yet: the connection is made, or the camera warms up.
    Connecting,
    /// The newest frame is fresh.
    Live,
    /// The newest frame is old, or the feed is frozen: hold still.
    Stale,
    /// There has been no frame for long, or there never was one and there will be none: hold still, and tell somebody.
    Lost,
    /// There were frames and there will be no more, as of a video that was played to its end: hold still.
    Ended,
}

impl Display for State {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Stale => "stale",
            Self::Lost => "lost",
            Self::Ended => "ended",
        })
    }
}

/// Ages and counts at which the state changes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    /// Age from which the camera is stale, seconds.
    pub stale_secs: f64,
    /// Age from which it is lost, seconds.
    pub lost_secs: f64,
    /// Identical frames from which it is frozen; 0 for never.
    pub frozen_frames: u64,
}

/// What happened to a camera so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Facts {
    /// When it was opened, seconds.
    pub opened_secs: f64,
    /// When the newest frame was captured, seconds.
    pub newest_secs: Option<f64>,
    /// Frames in a row, the newest included, that equal the one before.
    pub identical: u64,
    /// The last thing that went wrong since the newest frame.
    pub trouble: Option<String>,
    /// Why there will be no frame any more.
    pub ended: Option<String>,
}

impl Facts {
    /// Age of the newest frame at `now_secs`, seconds; never negative.
    pub fn age_secs(&self, now_secs: f64) -> Option<f64> {
        self.newest_secs.map(|newest| (now_secs - newest).max(0.0))
    }

    /// The state at `now_secs`, and why it is not live.
    pub fn state(&self, now_secs: f64, thresholds: &Thresholds) -> (State, String) {
        let because = |text: String| match &self.trouble {
            Some(trouble) => format!("{text}: {trouble}"),
            None => text,
        };
        if let Some(ended) = &self.ended {
            let state = if self.newest_secs.is_some() { State::Ended } else { State::Lost };
            return (state, ended.clone());
        }
        let Some(age) = self.age_secs(now_secs) else {
            let waited = now_secs - self.opened_secs;
            let state = if waited > thresholds.lost_secs { State::Lost } else { State::Connecting };
            return (state, because(format!("no frame yet for {waited:.1} s")));
        };
        if age > thresholds.stale_secs {
            let state = if age > thresholds.lost_secs { State::Lost } else { State::Stale };
            return (state, because(format!("no frame for {age:.2} s")));
        }
        if thresholds.frozen_frames > 0 && self.identical >= thresholds.frozen_frames {
            return (State::Stale, format!("frozen: the last {} frames are identical", self.identical + 1));
        }
        (State::Live, String::new())
    }
}

/// Pauses between tries to connect: they double from 0.1 s up to a bound, and begin anew after a connection that
/// lasted.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    next_secs: f64,
    most_secs: f64,
}

impl Backoff {
    const FIRST_SECS: f64 = 0.1;
    /// A connection that gave frames for so long was a good one.
    const LASTED_SECS: f64 = 1.0;

    /// Pauses of at most `most_secs`.
    pub fn new(most_secs: f64) -> Self {
        Self { next_secs: Self::FIRST_SECS.min(most_secs), most_secs }
    }

    /// The pause after a connection that gave frames for `lasted_secs`.
    pub fn pause_secs(&mut self, lasted_secs: f64) -> f64 {
        if lasted_secs >= Self::LASTED_SECS {
            *self = Self::new(self.most_secs);
        }
        let pause = self.next_secs;
        self.next_secs = (2.0 * pause).min(self.most_secs);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THRESHOLDS: Thresholds = Thresholds { stale_secs: 0.5, lost_secs: 5.0, frozen_frames: 30 };

    fn state(facts: &Facts, now_secs: f64) -> State {
        facts.state(now_secs, &THRESHOLDS).0
    }

    #[test]
    fn a_camera_connects_lives_grows_stale_and_is_lost() {
        let mut facts = Facts { opened_secs: 10.0, ..Facts::default() };
        assert_eq!(
            (state(&facts, 10.0), state(&facts, 15.0), state(&facts, 15.1)),
            (State::Connecting, State::Connecting, State::Lost)
        );
        facts.newest_secs = Some(20.0);
        assert_eq!((state(&facts, 20.5), state(&facts, 20.6)), (State::Live, State::Stale));
        assert_eq!((state(&facts, 25.0), state(&facts, 25.1)), (State::Stale, State::Lost));
        facts.newest_secs = Some(26.0);
        assert_eq!(state(&facts, 25.9), State::Live, "a driver's time may be a little ahead");
        facts.ended = Some("the end of clip.mp4".into());
        assert_eq!(facts.state(26.0, &THRESHOLDS), (State::Ended, "the end of clip.mp4".into()));
        facts.newest_secs = None;
        assert_eq!(state(&facts, 26.0), State::Lost, "it has never shown anything");
    }

    #[test]
    fn a_frozen_feed_is_stale_however_fresh_its_frames_are() {
        let mut facts = Facts { newest_secs: Some(1.0), identical: 29, ..Facts::default() };
        assert_eq!(state(&facts, 1.0), State::Live);
        facts.identical = 30;
        assert_eq!(state(&facts, 1.0), State::Stale);
        assert!(facts.state(1.0, &THRESHOLDS).1.contains("31 frames are identical"));
        let never = Thresholds { frozen_frames: 0, ..THRESHOLDS };
        assert_eq!(facts.state(1.0, &never).0, State::Live);
    }

    #[test]
    fn the_reason_names_the_last_trouble() {
        let facts = Facts { trouble: Some("connection refused".into()), ..Facts::default() };
        let (_, reason) = facts.state(2.0, &THRESHOLDS);
        assert_eq!(reason, "no frame yet for 2.0 s: connection refused");
    }

    #[test]
    fn pauses_double_up_to_the_bound_and_begin_anew_after_a_good_connection() {
        let mut backoff = Backoff::new(1.0);
        let pauses: Vec<f64> = [0.0, 0.5, 0.0, 0.0, 0.0, 0.0, 1.5, 0.0].map(|lasted| backoff.pause_secs(lasted)).into();
        assert_eq!(pauses, [0.1, 0.2, 0.4, 0.8, 1.0, 1.0, 0.1, 0.2]);
    }
}
