//! Long work tells how far it is, on stderr: a bar on a terminal, a line now and then in a log. Stdout is for results.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use indicatif::{ProgressBar, ProgressStyle};

/// Time between lines in a log.
const LOG_EVERY: Duration = Duration::from_secs(15);

/// How far some work is.
pub struct Meter {
    bar: ProgressBar,
    what: String,
    terminal: bool,
    logged: Mutex<Instant>,
}

impl Meter {
    /// A meter for `total` `unit`s of `what`.
    pub fn new(what: &str, total: usize, unit: &str) -> Self {
        let bar = ProgressBar::new(total as u64);
        let template = format!("{what:>10} {{bar:30}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left {{msg}}");
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style);
        }
        let terminal = std::io::stderr().is_terminal();
        Self { bar, what: format!("{what}: "), terminal, logged: Mutex::new(Instant::now()) }
    }

    /// Notes that `done` units are done, with something to say about them.
    pub fn set(&self, done: usize, message: impl FnOnce() -> String) {
        self.bar.set_position(self.bar.position().max(done as u64)); // threads may report out of order
        if self.terminal {
            self.bar.set_message(message());
            return;
        }
        let Ok(mut logged) = self.logged.try_lock() else { return };
        if logged.elapsed() >= LOG_EVERY {
            *logged = Instant::now();
            let (length, left) = (self.bar.length().unwrap_or(0), self.bar.eta().as_secs());
            eprintln!("{}{}/{length}, {left} s left {}", self.what, self.bar.position(), message());
        }
    }

    /// Says something that stays.
    pub fn note(&self, text: &str) {
        self.bar.suspend(|| eprintln!("{text}"));
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

static STOP: AtomicBool = AtomicBool::new(false);

/// A flag that the first Ctrl-C raises, so that work can end in order; the second ends the program at once.
///
/// # Errors
/// When the system does not let signals be caught.
pub fn stop_on_ctrl_c() -> Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        eprintln!("stopping in order; once more to stop at once");
    })
    .context("catching Ctrl-C")?;
    Ok(&STOP)
}
