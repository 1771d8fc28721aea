//! robomimic's HDF5 files (also of MimicGen, LIBERO and robosuite's collector): one group per demonstration.
//!
//! ```text
//! data                               attribute env_args: JSON, with env_kwargs.control_freq in timesteps per second
//! data/demo_<i>                      attribute num_samples: T
//! data/demo_<i>/actions [T, A]
//! data/demo_<i>/states [T, K]        state of the simulator, where it is recorded
//! data/demo_<i>/obs/<name>           images [T, H, W, 3] u8, and numbers [T, width]
//! mask/<name>                        lists of demonstrations; they are ignored, all demonstrations are read
//! ```

use std::ops::Range;
use std::path::{Path, PathBuf};

use hdf5_pure::{AttrValue, File};
use mindseye_interface::ImageSize;

use super::columns::Column;
use super::file::{broken, open_file};
use super::image_column::{EXPECTED, Images};
use super::tree::{Node, Tree};
use crate::cameras::{ImageOptions, RecordedCamera, fill_stack};
use crate::columns::{ColumnSlice, Columns, actions_side_by_side, element_names, side_by_side};
use crate::episode::{EpisodeArrays, EpisodeShape};
use crate::mapping::{AvailableColumn, ColumnKind, DefaultColumns, Mapping};
use crate::rows::{self, MAX_FRAMES, missing};
use crate::source::{EpisodeMeta, EpisodeSource, ReadRequest, plain_summary};
use crate::summary::{DatasetSummary, FeatureSummary};
use crate::{Error, Result};

/// The group that identifies robomimic's files.
pub(super) const DATA: &str = "data";
/// Preferred cameras: the first that exists is taken, else the first of all others by name.
const CAMERAS: [&str; 5] =
    ["obs/agentview_image", "obs/agentview_rgb", "obs/frontview_image", "obs/front_image", "obs/sideview_image"];
/// robomimic's low-dimensional observations of the robot; those that exist are taken.
const PROPRIOCEPTION: [&str; 3] = ["obs/robot0_eef_pos", "obs/robot0_eef_quat", "obs/robot0_gripper_qpos"];
/// If a file has none of these, all vectors among the observations are taken, except the true poses of objects.
const OBJECTS: [&str; 2] = ["object", "object-state"];
const ACTIONS: &str = "actions";
const STATES: &str = "states";
/// [`default_mapping`] names all default columns.
const NO_DEFAULTS: DefaultColumns =
    DefaultColumns { cameras: None, camera_prefix: OBSERVATIONS, action: &[], proprioception: &[], state: &[] };
/// Prefix of the observations.
const OBSERVATIONS: &str = "obs/";

/// One demonstration. Its groups stay open: to find one by its path, the list of all is read.
struct Demo {
    /// `data/demo_<i>`.
    name: String,
    own: Node,
    observations: Node,
    length: usize,
}

impl Demo {
    /// The column `column`, as in `obs/agentview_image`, of `file` at `path`; `name` is its whole name.
    fn column<'a>(&self, column: &str, file: &File, path: &'a Path, name: &'a str) -> Result<Column<'a>> {
        match column.strip_prefix(OBSERVATIONS) {
            Some(inside) => Column::open(&self.observations, inside, file, path, name),
            None => Column::open(&self.own, column, file, path, name),
        }
    }
}

