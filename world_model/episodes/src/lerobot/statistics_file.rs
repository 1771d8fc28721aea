//! `meta/stats.json`: statistics per feature over the whole data set.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mindseye_interface::inputs;
use serde_json::{Value, json};

use super::info::{ACTION, Feature, MAX_BYTES, write_json};
use super::named::Named;
use super::statistics::{Statistics, VECTORS};
use crate::summary::ActionSummary;
use crate::{Error, Result};

fn statistics_path(root: &Path) -> PathBuf {
    root.join("meta").join("stats.json")
}

/// Statistics of the actions, which are only shown; `None` where the data set has none that can be read. Python writes
/// NaN to JSON, which is none, for columns that nobody reads.
pub(super) fn read_action_statistics(root: &Path) -> Result<Option<ActionSummary>> {
    let path = statistics_path(root);
    let text = match inputs::read_text(&path, MAX_BYTES) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::file(&path, "reading", error)),
    };
    let parsed = serde_json::from_str::<BTreeMap<String, Value>>(&text).ok();
    let action = parsed.as_ref().and_then(|all| all.get(ACTION));
    let vector = |name: &str| serde_json::from_value::<Vec<f64>>(action?.get(name)?.clone()).ok();
    let summary =
        || Some(ActionSummary { min: vector("min")?, max: vector("max")?, mean: vector("mean")?, std: vector("std")? });
    Ok(summary())
}

/// Writes `stats.json`: cameras as `[[[r]], [[g]], [[b]]]`, all other features as vectors.
pub(super) fn write_statistics(root: &Path, features: &Named<Feature>, statistics: &[Statistics]) -> Result<()> {
    let describe = |((name, feature), statistics): (&(String, Feature), &Statistics)| {
        let nested = |vector: &[f64]| match feature.has_images() {
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
