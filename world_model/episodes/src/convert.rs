//! Conversion: episodes of one or several data sets, written as one.

use std::path::{Path, PathBuf};

use mindseye_interface::{Progress, StagedFolder};
use serde::Serialize;

use crate::episode::EpisodeData;
use crate::hdf5::SwmWriter;
use crate::lerobot::info_path;
use crate::lerobot::writer::DatasetWriter;
use crate::names::or_numbered;
use crate::sidecar::Sidecar;
use crate::source::{EpisodeSource, read_whole};
use crate::spec::{DatasetSpec, ImageStorage, WriteMode, is_plain_name};
use crate::{Error, Result};

/// Name of the camera where the recorded one is no valid name in a LeRobot folder.
const DEFAULT_CAMERA: &str = "front";

/// Largest relative difference of a rate from a whole number that is taken for rounding.
const WHOLE_TO: f64 = 1e-4;

/// Formats that can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputFormat {
    /// A LeRobotDataset v3.0.
    Lerobot(ImageStorage),
    /// An HDF5 file of stable-worldmodel, lossless.
    Hdf5,
}

/// Settings of [`convert`].
#[derive(Debug, Clone, PartialEq)]
pub struct ConvertOptions {
    /// Format of the new data set.
    pub format: OutputFormat,
    /// Timesteps per second; `None` takes the recorded rate, which must be a whole number for a LeRobot folder.
    pub frames_per_second: Option<u32>,
    /// Task of episodes that have none, in words.
    pub task: String,
    /// Name of the camera; `None` takes the recorded one.
    pub camera: Option<String>,
    /// Episodes per file of a LeRobot folder, at least 1: a file is read as a whole by some tools, and a crash while
    /// writing loses at most one.
    pub episodes_per_file: usize,
    /// Whether episodes that cannot be read are left out. Every episode is then read twice: the broken ones are found
    /// before the first is written.
    pub skip_broken: bool,
    /// Memory that the writing of an HDF5 file may take, bytes: three times the size of the file.
    pub memory_limit_bytes: u64,
}

impl Default for ConvertOptions {
    fn default() -> Self {
        Self {
            format: OutputFormat::Lerobot(ImageStorage::Png),
            frames_per_second: None,
            task: "unknown".into(),
            camera: None,
            episodes_per_file: 50,
            skip_broken: false,
            memory_limit_bytes: 4 << 30,
        }
    }
}

/// Episodes of a source, by ascending index.
#[derive(Debug)]
pub struct SourceEpisodes<'a> {
    /// The data set.
    pub source: &'a dyn EpisodeSource,
    /// Indices of the episodes, ascending.
    pub episodes: Vec<usize>,
}

/// The result of [`convert`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Converted {
    /// The new folder or file.
    #[serde(serialize_with = "mindseye_interface::text::serialize_path")]
    pub path: PathBuf,
    /// Number of episodes.
    pub episodes: usize,
    /// Number of timesteps.
    pub frames: usize,
    /// The episodes that were left out, see [`ConvertOptions::skip_broken`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedEpisode>,
}

/// An episode that was left out because it cannot be read.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SkippedEpisode {
    /// Its data set.
    #[serde(serialize_with = "mindseye_interface::text::serialize_path")]
    pub path: PathBuf,
    /// Its index there.
    pub episode: usize,
    /// The error, on one line.
    pub reason: String,
}