/// A file of robomimic, open for reading. Columns are named as within a demonstration: `actions`,
/// `obs/agentview_image`.
pub(super) struct RobomimicFile {
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
    /// Opens the file at `path` with the columns that `mapping` names: reads the description of every demonstration,
    /// not its rows. All demonstrations must have the columns of the first.
    ///
    /// # Errors
    /// [`Error::File`] when it is broken; [`Error::Content`] when a dataset is missing or contradicts the others.
    pub fn open_with(path: &Path, mapping: &Mapping) -> Result<Self> {
        let file = open_file(path)?;
        let mut tree = Tree::new(&file, path);
        let root = tree.root();
        let data = tree.group(&root, "", DATA, None)?;
        // To find a group by its name, the list of all is read.
        let mut opened = data.opened(path)?;
        let number = |group: &str| group.strip_prefix("demo_")?.parse::<u64>().ok();
        let mut names: Vec<(u64, String)> = Vec::new();
        let all = if opened.is_empty() { tree.groups(&data)? } else { opened.keys().cloned().collect() };
        for name in all {
            names.extend(number(&name).map(|number| (number, name)));
        }
        names.sort();
        let mut demos = Vec::with_capacity(names.len());
        for (_, demo) in names {
            let name = format!("{DATA}/{demo}");
            let own = tree.group(&data, DATA, &demo, opened.remove(&demo))?;
            let observations = tree.group(&own, &name, "obs", None)?;
            demos.push(Demo { name, own, observations, length: 0 });
        }
        drop(tree);
        let Some(first) = demos.first() else {
            return Err(Error::content(path, DATA, "groups demo_0, demo_1, ...", "none"));
        };
        let available = available_columns(first, &file, path)?;
        let defaults = default_mapping(&available);
        if mapping.cameras.is_none() && defaults.cameras.is_none() {
            // Images of another kind are named: there the advice to add some leads nowhere.
            let unread = available.iter().find_map(|column| match &column.kind {
                ColumnKind::Unread(what) if column.name.starts_with(OBSERVATIONS) => Some((&column.name, what)),
                _ => None,
            });
            if let Some((name, what)) = unread {
                return Err(Error::content(path, format!("{}/{name}", first.name), EXPECTED, what));
            }
            let names = available.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
            let got = format!("only {names} (robomimic's dataset_states_to_obs.py --camera_names adds some)");
            return Err(Error::content(path, format!("{}/obs", first.name), EXPECTED, got));
        }
        let columns = mapping.or(defaults).resolve(path, &available, &NO_DEFAULTS)?;
        let shape = columns.shape()?;
        for demo in &mut demos {
            demo.length = demonstration_length(&columns, demo, &file, path)?;
        }
        let frames = demos.iter().map(|demo| demo.length).sum();
        let rate = || rate(data.group.attrs().ok()?.get("env_args"));
        let frames_per_second = mapping.fps.or_else(rate);
        Ok(Self { path: path.to_path_buf(), file, columns, shape, demos, frames, frames_per_second })
    }
}

/// The columns of a demonstration: the prefix of their group, and their names.
fn datasets_of(demo: &Demo, file: &File, path: &Path) -> Result<Vec<(String, String)>> {
    let mut names = Vec::new();
    for (node, prefix) in [(&demo.own, ""), (&demo.observations, OBSERVATIONS)] {
        names.extend(datasets(node, file, path)?.into_iter().map(|name| (prefix.to_owned(), name)));
    }
    Ok(names)
}

/// The columns of a demonstration.
fn available_columns(demo: &Demo, file: &File, path: &Path) -> Result<Vec<AvailableColumn>> {
    let mut available = Vec::new();
    for (prefix, dataset) in datasets_of(demo, file, path)? {
        let name = format!("{prefix}{dataset}");
        let full = format!("{}/{name}", demo.name);
        let mut column = match demo.column(&name, file, path, &full) {
            Ok(column) => column.available(&name),
            Err(error) => AvailableColumn::new(&name, ColumnKind::Unread(error.to_string())),
        };
        if let ColumnKind::Vector(width) = &column.kind
            && !prefix.is_empty()
        {
            column.elements = (0..*width).map(|element| format!("{dataset}_{element}")).collect();
        }
        available.push(column);
    }
    Ok(available)
}

/// The columns that robomimic uses by default, of those `available`.
fn default_mapping(available: &[AvailableColumn]) -> Mapping {
    let is_camera = |column: &&AvailableColumn| column.kind.image_size().is_some();
    let cameras = || available.iter().filter(is_camera);
    let preferred = CAMERAS.iter().find_map(|name| cameras().find(|column| column.name == *name));
    let camera = preferred.or_else(|| cameras().min_by_key(|column| column.camera_rank()));
    let is_proprioception = |column: &&AvailableColumn| {
        let name = column.name.strip_prefix(OBSERVATIONS);
        matches!(column.kind, ColumnKind::Vector(_)) && name.is_some_and(|name| !OBJECTS.contains(&name))
    };
    let vectors: Vec<String> = available.iter().filter(is_proprioception).map(|column| column.name.clone()).collect();
    let preferred: Vec<String> =
        PROPRIOCEPTION.iter().map(|name| String::from(*name)).filter(|name| vectors.contains(name)).collect();
    let exists = |name: &str| available.iter().any(|column| column.name == name);
    Mapping {
        cameras: camera.map(|camera| vec![camera.name.clone()]),
        action: exists(ACTIONS).then(|| vec![ACTIONS.into()]),
        proprioception: Some(if preferred.is_empty() { vectors } else { preferred }),
        state: exists(STATES).then(|| vec![STATES.into()]),
        fps: None,
        ..Mapping::default()
    }
}

