//! robomimic's HDF5 files (also of MimicGen, LIBERO and robosuite's own collector): a group for every demonstration.
//!
//! ```text
//! data                               attribute env_args: JSON, with env_kwargs.control_freq in moments per second
//! data/demo_<i>                      attribute num_samples: T
//! data/demo_<i>/actions [T, A]
//! data/demo_<i>/states [T, K]        the simulator's state, where it is there
//! data/demo_<i>/obs/<name>           pictures [T, H, W, 3] u8, and numbers [T, width]
//! mask/<name>                        lists of demonstrations; all are read, whatever the lists say
//! ```

use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5_pure::{AttrValue, File};
use mindseye_interface::ImageSize;

use super::columns::{Column, broken};
use crate::episode::EpisodeShape;
use crate::lerobot::dataset::EpisodeMeta;
use crate::lerobot::summary::{DatasetSummary, FeatureSummary};
use crate::mapping::{Columns, Kind, Known, Mapping, Part, Usual, element_names, side_by_side, stacked};
use crate::rows::{self, MAX_FRAMES, missing};
use crate::source::{EpisodeSource, Numbers, PictureOptions, Wanted};
use crate::{Error, Result};

/// The group that tells robomimic's files from others.
pub(super) const DATA: &str = "data";
/// Cameras that are preferred, the first that is there counts; after them any other, by name.
const CAMERAS: [&str; 5] =
    ["obs/agentview_image", "obs/agentview_rgb", "obs/frontview_image", "obs/front_image", "obs/sideview_image"];
/// What robomimic takes as low-dimensional observations of the robot; those that are there count.
const PROPRIOCEPTION: [&str; 3] = ["obs/robot0_eef_pos", "obs/robot0_eef_quat", "obs/robot0_gripper_qpos"];
/// Where a file has none of these, all observations count that are numbers, but for the true poses of objects.
const OBJECTS: [&str; 2] = ["object", "object-state"];
const ACTIONS: &str = "actions";
const STATES: &str = "states";
/// Nothing is guessed beyond [`guess`].
const NOTHING_USUAL: Usual = Usual { cameras: None, action: &[], proprioception: &[], state: &[] };

/// One demonstration.
#[derive(Debug)]
struct Demo {
    /// `data/demo_<i>`.
    group: String,
    length: usize,
}

/// A file of robomimic, open for reading. Columns are named as within a demonstration: `actions`, `obs/agentview_image`.
pub struct RobomimicFile {
    path: PathBuf,
    file: File,
    columns: Columns,
    shape: EpisodeShape,
    demos: Vec<Demo>,
    frames: usize,
    frames_per_second: Option<f64>,
}

impl std::fmt::Debug for RobomimicFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("RobomimicFile");
        debug
            .field("path", &self.path)
            .field("columns", &self.columns)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}

impl RobomimicFile {
    /// Opens the file at `path`: reads what every demonstration says of itself, not its rows. What the first has, all must have.
    ///
    /// # Errors
    /// [`Error::File`] when it is broken; [`Error::Content`] when a dataset is missing or contradicts the others.
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_with(path, &Mapping::default())
    }

    /// As [`RobomimicFile::open`], with the columns that `mapping` names.
    ///
    /// # Errors
    /// As [`RobomimicFile::open`].
    pub fn open_with(path: &Path, mapping: &Mapping) -> Result<Self> {
        let file = File::open_streaming(path).map_err(|error| broken(path, error))?;
        let data = file.group(DATA).map_err(|error| broken(path, error))?;
        let groups = data.groups().map_err(|error| broken(path, error))?;
        let number = |group: &String| group.strip_prefix("demo_")?.parse::<u64>().ok();
        let mut groups: Vec<(u64, String)> =
            groups.into_iter().filter_map(|group| Some((number(&group)?, format!("{DATA}/{group}")))).collect();
        groups.sort();
        let Some((_, first)) = groups.first() else {
            return Err(Error::content(path, DATA, "groups demo_0, demo_1, ...", "none"));
        };
        let known = known(&file, path, first)?;
        let guess = guess(&known);
        if mapping.cameras.is_none() && guess.cameras.is_none() {
            let names = known.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
            let got = format!("only {names} (robomimic's dataset_states_to_obs.py --camera_names adds some)");
            return Err(Error::content(path, format!("{first}/obs"), "pictures [T, height, width, 3] of u8", got));
        }
        let columns = mapping.or(guess).resolve(path, &known, &NOTHING_USUAL)?;
        let shape = columns.shape()?;
        let mut demos = Vec::with_capacity(groups.len());
        for (_, group) in groups {
            let length = measure(&columns, &file, path, &group)?;
            demos.push(Demo { group, length });
        }
        let frames = demos.iter().map(|demo| demo.length).sum();
        let rate = || rate(data.attrs().ok()?.get("env_args"));
        let frames_per_second = mapping.fps.or_else(rate);
        Ok(Self { path: path.to_path_buf(), file, columns, shape, demos, frames, frames_per_second })
    }
}

