//! `mindseye data`: recorded episodes checked, converted and drawn.

mod convert;
mod preview;
mod validate;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

/// Check recorded episodes, convert and join them, and draw samples of them (`mindseye inspect` describes them).
///
/// Reads LeRobot folders (v3.0 and v2.1; images in tables, AV1 and H.264 videos), stable-worldmodel's HDF5 files and
/// folders, and robomimic's HDF5 files; writes LeRobotDataset v3.0 (images in its tables or as AV1) and HDF5. Existing
/// data are never changed.
#[derive(Debug, Args)]
#[command(after_help = "Examples: mindseye data validate recording\n          \
                        mindseye data convert pusht.h5 --fps 10 --out data/pusht\n          \
                        mindseye data preview data/pusht --out sheet.png")]
pub struct DataArguments {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    Validate(validate::ValidateArguments),
    // The former second name still works, but is not shown.
    #[command(alias = "merge")]
    Convert(convert::ConvertArguments),
    Preview(preview::PreviewArguments),
    /// Renamed to `mindseye inspect`.
    #[command(hide = true)]
    Inspect(RemovedArguments),
}

/// Any arguments of a removed command.
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
struct RemovedArguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _ignored: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When data are broken or an output cannot be written.
pub fn run(arguments: &DataArguments) -> Result<()> {
    match &arguments.command {
        DataCommand::Validate(arguments) => validate::run(arguments),
        DataCommand::Convert(arguments) => convert::run(arguments),
        DataCommand::Preview(arguments) => preview::run(arguments),
        DataCommand::Inspect(_) => {
            bail!("data inspect: expected `mindseye inspect PATH`, the only name of this command")
        }
    }
}
