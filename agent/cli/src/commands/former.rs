//! `mindseye teach`: the old name of `mindseye train HEAD`.

use anyhow::Result;
use clap::Args;

use super::train::HeadCommand;
use crate::streams::note;

/// The former name of `mindseye train HEAD`.
#[derive(Debug, Args)]
pub struct FormerArguments {
    #[command(subcommand)]
    head: HeadCommand,
}

/// Runs the command, after a line that names the present verb.
///
/// # Errors
/// Those of the head.
pub fn run(arguments: &FormerArguments) -> Result<()> {
    let verb = arguments.head.verb();
    note!("`mindseye teach` is now `mindseye {verb}`"); // the old name
    arguments.head.run()
}
