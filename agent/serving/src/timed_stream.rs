//! A connection that cannot keep its thread: every message has to be whole, and every answer taken, in time.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often a waiting read looks whether the server ends.
pub(crate) const POLL: Duration = Duration::from_millis(50);
/// Longest wait for the other side to read the last words.
const LAST_WORDS: Duration = Duration::from_millis(300);
/// Most bytes that are read and dropped meanwhile.
const DROPPED_BYTES: usize = 1 << 16;

/// A TCP stream with deadlines for whole messages.
pub(crate) struct TimedStream<'a> {
    stream: TcpStream,
    stop: &'a AtomicBool,
    message_secs: f64,
    /// When the first byte came since the last whole message.
    begun: Option<Instant>,
    /// When what is being written has to be written.
    write_by: Instant,
}

impl<'a> TimedStream<'a> {
    /// `stream`, whose messages take at most `message_secs` each way.
    pub fn new(stream: TcpStream, message_secs: f64, stop: &'a AtomicBool) -> Result<Self> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(POLL))?;
        let mut timed = Self { stream, stop, message_secs, begun: None, write_by: Instant::now() };
        timed.begin_write();
        Ok(timed)
    }

    /// Whether the server ends.
    pub fn is_ending(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A message begins to be written.
    pub fn begin_write(&mut self) {
        self.write_by = Instant::now() + Duration::from_secs_f64(self.message_secs);
    }

    /// A whole message was read.
    pub fn message_ended(&mut self) {
        self.begun = None;
    }

    /// A message begins to be read.
    pub fn message_begins(&mut self) {
        self.begun.get_or_insert_with(Instant::now);
    }

    /// Ends the connection so that the other side can still read what was written last: bytes of it that nobody read
    /// would make the system throw that away.
    pub fn part(self) {
        let _ = self.stream.shutdown(Shutdown::Write);
        let (until, mut dropped, mut buffer) = (Instant::now() + LAST_WORDS, 0, [0; 4096]);
        while Instant::now() < until && dropped < DROPPED_BYTES {
            match (&self.stream).read(&mut buffer) {
                Ok(0) => break,
                Ok(bytes) => dropped += bytes,
                Err(error) if is_wait(&error) => {}
                Err(_) => break,
            }
        }
    }
}

/// Whether `error` says that there is nothing to read yet.
pub(crate) fn is_wait(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

impl Read for TimedStream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(ErrorKind::WouldBlock.into());
        }
        if self.begun.is_some_and(|begun| begun.elapsed().as_secs_f64() > self.message_secs) {
            let reason = format!("expected a whole message within {} s of its first byte", self.message_secs);
            return Err(Error::other(reason));
        }
        match self.stream.read(buffer) {
            Ok(bytes) => {
                if bytes > 0 {
                    self.message_begins();
                }
                Ok(bytes)
            }
            Err(error) if is_wait(&error) => Err(ErrorKind::WouldBlock.into()),
            Err(error) => Err(error),
        }
    }
}

impl Write for TimedStream<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let left = self.write_by.saturating_duration_since(Instant::now());
        let slow = || Error::other(format!("expected it to read an answer within {} s", self.message_secs));
        if left.is_zero() {
            return Err(slow());
        }
        self.stream.set_write_timeout(Some(left))?;
        self.stream.write(bytes).map_err(|error| if is_wait(&error) { slow() } else { error })
    }

    fn flush(&mut self) -> Result<()> {
        self.stream.flush()
    }
}
