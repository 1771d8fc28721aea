//! `meta/info.json`: the features of a data set, and how many episodes are committed.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use mindseye_interface::{ImageSize, files, inputs};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::named::Named;
use crate::video::KEY_EVERY;
use crate::{Error, Result};

/// Proprioception `[P]`.
pub(crate) const PROPRIOCEPTION: &str = "observation.state";
/// The simulator's true state `[K]`.
pub(crate) const STATE: &str = "observation.environment_state";
/// Normalised action `[A]`.
pub(crate) const ACTION: &str = "action";
/// Prefix of a camera's feature; the rest is the camera's name.
pub(crate) const CAMERA_PREFIX: &str = "observation.images.";
/// The version that this crate writes.
pub(crate) const VERSION: &str = "v3.0";
/// The older version that this crate reads as well: one file per episode, and lines of JSON instead of tables of
/// episodes and tasks.
pub(crate) const VERSION_21: &str = "v2.1";
/// Most bytes of a file of JSON in `meta`; a larger one is taken for a broken file.
pub(crate) const MAX_BYTES: u64 = 256 << 20;
/// Largest width of a vector; a wider one is taken for a broken file.
pub(super) const MAX_WIDTH: usize = 1 << 16;

/// One column: element type, shape, and a name per element.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Feature {
    pub dtype: String,
    pub shape: Vec<usize>,
    #[serde(default)]
    pub names: Value,
    /// Members that other writers add, such as `info` of videos.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

impl Feature {
    /// A vector or scalar feature; `names` is null for the default features.
    pub fn vector(dtype: &str, width: usize, names: Value) -> Self {
        Self { dtype: dtype.into(), shape: vec![width], names, other: BTreeMap::new() }
    }

    /// A camera with PNG bytes in the table.
    pub fn image(size: ImageSize) -> Self {
        let names = ["height", "width", "channels"].into_iter().map(Value::from).collect();
        let shape = vec![size.height(), size.width(), 3];
        Self { dtype: "image".into(), shape, names, other: BTreeMap::new() }
    }

    /// A camera with AV1 video files as this crate writes them, `fps` frames per second.
    pub fn video(size: ImageSize, fps: u32) -> Self {
        let info = json!({
            "video.height": size.height(),
            "video.width": size.width(),
            "video.codec": "av1",
            "video.pix_fmt": "yuv420p",
            "video.fps": fps,
            "video.channels": 3,
            "video.g": KEY_EVERY,
            "video.is_depth_map": false,
            "has_audio": false,
        });
        Self { dtype: "video".into(), other: BTreeMap::from([("info".into(), info)]), ..Self::image(size) }
    }

    /// Whether episodes with feature `other` can be appended to this one. Of videos, only the codec is compared beyond
    /// the shape.
    pub fn accepts(&self, other: &Self) -> bool {
        let same = (&self.dtype, &self.shape, &self.names) == (&other.dtype, &other.shape, &other.names);
        let codec = |feature: &Self| feature.other.get("info").and_then(|info| info.get("video.codec")).cloned();
        same && if self.is_video() { codec(self) == codec(other) } else { self.other == other.other }
    }

    /// Whether this is a colour or depth camera.
    pub fn has_images(&self) -> bool {
        self.is_image() || self.is_video()
    }

    /// Whether this is a camera with its images in the table.
    pub fn is_image(&self) -> bool {
        self.dtype == "image"
    }

    /// Whether this is a camera with its images in video files.
    pub fn is_video(&self) -> bool {
        self.dtype == "video"
    }

    /// Whether this is a depth camera, by one of the keys that LeRobot has used for it.
    pub fn is_depth(&self) -> bool {
        let details = ["info", "video_info"].into_iter().filter_map(|key| self.other.get(key));
        let mut flags = details.flat_map(|info| ["is_depth_map", "video.is_depth_map"].map(|key| info.get(key)));
        flags.any(|flag| flag.and_then(Value::as_bool) == Some(true))
    }

    /// Number of elements of a vector feature. Shapes of images that are not read may have any sides.
    pub fn width(&self) -> usize {
        self.shape.iter().fold(1, |width, &side| width.saturating_mul(side))
    }

