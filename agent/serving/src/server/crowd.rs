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
