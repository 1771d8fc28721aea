//! Which columns of a data set hold the images, the action, proprioception and the true state.
//!
//! Data sets name their columns differently. Default names are recognised; a small TOML file assigns the rest:
//!
//! ```toml
//! cameras = ["observation.images.front", "observation.images.wrist"]
//! action = ["action"]
//! proprioception = ["observation.state[0..7]", "observation.force"]
//! state = []
//! fps = 30.0
//! ```

mod slices;

use std::path::Path;

use mindseye_interface::ImageSize;
use mindseye_interface::config::{Validate, require_range};
use serde::{Deserialize, Serialize};
use slices::{slice, split};

use crate::cameras::RecordedCamera;
use crate::columns::{ColumnSlice, Columns, with_names};
use crate::rows::MAX_WIDTH;
use crate::{Error, Result};

/// Largest number of cameras whose images are stacked.
const MAX_CAMERAS: usize = 16;

/// The use of each column. A field that is missing takes the default columns; an empty list means that there is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    /// Columns of images, one per camera. The images of one timestep are stacked vertically, `[C * H, W, 3]`, all in
    /// the size of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cameras: Option<Vec<String>>,
    /// Columns of vectors that make up an action, one after the other; `name[2..5]` selects elements 2, 3 and 4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Vec<String>>,
    /// Columns that make up proprioception, in the same notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proprioception: Option<Vec<String>>,
    /// Columns that make up the true state (for probes; a robot has none), in the same notation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Vec<String>>,
    /// Names of the elements of an action, of proprioception and of the true state, one for each, where the data have
    /// none or others are wanted. An action with the name of an element of proprioception commands its position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action_names: Option<Vec<String>>,
    /// See `action_names`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proprioception_names: Option<Vec<String>>,
    /// See `action_names`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_names: Option<Vec<String>>,
    /// Timesteps per second, where the data do not record them or record them wrongly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
}

impl Validate for Mapping {
    fn validate(&self) -> mindseye_interface::Result<()> {
        if let Some(fps) = self.fps {
            require_range("fps", fps, 1e-6, 1e6)?;
        }
        let cameras = self.cameras.as_ref().map_or(1, Vec::len);
        require_range("cameras (how many)", cameras, 1, MAX_CAMERAS)
    }
}

/// A column of a data set.
#[derive(Debug, Clone)]
pub(crate) struct AvailableColumn {
    pub name: String,
    pub kind: ColumnKind,
    /// Names of the elements of vectors; empty where there are none.
    pub elements: Vec<String>,
    /// Whether images are coloured. Others are taken by default only where there is no coloured one.
    pub is_colour: bool,
}

impl AvailableColumn {
    /// A column without names of elements; images are taken to be coloured.
    pub fn new(name: impl Into<String>, kind: ColumnKind) -> Self {
        let is_colour = matches!(kind, ColumnKind::Image(_));
        Self { name: name.into(), kind, elements: Vec::new(), is_colour }
    }

    /// The order in which cameras are taken by default: coloured ones first, and those that are called depth last.
    pub fn camera_rank(&self) -> (bool, bool) {
        (self.name.to_lowercase().contains("depth"), !self.is_colour)
    }
}

/// The content of a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ColumnKind {
    /// Images of this size.
    Image(ImageSize),
    /// Vectors of this width.
    Vector(usize),
    /// Something that is not read, in words. It is refused when it is asked for.
    Unread(String),
}

impl ColumnKind {
    /// The content of a column of numbers of `shape`, with rows along the first axis.
    pub fn numbers(shape: &[u64]) -> Self {
        match *shape {
            [_, width] if (1..=MAX_WIDTH).contains(&width) => Self::Vector(width as usize),
            [_] => Self::Vector(1),
            _ => Self::Unread(format!("{shape:?}")),
        }
    }

