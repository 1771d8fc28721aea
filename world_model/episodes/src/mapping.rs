//! Which columns of a data set are the pictures, the action, the body's sense of itself and the true state.
//!
//! Data sets of other people name their columns as they like. What is usual is guessed; a small TOML file says the rest:
//!
//! ```toml
//! cameras = ["observation.images.front", "observation.images.wrist"]
//! action = ["action"]
//! proprioception = ["observation.state[0..7]", "observation.force"]
//! state = []
//! fps = 30.0
//! ```

use std::ops::Range;
use std::path::Path;

use mindseye_interface::ImageSize;
use mindseye_interface::config::Validate;
use serde::{Deserialize, Serialize};

use crate::episode::EpisodeShape;
use crate::rows::MAX_WIDTH;
use crate::source::PictureOptions;
use crate::{Error, Result};

/// Most cameras whose pictures are put together.
const MAX_CAMERAS: usize = 16;

/// What each column is for. What is left out is guessed from the names; an empty list says that there is none.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Mapping {
    /// Columns of pictures. Those of one moment stand on top of each other, `[C * H, W, 3]`, all in the size of the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cameras: Option<Vec<String>>,
    /// Columns of numbers that make up an action, one after the other; `name[2..5]` takes elements 2, 3 and 4 of one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Vec<String>>,
    /// Likewise, the body's own sense of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proprioception: Option<Vec<String>>,
    /// Likewise, the true state (for probes; a robot has none).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<Vec<String>>,
    /// Moments per second, where the data do not say, or say it wrongly.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fps: Option<f64>,
}

impl Validate for Mapping {
    fn validate(&self) -> mindseye_interface::Result<()> {
        if let Some(fps) = self.fps {
            mindseye_interface::config::require_range("fps", fps, 1e-6, 1e6)?;
        }
        let cameras = self.cameras.as_ref().map_or(1, Vec::len);
        mindseye_interface::config::require_range("cameras (how many)", cameras, 1, MAX_CAMERAS)
    }
}

/// A column that a data set has.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    pub name: String,
    pub kind: Kind,
    /// Names of the elements of numbers; empty where there are none.
    pub elements: Vec<String>,
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Pictures of a size.
    Pictures(ImageSize),
    /// Rows of so many numbers.
    Numbers(usize),
}

impl Kind {
    /// What rows along the first axis of `shape` hold: pictures `[_, height, width, 3]`, or numbers.
    pub fn of(shape: &[u64]) -> Option<Self> {
        match *shape {
            [_, height, width, 3] if height.max(width) <= ImageSize::MAX_SIDE as u64 => {
                ImageSize::new(height as usize, width as usize).ok().map(Self::Pictures)
            }
            [_, width] if (1..=MAX_WIDTH).contains(&width) => Some(Self::Numbers(width as usize)),
            [_] => Some(Self::Numbers(1)),
            _ => None,
        }
    }
}

/// Names that columns usually have: the first that is there counts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usual {
    /// `None` takes the first column of pictures, whatever its name.
    pub cameras: Option<&'static [&'static str]>,
    pub action: &'static [&'static str],
    pub proprioception: &'static [&'static str],
    pub state: &'static [&'static str],
}

/// Elements of a column of numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    pub column: String,
    /// Width of the whole column.
    pub width: usize,
    pub elements: Range<usize>,
    /// Names of the elements, or none.
    names: Vec<String>,
}

/// The columns that are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    pub cameras: Vec<(String, ImageSize)>,
    pub action: Vec<Part>,
    pub proprioception: Vec<Part>,
    pub state: Vec<Part>,
}

impl Mapping {
    /// What this says, and where it says nothing, what `guess` says.
    #[must_use]
    pub(crate) fn or(&self, guess: Self) -> Self {
        let mapping = self.clone();
        Self {
            cameras: mapping.cameras.or(guess.cameras),
            action: mapping.action.or(guess.action),
            proprioception: mapping.proprioception.or(guess.proprioception),
            state: mapping.state.or(guess.state),
            fps: mapping.fps.or(guess.fps),
        }
    }

