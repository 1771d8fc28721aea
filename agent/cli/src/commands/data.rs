//! `mindseye data`: recorded episodes looked at, checked and converted.

mod convert;
mod preview;
mod validate;

use anyhow::Result;
use clap::{Args, Subcommand};
use mindseye_episodes::EpisodeSource;

/// Look at recorded episodes, check them, convert and join them.
///
/// Reads LeRobot folders (v3.0 and v2.1; pictures in tables, AV1 and H.264 videos), stable-worldmodel's HDF5 files and folders, and robomimic's
/// HDF5 files; writes LeRobotDataset v3.0 (pictures in its tables or as AV1) and HDF5. What is read is never changed.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples: mindseye data validate recording\n          mindseye data convert pusht.h5 --fps 10 --out data/pusht\n          mindseye data preview data/pusht --out sheet.png"
)]
pub struct DataArguments {
    #[command(subcommand)]
    command: DataCommand,
}

#[derive(Debug, Subcommand)]
enum DataCommand {
    Validate(validate::ValidateArguments),
    Inspect(super::inspect::InspectArguments),
    Convert(convert::ConvertArguments),
    Merge(convert::ConvertArguments),
    Preview(preview::PreviewArguments),
}

/// Runs the command.
///
/// # Errors
/// When data are broken or an output cannot be written.
pub fn run(arguments: &DataArguments) -> Result<()> {
    match &arguments.command {
        DataCommand::Validate(arguments) => validate::run(arguments),
        DataCommand::Inspect(arguments) => super::inspect::run(arguments),
        DataCommand::Convert(arguments) | DataCommand::Merge(arguments) => convert::run(arguments),
        DataCommand::Preview(arguments) => preview::run(arguments),
    }
}

/// `names`, or `prefix_0`, `prefix_1`, ... if they are not `width`.
pub(super) fn names_or_numbers(names: Vec<String>, width: usize, prefix: &str) -> Vec<String> {
    if names.len() == width { names } else { (0..width).map(|index| format!("{prefix}_{index}")).collect() }
}

/// Moments per second as LeRobot has them: a whole number.
fn whole_rate(source: &dyn EpisodeSource, given: Option<u32>) -> Result<u32> {
    match (given, source.frames_per_second()) {
        (Some(rate), _) => Ok(rate),
        (None, Some(rate)) => Ok(rate.round() as u32),
        (None, None) => {
            anyhow::bail!("{}: expected --fps, since the data do not say, got none", source.path().display())
        }
    }
}