    /// The image size, for a column of images.
    pub fn image_size(&self) -> Option<ImageSize> {
        match self {
            Self::Image(size) => Some(*size),
            Self::Vector(_) | Self::Unread(_) => None,
        }
    }
}

/// Default names of the columns of a format: the first that exists is taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct DefaultColumns {
    /// `None` takes the first column of images, whatever its name.
    pub cameras: Option<&'static [&'static str]>,
    /// Prefix of columns of images; the rest is the camera's name.
    pub camera_prefix: &'static str,
    pub action: &'static [&'static str],
    pub proprioception: &'static [&'static str],
    pub state: &'static [&'static str],
}

impl DefaultColumns {
    fn camera(&self, column: &str, size: ImageSize) -> RecordedCamera {
        let name = column.strip_prefix(self.camera_prefix).filter(|name| !name.is_empty()).unwrap_or(column);
        RecordedCamera { column: column.into(), name: name.into(), size }
    }
}

impl Mapping {
    /// This mapping, with `fps` where it says no rate.
    #[must_use]
    pub fn or_rate(self, fps: Option<f64>) -> Self {
        Self { fps: self.fps.or(fps), ..self }
    }

    /// This mapping, with missing fields taken from `defaults`.
    #[must_use]
    pub(crate) fn or(&self, defaults: Self) -> Self {
        let mapping = self.clone();
        Self {
            cameras: mapping.cameras.or(defaults.cameras),
            action: mapping.action.or(defaults.action),
            proprioception: mapping.proprioception.or(defaults.proprioception),
            state: mapping.state.or(defaults.state),
            action_names: mapping.action_names.or(defaults.action_names),
            proprioception_names: mapping.proprioception_names.or(defaults.proprioception_names),
            state_names: mapping.state_names.or(defaults.state_names),
            fps: mapping.fps.or(defaults.fps),
        }
    }

    /// The mapping that names everything that is read from `columns`.
    pub(crate) fn of(columns: &Columns, fps: Option<f64>) -> Self {
        let name = |slice: &ColumnSlice| {
            let ColumnSlice { column, elements, .. } = slice;
            if slice.is_whole() { column.clone() } else { format!("{column}[{}..{}]", elements.start, elements.end) }
        };
        let names = |slices: &[ColumnSlice]| Some(slices.iter().map(name).collect());
        Self {
            cameras: Some(columns.cameras.iter().map(|camera| camera.column.clone()).collect()),
            action: names(&columns.action),
            proprioception: names(&columns.proprioception),
            state: names(&columns.state),
            fps,
            ..Self::default()
        }
    }

    /// Finds the mapped or default columns among the columns `available` in the data set at `path`.
    ///
    /// # Errors
    /// [`Error::Content`] when a column is missing or of another kind, or when there is no camera.
    pub(crate) fn resolve(
        &self,
        path: &Path,
        available: &[AvailableColumn],
        defaults: &DefaultColumns,
    ) -> Result<Columns> {
        let finder = Finder { path, available };
        let named = |field, mapped: &Option<Vec<String>>, default: &[&str], names: &Option<Vec<String>>| {
            let slices = finder.slices(field, mapped.as_deref(), default)?;
            names.as_ref().map_or(Ok(slices.clone()), |names| with_names(path, field, slices, names))
        };
        let (own, own_names) = (&self.proprioception, &self.proprioception_names);
        Ok(Columns {
            cameras: finder.cameras(self.cameras.as_deref(), defaults)?,
            action: named("action", &self.action, defaults.action, &self.action_names)?,
            proprioception: named("proprioception", own, defaults.proprioception, own_names)?,
            state: named("state", &self.state, defaults.state, &self.state_names)?,
        })
    }
}

/// The columns of one data set, to be searched by name.
struct Finder<'a> {
    path: &'a Path,
    available: &'a [AvailableColumn],
}