/// What can be mapped of the demonstration in `group`.
fn known(file: &File, path: &Path, group: &str) -> Result<Vec<Known>> {
    let mut known = Vec::new();
    for (inside, prefix) in [(group.to_owned(), ""), (format!("{group}/obs"), "obs/")] {
        for dataset in datasets(file, path, &inside)? {
            let full = format!("{inside}/{dataset}");
            let column = Column::open(file, path, &full)?;
            let seen = |kind: &Kind| matches!(kind, Kind::Numbers(_)) || column.pictures().is_ok();
            let kind = Kind::of(&column.shape).filter(seen);
            let elements = match kind {
                Some(Kind::Numbers(width)) if !prefix.is_empty() => {
                    (0..width).map(|element| format!("{dataset}_{element}")).collect()
                }
                _ => Vec::new(),
            };
            known.extend(kind.map(|kind| Known { name: format!("{prefix}{dataset}"), kind, elements }));
        }
    }
    Ok(known)
}

/// What robomimic itself would take of the columns `known`.
fn guess(known: &[Known]) -> Mapping {
    let seen = |column: &&Known| matches!(column.kind, Kind::Pictures(_));
    let preferred = CAMERAS.iter().find_map(|name| known.iter().filter(seen).find(|column| column.name == *name));
    let camera = preferred.or_else(|| known.iter().find(seen));
    let felt = |column: &&Known| {
        let name = column.name.strip_prefix("obs/");
        matches!(column.kind, Kind::Numbers(_)) && name.is_some_and(|name| !OBJECTS.contains(&name))
    };
    let numbers: Vec<String> = known.iter().filter(felt).map(|column| column.name.clone()).collect();
    let usual: Vec<String> =
        PROPRIOCEPTION.iter().map(|name| String::from(*name)).filter(|name| numbers.contains(name)).collect();
    let there = |name: &str| known.iter().any(|column| column.name == name);
    Mapping {
        cameras: camera.map(|camera| vec![camera.name.clone()]),
        action: there(ACTIONS).then(|| vec![ACTIONS.into()]),
        proprioception: Some(if usual.is_empty() { numbers } else { usual }),
        state: there(STATES).then(|| vec![STATES.into()]),
        fps: None,
    }
}

/// The length of the demonstration in `group`, which must have all `columns`, as wide as they are.
fn measure(columns: &Columns, file: &File, path: &Path, group: &str) -> Result<usize> {
    let (own, observations) = (datasets(file, path, group)?, datasets(file, path, &format!("{group}/obs"))?);
    let open = |name: &str, check: &dyn Fn(&Column<'_>) -> Result<()>| -> Result<()> {
        let (names, last) = match name.strip_prefix("obs/") {
            Some(observation) => (&observations, observation),
            None => (&own, name),
        };
        let full = format!("{group}/{name}");
        if !names.iter().any(|known| known == last) {
            return Err(missing(path, &[&full], names));
        }
        check(&Column::open(file, path, &full)?.within(file)?)
    };
    let rows = std::cell::Cell::new(None::<u64>);
    let parts = || [&columns.action, &columns.state, &columns.proprioception].into_iter().flatten();
    let first = parts().map(|part| part.column.as_str()).next().unwrap_or(&columns.cameras[0].0);
    open(first, &|column| {
        rows.set(column.shape.first().copied());
        Ok(())
    })?;
    let rows = rows.get().unwrap_or(0);
    let length = usize::try_from(rows).ok().filter(|length| (1..=MAX_FRAMES).contains(length));
    let length = length.ok_or_else(|| Error::content(path, group, format!("{first} of at least 1 moment"), rows))?;
    let attributes = file.group(group).and_then(|group| group.attrs()).map_err(|error| broken(path, error))?;
    if let Some(samples) = attributes.get("num_samples").and_then(AttrValue::as_i64)
        && samples != length as i64
    {
        return Err(Error::content(path, format!("{group} num_samples"), length, samples));
    }
    for part in parts() {
        open(&part.column, &|column| {
            let width = column.width(rows)?;
            if width == part.width {
                return Ok(());
            }
            Err(Error::content(path, format!("{group}/{}", part.column), format!("{} wide", part.width), width))
        })?;
    }
    for (name, size) in &columns.cameras {
        open(name, &|column| {
            let (pictures, own) = column.pictures()?;
            if (pictures, own) == (rows, *size) {
                return Ok(());
            }
            let describe =
                |count: u64, size: ImageSize| format!("{count} pictures of {}x{}", size.height(), size.width());
            Err(Error::content(path, format!("{group}/{name}"), describe(rows, *size), describe(pictures, own)))
        })?;
    }
    Ok(length)
}

