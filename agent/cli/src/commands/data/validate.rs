//! `mindseye data validate`: every episode is read; broken ones are listed, and can be left out of a new data set.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_episodes::{
    BrokenEpisode, ConvertOptions, Converted, SourceEpisodes, ValidationReport, convert, open_with, validate,
};
use mindseye_interface::config::require_range;
use mindseye_interface::text::{printable, printable_path};
use serde::Serialize;

use crate::commands::{load_mapping, print_json, with_options};
use crate::progress::{TerminalProgress, stop_on_ctrl_c};
use crate::streams::say;

/// Read every episode, list the broken ones, and warn of what is readable and useless.
///
/// With --repair, the readable episodes are written to a new data set; the old one is never changed.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye data validate recording --repair recording_repaired")]
pub struct ValidateArguments {
    /// The data set: a LeRobot folder, an HDF5 file or folder of stable-worldmodel, or an HDF5 file of robomimic.
    path: PathBuf,
    /// Which columns are what (TOML, see docs/recordings.md); missing fields take the default columns.
    #[arg(long)]
    mapping: Option<PathBuf>,
    /// Folder of a new data set with the readable episodes.
    #[arg(long)]
    repair: Option<PathBuf>,
    /// Timesteps per second, where the data do not record them, or record them wrongly.
    #[arg(long)]
    fps: Option<u32>,
    /// Exit with an error if there are warnings.
    #[arg(long)]
    strict: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// The report, with the new data set.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    validation: ValidationReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<Converted>,
    /// What of the data set is not read, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    notes: Vec<String>,
}

/// Runs the command.
///
/// # Errors
/// When the data set cannot be opened, when an episode is broken and is not repaired, or when the new folder cannot be
/// written.
pub fn run(arguments: &ValidateArguments) -> Result<()> {
    require_range("--fps", arguments.fps.unwrap_or(1), 1, 100_000)?;
    let mapping = load_mapping(arguments.mapping.as_deref())?.or_rate(arguments.fps.map(f64::from));
    let source = open_with(&arguments.path, &mapping)?;
    let bar = TerminalProgress::stopped_by(stop_on_ctrl_c()?);
    let validation = validate(source.as_ref(), &bar)?;
    let repaired = match &arguments.repair {
        Some(_) if validation.readable().is_empty() => {
            bail!("--repair: expected readable episodes in {}, got none", printable_path(&arguments.path))
        }
        Some(out) => {
            let parts = [SourceEpisodes { source: source.as_ref(), episodes: validation.readable() }];
            let options = ConvertOptions { frames_per_second: arguments.fps, ..ConvertOptions::default() };
            Some(convert(&parts, out, &options, &bar).map_err(with_options)?)
        }
        None => None,
    };
    let report = Report { validation, repaired, notes: source.notes().to_vec() };
    if arguments.json {
        print_json(&report)?;
    } else {
        print(&report);
    }
    match (report.validation.broken.len(), &report.repaired) {
        (0, _) | (_, Some(_)) if !arguments.strict || report.validation.warnings.is_empty() => Ok(()),
        (0, _) | (_, Some(_)) => bail!("--strict: expected no warnings, got {}", report.validation.warnings.len()),
        (count, None) => {
            let path = printable_path(&arguments.path);
            bail!("{path}: expected readable episodes, got {count} broken (--repair FOLDER leaves them out)")
        }
    }
}

fn print(Report { validation, repaired, notes }: &Report) {
    let ValidationReport { path, format, episodes, frames, broken, warnings } = validation;
    let path = printable_path(path);
    say!("{path} ({format}): {episodes} episodes, {frames} frames, {} broken", broken.len());
    notes.iter().for_each(|note| say!("  {}", printable(note)));
    broken.iter().for_each(|BrokenEpisode { episode, reason }| say!("  episode {episode}: {reason}"));
    warnings.iter().for_each(|warning| say!("  warning: {}", warning.message));
    if let Some(Converted { path, episodes, frames, .. }) = repaired {
        say!("{}: {episodes} episodes, {frames} frames", printable_path(path));
    }
}
