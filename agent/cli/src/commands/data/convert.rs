//! `mindseye data convert`: one or several data sets as one, a LeRobotDataset v3.0 or an HDF5 file.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use mindseye_episodes::{
    DatasetSpec, DatasetWriter, EpisodeData, EpisodeSource, PictureStorage, Sidecar, SwmWriter, WriteMode, open_with,
};
use mindseye_interface::config::require_range;
use serde::Serialize;

use super::{names_or_numbers, whole_rate};
use crate::commands::{load_mapping, print_json};
use crate::progress::Meter;

/// Write one or several data sets as one: a LeRobotDataset v3.0 or an HDF5 file of stable-worldmodel (merge is the same).
///
/// Several are joined in the order in which they are given; they must have pictures of one size, the same widths and the same rate. Parts of a
/// recording (`mindseye record --shard`) become the bytes of a recording that was made at once.
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
    /// Name of the camera in the new data set; by default as in the first one.
    #[arg(long)]
    camera: Option<String>,
    /// Which columns are what (TOML, see docs/recordings.md): one file for all data sets.
    #[arg(long)]
    mapping: Option<PathBuf>,
    /// Episodes per file of a LeRobot data set.
    #[arg(long, default_value_t = EPISODES_PER_FILE)]
    episodes_per_file: usize,
    /// Begin with this episode of each, counted from 0.
    #[arg(long, default_value_t = 0)]
    first_episode: usize,
    /// Only so many episodes of each.
    #[arg(long)]
    max_episodes: Option<usize>,
    /// Memory that an HDF5 file may take, which is written at once: three times what it holds, GiB. Training takes several files as well as one.
    #[arg(long, default_value_t = MEMORY_GIB)]
    memory_gib: f64,
    /// Print one JSON document on stdout.
    #[arg(long)]
    json: bool,
}

/// Memory for an HDF5 file, GiB, unless somebody says.
pub(super) const MEMORY_GIB: f64 = 4.0;
/// Name of a camera that has none that LeRobot takes.
const CAMERA: &str = "front";
/// Episodes per file of a LeRobot data set, unless somebody says.
pub(super) const EPISODES_PER_FILE: usize = 50;

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
    require_range("--episodes-per-file", arguments.episodes_per_file, 1, 1_000_000)?;
    require_range("--memory-gib", arguments.memory_gib, 0.001, 1e6)?;
    let mapping = load_mapping(arguments.mapping.as_deref())?;
    let sources =
        arguments.from.iter().map(|path| open_with(path, &mapping)).collect::<mindseye_episodes::Result<Vec<_>>>()?;
    let chosen = |episodes: usize| {
        (0..episodes).skip(arguments.first_episode).take(arguments.max_episodes.unwrap_or(usize::MAX)).collect()
    };
    let parts = sources.iter().map(|source| (source.as_ref(), chosen(source.len()))).collect::<Vec<_>>();
    let given = Given {
        fps: arguments.fps,
        task: &arguments.task,
        camera: arguments.camera.clone(),
        to: arguments.to,
        episodes_per_file: arguments.episodes_per_file,
        memory_gib: arguments.memory_gib,
    };
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
    /// Name of the camera; by default that of the source.
    pub camera: Option<String>,
    pub to: Format,
    pub episodes_per_file: usize,
    /// Most that is held of an HDF5 file before it is written.
    pub memory_gib: f64,
}

/// A data set that is being written.
enum Output {
    Lerobot(Box<DatasetWriter>),
    Hdf5(Box<SwmWriter>),
}

impl Output {
    fn begin(given: &Given<'_>, path: &Path, spec: DatasetSpec) -> mindseye_episodes::Result<Self> {
        Ok(match given.to {
            Format::Lerobot | Format::LerobotAv1 => {
                Self::Lerobot(Box::new(DatasetWriter::create(path, spec, WriteMode::Error)?))
            }
            Format::Hdf5 => {
                let bytes = (given.memory_gib * f64::from(1 << 30)) as u64;
                Self::Hdf5(Box::new(SwmWriter::create(path, &spec, WriteMode::Error)?.with_limit_bytes(bytes)))
            }
        })
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
    let task = |source: &dyn EpisodeSource, episode: usize| -> Result<String> {
        Ok(source.episode(episode)?.tasks.into_iter().next().unwrap_or_else(|| given.task.into()))
    };
    let begins = parts.iter().find_map(|(source, chosen)| Some((*source, *chosen.first()?)));
    let Some((with_first, first_episode)) = begins else { bail!("expected an episode, got none") };
    let sidecar = joined_sidecar(parts)?;
    let spec = DatasetSpec {
        frames_per_second: rate,
        camera: given.camera.clone().map_or_else(|| camera_of(*first), Ok)?,
        image_size: shape.image_size,
        pictures: if given.to == Format::LerobotAv1 { PictureStorage::Av1 } else { PictureStorage::Png },
        proprioception_names: names_or_numbers(first.proprioception_names(), shape.proprioception, "proprioception"),
        state_names: names_or_numbers(first.state_names(), shape.state, "state"),
        action_names: names_or_numbers(first.action_names(), shape.action, "action"),
        task: task(with_first, first_episode)?,
        robot: sidecar.as_ref().map(|sidecar| sidecar.scene.clone()),
        episodes_per_file: given.episodes_per_file,
        sidecar,
    };
    let meter = Meter::new("convert", parts.iter().map(|(_, episodes)| episodes.len()).sum(), "episodes");
    let (mut done, mut output) = (0, Output::begin(given, out, spec)?);
    for (source, chosen) in parts {
        for &episode in chosen {
            output.add(&task(*source, episode)?, &source.read_episode(episode)?)?;
            done += 1;
            meter.set(done, String::new);
        }
    }
    let frames = output.finish()?;
    drop(meter);
    Ok(Converted { path: out.to_path_buf(), episodes: done, frames })
}

/// What only mindseye understands goes along where all have it; refused where it means something else in one of them.
fn joined_sidecar(parts: &[(&dyn EpisodeSource, Vec<usize>)]) -> Result<Option<Sidecar>> {
    let (mut joined, mut episodes) = (None::<Sidecar>, 0);
    for (source, chosen) in parts.iter().filter(|(_, chosen)| !chosen.is_empty()) {
        let Some(sidecar) = source.sidecar() else { return Ok(None) };
        let own = of_chosen(sidecar, chosen);
        joined = Some(match joined {
            None => own,
            Some(before) => before.joined(&own, episodes, source.path())?,
        });
        episodes += chosen.len();
    }
    Ok(joined)
}

/// Name of the camera of `source`, of which there must be one, as far as LeRobot takes it.
fn camera_of(source: &dyn EpisodeSource) -> Result<String> {
    let cameras = source.mapping().cameras.unwrap_or_default();
    let [camera] = &cameras[..] else {
        bail!("{}: expected one camera to convert, got {}", source.path().display(), cameras.join(", "));
    };
    let name = camera.strip_prefix("observation.images.").unwrap_or(camera);
    let plain = !name.is_empty() && name.chars().all(|letter| letter.is_alphanumeric() || letter == '_');
    Ok(if plain { name.into() } else { CAMERA.into() })
}

/// What `sidecar` says of the episodes `chosen`, ascending, when they are counted from 0.
fn of_chosen(sidecar: &Sidecar, chosen: &[usize]) -> Sidecar {
    let mut sidecar = sidecar.clone();
    for recording in &mut sidecar.recordings {
        recording.first_episode = chosen.iter().filter(|episode| **episode < recording.first_episode).count();
    }
    sidecar
}