    /// Finds what is mapped, or guessed, among the columns of the data set at `path`.
    ///
    /// # Errors
    /// [`Error::Content`] when a column is missing, is of another kind, or there are no pictures.
    pub(crate) fn resolve(&self, path: &Path, known: &[Known], usual: &Usual) -> Result<Columns> {
        let all = || known.iter().map(|column| column.name.as_str()).collect::<Vec<_>>().join(", ");
        let find = |name: &str, field: &str| {
            let found = known.iter().find(|column| column.name == name);
            found.ok_or_else(|| Error::content(path, format!("{field} {name}"), "a column", format!("only {}", all())))
        };
        let mut cameras = Vec::new();
        for name in self.cameras.iter().flatten() {
            match find(name, "camera")?.kind {
                Kind::Pictures(size) => cameras.push((name.clone(), size)),
                Kind::Numbers(width) => {
                    return Err(Error::content(path, format!("camera {name}"), "pictures", format!("{width} numbers")));
                }
            }
        }
        if cameras.is_empty() {
            let pictures = |column: &Known| match column.kind {
                Kind::Pictures(size) => Some((column.name.clone(), size)),
                Kind::Numbers(_) => None,
            };
            let guess = match usual.cameras {
                Some(names) => {
                    names.iter().find_map(|name| known.iter().find(|known| known.name == *name).and_then(pictures))
                }
                None => known.iter().find_map(pictures),
            };
            let expected =
                usual.cameras.map_or("a camera".into(), |names| format!("pictures called {}", names.join(" or ")));
            let got = || if known.is_empty() { "none".into() } else { format!("only {}", all()) };
            cameras.push(guess.ok_or_else(|| Error::content(path, "columns", expected, got()))?);
        }
        let parts = |field: &str, mapped: &Option<Vec<String>>, usual: &[&str]| -> Result<Vec<Part>> {
            let Some(mapped) = mapped else {
                let guess = usual.iter().find(|name| known.iter().any(|column| column.name == **name));
                return guess.map(|name| part(path, find(name, field)?, None)).into_iter().collect();
            };
            mapped
                .iter()
                .map(|text| {
                    if let Some(column) = known.iter().find(|column| column.name == *text) {
                        return part(path, column, None);
                    }
                    let (name, elements) = split(text).ok_or_else(|| {
                        Error::content(path, format!("{field} {text}"), "a name, or name[first..end]", "neither")
                    })?;
                    part(path, find(name, field)?, elements)
                })
                .collect()
        };
        Ok(Columns {
            cameras,
            action: parts("action", &self.action, usual.action)?,
            proprioception: parts("proprioception", &self.proprioception, usual.proprioception)?,
            state: parts("state", &self.state, usual.state)?,
        })
    }
}

/// `name` and the range of `name[first..end]`.
fn split(text: &str) -> Option<(&str, Option<Range<usize>>)> {
    let Some((name, range)) = text.rsplit_once('[') else { return Some((text, None)) };
    let range = range.strip_suffix(']')?;
    let (first, end) = range.split_once("..")?;
    Some((name, Some(first.trim().parse().ok()?..end.trim().parse().ok()?)))
}

fn part(path: &Path, column: &Known, elements: Option<Range<usize>>) -> Result<Part> {
    let name = &column.name;
    let Kind::Numbers(width) = column.kind else {
        return Err(Error::content(path, name, "numbers", "pictures"));
    };
    let elements = elements.unwrap_or(0..width);
    if elements.is_empty() || elements.end > width {
        let got = format!("{}..{}", elements.start, elements.end);
        return Err(Error::content(path, format!("elements of {name}"), format!("a part of 0..{width}"), got));
    }
    let names = column.elements.get(elements.clone()).filter(|_| column.elements.len() == width);
    Ok(Part { column: name.clone(), width, names: names.map(<[String]>::to_vec).unwrap_or_default(), elements })
}