/// The length of a demonstration.
///
/// # Errors
/// [`Error::Content`] when it lacks one of `columns`, or has it with another length, width or image size.
fn demonstration_length(columns: &Columns, demo: &Demo, file: &File, path: &Path) -> Result<usize> {
    let group = demo.name.as_str();
    let own = datasets(&demo.own, file, path)?;
    let observations = datasets(&demo.observations, file, path)?;
    let open = |name: &str, check: &dyn Fn(&Column<'_>) -> Result<()>| -> Result<()> {
        let (names, last) = match name.strip_prefix(OBSERVATIONS) {
            Some(observation) => (&observations, observation),
            None => (&own, name),
        };
        let full = format!("{group}/{name}");
        if !names.iter().any(|name| name == last) {
            return Err(missing(path, &[&full], names));
        }
        check(&demo.column(name, file, path, &full)?.within(file.file_size())?)
    };
    let rows = std::cell::Cell::new(None::<u64>);
    let first = columns.slices().map(|slice| slice.column.as_str()).next().unwrap_or(&columns.cameras[0].column);
    open(first, &|column| {
        rows.set(column.shape.first().copied());
        Ok(())
    })?;
    let rows = rows.get().unwrap_or(0);
    let length = usize::try_from(rows).ok().filter(|length| (1..=MAX_FRAMES).contains(length));
    let length = length.ok_or_else(|| Error::content(path, group, format!("{first} of at least 1 timestep"), rows))?;
    let attributes = demo.own.group.attrs().map_err(|error| broken(path, error))?;
    if let Some(samples) = attributes.get("num_samples").and_then(AttrValue::as_i64)
        && samples != length as i64
    {
        return Err(Error::content(path, format!("{group} num_samples"), length, samples));
    }
    for slice in columns.slices() {
        open(&slice.column, &|column| {
            let width = column.width(rows)?;
            if width == slice.width {
                return Ok(());
            }
            Err(Error::content(path, format!("{group}/{}", slice.column), format!("{} wide", slice.width), width))
        })?;
    }
    for RecordedCamera { column: name, size, .. } in &columns.cameras {
        open(name, &|column| {
            let Images { rows: images, size: own, .. } = column.images()?;
            if (images, own) == (rows, *size) {
                return Ok(());
            }
            let describe =
                |count: u64, size: ImageSize| format!("{count} images of {}x{}", size.height(), size.width());
            Err(Error::content(path, format!("{group}/{name}"), describe(rows, *size), describe(images, own)))
        })?;
    }
    Ok(length)
}

/// Names of the datasets in `node`, sorted.
fn datasets(node: &Node, file: &File, path: &Path) -> Result<Vec<String>> {
    let mut names = node.datasets(file, path)?;
    names.sort();
    Ok(names)
}

/// Timesteps per second, where the environment's arguments contain them.
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

    fn cameras(&self) -> &[RecordedCamera] {
        &self.columns.cameras
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
        Mapping::of(&self.columns, self.frames_per_second)
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
        if let Some(demo) = self.demos.first() {
            for (prefix, dataset) in datasets_of(demo, &self.file, &self.path)? {
                let name = format!("{prefix}{dataset}");
                // Only what is read must be right: other columns are left out where they cannot be described.
                let column = demo.column(&name, &self.file, &self.path, &name).and_then(|column| column.summary());
                features.extend(column.map(|column| FeatureSummary { name, ..column }));
            }
        }
        plain_summary(self, features, self.file.file_size())
    }

    fn parts(&self, episodes: Range<usize>) -> Vec<Range<usize>> {
        rows::one_by_one(episodes, self.len())
    }

    fn read(
        &self,
        part: Vec<ReadRequest<'_>>,
        options: ImageOptions,
        done: &(dyn Fn(usize) + Sync),
    ) -> Result<Vec<EpisodeArrays>> {
        let one = |request: ReadRequest<'_>| -> Result<EpisodeArrays> {
            let episode = request.episode;
            let demo = rows::episode(&self.path, &self.demos, episode)?;
            let name = |column: &str| format!("{}/{column}", demo.name);
            let column = |slice: &ColumnSlice| {
                let (name, rows) = (name(&slice.column), 0..demo.length);
                demo.column(&slice.column, &self.file, &self.path, &name)?.numbers(&rows, slice, episode)
            };
            let action = |slice: &ColumnSlice| {
                let (name, rows) = (name(&slice.column), 0..demo.length);
                demo.column(&slice.column, &self.file, &self.path, &name)?.actions(&rows, slice, episode)
            };
            let arrays = EpisodeArrays {
                actions: actions_side_by_side(&self.columns.action, action)?,
                states: side_by_side(&self.columns.state, column)?,
                proprioception: side_by_side(&self.columns.proprioception, column)?,
                ..EpisodeArrays::default()
            };
            fill_stack(&self.columns.cameras, options, request.images, &mut |camera, options, target| {
                let name = name(&camera.column);
                demo.column(&camera.column, &self.file, &self.path, &name)?.fill(0, camera.size, options, target)
            })?;
            done(demo.length);
            Ok(arrays)
        };
        part.into_iter().map(one).collect()
    }
}
