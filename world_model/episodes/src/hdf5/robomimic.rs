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

use super::columns::{Column, broken};
use crate::episode::EpisodeShape;
use crate::lerobot::dataset::EpisodeMeta;
use crate::lerobot::summary::{DatasetSummary, FeatureSummary};
use crate::rows::{self, first_of, missing};
use crate::source::{EpisodeSource, Numbers, PictureOptions, Wanted};
use crate::{Error, Result};

/// The group that tells robomimic's files from others.
pub(super) const DATA: &str = "data";
/// Cameras that are preferred, the first that is there counts; after them any other, by name.
const CAMERAS: [&str; 5] = ["agentview_image", "agentview_rgb", "frontview_image", "front_image", "sideview_image"];
/// What robomimic takes as low-dimensional observations of the robot; those that are there count.
const PROPRIOCEPTION: [&str; 3] = ["robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos"];
/// Where a file has none of these, all observations count that are numbers, but for the true poses of objects.
const OBJECTS: [&str; 2] = ["object", "object-state"];
const ACTIONS: &str = "actions";
const STATES: &str = "states";

/// One demonstration.
#[derive(Debug)]
struct Demo {
    /// `data/demo_<i>`.
    group: String,
    length: usize,
}

/// What is read of a demonstration, by the names of its datasets.
#[derive(Debug)]
struct Plan {
    camera: String,
    /// Those that together are proprioception.
    felt: Vec<String>,
    has_states: bool,
}

/// A file of robomimic, open for reading.
pub struct RobomimicFile {
    path: PathBuf,
    file: File,
    plan: Plan,
    shape: EpisodeShape,
    /// Widths of what is felt.
    widths: Vec<usize>,
    demos: Vec<Demo>,
    frames: usize,
    frames_per_second: Option<f64>,
}

impl std::fmt::Debug for RobomimicFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = formatter.debug_struct("RobomimicFile");
        debug.field("path", &self.path).field("plan", &self.plan).field("shape", &self.shape).finish_non_exhaustive()
    }
}

impl RobomimicFile {
    /// Opens the file at `path`: reads what every demonstration says of itself, not its rows. What the first has, all must have.
    ///
    /// # Errors
    /// [`Error::File`] when it is broken; [`Error::Content`] when a dataset is missing or contradicts the others.
    pub fn open(path: &Path) -> Result<Self> {
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
        let plan = Plan::of(&file, path, first)?;
        let (_, shape, widths) = plan.measure(&file, path, first)?;
        let mut demos = Vec::with_capacity(groups.len());
        for (_, group) in groups {
            let (length, own, own_widths) = plan.measure(&file, path, &group)?;
            if (own, &own_widths) != (shape, &widths) {
                return Err(Error::content(path, group, describe(&shape, &widths), describe(&own, &own_widths)));
            }
            demos.push(Demo { group, length });
        }
        let frames = demos.iter().map(|demo| demo.length).sum();
        let frames_per_second = rate(data.attrs().map_err(|error| broken(path, error))?.get("env_args"));
        Ok(Self { path: path.to_path_buf(), file, plan, shape, widths, demos, frames, frames_per_second })
    }

    /// Dataset `name` of `demo`, all of it.
    fn numbers(&self, demo: &Demo, name: &str, width: usize, episode: usize) -> Result<Vec<f32>> {
        let name = format!("{}/{name}", demo.group);
        Column::open(&self.file, &self.path, &name)?.numbers(&(0..demo.length), width, episode)
    }

    /// What is felt in `demo`, one observation beside the other.
    fn proprioception(&self, demo: &Demo, episode: usize) -> Result<Vec<f32>> {
        let columns = self.plan.felt.iter().zip(&self.widths).map(|(name, &width)| {
            Ok((self.numbers(demo, &format!("obs/{name}"), width, episode)?, width)) //
        });
        let columns = columns.collect::<Result<Vec<_>>>()?;
        let row = |row: usize| columns.iter().flat_map(move |(values, width)| &values[row * width..(row + 1) * width]);
        Ok((0..demo.length).flat_map(row).copied().collect())
    }
}

