//! The `mindseye` binary: arguments in, library calls, printed results out. One verb per file in `commands/`.

mod assets;
mod commands;
mod progress;

use std::io::ErrorKind;
use std::process::ExitCode;

use clap::Parser;

use crate::commands::Arguments;

/// Training allocates and frees the same large buffers at every step; glibc returns each to the system and faults it in
/// again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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

/// Text with which the standard library panics when a pipe that is printed to is closed (`mindseye inspect X | head
/// -1`).
const CLOSED_PIPE: &str = "failed printing to stdout";

/// Keeps two kinds of panics from being printed: those of libraries that are caught and become errors of one line, and
/// that of printing into a closed pipe, which ends the program quietly.
fn quiet_expected_panics() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if panic.payload_as_str().is_some_and(|text| text.starts_with(CLOSED_PIPE)) {
            std::process::exit(0);
        }
        if !mindseye_episodes::is_guarded() {
            hook(panic);
        }
    }));
}

fn main() -> ExitCode {
    quiet_expected_panics();
    one_thread_per_tensor_operation();
    keep_freed_memory_for_a_minute();
    match Arguments::parse().command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", format!("{error:#}").replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

/// Whether `error` came from writing to a closed stdout.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let is_broken = |cause: &std::io::Error| cause.kind() == ErrorKind::BrokenPipe;
    error.to_string().starts_with("writing to stdout") && error.downcast_ref().is_some_and(is_broken)
}
