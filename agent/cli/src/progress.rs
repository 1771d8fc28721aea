//! Progress of long work on stderr: a bar on a terminal, a line now and then in a log. Stdout is for results.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};
use mindseye_interface::Progress;
use mindseye_interface::progress::rate_and_time_left;

use crate::streams::note;

/// Time between lines in a log.
const LOG_EVERY: Duration = Duration::from_secs(15);

/// Progress of library work: a meter per stage, and a request to stop passed on.
#[derive(Default)]
pub struct TerminalProgress {
    meter: Mutex<Option<Meter>>,
    stop: Option<&'static AtomicBool>,
}

impl TerminalProgress {
    /// Progress of work that stops when `stop` is raised (see [`stop_on_ctrl_c`]).
    pub fn stopped_by(stop: &'static AtomicBool) -> Self {
        Self { meter: Mutex::default(), stop: Some(stop) }
    }

    /// Prints a line that stays.
    pub fn note(&self, text: &str) {
        match &*self.meter() {
            Some(meter) => meter.bar.suspend(|| note!("{text}")),
            None => note!("{text}"),
        }
    }

    fn meter(&self) -> MutexGuard<'_, Option<Meter>> {
        self.meter.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Progress for TerminalProgress {
    fn begin(&self, stage: &str, total: usize, unit: &str) {
        *self.meter() = Some(Meter::new(stage, total, unit));
    }

    fn advance(&self, done: usize, note: &str) -> bool {
        if let Some(meter) = self.meter().as_mut() {
            meter.set(done, note);
        }
        self.stop.is_none_or(|stop| !stop.load(Ordering::Relaxed))
    }

    fn end(&self) {
        *self.meter() = None;
    }
}

/// Progress of one stage.
struct Meter {
    bar: ProgressBar,
    stage: String,
    terminal: bool,
    logged: Instant,
    /// When the first units were reported, and how many: a resumed run does not start at zero.
    begun: Option<(Instant, u64)>,
}

impl Meter {
    fn new(stage: &str, total: usize, unit: &str) -> Self {
        let bar = ProgressBar::new(total as u64);
        // The last part is cut to the terminal's width: a bar never takes two lines.
        let template = format!("{stage:>10} {{bar:20}} {{pos}}/{{len}} {unit}, {{wide_msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        let terminal = std::io::stderr().is_terminal();
        Self { bar, stage: stage.to_owned(), terminal, logged: Instant::now(), begun: None }
    }

    fn set(&mut self, done: usize, note: &str) {
        let done = done as u64;
        let (begun, first) = *self.begun.get_or_insert_with(|| (Instant::now(), done));
        self.bar.set_position(self.bar.position().max(done)); // threads may report out of order
        if !self.terminal && self.logged.elapsed() < LOG_EVERY {
            return;
        }
        // Rate and time left by the whole past of this run: steadier than by its last seconds.
        let (position, length) = (self.bar.position(), self.bar.length().unwrap_or(0));
        let rate = rate_and_time_left(position - first.min(position), length.saturating_sub(position), begun.elapsed());
        if self.terminal {
            self.bar.set_message(format!("{rate} {note}"));
        } else {
            self.logged = Instant::now();
            note!("{}: {position}/{length}, {rate} {note}", self.stage);
        }
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Exit code of a program that Ctrl-C ended: 128 and the number of the signal.
pub const INTERRUPTED: u8 = 130;

/// Work that ended at a request before it was complete, and what became of it.
#[derive(Debug)]
pub struct Interrupted(pub String);

impl std::fmt::Display for Interrupted {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Interrupted {}

static STOP: AtomicBool = AtomicBool::new(false);

/// A flag that the first Ctrl-C raises, so that work can end in order; the second ends the program at once.
///
/// # Errors
/// When the system does not let signals be caught.
pub fn stop_on_ctrl_c() -> Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
        note!("stopping in order; once more to stop at once");
    })
    .context("catching Ctrl-C")?;
    Ok(&STOP)
}

/// Whether Ctrl-C or SIGTERM asked this process to stop.
pub fn is_asked_to_stop() -> bool {
    STOP.load(Ordering::Relaxed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_asked_to_stop_once_the_flag_is_raised() {
        static STOP: AtomicBool = AtomicBool::new(false);
        let progress = TerminalProgress::stopped_by(&STOP);
        progress.begin("evaluate", 10, "episodes");
        assert!(progress.advance(1, ""));
        STOP.store(true, Ordering::Relaxed);
        assert!(!progress.advance(2, ""));
        progress.end();
    }
}
