//! Ctrl-C: the first one ends the work in order, the second the program.

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

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

/// A flag that the first Ctrl-C raises; the second ends the program at once.
///
/// # Errors
/// When the system does not let signals be caught.
pub fn stop_on_ctrl_c() -> Result<&'static AtomicBool> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(INTERRUPTED.into());
        }
    })
    .context("catching Ctrl-C")?;
    Ok(&STOP)
}
