//! The `mindseye` binary: arguments in, library calls, printed results out. One verb per file in `commands/`.

mod commands;
mod progress;
mod streams;

use std::process::ExitCode;

use clap::Parser;
use mindseye_interface::out_of_memory::EndsWithALine;
use mindseye_interface::text::one_line;

use crate::commands::Arguments;
use crate::progress::{INTERRUPTED, Interrupted, is_asked_to_stop};
use crate::streams::note;

/// Training allocates and frees the same large buffers at every step; glibc returns each to the system and faults it in
/// again.
#[global_allocator]
static ALLOCATOR: EndsWithALine<mimalloc::MiMalloc> = EndsWithALine(mimalloc::MiMalloc);

/// Makes candle run every tensor operation on the calling thread: work is divided outside (see ARCHITECTURE.md), and
/// candle's own helper threads spin while they wait, which took a quarter of the processor when it was measured. Its
/// only switch is an environment variable; one that is set already is left alone.
#[allow(unsafe_code)]
fn one_thread_per_tensor_operation() {
    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: called first in `main`, before there is another thread that could read the environment.
        unsafe { std::env::set_var(VARIABLE, "1") };
    }
}

/// Makes the allocator keep freed memory for a minute instead of a second before it returns it to the system: planning
/// and training ask for the same sizes again and again, and every page that comes from the system is cleared first (a
/// tenth of a tick when it was measured). The allocator's own environment variable takes precedence.
#[allow(unsafe_code)]
fn keep_freed_memory_for_a_minute() {
    /// Index of `purge_delay` in mimalloc's list of options (milliseconds), which the bindings leave out.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: sets a number; mimalloc reads it whenever it frees.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 60_000) };
    }
}

/// Keeps panics of libraries that are caught and become errors of one line from being printed.
fn quiet_expected_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !mindseye_episodes::is_guarded() {
            hook(panic);
        }
    }));
}

fn main() -> ExitCode {
    quiet_expected_panics();
    one_thread_per_tensor_operation();
    keep_freed_memory_for_a_minute();
    let command = Arguments::parse().command;
    match command.run() {
        // What was kept of it is no success: `train && evaluate` ends here.
        Ok(()) if command.has_an_end() && is_asked_to_stop() => ExitCode::from(INTERRUPTED),
        Ok(()) if streams::have_failed() => ExitCode::FAILURE,
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<Interrupted>() {
            Some(interrupted) => {
                note!("{interrupted}");
                ExitCode::from(INTERRUPTED)
            }
            None => {
                // Names in it may come from files: none of them acts on the terminal.
                note!("error: {}", one_line(&format!("{error:#}")));
                ExitCode::FAILURE
            }
        },
    }
}
