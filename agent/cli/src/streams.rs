//! Standard output and standard error as a program meets them: closed pipes and full disks end no work.
//!
//! `say!` prints a line of results on stdout, `note!` a remark on stderr; `println!` and `eprintln!` panic where a line
//! cannot be written, in the middle of whatever was being done.

use std::fmt::Arguments;
use std::io::{ErrorKind, Result, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Prints a line on stdout.
macro_rules! say {
    ($($text:tt)*) => { $crate::streams::say_line(format_args!($($text)*)) };
}

/// Prints a line on stderr.
macro_rules! note {
    ($($text:tt)*) => { $crate::streams::note_line(format_args!($($text)*)) };
}

pub(crate) use {note, say};

/// Whether stdout takes no more: nothing further is printed on it.
static ENDED: AtomicBool = AtomicBool::new(false);
/// Whether that is an error: a closed pipe is none, its reader has seen enough.
static FAILED: AtomicBool = AtomicBool::new(false);

/// Prints a line on stdout. The first line that cannot be written is the last one that is tried: a closed pipe ends the
/// output quietly, another failure with one line on stderr and exit code 1 in the end. The work goes on.
pub fn say_line(line: Arguments<'_>) {
    if ENDED.load(Ordering::Relaxed) {
        return;
    }
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
    if let Some(failure) = failure(written) {
        FAILED.store(true, Ordering::Relaxed);
        note_line(format_args!("error: {failure}"));
    }
}

/// Prints a line on stderr, if it can be written: what is said there is not a result.
pub fn note_line(line: Arguments<'_>) {
    let _ = writeln!(std::io::stderr().lock(), "{line}");
}

/// Whether nothing further can be printed on stdout: there is no use in going on for the sake of its reader.
pub fn have_ended() -> bool {
    ENDED.load(Ordering::Relaxed)
}

/// Whether results could not be printed, for another reason than that nobody wanted to read them.
pub fn have_failed() -> bool {
    FAILED.load(Ordering::Relaxed)
}

/// What is wrong with `written`, where that is an error; nothing is printed after a failure of any kind.
fn failure(written: Result<()>) -> Option<String> {
    let error = written.err()?;
    ENDED.store(true, Ordering::Relaxed);
    (error.kind() != ErrorKind::BrokenPipe).then(|| format!("writing to stdout: {error}"))
}