impl Finder<'_> {
    fn find(&self, name: &str) -> Option<&AvailableColumn> {
        self.available.iter().find(|column| column.name == name)
    }

    /// The names of all columns, for messages, with what is wrong about those that are not read.
    fn all_names(&self) -> String {
        let name = |column: &AvailableColumn| match &column.kind {
            ColumnKind::Unread(what) => format!("{} ({what})", column.name),
            _ => column.name.clone(),
        };
        self.available.iter().map(name).collect::<Vec<_>>().join(", ")
    }

    fn require(&self, name: &str, field: &str) -> Result<&AvailableColumn> {
        let missing = || {
            let got = format!("only {}", self.all_names());
            Error::content(self.path, format!("{field} {name}"), "a column", got)
        };
        self.find(name).ok_or_else(missing)
    }

    fn cameras(&self, mapped: Option<&[String]>, defaults: &DefaultColumns) -> Result<Vec<RecordedCamera>> {
        let mut cameras = Vec::new();
        for name in mapped.unwrap_or_default() {
            let got = match &self.require(name, "camera")?.kind {
                ColumnKind::Image(size) => {
                    cameras.push(defaults.camera(name, *size));
                    continue;
                }
                ColumnKind::Vector(width) => format!("{width} numbers"),
                ColumnKind::Unread(what) => what.clone(),
            };
            return Err(Error::content(self.path, format!("camera {name}"), "images", got));
        }
        if cameras.is_empty() {
            let camera = |column: &AvailableColumn| Some(defaults.camera(&column.name, column.kind.image_size()?));
            let default = match defaults.cameras {
                Some(names) => names.iter().find_map(|name| self.find(name).and_then(camera)),
                None => {
                    let cameras = self.available.iter().filter(|column| column.kind.image_size().is_some());
                    cameras.min_by_key(|column| column.camera_rank()).and_then(camera)
                }
            };
            let missing = || {
                let named = |names: &[&str]| format!("images called {}", names.join(" or "));
                let expected = defaults.cameras.map_or("a camera".into(), named);
                let none = self.available.is_empty();
                let got = if none { "none".into() } else { format!("only {}", self.all_names()) };
                Error::content(self.path, "columns", expected, got)
            };
            cameras.push(default.ok_or_else(missing)?);
        }
        Ok(cameras)
    }

    fn slices(&self, field: &str, mapped: Option<&[String]>, defaults: &[&str]) -> Result<Vec<ColumnSlice>> {
        let Some(mapped) = mapped else {
            let default = defaults.iter().find_map(|name| self.find(name));
            // Only without an action is there nothing to learn.
            let is_asked_for =
                |column: &&AvailableColumn| field == "action" || !matches!(column.kind, ColumnKind::Unread(_));
            let default = default.filter(is_asked_for);
            return default.map(|column| slice(self.path, column, None)).into_iter().collect();
        };
        let one = |text: &String| {
            if let Some(column) = self.find(text) {
                return slice(self.path, column, None);
            }
            let (name, elements) = split(text).ok_or_else(|| {
                Error::content(self.path, format!("{field} {text}"), "a name, or name[first..end]", "neither")
            })?;
            slice(self.path, self.require(name, field)?, elements)
        };
        mapped.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::columns::{element_names, side_by_side};

    const DEFAULTS: DefaultColumns = DefaultColumns {
        cameras: None,
        camera_prefix: "images.",
        action: &["action", "actions"],
        proprioception: &["observation.state"],
        state: &["observation.environment_state"],
    };

    fn available() -> Result<Vec<AvailableColumn>> {
        let images = |name: &str, side| -> Result<AvailableColumn> {
            Ok(AvailableColumn::new(name, ColumnKind::Image(ImageSize::square(side)?)))
        };
        let numbers = |name: &str, elements: &[&str]| AvailableColumn {
            elements: elements.iter().map(ToString::to_string).collect(),
            ..AvailableColumn::new(name, ColumnKind::Vector(elements.len()))
        };
        Ok(vec![
            images("images.front", 8)?,
            images("wrist", 4)?,
            numbers("observation.state", &["a", "b", "c"]),
            numbers("force", &["f"]),
            numbers("actions", &["x", "y"]),
        ])
    }

    #[test]
    fn default_columns_are_taken_without_a_mapping() -> Result<()> {
        let columns = Mapping::default().resolve(Path::new("data"), &available()?, &DEFAULTS)?;
        let shape = columns.shape()?;
        assert_eq!(columns.cameras[0].name, "front", "without the prefix of the format");
        assert_eq!((shape.image_size, shape.action, shape.proprioception), (ImageSize::square(8)?, 2, 3));
        assert_eq!(shape.state, 0);
        assert_eq!(element_names(&columns.action), ["x", "y"]);
        let named = Mapping::of(&columns, None);
        assert_eq!(named.cameras, Some(vec!["images.front".into()]));
        assert_eq!(
            named.resolve(Path::new("data"), &available()?, &DEFAULTS)?,
            columns,
            "naming the default columns changes nothing"
        );
        Ok(())
    }

    #[test]
    fn mapped_columns_and_slices_are_put_side_by_side() -> Result<()> {
        let list = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let mapping = Mapping {
            cameras: list(&["images.front", "wrist"]),
            proprioception: list(&["observation.state[1..3]", "force"]),
            action: list(&[]),
            ..Mapping::default()
        };
        let columns = mapping.resolve(Path::new("data"), &available()?, &DEFAULTS)?;
        assert_eq!(columns.shape()?.image_size, ImageSize::new(16, 8)?, "stacked vertically");
        assert_eq!(columns.shape()?.action, 0);
        assert_eq!(element_names(&columns.proprioception), ["b", "c", "f"]);
        let column =
            |part: &ColumnSlice| Ok((0..2 * part.width).map(|value| value as f32 + 10.0 * part.width as f32).collect());
        assert_eq!(side_by_side(&columns.proprioception, column)?, [31.0, 32.0, 10.0, 34.0, 35.0, 11.0]);
        assert_eq!(Mapping::of(&columns, None).proprioception, mapping.proprioception);
        Ok(())
    }

    #[test]
    fn elements_are_named_by_the_mapping() -> Result<()> {
        let text = "proprioception = ['force', 'observation.state[1..3]']\nproprioception_names = ['f', 'lift', 'pan']";
        let mapping = mindseye_interface::config::parse::<Mapping>(text)?;
        let columns = mapping.resolve(Path::new("data"), &available()?, &DEFAULTS)?;
        assert_eq!(element_names(&columns.proprioception), ["f", "lift", "pan"]);
        assert_eq!(columns.proprioception[1].names, ["lift", "pan"]);
        assert_eq!(element_names(&columns.action), ["x", "y"], "as recorded");
        Ok(())
    }

    #[test]
    fn a_mapping_of_missing_columns_is_refused_by_name() -> Result<()> {
        let available = available()?;
        let refused = |text: &str| -> String {
            let Ok(mapping) = mindseye_interface::config::parse::<Mapping>(text) else { return "no mapping".into() };
            match mapping.resolve(Path::new("data"), &available, &DEFAULTS) {
                Ok(_) => "nothing".into(),
                Err(error) => error.to_string(),
            }
        };
        for (text, names) in [
            ("cameras = ['back']", "camera back"),
            ("cameras = ['force']", "camera force"),
            ("action = ['images.front']", "images.front"),
            ("action = ['actions[1..3]']", "0..2"),
            ("action = ['actions[1..']", "name[first..end]"),
            ("state = ['nothing']", "state nothing"),
            ("action_names = ['x']", "action_names"),
        ] {
            assert!(refused(text).contains(names), "{text}: {}", refused(text));
        }
        assert_eq!(refused("camera = []"), "no mapping");
        assert_eq!(refused("cameras = []"), "no mapping");
        Ok(())
    }
}
