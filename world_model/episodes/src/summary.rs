//! Summary of a data set, for people and for `mindseye inspect`.

mod display;

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::sidecar::Sidecar;
use crate::{Error, Result};

/// Summary of a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetSummary {
    /// The folder or file.
    #[serde(serialize_with = "mindseye_interface::text::serialize_path")]
    pub path: PathBuf,
    /// Name of the format, with its version.
    pub format: String,
    /// Number of episodes.
    pub episodes: usize,
    /// Number of timesteps of all episodes.
    pub frames: usize,
    /// Timesteps per second, where the data record them.
    pub frames_per_second: Option<f64>,
    /// Timesteps of the shortest and the longest episode; 0 without episodes.
    pub episode_frames: [usize; 2],
    /// Texts of the tasks.
    pub tasks: Vec<String>,
    /// All columns.
    pub features: Vec<FeatureSummary>,
    /// Bytes of all files.
    pub bytes_on_disk: u64,
    /// Statistics of the actions, where the data set records them.
    pub action: Option<ActionSummary>,
    /// The origin of data that mindseye recorded.
    pub sidecar: Option<Sidecar>,
    /// What the user should know, see [`crate::EpisodeSource::notes`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// One column of a data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FeatureSummary {
    /// For example `observation.state`.
    pub name: String,
    /// For example `float32` or `image`.
    pub dtype: String,
    /// For example `[64, 64, 3]`.
    pub shape: Vec<usize>,
    /// Names of the elements; empty where the data set has none.
    pub element_names: Vec<String>,
}

/// Statistics per element of an action, in the units of the recording.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionSummary {
    /// Smallest value.
    pub min: Vec<f64>,
    /// Largest value.
    pub max: Vec<f64>,
    /// Mean.
    pub mean: Vec<f64>,
    /// Population standard deviation.
    pub std: Vec<f64>,
}

/// Bytes of all files in `folder` and its subfolders.
///
/// # Errors
/// [`Error::File`] when a folder cannot be listed.
pub(crate) fn folder_bytes(folder: &Path) -> Result<u64> {
    let failed = |error| Error::file(folder, "listing", error);
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let metadata = entry.metadata().map_err(failed)?;
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
