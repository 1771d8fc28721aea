//! The `mindseye` binary: one verb per file in `commands/`.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use mindseye::commands::{ablate, bench, compare, data, demo, evaluate, forks, inspect, record, teach, train};

/// Training allocates and frees the same large buffers at every step; glibc gives each back to the system and faults it in again.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A robot that looks before it leaps: records episodes, learns a world model from them, and acts by imagining what would follow.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "From nothing to a working agent:\n  \
    mindseye record --scene two_room --out data/two_room\n  \
    mindseye train --data data/two_room --out runs/two_room\n  \
    mindseye evaluate --scene two_room --checkpoint runs/two_room"
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::DemoArguments),
    Record(record::RecordArguments),
    Train(train::TrainArguments),
    Teach(teach::TeachArguments),
    Evaluate(evaluate::EvaluateArguments),
    Compare(compare::CompareArguments),
    Ablate(ablate::AblateArguments),
    Forks(forks::ForksArguments),
    Inspect(inspect::InspectArguments),
    Data(data::DataArguments),
    Bench(bench::BenchArguments),
}

/// Tells candle to do every tensor operation on the thread that asks for it: work is divided outside (see ARCHITECTURE.md), and
/// candle's own helper threads spin while they wait, which took a quarter of the processor when it was measured. Its only switch is
/// an environment variable; one that is set already is left alone.
#[allow(unsafe_code)]
fn one_thread_per_tensor_operation() {
    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: called first in `main`, before there is another thread that could read the environment.
        unsafe { std::env::set_var(VARIABLE, "1") };
    }
}

/// Has the allocator keep what is freed for a minute instead of a second before it gives it back to the system: planning and training ask
/// for the same sizes again and again, and every page that comes from the system is cleared first (a tenth of a tick when it was measured).
/// The allocator's own environment variable goes before this.
#[allow(unsafe_code)]
fn keep_freed_memory_for_a_minute() {
    /// Place of `purge_delay` in mimalloc's list of options (milliseconds), which the bindings leave out.
    const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
    if std::env::var_os("MIMALLOC_PURGE_DELAY").is_none() {
        // SAFETY: sets a number; mimalloc reads it whenever it frees.
        unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, 60_000) };
    }
}

/// Leaves panics in libraries that are caught and become errors unprinted: bad input is one line.
fn say_nothing_of_what_is_caught() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !mindseye_episodes::is_guarded() {
            hook(panic);
        }
    }));
}

fn main() -> ExitCode {
    say_nothing_of_what_is_caught();
    one_thread_per_tensor_operation();
    keep_freed_memory_for_a_minute();
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}", format!("{error:#}").replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    match command {
        Command::Demo(arguments) => demo::run(arguments),
        Command::Record(arguments) => record::run(arguments),
        Command::Train(arguments) => train::run(arguments),
        Command::Teach(arguments) => teach::run(arguments),
        Command::Evaluate(arguments) => evaluate::run(arguments),
        Command::Compare(arguments) => compare::run(arguments),
        Command::Ablate(arguments) => ablate::run(arguments),
        Command::Forks(arguments) => forks::run(arguments),
        Command::Inspect(arguments) => inspect::run(arguments),
        Command::Data(arguments) => data::run(arguments),
        Command::Bench(arguments) => bench::run(arguments),
    }
}