    /// One name per element where the file has them (a list, or an object that contains one), else empty.
    pub fn element_names(&self) -> Vec<String> {
        let list = match &self.names {
            Value::Object(groups) => groups.values().next(),
            list => Some(list),
        };
        let texts = list.and_then(Value::as_array).into_iter().flatten();
        texts.filter_map(|name| name.as_str().map(String::from)).collect()
    }
}

/// The contents of `info.json`. Unknown keys are kept, as the format asks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Info {
    pub codebase_version: String,
    /// Timesteps per second, above 0; mostly a whole number.
    #[serde(deserialize_with = "rate", serialize_with = "whole_where_it_is")]
    pub fps: f64,
    pub features: Named<Feature>,
    pub total_episodes: usize,
    pub total_frames: usize,
    pub total_tasks: usize,
    #[serde(default = "default_chunks_size")]
    pub chunks_size: usize,
    #[serde(default = "default_data_files_size", deserialize_with = "megabytes")]
    pub data_files_size_in_mb: u64,
    #[serde(default = "default_video_files_size", deserialize_with = "megabytes")]
    pub video_files_size_in_mb: u64,
    pub data_path: String,
    #[serde(default)]
    pub video_path: Option<String>,
    #[serde(default)]
    pub robot_type: Option<String>,
    #[serde(default)]
    pub splits: BTreeMap<String, String>,
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// Whole megabytes of a number of them: what other writers put there limits files, and is no reason to refuse one.
fn megabytes<'de, D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<u64, D::Error> {
    let number = f64::deserialize(deserializer)?;
    if number >= 0.0 { Ok((number.ceil() as u64).max(1)) } else { Err(serde::de::Error::custom("expected 0 or more")) }
}

pub(crate) fn default_chunks_size() -> usize {
    1000
}

pub(crate) fn default_data_files_size() -> u64 {
    100
}

pub(crate) fn default_video_files_size() -> u64 {
    200
}

/// Accepts 10, 10.0 and 29.97.
fn rate<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    let value = f64::deserialize(deserializer)?;
    if (1e-3..=100_000.0).contains(&value) {
        Ok(value)
    } else {
        Err(serde::de::Error::custom(format!("fps: expected a number from 0.001 to 100000, got {value}")))
    }
}

/// Writes 10.0 as 10, which the official library requires.
fn whole_where_it_is<S: Serializer>(fps: &f64, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    if fps.fract() == 0.0 { serializer.serialize_u32(*fps as u32) } else { serializer.serialize_f64(*fps) }
}

/// Where `info.json` of the data set in `root` is.
pub(crate) fn info_path(root: &Path) -> PathBuf {
    root.join("meta").join("info.json")
}

/// The fields that decide whether this crate can read the rest, which differs between versions.
#[derive(Deserialize)]
struct FormatProbe {
    codebase_version: Option<String>,
    storage_format: Option<String>,
}

impl Info {
    /// Reads and checks the file of the data set in `root`.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read, [`Error::Content`] that names the field.
    pub fn read(root: &Path) -> Result<Self> {
        let path = info_path(root);
        let text = inputs::read_text(&path, MAX_BYTES).map_err(|error| Error::file(&path, "reading", error))?;
        let json = |error: serde_json::Error| Error::content(&path, "info", "a valid LeRobot v3.0 description", error);
        let probe: FormatProbe = serde_json::from_str(&text).map_err(json)?;
        let version = probe.codebase_version.unwrap_or_else(|| "none".into());
        if version != VERSION && version != VERSION_21 {
            return Err(Error::content(&path, "codebase_version", format!("{VERSION} or {VERSION_21}"), version));
        }
        if let Some(format) = probe.storage_format.filter(|format| format != "parquet") {
            let got = format!("{format} (LeRobot's own tools convert it)");
            return Err(Error::content(&path, "storage_format", "parquet", got));
        }
        let info: Self = serde_json::from_str(&text).map_err(json)?;
        info.check(&path)?;
        Ok(info)
    }

