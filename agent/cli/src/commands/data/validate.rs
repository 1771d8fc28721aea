//! `mindseye data validate`: every episode is read; what is broken is listed, and can be left out of a new data set.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use mindseye_episodes::open_with;
use serde::Serialize;

use super::convert::{EPISODES_PER_FILE, Format, Given, MEMORY_GIB, write};
use crate::commands::{load_mapping, print_json};
use crate::progress::Meter;

/// Read every episode and list what is broken.
///
/// With --repair, what can be read is written to a new data set; the old one is never touched.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye data validate recording --repair recording_repaired")]
pub struct ValidateArguments {
    /// The data set: a LeRobot folder, an HDF5 file or folder of stable-worldmodel, or an HDF5 file of robomimic.
    path: PathBuf,
    /// Which columns are what (TOML, see docs/recordings.md); what it leaves out is guessed.
    #[arg(long)]
    mapping: Option<PathBuf>,
    /// Folder of a new data set with the episodes that can be read.
    #[arg(long)]
    repair: Option<PathBuf>,
    /// Moments per second of the new data set, where the old one does not say.
    #[arg(long)]
    fps: Option<u32>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Report {
    path: PathBuf,
    format: String,
    episodes: usize,
    frames: usize,
    broken: Vec<Broken>,
    #[serde(skip_serializing_if = "Option::is_none")]
    repaired: Option<super::convert::Converted>,
}

/// An episode that cannot be read.
#[derive(Debug, Serialize)]
struct Broken {
    episode: usize,
    reason: String,
}

/// Runs the command.
///
/// # Errors
/// When the data set cannot be opened, when an episode is broken and is not repaired, or when the new folder cannot be written.
pub fn run(arguments: &ValidateArguments) -> Result<()> {
    let mapping = load_mapping(arguments.mapping.as_deref())?;
    let source = open_with(&arguments.path, &mapping)?;
    let meter = Meter::new("validate", source.len(), "episodes");
    let (mut broken, mut whole) = (Vec::new(), Vec::new());
    for episode in 0..source.len() {
        match source.read_episode(episode) {
            Ok(_) => whole.push(episode),
            Err(error) => broken.push(Broken { episode, reason: error.to_string() }),
        }
        meter.set(episode + 1, String::new);
    }
    drop(meter);
    let given = Given {
        fps: arguments.fps,
        task: "unknown",
        camera: None,
        to: Format::Lerobot,
        episodes_per_file: EPISODES_PER_FILE,
        memory_gib: MEMORY_GIB,
    };
    let repaired = arguments.repair.as_ref().map(|out| write(&[(source.as_ref(), whole)], out, &given)).transpose()?;
    let report = Report {
        path: arguments.path.clone(),
        format: source.format(),
        episodes: source.len(),
        frames: source.frames(),
        broken,
        repaired,
    };
    if arguments.json {
        print_json(&report)?;
    } else {
        let Report { path, format, episodes, frames, broken, repaired } = &report;
        println!("{} ({format}): {episodes} episodes, {frames} frames, {} broken", path.display(), broken.len());
        broken.iter().for_each(|Broken { episode, reason }| println!("  episode {episode}: {reason}"));
        if let Some(repaired) = repaired {
            println!("{}: {} episodes, {} frames", repaired.path.display(), repaired.episodes, repaired.frames);
        }
    }
    match (report.broken.len(), &report.repaired) {
        (0, _) | (_, Some(_)) => Ok(()),
        (count, None) => bail!("{}: expected episodes that can be read, got {count} broken", arguments.path.display()),
    }
}
