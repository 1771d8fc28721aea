//! Actions of a driver: what moves the robot while cameras look on. They come as JSON lines, or from a program.

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
pub struct ActionFeed {
    newest: Arc<(Mutex<Inner>, Condvar)>,
    names: Arc<Names>,
}

/// Names of numbers; empty where the driver names none.
#[derive(Debug, Default)]
struct Names {
    actions: Vec<String>,
    proprioception: Vec<String>,
}

/// The newest action.
#[derive(Debug, Clone, PartialEq)]
pub struct DrivenAction {
    /// Its numbers.
    pub values: Vec<f32>,
    /// Where the robot was when it came, as the driver measured it; empty where it measures nothing.
    pub proprioception: Vec<f32>,
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
        let feed = Self { newest: Arc::new((Mutex::new(inner), Condvar::new())), names: Arc::default() };
        let writer = feed.clone();
        let thread = std::thread::Builder::new().name("actions".into());
        thread
            .spawn(move || writer.take_all(input, &clock))
            .map_err(|error| Error::argument("actions", "a thread to read them", error))?;
        Ok(feed)
    }

    /// A feed that a program fills with [`ActionFeed::give`]: numbers of actions and measurements by these names.
    pub fn filled(actions: Vec<String>, proprioception: Vec<String>) -> Self {
        let inner = Inner { width: Some(actions.len()), ..Inner::default() };
        let newest = Arc::new((Mutex::new(inner), Condvar::new()));
        Self { newest, names: Arc::new(Names { actions, proprioception }) }
    }

    /// The newest action of a program, and what it measured. One with other numbers of values than it has names, or
    /// with a value that is not finite, is refused and counted.
    pub fn give(&self, action: DrivenAction) {
        let DrivenAction { values, proprioception, received_secs } = action;
        let (expected, got) = (self.names.proprioception.len(), proprioception.len());
        if got != expected || proprioception.iter().any(|value| !value.is_finite()) {
            return self.refuse(format!("measurements: expected {expected} finite numbers, got {got}"));
        }
        self.take(values, proprioception, received_secs);
    }

    /// Says that the newest action was the last.
    pub fn end(&self) {
        self.inner().ended = true;
        self.newest.1.notify_all();
    }

    /// Names of the numbers of an action of `width`.
    pub fn action_names(&self, width: usize) -> Vec<String> {
        if self.names.actions.len() == width && width > 0 {
            return self.names.actions.clone();
        }
        (0..width).map(|index| format!("action_{index}")).collect()
    }

    /// Names of what the driver measures; none where it measures nothing.
    pub fn proprioception_names(&self) -> Vec<String> {
        self.names.proprioception.clone()
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
                Ok(Line { action }) => self.take(action, Vec::new(), clock.now_secs()),
                Err(error) => self.refuse(format!("expected {{\"action\": [numbers]}}, got: {error}")),
            }
        }
        self.end();
    }

    fn take(&self, values: Vec<f32>, proprioception: Vec<f32>, received_secs: f64) {
        let expected = self.inner().width;
        let fits = (1..=MAX_WIDTH).contains(&values.len()) && expected.is_none_or(|width| width == values.len());
        if !fits || values.iter().any(|value| !value.is_finite()) {
            let expected = expected.map_or_else(|| format!("1 to {MAX_WIDTH}"), |width| width.to_string());
            return self.refuse(format!("action: expected {expected} finite numbers, got {}", values.len()));
        }
        let mut inner = self.inner();
        inner.width = Some(values.len());
        inner.received += 1;
        inner.newest = Some(DrivenAction { values, proprioception, received_secs });
        self.newest.1.notify_all();
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
        let waited = self.newest.1.wait_timeout_while(self.inner(), timeout, waiting);
        waited.unwrap_or_else(PoisonError::into_inner).0.newest.clone()
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.newest.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