/// Names of the datasets in `group`, sorted.
fn datasets(file: &File, path: &Path, group: &str) -> Result<Vec<String>> {
    let names = file.group(group).and_then(|group| group.datasets());
    let mut names = names.map_err(|error| Error::content(path, group, "a group of datasets", error))?;
    names.sort();
    Ok(names)
}

/// Moments per second, where the environment's arguments say.
fn rate(arguments: Option<&AttrValue>) -> Option<f64> {
    let arguments: serde_json::Value = serde_json::from_str(arguments?.as_str()?).ok()?;
    arguments.pointer("/env_kwargs/control_freq")?.as_f64().filter(|rate| rate.is_finite() && *rate > 0.0)
}

impl EpisodeSource for RobomimicFile {
    fn format(&self) -> String {
        "robomimic HDF5".into()
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn shape(&self) -> &EpisodeShape {
        &self.shape
    }

    fn len(&self) -> usize {
        self.demos.len()
    }

    fn frames(&self) -> usize {
        self.frames
    }

    fn frames_per_second(&self) -> Option<f64> {
        self.frames_per_second
    }

    fn episode(&self, index: usize) -> Result<EpisodeMeta> {
        let length = rows::episode(&self.path, &self.demos, index)?.length;
        Ok(EpisodeMeta { index, length, tasks: Vec::new() })
    }

    fn mapping(&self) -> Mapping {
        self.columns.mapping(self.frames_per_second)
    }

    fn action_names(&self) -> Vec<String> {
        element_names(&self.columns.action)
    }

    fn state_names(&self) -> Vec<String> {
        element_names(&self.columns.state)
    }

    fn proprioception_names(&self) -> Vec<String> {
        element_names(&self.columns.proprioception)
    }

    fn summary(&self) -> Result<DatasetSummary> {
        let mut features = Vec::new();
        if let Some(Demo { group, .. }) = self.demos.first() {
            for (inside, prefix) in [(group.clone(), ""), (format!("{group}/obs"), "obs/")] {
                for name in datasets(&self.file, &self.path, &inside)? {
                    let column = Column::open(&self.file, &self.path, &format!("{inside}/{name}"))?.summary()?;
                    features.push(FeatureSummary { name: format!("{prefix}{name}"), ..column });
                }
            }
        }
        DatasetSummary::plain(self, features, self.file.file_size())
    }

    fn parts(&self, episodes: Range<usize>) -> Vec<Range<usize>> {
        rows::one_by_one(episodes, self.len())
    }

    fn read(
        &self,
        part: Vec<Wanted<'_>>,
        options: PictureOptions,
        done: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<Numbers>> {
        let one = |wanted: Wanted<'_>| -> Result<Numbers> {
            let episode = wanted.episode;
            let demo = rows::episode(&self.path, &self.demos, episode)?;
            let name = |column: &str| format!("{}/{column}", demo.group);
            let numbers = |part: &Part| {
                let name = name(&part.column);
                Column::open(&self.file, &self.path, &name)?.numbers(&(0..demo.length), part.width, episode)
            };
            let Columns { cameras, action, state, proprioception } = &self.columns;
            let numbers = Numbers {
                actions: side_by_side(action, numbers)?,
                states: side_by_side(state, numbers)?,
                proprioception: side_by_side(proprioception, numbers)?,
            };
            stacked(cameras, options, wanted.pictures, &mut |(camera, size), options, target| {
                let name = name(camera);
                Column::open(&self.file, &self.path, &name)?.fill(0, size, options, target)
            })?;
            done(demo.length);
            Ok(numbers)
        };
        part.into_iter().map(one).collect()
    }
}
