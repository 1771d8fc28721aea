//! What the driver of a watched robot says, and what is to be said of it.

use mindseye_cameras::{ActionCounts, ActionFeed, DrivenAction};

/// A driver and what was said of it.
#[derive(Debug)]
pub(super) struct Driver {
    feed: ActionFeed,
    refusal_told: bool,
    ended: bool,
}

impl Driver {
    /// The driver behind `feed`.
    pub fn new(feed: ActionFeed) -> Self {
        Self { feed, refusal_told: false, ended: false }
    }

    /// The action that counts now: none before the first, and none any more once the driver has hung up. The first line
    /// that was refused, and the end, go to `warn` once.
    pub fn action(&mut self, warn: &mut dyn FnMut(&str)) -> Option<DrivenAction> {
        // Asked first: what was refused before the end is told before it.
        let has_ended = self.feed.has_ended();
        let ActionCounts { refused, trouble, .. } = self.feed.counts();
        if refused > 0 && !self.refusal_told {
            self.refusal_told = true;
            warn(&format!("--actions: a line was no action: {}", trouble.unwrap_or_default()));
        }
        if has_ended && !self.ended {
            self.ended = true;
            warn("--actions: the driver has ended; from now on the robot is taken to hold still");
        }
        if self.ended { None } else { self.feed.newest() }
    }

    /// Whether it has hung up.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// Lines of it that were no action.
    pub fn refused(&self) -> u64 {
        self.feed.counts().refused
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Duration;

    use mindseye_cameras::system_clock;

    use super::*;

    /// Input that gives nothing more until it is let go.
    struct Held(Receiver<()>);

    impl Read for Held {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Ok(self.0.recv().map_or(0, |()| 0))
        }
    }

    /// Symptom: a watch said nothing of refused lines, and held the last action for ever after the driver was gone.
    /// Cause: only the newest action was asked for.
    /// Fix: refusals and the end are said, each once, and an action does not outlast its driver.
    #[test]
    fn refusals_and_the_end_are_said_once_and_no_action_outlasts_the_driver() {
        let (hold, held) = channel();
        let lines = Cursor::new(b"nonsense\n{\"action\": [1]}\n{\"action\": [0.5, 2]}\n".to_vec());
        let feed = ActionFeed::read(lines.chain(Held(held)), Some(2), system_clock()).unwrap();
        assert_eq!(feed.first(Duration::from_secs(20)).unwrap().values, [0.5, 2.0]);
        let (mut driver, mut told) = (Driver::new(feed), Vec::new());
        let mut action = |driver: &mut Driver| driver.action(&mut |line| told.push(line.to_owned()));
        assert!(action(&mut driver).is_some() && action(&mut driver).is_some());
        drop(hold);
        while !driver.feed.has_ended() {
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(action(&mut driver).is_none() && action(&mut driver).is_none() && driver.has_ended());
        assert!(matches!(&told[..], [refused, ended] if refused.contains("no action") && ended.contains("has ended")));
        assert_eq!(driver.refused(), 2);
    }
}
