//! Connections that are refused before they have a thread.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use super::http::response;
use crate::timed_stream::is_wait;

/// Longest wait for one of them to read why.
const LINGER: Duration = Duration::from_secs(5);
/// Most that wait at the same time; the oldest go first.
const MOST: usize = 2048;
/// Pause between two lines of the log about refusals.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// Most of them that one look at the crowd attends to.
const LOOKED_AT: usize = 256;

/// Connections that were told why they are refused, and have not read it yet. Closing one whose own words nobody has
/// read would make the system throw ours away.
#[derive(Default)]
pub(super) struct Crowd(VecDeque<(TcpStream, Instant)>);

impl Crowd {
    /// Tells `stream` that it is refused. Nothing here waits.
    pub fn refuse(&mut self, mut stream: TcpStream, reason: &str) {
        let told = stream.set_nonblocking(true).and_then(|()| stream.write_all(&response(super::FULL, reason)));
        if told.and_then(|()| stream.shutdown(Shutdown::Write)).is_err() {
            return;
        }
        if self.0.len() >= MOST {
            self.0.pop_front();
        }
        self.0.push_back((stream, Instant::now() + LINGER));
    }

    /// Lets go those that have read it, and those that had their time.
    pub fn attend(&mut self) {
        let now = Instant::now();
        for _ in 0..self.0.len().min(LOOKED_AT) {
            let Some((mut stream, until)) = self.0.pop_front() else { return };
            let mut said = [0; 1024];
            let is_there = match stream.read(&mut said) {
                Ok(bytes) => bytes > 0,
                Err(error) => is_wait(&error),
            };
            if is_there && now < until {
                self.0.push_back((stream, until));
            }
        }
    }
}

/// Counts refusals, of which few are worth a line of the log.
#[derive(Default)]
pub(super) struct Refusals {
    count: u64,
    said: Option<Instant>,
}

impl Refusals {
    /// Counts one at `now`: how many there were, where that is to be said, at most once in a while.
    pub fn count(&mut self, now: Instant) -> Option<u64> {
        self.count += 1;
        if self.said.is_some_and(|said| now.saturating_duration_since(said) < SAY_EVERY) {
            return None;
        }
        self.said = Some(now);
        Some(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_refusals_is_a_line_now_and_then() {
        let (mut refusals, begun) = (Refusals::default(), Instant::now());
        assert_eq!((refusals.count(begun), refusals.count(begun)), (Some(1), None));
        assert_eq!(refusals.count(begun + SAY_EVERY), Some(3));
    }
}