    fn check(&self, path: &Path) -> Result<()> {
        if self.chunks_size == 0 {
            return Err(Error::content(path, "chunks_size", "at least 1", 0));
        }
        // The templates are joined to the folder, so they must not lead out of it.
        let number = if self.is_v21() { "{episode_index:06d}" } else { "{file_index:03d}" };
        for (field, template) in [("data_path", Some(&self.data_path)), ("video_path", self.video_path.as_ref())] {
            let Some(template) = template else { continue };
            let inside = Path::new(template).components().all(|part| matches!(part, Component::Normal(_)));
            if !inside || !template.contains(number) {
                return Err(Error::content(path, field, format!("a relative path with {number}"), template));
            }
        }
        Ok(())
    }

    /// Checks that camera `name` has images in the table, or video files at a place within the data set.
    ///
    /// # Errors
    /// [`Error::Content`] when there is no such place.
    pub fn check_camera(&self, root: &Path, name: &str) -> Result<()> {
        let inside = Path::new(name).components().all(|part| matches!(part, Component::Normal(_)));
        if self.features.get(name).is_some_and(Feature::is_video) && (self.video_path.is_none() || !inside) {
            let expected = format!("where the images of {name} are");
            return Err(Error::content(&info_path(root), "video_path", expected, "none"));
        }
        Ok(())
    }

    /// Writes the file of the data set in `root` atomically, indented like the official library's.
    pub fn write(&self, root: &Path) -> Result<()> {
        write_json(&info_path(root), self)
    }

    /// Whether this is v2.1, with one file per episode.
    pub fn is_v21(&self) -> bool {
        self.codebase_version == VERSION_21
    }

    /// Path of a data file of the data set in `root`.
    pub fn data_file(&self, root: &Path, place: FilePlace) -> PathBuf {
        root.join(place.in_template(&self.data_path))
    }

    /// Path of a video file of `camera` of the data set in `root`.
    pub fn video_file(&self, root: &Path, camera: &str, place: FilePlace) -> PathBuf {
        let template = self.video_path.as_deref().unwrap_or_default();
        root.join(place.in_template(template).replace("{video_key}", camera))
    }
}

/// Chunk and number of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct FilePlace {
    pub chunk: usize,
    pub file: usize,
}

impl FilePlace {
    /// The first file.
    pub const FIRST: Self = Self { chunk: 0, file: 0 };

    /// `template` with this chunk and file number in its braces. In v2.1 the file number is an episode's index.
    fn in_template(self, template: &str) -> String {
        let (chunk, file) = (format!("{:03}", self.chunk), self.file);
        let path = template.replace("{chunk_index:03d}", &chunk).replace("{episode_chunk:03d}", &chunk);
        path.replace("{file_index:03d}", &format!("{file:03}")).replace("{episode_index:06d}", &format!("{file:06}"))
    }

    /// The file after this one, `chunks_size` to a chunk.
    pub fn next(self, chunks_size: usize) -> Self {
        if self.file + 1 < chunks_size {
            Self { chunk: self.chunk, file: self.file + 1 }
        } else {
            Self { chunk: self.chunk + 1, file: 0 }
        }
    }
}

/// `meta/mindseye.json` of the data set in `root`.
pub(super) fn sidecar_path(root: &Path) -> PathBuf {
    root.join("meta").join("mindseye.json")
}

/// Writes `value` to `path` atomically, with an indent of four like Python's `json.dump(indent=4)`.
pub(crate) fn write_json<T: Serialize>(path: &Path, value: &T) -> Result<()> {
    let mut bytes = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(b"    ");
    value
        .serialize(&mut serde_json::Serializer::with_formatter(&mut bytes, formatter))
        .map_err(|error| Error::file(path, "writing", error))?;
    files::write_whole(path, &bytes).map_err(|error| Error::file(path, "writing", error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_chunk_is_followed_by_the_next() {
        let place = |chunk, file| FilePlace { chunk, file };
        assert_eq!(place(0, 0).next(1000), place(0, 1));
        assert_eq!(place(0, 999).next(1000), place(1, 0));
        assert_eq!(place(2, 5).next(1), place(3, 0));
    }

    #[test]
    fn element_names_are_read_from_lists_and_from_groups() {
        let names = |names: Value| Feature::vector("float32", 2, names).element_names();
        assert_eq!(names(serde_json::json!(["x", "y"])), ["x", "y"]);
        assert_eq!(names(serde_json::json!({"motors": ["x", "y"]})), ["x", "y"]);
        assert!(names(Value::Null).is_empty());
    }
}
