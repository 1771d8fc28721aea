//! `mindseye data convert`: one or several data sets as one, a LeRobotDataset v3.0 or an HDF5 file.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use mindseye_episodes::{
    DatasetSpec, DatasetWriter, EpisodeData, EpisodeSource, PictureStorage, Sidecar, SwmWriter, WriteMode, open,
};
use mindseye_interface::config::require_range;
use serde::Serialize;

use super::{names_or_numbers, whole_rate};
use crate::commands::print_json;
use crate::progress::Meter;

/// Write one or several data sets as one: a LeRobotDataset v3.0 or an HDF5 file of stable-worldmodel.
///
/// Several are joined in the order in which they are given; they must have pictures of one size, the same widths and the same rate.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples: mindseye data convert pusht.h5 --fps 10 --task \"push the T\" --out data/pusht\n          mindseye data convert data/pusht --to hdf5 --out pusht.h5"
)]
pub struct ConvertArguments {
    /// What to convert: LeRobot folders, stable-worldmodel's HDF5 files and folders, robomimic's HDF5 files.
    #[arg(required = true)]
    from: Vec<PathBuf>,
    /// Folder of the new data set (for hdf5, the file), which must not exist yet.
    #[arg(long)]
    out: PathBuf,
    /// What to write.
    #[arg(long, value_enum, default_value_t = Format::Lerobot)]
    to: Format,
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

/// What data sets can be written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// A LeRobotDataset v3.0, pictures in its tables without loss.
    Lerobot,
    /// A LeRobotDataset v3.0, pictures in AV1 videos: smaller, with some loss.
    LerobotAv1,
    /// A file for stable-worldmodel, without loss; mindseye finds all that it knows in it again.
    Hdf5,
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
    let given = Given { fps: arguments.fps, task: &arguments.task, camera: &arguments.camera, to: arguments.to };
    let converted = write(&parts, &arguments.out, &given)?;
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
    pub to: Format,
}

/// A data set that is being written.
enum Output {
    Lerobot(DatasetWriter),
    Hdf5(SwmWriter),
}

impl Output {
    fn begin(format: Format, path: &Path, spec: DatasetSpec) -> mindseye_episodes::Result<Self> {
        Ok(match format {
            Format::Lerobot | Format::LerobotAv1 => Self::Lerobot(DatasetWriter::create(path, spec, WriteMode::Error)?),
            Format::Hdf5 => Self::Hdf5(SwmWriter::create(path, &spec, WriteMode::Error)?),
        })
    }

    /// Goes on with what another source brings, which `spec` describes.
    fn continued(self, path: &Path, spec: DatasetSpec) -> mindseye_episodes::Result<Self> {
        match self {
            Self::Lerobot(writer) => {
                writer.finish()?;
                Ok(Self::Lerobot(DatasetWriter::create(path, spec, WriteMode::Append)?))
            }
            Self::Hdf5(mut writer) => {
                if let Some(sidecar) = &spec.sidecar {
                    writer.begin_recording(sidecar)?;
                }
                Ok(Self::Hdf5(writer))
            }
        }
    }

    fn add(&mut self, task: &str, episode: &EpisodeData) -> mindseye_episodes::Result<()> {
        match self {
            Self::Lerobot(writer) => writer.begin_task(task).and_then(|()| writer.add_episode(episode)),
            Self::Hdf5(writer) => writer.begin_task(task).and_then(|()| writer.add_episode(episode)),
        }
    }

    /// The number of moments.
    fn finish(self) -> mindseye_episodes::Result<usize> {
        match self {
            Self::Lerobot(writer) => {
                let frames = writer.frames();
                writer.finish().map(|_| frames)
            }
            Self::Hdf5(writer) => {
                let frames = writer.frames();
                writer.finish().map(|_| frames)
            }
        }
    }
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
    let (mut done, mut output) = (0, None::<Output>);
    for (source, chosen) in parts {
        let task = |episode: usize| -> Result<String> {
            Ok(source.episode(episode)?.tasks.into_iter().next().unwrap_or_else(|| given.task.into()))
        };
        let Some(&first_chosen) = chosen.first() else { continue };
        let spec = DatasetSpec {
            frames_per_second: rate,
            camera: given.camera.into(),
            image_size: shape.image_size,
            pictures: if given.to == Format::LerobotAv1 { PictureStorage::Av1 } else { PictureStorage::Png },
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
        let mut writer = match output {
            None => Output::begin(given.to, out, spec)?,
            Some(before) => before.continued(out, spec)?,
        };
        for &episode in chosen {
            writer.add(&task(episode)?, &source.read_episode(episode)?)?;
            done += 1;
            meter.set(done, String::new);
        }
        output = Some(writer);
    }
    let frames = output.map_or(Ok(0), Output::finish)?;
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
