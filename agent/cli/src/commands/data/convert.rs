//! `mindseye data convert`: one or several data sets as one LeRobotDataset v3.0.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use mindseye_episodes::{DatasetSpec, DatasetWriter, EpisodeSource, Sidecar, WriteMode, open};
use mindseye_interface::config::require_range;
use serde::Serialize;

use super::{names_or_numbers, whole_rate};
use crate::commands::print_json;
use crate::progress::Meter;

/// Write one or several data sets as one LeRobotDataset v3.0, pictures in its tables without loss.
///
/// Several are joined in the order in which they are given; they must have pictures of one size, the same widths and the same rate.
#[derive(Debug, Args)]
#[command(after_help = "Example: mindseye data convert pusht.h5 --fps 10 --task \"push the T\" --out data/pusht")]
pub struct ConvertArguments {
    /// What to convert: LeRobot folders, stable-worldmodel's HDF5 files and folders, robomimic's HDF5 files.
    #[arg(required = true)]
    from: Vec<PathBuf>,
    /// Folder of the new data set, which must not exist yet.
    #[arg(long)]
    out: PathBuf,
    /// Moments per second, where the data do not say.
    #[arg(long)]
    fps: Option<u32>,
    /// What is being done, in words, where the data do not say.
    #[arg(long, default_value = "unknown")]
    task: String,
    /// Name of the camera in the new data set.
    #[arg(long, default_value = "front")]
    camera: String,
    /// Only the first so many episodes of each.
    #[arg(long)]
    max_episodes: Option<usize>,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// What was written.
#[derive(Debug, Serialize)]
pub(super) struct Converted {
    pub path: PathBuf,
    pub episodes: usize,
    pub frames: usize,
}

/// Runs the command.
///
/// # Errors
/// When data are broken or do not fit together, or the new folder cannot be written.
pub fn run(arguments: &ConvertArguments) -> Result<()> {
    require_range("--fps", arguments.fps.unwrap_or(1), 1, 100_000)?;
    let sources = arguments.from.iter().map(|path| open(path)).collect::<mindseye_episodes::Result<Vec<_>>>()?;
    let most = arguments.max_episodes.unwrap_or(usize::MAX);
    let parts =
        sources.iter().map(|source| (source.as_ref(), (0..source.len().min(most)).collect())).collect::<Vec<_>>();
    let converted =
        write(&parts, &arguments.out, &Given { fps: arguments.fps, task: &arguments.task, camera: &arguments.camera })?;
    if arguments.json {
        return print_json(&converted);
    }
    println!("{}: {} episodes, {} frames", converted.path.display(), converted.episodes, converted.frames);
    Ok(())
}

/// What the user says where the data do not.
pub(super) struct Given<'a> {
    pub fps: Option<u32>,
    pub task: &'a str,
    pub camera: &'a str,
}

/// Writes the episodes named beside each source to a new data set in `out`.
///
/// # Errors
/// When the sources do not fit together, an episode is broken, or the disk refuses.
pub(super) fn write(parts: &[(&dyn EpisodeSource, Vec<usize>)], out: &Path, given: &Given<'_>) -> Result<Converted> {
    let Some((first, _)) = parts.first() else { bail!("expected a data set, got none") };
    let (shape, rate) = (*first.shape(), whole_rate(*first, given.fps)?);
    for (other, _) in parts {
        if *other.shape() != shape || whole_rate(*other, given.fps)? != rate {
            let of = |source: &dyn EpisodeSource| {
                format!("{:?} at {:?} moments a second", source.shape(), source.frames_per_second())
            };
            bail!(
                "{}: expected {}, as in {}, got {}",
                other.path().display(),
                of(*first),
                first.path().display(),
                of(*other)
            );
        }
    }
    // What only mindseye understands goes along where all have it; that it means the same in all is checked by appending.
    let all_have_it = parts.iter().all(|(source, _)| source.sidecar().is_some());
    let meter = Meter::new("convert", parts.iter().map(|(_, episodes)| episodes.len()).sum(), "episodes");
    let (mut done, mut frames) = (0, 0);
    for (number, (source, chosen)) in parts.iter().enumerate() {
        let task = |episode: usize| -> Result<String> {
            Ok(source.episode(episode)?.tasks.into_iter().next().unwrap_or_else(|| given.task.into()))
        };
        let Some(&first_chosen) = chosen.first() else { continue };
        let spec = DatasetSpec {
            frames_per_second: rate,
            camera: given.camera.into(),
            image_size: shape.image_size,
            proprioception_names: names_or_numbers(
                first.proprioception_names(),
                shape.proprioception,
                "proprioception",
            ),
            state_names: names_or_numbers(first.state_names(), shape.state, "state"),
            action_names: names_or_numbers(first.action_names(), shape.action, "action"),
            task: task(first_chosen)?,
            robot: None,
            episodes_per_file: 50,
            sidecar: source.sidecar().filter(|_| all_have_it).map(|sidecar| of_chosen(sidecar, chosen)),
        };
        let mode = if number == 0 { WriteMode::Error } else { WriteMode::Append };
        let mut writer = DatasetWriter::create(out, spec, mode)?;
        for &episode in chosen {
            writer.begin_task(&task(episode)?)?;
            writer.add_episode(&source.read_episode(episode)?)?;
            done += 1;
            meter.set(done, String::new);
        }
        frames = writer.frames();
        writer.finish()?;
    }
    drop(meter);
    Ok(Converted { path: out.to_path_buf(), episodes: done, frames })
}

/// What `sidecar` says of the episodes `chosen`, ascending, when they are counted from 0.
fn of_chosen(sidecar: &Sidecar, chosen: &[usize]) -> Sidecar {
    let mut sidecar = sidecar.clone();
    for recording in &mut sidecar.recordings {
        recording.first_episode = chosen.iter().filter(|episode| **episode < recording.first_episode).count();
    }
    sidecar
}