impl Plan {
    /// What there is in `group`.
    fn of(file: &File, path: &Path, group: &str) -> Result<Self> {
        let inside = format!("{group}/obs");
        let observations = datasets(file, path, &inside)?;
        let (mut pictures, mut numbers) = (Vec::new(), Vec::new());
        for name in &observations {
            let full = format!("{inside}/{name}");
            let column = Column::open(file, path, &full)?;
            match column.shape.len() {
                4 if column.pictures().is_ok() => pictures.push(name.clone()),
                1 | 2 if !OBJECTS.contains(&name.as_str()) => numbers.push(name.clone()),
                _ => (),
            }
        }
        let preferred = first_of(&CAMERAS, &observations).map(str::to_owned);
        let Some(camera) = preferred.or_else(|| pictures.first().cloned()) else {
            let got = format!(
                "only {} (robomimic's dataset_states_to_obs.py --camera_names adds some)",
                observations.join(", ")
            );
            return Err(Error::content(path, inside, "pictures [T, height, width, 3] of u8", got));
        };
        let usual: Vec<String> =
            PROPRIOCEPTION.iter().map(|name| String::from(*name)).filter(|name| numbers.contains(name)).collect();
        let felt = if usual.is_empty() { numbers } else { usual };
        let has_states = datasets(file, path, group)?.iter().any(|name| name == STATES);
        Ok(Self { camera, felt, has_states })
    }

    /// Length and shape of what is in `group`, and the widths of what is felt.
    fn measure(&self, file: &File, path: &Path, group: &str) -> Result<(usize, EpisodeShape, Vec<usize>)> {
        let (own, observations) = (datasets(file, path, group)?, datasets(file, path, &format!("{group}/obs"))?);
        let column = |inside: &str, names: &[String], name: &str| -> Result<String> {
            let full = format!("{group}/{inside}{name}");
            if names.iter().any(|known| known == name) { Ok(full) } else { Err(missing(path, &[&full], names)) }
        };
        let actions = column("", &own, ACTIONS)?;
        let actions = Column::open(file, path, &actions)?;
        let rows = actions.shape.first().copied().unwrap_or(0);
        let length = usize::try_from(rows).ok().filter(|length| (1..=u32::MAX as usize).contains(length));
        let length = length.ok_or_else(|| Error::content(path, group, "actions of at least 1 moment", rows))?;
        let attributes = file.group(group).and_then(|group| group.attrs()).map_err(|error| broken(path, error))?;
        if let Some(samples) = attributes.get("num_samples").and_then(AttrValue::as_i64)
            && samples != length as i64
        {
            return Err(Error::content(path, format!("{group} num_samples"), length, samples));
        }
        let width = |inside: &str, names: &[String], name: &str| -> Result<usize> {
            Column::open(file, path, &column(inside, names, name)?)?.width(rows)
        };
        let state = if self.has_states { width("", &own, STATES)? } else { 0 };
        let felt = self.felt.iter().map(|name| width("obs/", &observations, name));
        let widths = felt.collect::<Result<Vec<usize>>>()?;
        let camera = column("obs/", &observations, &self.camera)?;
        let (pictures, image_size) = Column::open(file, path, &camera)?.pictures()?;
        if pictures != rows {
            return Err(Error::content(path, camera, format!("{rows} pictures"), pictures));
        }
        let shape =
            EpisodeShape { image_size, proprioception: widths.iter().sum(), state, action: actions.width(rows)? };
        Ok((length, shape, widths))
    }
}

/// Names of the datasets in `group`, sorted.
fn datasets(file: &File, path: &Path, group: &str) -> Result<Vec<String>> {
    let names = file.group(group).and_then(|group| group.datasets());
    let mut names = names.map_err(|error| Error::content(path, group, "a group of datasets", error))?;
    names.sort();
    Ok(names)
}

fn describe(shape: &EpisodeShape, widths: &[usize]) -> String {
    let (size, felt) = (shape.image_size, widths.iter().map(usize::to_string).collect::<Vec<_>>().join("+"));
    let EpisodeShape { action, state, .. } = shape;
    format!("{}x{} pixels, action {action}, states {state}, proprioception {felt}", size.height(), size.width())
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

    fn proprioception_names(&self) -> Vec<String> {
        let elements = |(name, &width): (&String, &usize)| -> Vec<String> {
            (0..width).map(|element| format!("{name}_{element}")).collect()
        };
        self.plan.felt.iter().zip(&self.widths).flat_map(elements).collect()
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
            let (episode, shape) = (wanted.episode, &self.shape);
            let demo = rows::episode(&self.path, &self.demos, episode)?;
            let actions = self.numbers(demo, ACTIONS, shape.action, episode)?;
            let states = if shape.state == 0 { Vec::new() } else { self.numbers(demo, STATES, shape.state, episode)? };
            let proprioception = self.proprioception(demo, episode)?;
            let camera = format!("{}/obs/{}", demo.group, self.plan.camera);
            Column::open(&self.file, &self.path, &camera)?.fill(0, shape.image_size, options, wanted.pictures)?;
            done(demo.length);
            Ok(Numbers { actions, states, proprioception })
        };
        part.into_iter().map(one).collect()
    }
}