/// Writes the episodes of all `parts`, in order, to a new data set at `out`, which appears there when it is complete.
/// Shards of one recording become the bytes of a recording that was made at once.
///
/// # Errors
/// [`Error::Argument`] when there is no episode; [`Error::UnknownRate`] when no rate is recorded or given;
/// [`Error::Content`] when the data sets do not fit together or `out` exists; the errors of reading, which name the
/// episode, and of writing; [`Error::Interface`] when another process writes to `out`; [`Error::Stopped`] when
/// `progress` asks to stop. Nothing is at `out` then.
pub fn convert(
    parts: &[SourceEpisodes<'_>],
    out: &Path,
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<Converted> {
    let mut skipped = Vec::new();
    let readable;
    let parts = if options.skip_broken {
        spec(parts, options)?; // what does not fit together is refused before the work
        readable = without_broken(parts, &mut skipped, progress)?;
        &readable
    } else {
        parts
    };
    let spec = spec(parts, options)?;
    let episodes = parts.iter().map(|part| part.episodes.len()).sum();
    let frames = match options.format {
        OutputFormat::Lerobot(_) => {
            require_new(out)?;
            let staged = StagedFolder::begin(out, "data convert")?;
            // Errors of the disk name the place that the user knows.
            let frames = write_lerobot(&staged, spec, parts, options, progress);
            let frames = frames.map_err(|error| error.moved(staged.path(), out))?;
            staged.commit("meta")?;
            frames
        }
        OutputFormat::Hdf5 => {
            let mut writer =
                SwmWriter::create(out, &spec, WriteMode::Error)?.with_limit_bytes(options.memory_limit_bytes);
            if options.frames_per_second.is_none()
                && let Some(rate) = parts.first().and_then(|part| part.source.frames_per_second())
            {
                writer = writer.with_frames_per_second(rate);
            }
            copy(parts, options, progress, &mut |task, episode, ends_without_action| {
                writer.begin_task(task)?;
                writer.add_episode(episode)?;
                if ends_without_action {
                    writer.end_without_action();
                }
                Ok(())
            })?;
            let frames = writer.frames();
            writer.finish()?;
            frames
        }
    };
    Ok(Converted { path: out.to_path_buf(), episodes, frames, skipped })
}

/// Refuses a folder with a data set; other files are refused when the output is staged.
fn require_new(out: &Path) -> Result<()> {
    if info_path(out).exists() {
        return Err(Error::content(out, "folder", "a new or empty folder", "a data set"));
    }
    Ok(())
}

/// Writes the data set to the staged folder; returns its number of timesteps.
fn write_lerobot(
    staged: &StagedFolder,
    spec: DatasetSpec,
    parts: &[SourceEpisodes<'_>],
    options: &ConvertOptions,
    progress: &dyn Progress,
) -> Result<usize> {
    let mut writer = DatasetWriter::create_staged(staged.path(), spec)?;
    copy(parts, options, progress, &mut |task, episode, _| {
        staged.still_here()?;
        writer.begin_task(task).and_then(|()| writer.add_episode(episode))
    })?;
    let frames = writer.frames();
    writer.finish().map(|_| frames)
}

/// Reads the episodes of `parts` and passes each to `add`, with its task, and whether it ends without an action.
fn copy(
    parts: &[SourceEpisodes<'_>],
    options: &ConvertOptions,
    progress: &dyn Progress,
    add: &mut dyn FnMut(&str, &EpisodeData, bool) -> Result<()>,
) -> Result<()> {
    let total = parts.iter().map(|part| part.episodes.len()).sum();
    in_stage("convert", "converting", total, parts, progress, &mut |source, episode| {
        let (read, ends_without_action) = read(source, episode)?;
        add(&task(source, episode, options)?, &read, ends_without_action)
    })
}

/// Reads and checks an episode, as it will be written; errors name it. Also whether it ends without an action: the one
/// before is repeated then, which lies within the range of the others as 0 may not.
fn read(source: &dyn EpisodeSource, episode: usize) -> Result<(EpisodeData, bool)> {
    let shape = source.shape();
    let read = read_whole(source, episode).and_then(|(arrays, pixels)| {
        let mut read = EpisodeData::from_parts(&pixels, &arrays, shape)?;
        let ends_without_action = arrays.ends_without_action(shape.action);
        if ends_without_action && let [.., before, last] = &mut read.actions[..] {
            last.clone_from(before);
        }
        read.check(episode, shape, source.sidecar().is_some())?;
        Ok((read, ends_without_action))
    });
    read.map_err(|error| error.in_episode(source.path(), episode))
}

/// The parts without the episodes that cannot be read, which are added to `skipped`.
fn without_broken<'a>(
    parts: &[SourceEpisodes<'a>],
    skipped: &mut Vec<SkippedEpisode>,
    progress: &dyn Progress,
) -> Result<Vec<SourceEpisodes<'a>>> {
    let mut readable: Vec<SourceEpisodes<'a>> = Vec::with_capacity(parts.len());
    let total = parts.iter().map(|part| part.episodes.len()).sum();
    for part in parts {
        readable.push(SourceEpisodes { source: part.source, episodes: Vec::with_capacity(part.episodes.len()) });
    }
    let places = parts.iter().enumerate().flat_map(|(part, episodes)| episodes.episodes.iter().map(move |_| part));
    let mut places = places.collect::<Vec<usize>>().into_iter();
    in_stage("check", "checking", total, parts, progress, &mut |source, episode| {
        let Some(part) = places.next() else { return Ok(()) };
        match read(source, episode) {
            Ok(_) => readable[part].episodes.push(episode),
            Err(error) => {
                let path = source.path().to_path_buf();
                skipped.push(SkippedEpisode { path, episode, reason: error.to_string() });
            }
        }
        Ok(())
    })?;
    Ok(readable)
}

/// Calls `each` with the episodes of `parts` in order, as one stage of `progress`.
fn in_stage(
    stage: &str,
    operation: &'static str,
    total: usize,
    parts: &[SourceEpisodes<'_>],
    progress: &dyn Progress,
    each: &mut dyn FnMut(&dyn EpisodeSource, usize) -> Result<()>,
) -> Result<()> {
    progress.begin(stage, total, "episodes");
    let mut done = 0;
    let mut work = || {
        for SourceEpisodes { source, episodes } in parts {
            for &episode in episodes {
                each(*source, episode)?;
                done += 1;
                if !progress.advance(done, "") && done < total {
                    return Err(Error::Stopped { operation });
                }
            }
        }
        Ok(())
    };
    let worked = work();
    progress.end();
    worked
}

/// The description of the new data set.
fn spec(parts: &[SourceEpisodes<'_>], options: &ConvertOptions) -> Result<DatasetSpec> {
    let Some(first) = parts.first().map(|part| part.source) else {
        return Err(Error::argument("data", "a data set", "none"));
    };
    let (shape, rate) = (*first.shape(), whole_rate(first, options)?);
    for other in parts.iter().map(|part| part.source) {
        let is_other_rate =
            options.frames_per_second.is_none() && other.frames_per_second() != first.frames_per_second();
        if *other.shape() != shape || whole_rate(other, options)? != rate || is_other_rate {
            let describe = |source: &dyn EpisodeSource| {
                let rate = source.frames_per_second().map_or_else(|| "an unknown number of".into(), |r| r.to_string());
                format!("{}, {rate} timesteps per second", source.shape())
            };
            let expected = format!("{}, as in {}", describe(first), first.path().display());
            return Err(Error::content(other.path(), "episodes", expected, describe(other)));
        }
    }
    let first_episode = parts.iter().find_map(|part| Some((part.source, *part.episodes.first()?)));
    let Some((source, episode)) = first_episode else {
        return Err(Error::argument("episodes", "at least one", "none"));
    };
    let sidecar = joined_sidecar(parts)?;
    Ok(DatasetSpec {
        frames_per_second: rate,
        camera: options.camera.clone().map_or_else(|| camera_name(first), Ok)?,
        more_cameras: Vec::new(),
        image_size: shape.image_size,
        image_storage: match options.format {
            OutputFormat::Lerobot(storage) => storage,
            OutputFormat::Hdf5 => ImageStorage::Png,
        },
        proprioception_names: or_numbered(first.proprioception_names(), shape.proprioception, "proprioception"),
        state_names: or_numbered(first.state_names(), shape.state, "state"),
        action_names: or_numbered(first.action_names(), shape.action, "action"),
        task: task(source, episode, options)?,
        robot: sidecar.as_ref().map(|sidecar| sidecar.scene.clone()),
        episodes_per_file: options.episodes_per_file,
        sidecar,
    })
}

/// The first task of an episode, or the default one.
fn task(source: &dyn EpisodeSource, episode: usize, options: &ConvertOptions) -> Result<String> {
    Ok(source.episode(episode)?.tasks.into_iter().next().unwrap_or_else(|| options.task.clone()))
}

/// Timesteps per second as a whole number, which LeRobot requires; HDF5 files keep the rate as it is.
fn whole_rate(source: &dyn EpisodeSource, options: &ConvertOptions) -> Result<u32> {
    match (options.frames_per_second, source.frames_per_second()) {
        (Some(rate), _) => Ok(rate),
        (None, None) => Err(Error::UnknownRate { path: source.path().to_path_buf() }),
        (None, Some(rate)) => {
            let whole = rate.round();
            if options.format != OutputFormat::Hdf5 && (whole < 1.0 || (rate - whole).abs() > WHOLE_TO * whole) {
                let expected = format!("a whole number in a LeRobot folder (--fps {} gives one)", whole.max(1.0));
                return Err(Error::content(source.path(), "frames per second", expected, rate));
            }
            Ok(whole.max(1.0) as u32)
        }
    }
}

/// The sidecar of the new data set, if all parts have one.
fn joined_sidecar(parts: &[SourceEpisodes<'_>]) -> Result<Option<Sidecar>> {
    let (mut joined, mut count) = (None::<Sidecar>, 0);
    for SourceEpisodes { source, episodes } in parts.iter().filter(|part| !part.episodes.is_empty()) {
        let Some(sidecar) = source.sidecar() else { return Ok(None) };
        let own = sidecar.of_episodes(episodes);
        joined = Some(match joined {
            None => own,
            Some(before) => before.joined(&own, count, source.path())?,
        });
        count += episodes.len();
    }
    Ok(joined)
}

/// Name of the only camera of `source`, if it is valid in a LeRobot folder, else a default name.
fn camera_name(source: &dyn EpisodeSource) -> Result<String> {
    let cameras = source.cameras();
    let [camera] = cameras else {
        let columns: Vec<&str> = cameras.iter().map(|camera| camera.column.as_str()).collect();
        return Err(Error::content(source.path(), "cameras", "one camera to convert", columns.join(", ")));
    };
    Ok(if is_plain_name(&camera.name) { camera.name.clone() } else { DEFAULT_CAMERA.into() })
}
