//! `mindseye data convert`: one or several data sets as one, a LeRobotDataset v3.0 or an HDF5 file.

use std::path::PathBuf;

use anyhow::{Result, anyhow, bail};
use clap::{Args, ValueEnum};
use mindseye_episodes::{
    ConvertOptions, Error, ImageStorage, OutputFormat, SkippedEpisode, SourceEpisodes, convert, open_with,
};
use mindseye_interface::config::require_range;
use mindseye_interface::text::printable_path;

use crate::commands::{load_mapping, print_json, with_options};
use crate::progress::{TerminalProgress, stop_on_ctrl_c};
use crate::streams::say;

/// Write one or several data sets as one: a LeRobotDataset v3.0 or an HDF5 file of stable-worldmodel.
///
/// Several are joined in the order in which they are given; they must have images of one size, the same widths and the
/// same rate. Shards of a recording (`mindseye record --shard`) become the bytes of a recording that was made at once.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples: mindseye data convert pusht.h5 --fps 10 --out data/pusht --task \"push the T\"\n          \
                        mindseye data convert data/pusht --to hdf5 --out pusht.h5"
)]
pub struct ConvertArguments {
    /// The data sets: LeRobot folders, stable-worldmodel's HDF5 files and folders, robomimic's HDF5 files.
    #[arg(required = true)]
    from: Vec<PathBuf>,
    /// Folder of the new data set (for hdf5, the file), which must not exist yet.
    #[arg(long)]
    out: PathBuf,
    /// Format of the new data set.
    #[arg(long, value_enum, default_value_t = Format::Lerobot)]
    to: Format,
    /// Timesteps per second, where the data do not record them, or record them wrongly.
    #[arg(long)]
    fps: Option<u32>,
    /// Text of the task, where the data do not record it.
    #[arg(long, default_value = "unknown")]
    task: String,
    /// Name of the camera in the new data set; by default as in the first one.
    #[arg(long)]
    camera: Option<String>,
    /// Which columns are what (TOML, see docs/recordings.md): one file for all data sets.
    #[arg(long)]
    mapping: Option<PathBuf>,
    /// Episodes per file of a LeRobot data set.
    #[arg(long, default_value_t = ConvertOptions::default().episodes_per_file)]
    episodes_per_file: usize,
    /// Begin with this episode of each, counted from 0.
    #[arg(long, default_value_t = 0)]
    first_episode: usize,
    /// Only so many episodes of each.
    #[arg(long)]
    max_episodes: Option<usize>,
    /// Memory for the writing of an HDF5 file, GiB: three times the size of the file. Training reads several files as
    /// well as one.
    #[arg(long, default_value_t = 4.0)]
    memory_gib: f64,
    /// Leave out episodes that cannot be read, instead of stopping at the first: they are listed. Every episode is then
    /// read twice.
    #[arg(long)]
    skip_broken: bool,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Formats that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A LeRobotDataset v3.0 with lossless images in its tables.
    Lerobot,
    /// A LeRobotDataset v3.0 with images in AV1 videos: smaller, with some loss.
    LerobotAv1,
    /// A file of stable-worldmodel, lossless; mindseye's own metadata is kept in it.
    Hdf5,
}

/// Runs the command.
///
/// # Errors
/// When data are broken or do not fit together, or the new folder cannot be written.
pub fn run(arguments: &ConvertArguments) -> Result<()> {
    require_range("--fps", arguments.fps.unwrap_or(1), 1, 100_000)?;
    require_range("--episodes-per-file", arguments.episodes_per_file, 1, 1_000_000)?;
    require_range("--memory-gib", arguments.memory_gib, 0.001, 1e6)?;
    let mapping = load_mapping(arguments.mapping.as_deref())?.or_rate(arguments.fps.map(f64::from));
    let sources = arguments.from.iter().map(|path| open_with(path, &mapping));
    let sources = sources.collect::<mindseye_episodes::Result<Vec<_>>>()?;
    if let Some(short) = sources.iter().find(|source| source.len() <= arguments.first_episode) {
        let (path, count, first) = (printable_path(short.path()), short.len(), arguments.first_episode);
        bail!("--first-episode: expected less than the {count} episodes of {path}, got {first}");
    }
    let count = arguments.max_episodes.unwrap_or(usize::MAX);
    let chosen = |episodes: usize| (0..episodes).skip(arguments.first_episode).take(count).collect();
    let parts = sources.iter().map(|source| SourceEpisodes { source: source.as_ref(), episodes: chosen(source.len()) });
    let options = ConvertOptions {
        format: match arguments.to {
            Format::Lerobot => OutputFormat::Lerobot(ImageStorage::Png),
            Format::LerobotAv1 => OutputFormat::Lerobot(ImageStorage::Av1),
            Format::Hdf5 => OutputFormat::Hdf5,
        },
        frames_per_second: arguments.fps,
        task: arguments.task.clone(),
        camera: arguments.camera.clone(),
        episodes_per_file: arguments.episodes_per_file,
        skip_broken: arguments.skip_broken,
        memory_limit_bytes: (arguments.memory_gib * f64::from(1 << 30)) as u64,
    };
    let parts: Vec<SourceEpisodes<'_>> = parts.collect();
    let progress = TerminalProgress::stopped_by(stop_on_ctrl_c()?);
    let converted = convert(&parts, &arguments.out, &options, &progress).map_err(|error| match error {
        Error::Stopped { .. } => {
            let out = printable_path(&arguments.out);
            anyhow!("{out}: stopped; nothing was written, the same command begins again")
        }
        error => with_options(error),
    })?;
    for SkippedEpisode { path, episode, reason } in &converted.skipped {
        progress.note(&format!("{}: episode {episode} is left out: {reason}", printable_path(path)));
    }
    if arguments.json {
        return print_json(&converted);
    }
    let left_out = match converted.skipped.len() {
        0 => String::new(),
        count => format!(", {count} broken left out"),
    };
    say!("{}: {} episodes, {} frames{left_out}", printable_path(&converted.path), converted.episodes, converted.frames);
    Ok(())
}
