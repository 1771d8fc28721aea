//! What `mindseye inspect` says about a data set, and `meta/stats.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde_json::{Value, json};

use super::dataset::Dataset;
use super::info::{ACTION, Feature, write_json};
use super::named::Named;
use super::sidecar::Sidecar;
use super::statistics::{Statistics, VECTORS};
use crate::source::EpisodeSource;
use crate::{Error, Result};

/// A data set at a glance.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetSummary {
    /// The folder or file.
    pub path: PathBuf,
    /// Name of the format, with its version.
    pub format: String,
    /// Number of episodes.
    pub episodes: usize,
    /// Moments of all episodes.
    pub frames: usize,
    /// Moments per second, where the data say.
    pub frames_per_second: Option<f64>,
    /// Moments of the shortest and the longest episode; 0 without episodes.
    pub episode_frames: [usize; 2],
    /// Texts of the tasks.
    pub tasks: Vec<String>,
    /// All columns.
    pub features: Vec<FeatureSummary>,
    /// Bytes of all files.
    pub bytes_on_disk: u64,
    /// Statistics of the actions, where the data set has any.
    pub action: Option<ActionSummary>,
    /// How mindseye recorded it.
    pub sidecar: Option<Sidecar>,
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
    /// Names of the elements, where the data set says.
    pub element_names: Vec<String>,
}

/// Statistics per element of an action, normalised units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ActionSummary {
    /// Smallest value.
    pub min: Vec<f64>,
    /// Largest value.
    pub max: Vec<f64>,
    /// Average.
    pub mean: Vec<f64>,
    /// Population standard deviation.
    pub std: Vec<f64>,
}

impl DatasetSummary {
    /// Of a source that knows no more of itself than its episodes and `features`.
    pub(crate) fn plain(source: &dyn EpisodeSource, features: Vec<FeatureSummary>, bytes_on_disk: u64) -> Result<Self> {
        let lengths = (0..source.len()).map(|episode| Ok(source.episode(episode)?.length));
        let lengths = lengths.collect::<Result<Vec<usize>>>()?;
        let length = |of: Option<&usize>| of.copied().unwrap_or(0);
        Ok(Self {
            path: source.path().to_path_buf(),
            format: source.format(),
            episodes: source.len(),
            frames: source.frames(),
            frames_per_second: source.frames_per_second(),
            episode_frames: [length(lengths.iter().min()), length(lengths.iter().max())],
            tasks: Vec::new(),
            features,
            bytes_on_disk,
            action: None,
            sidecar: None,
        })
    }
}

impl Dataset {
    /// A data set at a glance; reads `meta/` and file sizes only.
    pub(super) fn at_a_glance(&self) -> Result<DatasetSummary> {
        let lengths = || self.rows.iter().map(|row| row.length);
        let feature = |(name, feature): &(String, Feature)| FeatureSummary {
            name: name.clone(),
            dtype: feature.dtype.clone(),
            shape: feature.shape.clone(),
            element_names: feature.element_names(),
        };
        Ok(DatasetSummary {
            path: self.path().to_path_buf(),
            format: self.format(),
            episodes: self.len(),
            frames: self.frames(),
            frames_per_second: self.frames_per_second(),
            episode_frames: [lengths().min().unwrap_or(0), lengths().max().unwrap_or(0)],
            tasks: self.tasks().to_vec(),
            features: self.info.features.0.iter().map(feature).collect(),
            bytes_on_disk: folder_bytes(self.path())?,
            action: read_action(self.path())?,
            sidecar: self.sidecar().cloned(),
        })
    }
}

/// Bytes of all files in `folder`.
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

fn statistics_path(root: &Path) -> PathBuf {
    root.join("meta").join("stats.json")
}

fn read_action(root: &Path) -> Result<Option<ActionSummary>> {
    let path = statistics_path(root);
    let text = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(&path, "reading", error)),
    };
    let parsed = serde_json::from_str::<BTreeMap<String, BTreeMap<String, Value>>>(&text);
    let all = parsed.map_err(|error| Error::content(&path, "statistics", "objects of numbers", error))?;
    let Some(action) = all.get(ACTION) else { return Ok(None) };
    let vector = |name: &str| -> Result<Vec<f64>> {
        let value = action.get(name).cloned().unwrap_or_default();
        serde_json::from_value(value)
            .map_err(|error| Error::content(&path, format!("action.{name}"), "a list of numbers", error))
    };
    let (min, max, mean, std) = (vector("min")?, vector("max")?, vector("mean")?, vector("std")?);
    Ok(Some(ActionSummary { min, max, mean, std }))
}

/// Writes `stats.json`: cameras as `[[[r]], [[g]], [[b]]]`, everything else as vectors.
pub(crate) fn write_statistics(root: &Path, features: &Named<Feature>, statistics: &[Statistics]) -> Result<()> {
    let describe = |((name, feature), statistics): (&(String, Feature), &Statistics)| {
        let nested = |vector: &[f64]| match feature.has_pictures() {
            true => vector.iter().map(|value| json!([[value]])).collect(),
            false => Value::from(vector),
        };
        let vectors = VECTORS.into_iter().zip(statistics.vectors());
        let mut members: Vec<(String, Value)> =
            vectors.map(|(statistic, vector)| (statistic.to_string(), nested(vector))).collect();
        members.insert(4, ("count".into(), json!([statistics.count])));
        (name.clone(), Named(members))
    };
    let all = features.0.iter().zip(statistics).map(describe).collect();
    write_json(&statistics_path(root), &Named(all))
}
