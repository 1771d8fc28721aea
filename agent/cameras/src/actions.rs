//! Actions of a driver, as JSON lines: what moves the robot while cameras look on.

use std::io::{BufReader, Read};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mindseye_interface::inputs::next_line;
use serde::Deserialize;

use crate::{Error, Result, SharedClock};

/// Most bytes of a line.
const MAX_LINE: usize = 64 << 10;
/// Most numbers of an action.
const MAX_WIDTH: usize = 256;

/// One line: `{"action": [0.1, -0.2]}`. Other fields are ignored.
#[derive(Deserialize)]
struct Line {
    action: Vec<f32>,
}

/// The newest action of a driver, in the driver's units. A newer one replaces it; there is no queue.
#[derive(Debug, Clone)]
pub struct ActionFeed(Arc<(Mutex<Inner>, Condvar)>);

/// The newest action.
#[derive(Debug, Clone, PartialEq)]
pub struct DrivenAction {
    /// Its numbers.
    pub values: Vec<f32>,
    /// When it came, seconds of the clock.
    pub received_secs: f64,
}

#[derive(Debug, Default)]
struct Inner {
    newest: Option<DrivenAction>,
    width: Option<usize>,
    received: u64,
    refused: u64,
    trouble: Option<String>,
    ended: bool,
}

/// What came of a driver so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ActionCounts {
    /// Actions that came.
    pub received: u64,
    /// Lines that were no action.
    pub refused: u64,
    /// Why the last of these was none.
    pub trouble: Option<String>,
}

impl ActionFeed {
    /// The actions that `input` says, read on a thread of their own, with times of `clock`. `width` is their expected
    /// number of values; without it that of the first line holds for all.
    ///
    /// # Errors
    /// [`Error::Argument`] when the system gives no thread.
    pub fn read(input: impl Read + Send + 'static, width: Option<usize>, clock: SharedClock) -> Result<Self> {
        let inner = Inner { width, ..Inner::default() };
        let feed = Self(Arc::new((Mutex::new(inner), Condvar::new())));
        let writer = feed.clone();
        let thread = std::thread::Builder::new().name("actions".into());
        thread
            .spawn(move || writer.take_all(input, &clock))
            .map_err(|error| Error::argument("actions", "a thread to read them", error))?;
        Ok(feed)
    }

    fn take_all(&self, input: impl Read, clock: &SharedClock) {
        let mut input = BufReader::new(input);
        while let Ok(Some(line)) = next_line(&mut input, MAX_LINE) {
            let line = match line {
                Ok(line) if line.iter().all(u8::is_ascii_whitespace) => continue,
                Ok(line) => line,
                Err(reason) => {
                    self.refuse(reason);
                    continue;
                }
            };
            match serde_json::from_slice::<Line>(&line) {
                Ok(Line { action }) => self.take(action, clock.now_secs()),
                Err(error) => self.refuse(format!("expected {{\"action\": [numbers]}}, got: {error}")),
            }
        }
        self.inner().ended = true;
        self.0.1.notify_all();
    }

    fn take(&self, values: Vec<f32>, received_secs: f64) {
        let expected = self.inner().width;
        let fits = (1..=MAX_WIDTH).contains(&values.len()) && expected.is_none_or(|width| width == values.len());
        if !fits || values.iter().any(|value| !value.is_finite()) {
            let expected = expected.map_or_else(|| format!("1 to {MAX_WIDTH}"), |width| width.to_string());
            return self.refuse(format!("action: expected {expected} finite numbers, got {}", values.len()));
        }
        let mut inner = self.inner();
        inner.width = Some(values.len());
        inner.received += 1;
        inner.newest = Some(DrivenAction { values, received_secs });
        self.0.1.notify_all();
    }

    fn refuse(&self, trouble: String) {
        let mut inner = self.inner();
        inner.refused += 1;
        inner.trouble = Some(trouble);
    }

    /// The newest action, if one came.
    pub fn newest(&self) -> Option<DrivenAction> {
        self.inner().newest.clone()
    }

    /// Whether the driver has hung up: the newest action is its last.
    pub fn has_ended(&self) -> bool {
        self.inner().ended
    }

    /// What came so far.
    pub fn counts(&self) -> ActionCounts {
        let inner = self.inner();
        ActionCounts { received: inner.received, refused: inner.refused, trouble: inner.trouble.clone() }
    }

    /// Waits for the first action, at most `timeout`: its width is that of all. `None` when there is none.
    pub fn first(&self, timeout: Duration) -> Option<DrivenAction> {
        let waiting = |inner: &mut Inner| inner.newest.is_none() && !inner.ended;
        let waited = self.0.1.wait_timeout_while(self.inner(), timeout, waiting);
        waited.unwrap_or_else(PoisonError::into_inner).0.newest.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