impl Columns {
    /// Widths and size of what these columns give together.
    ///
    /// # Errors
    /// When the pictures of all cameras on top of each other are larger than a picture may be.
    pub fn shape(&self) -> Result<EpisodeShape> {
        let width = |parts: &[Part]| parts.iter().map(|part| part.elements.len()).sum();
        let one = self.cameras[0].1;
        Ok(EpisodeShape {
            image_size: ImageSize::new(self.cameras.len() * one.height(), one.width())?,
            action: width(&self.action),
            proprioception: width(&self.proprioception),
            state: width(&self.state),
        })
    }

    /// Whether an action is the whole of `column` and nothing else: what is known of that column holds for it.
    pub fn act_by(&self, column: &str) -> bool {
        matches!(&self.action[..], [only] if only.column == column && only.elements == (0..only.width))
    }

    /// Everything that is read, by name.
    pub fn mapping(&self, fps: Option<f64>) -> Mapping {
        let names = |parts: &[Part]| {
            let name = |Part { column, width, elements, .. }: &Part| {
                if *elements == (0..*width) {
                    column.clone()
                } else {
                    format!("{column}[{}..{}]", elements.start, elements.end)
                }
            };
            Some(parts.iter().map(name).collect())
        };
        Mapping {
            cameras: Some(self.cameras.iter().map(|(name, _)| name.clone()).collect()),
            action: names(&self.action),
            proprioception: names(&self.proprioception),
            state: names(&self.state),
            fps,
        }
    }
}

/// Names of the elements of `parts`, one after the other; none where one part has none.
pub(crate) fn element_names(parts: &[Part]) -> Vec<String> {
    if parts.iter().any(|part| part.names.is_empty()) {
        return Vec::new();
    }
    parts.iter().flat_map(|part| part.names.clone()).collect()
}

/// Rows of `parts` side by side, `[T, sum of their widths]`; `column` gives the rows `[T, width]` of a whole column.
///
/// # Errors
/// What `column` says.
pub(crate) fn side_by_side(parts: &[Part], mut column: impl FnMut(&Part) -> Result<Vec<f32>>) -> Result<Vec<f32>> {
    if let [only] = parts
        && only.elements == (0..only.width)
    {
        return column(only);
    }
    let columns: Vec<Vec<f32>> = parts.iter().map(&mut column).collect::<Result<_>>()?;
    let rows = parts.iter().zip(&columns).map(|(part, values)| values.len() / part.width).min().unwrap_or(0);
    let row = |row: usize| {
        let of_part = move |(part, values): (&Part, &Vec<f32>)| {
            values[row * part.width + part.elements.start..row * part.width + part.elements.end].to_vec()
        };
        parts.iter().zip(&columns).flat_map(of_part)
    };
    Ok((0..rows).flat_map(row).collect())
}

/// Fills the last argument with the pictures of a camera, by its name and their size.
pub(crate) type FillCamera<'a> = dyn FnMut((&str, ImageSize), PictureOptions, &mut [u8]) -> Result<()> + 'a;

