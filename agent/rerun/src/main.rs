//! `cargo run --release -p mindseye-rerun -- run push_t --out push_t.rrd`.

use std::io::Write as _;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use mindseye_interface::text::one_line;
use mindseye_rerun::{DataArguments, EvaluateArguments, INTERRUPTED, Interrupted, RunArguments, stop_on_ctrl_c};

/// Record runs, evaluated pairs and data sets for Rerun's viewer (rerun.io, version 0.36).
///
/// Images, the scene in three dimensions, imagined plans, energies, surprise and latents lie on one timeline, in a file
/// (`--out`) or in a viewer that runs already (`--connect`). Ctrl-C ends in order: what was recorded so far is kept as
/// a whole file.
#[derive(Debug, Parser)]
#[command(
    name = "mindseye-rerun",
    version,
    after_help = "Examples:\n  \
    mindseye-rerun run push_t --out push_t.rrd && rerun push_t.rrd\n  \
    mindseye-rerun run bridge --speed 1 --connect rerun+http://127.0.0.1:9876/proxy\n  \
    mindseye-rerun evaluate two_room --seed 0 --episodes 4 --out two_room.rrd\n  \
    mindseye-rerun data data/two_room --max-episodes 3 --out episodes.rrd"
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Run(RunArguments),
    Evaluate(EvaluateArguments),
    Data(DataArguments),
}

fn run(arguments: &Arguments) -> Result<()> {
    let stop = stop_on_ctrl_c()?;
    // A closed pipe ends no recording.
    let mut say = |line: &str| drop(writeln!(std::io::stdout().lock(), "{}", one_line(line)));
    match &arguments.verb {
        Verb::Run(arguments) => arguments.run(stop, &mut say),
        Verb::Evaluate(arguments) => arguments.run(stop, &mut say),
        Verb::Data(arguments) => arguments.run(stop, &mut say),
    }
}

/// Tensor operations run on the calling thread, as in the `mindseye` binary; a variable that is there is left alone.
#[allow(unsafe_code)]
fn one_thread_per_tensor_operation() {
    const VARIABLE: &str = "CANDLE_NUM_THREADS";
    if std::env::var_os(VARIABLE).is_none() {
        // SAFETY: called first in `main`, before there is another thread that could read the environment.
        unsafe { std::env::set_var(VARIABLE, "1") };
    }
}

fn main() -> ExitCode {
    one_thread_per_tensor_operation();
    let Err(error) = run(&Arguments::parse()) else { return ExitCode::SUCCESS };
    match error.downcast_ref::<Interrupted>() {
        Some(interrupted) => {
            eprintln!("{interrupted}");
            ExitCode::from(INTERRUPTED)
        }
        None => {
            eprintln!("error: {}", one_line(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