/// Fills `target [T, C * H, W, 3]` of `options.size` with the pictures of all `cameras`, one on top of the other; `fill` gives those of one
/// camera, `[T, H, W, 3]`.
///
/// # Errors
/// What `fill` says, and [`Error::Border`] for a size that cannot be divided.
pub(crate) fn stacked(
    cameras: &[(String, ImageSize)],
    options: PictureOptions,
    target: &mut [u8],
    fill: &mut FillCamera<'_>,
) -> Result<()> {
    if let [(name, size)] = cameras {
        return fill((name, *size), options, target);
    }
    let each = ImageSize::new(options.size.height() / cameras.len().max(1), options.size.width())?;
    let mut pictures = vec![0; target.len() / options.size.rgb_len() * each.rgb_len()];
    for (number, (name, size)) in cameras.iter().enumerate() {
        fill((name, *size), PictureOptions { size: each, ..options }, &mut pictures)?;
        let moments = target.chunks_exact_mut(options.size.rgb_len());
        for (moment, picture) in moments.zip(pictures.chunks_exact(each.rgb_len())) {
            moment[number * each.rgb_len()..(number + 1) * each.rgb_len()].copy_from_slice(picture);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const USUAL: Usual = Usual {
        cameras: None,
        action: &["action", "actions"],
        proprioception: &["observation.state"],
        state: &["observation.environment_state"],
    };

    fn known() -> Result<Vec<Known>> {
        let pictures = |name: &str, side| -> Result<Known> {
            Ok(Known { name: name.into(), kind: Kind::Pictures(ImageSize::square(side)?), elements: vec![] })
        };
        let numbers = |name: &str, elements: &[&str]| Known {
            name: name.into(),
            kind: Kind::Numbers(elements.len()),
            elements: elements.iter().map(ToString::to_string).collect(),
        };
        Ok(vec![
            pictures("front", 8)?,
            pictures("wrist", 4)?,
            numbers("observation.state", &["a", "b", "c"]),
            numbers("force", &["f"]),
            numbers("actions", &["x", "y"]),
        ])
    }

    #[test]
    fn what_is_usual_is_guessed() -> Result<()> {
        let columns = Mapping::default().resolve(Path::new("data"), &known()?, &USUAL)?;
        let shape = columns.shape()?;
        assert_eq!((shape.image_size, shape.action, shape.proprioception), (ImageSize::square(8)?, 2, 3));
        assert_eq!(shape.state, 0);
        assert_eq!(element_names(&columns.action), ["x", "y"]);
        let said: Mapping = columns.mapping(None);
        assert_eq!(said.cameras, Some(vec!["front".into()]));
        assert_eq!(said.resolve(Path::new("data"), &known()?, &USUAL)?, columns, "saying the guess changes nothing");
        Ok(())
    }

    #[test]
    fn columns_and_parts_of_them_are_put_side_by_side() -> Result<()> {
        let list = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect::<Vec<_>>());
        let mapping = Mapping {
            cameras: list(&["front", "wrist"]),
            proprioception: list(&["observation.state[1..3]", "force"]),
            action: list(&[]),
            ..Mapping::default()
        };
        let columns = mapping.resolve(Path::new("data"), &known()?, &USUAL)?;
        assert_eq!(columns.shape()?.image_size, ImageSize::new(16, 8)?, "one on top of the other");
        assert_eq!(columns.shape()?.action, 0);
        assert_eq!(element_names(&columns.proprioception), ["b", "c", "f"]);
        let column =
            |part: &Part| Ok((0..2 * part.width).map(|value| value as f32 + 10.0 * part.width as f32).collect());
        assert_eq!(side_by_side(&columns.proprioception, column)?, [31.0, 32.0, 10.0, 34.0, 35.0, 11.0]);
        assert_eq!(columns.mapping(None).proprioception, mapping.proprioception);
        Ok(())
    }

    #[test]
    fn what_is_not_there_is_named() -> Result<()> {
        let known = known()?;
        let refused = |text: &str| -> String {
            let Ok(mapping) = mindseye_interface::config::parse::<Mapping>(text) else { return "no mapping".into() };
            match mapping.resolve(Path::new("data"), &known, &USUAL) {
                Ok(_) => "nothing".into(),
                Err(error) => error.to_string(),
            }
        };
        for (text, names) in [
            ("cameras = ['back']", "camera back"),
            ("cameras = ['force']", "camera force"),
            ("action = ['front']", "front"),
            ("action = ['actions[1..3]']", "0..2"),
            ("action = ['actions[1..']", "name[first..end]"),
            ("state = ['nothing']", "state nothing"),
        ] {
            assert!(refused(text).contains(names), "{text}: {}", refused(text));
        }
        assert_eq!(refused("camera = []"), "no mapping");
        assert_eq!(refused("cameras = []"), "no mapping");
        Ok(())
    }
}
