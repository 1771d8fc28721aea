//! The measurements of a training run, from its `metrics.jsonl`.

use std::collections::BTreeMap;
use std::path::Path;

use mindseye_interface::inputs;
use serde_json::Value;

use crate::{Error, Result};

/// Largest file of measurements that is read, bytes: a million lines.
const MAX_BYTES: u64 = 512 << 20;

/// Values by step, of one name.
pub(super) type Series = Vec<(f64, f64)>;

/// What a run measured on its way, by the names in its records.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Metrics {
    /// Of training steps.
    pub(super) train: BTreeMap<String, Series>,
    /// Of validations.
    pub(super) validation: BTreeMap<String, Series>,
}

impl Metrics {
    /// Reads the file at `path`; nothing where there is none. A line that is cut off is left out.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let text = inputs::read_if_present(path, MAX_BYTES).map_err(|error| Error::Data {
            operation: "measurements of a run",
            expected: format!("{} as training writes it", path.display()),
            got: error.to_string(),
        })?;
        Ok(Self::parse(&String::from_utf8_lossy(&text.unwrap_or_default())))
    }

    fn parse(text: &str) -> Self {
        let mut metrics = Self::default();
        for line in text.lines() {
            let Ok(Value::Object(record)) = serde_json::from_str(line) else { continue };
            let Some(step) = record.get("step").and_then(Value::as_f64) else { continue };
            let series = match record.get("kind").and_then(Value::as_str) {
                Some("train") => &mut metrics.train,
                Some("validation") => &mut metrics.validation,
                _ => continue,
            };
            for (name, value) in &record {
                if let Some(value) = value.as_f64().filter(|_| name != "step") {
                    series.entry(name.clone()).or_default().push((step, value));
                }
            }
        }
        metrics
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_become_series_and_broken_lines_are_left_out() {
        let text = "{\"kind\":\"train\",\"step\":50,\"loss/total\":0.5}\n\
                    {\"kind\":\"validation\",\"step\":100,\"rollout_1/error\":0.25,\"collapsed\":null}\n\
                    {\"kind\":\"train\",\"step\":100,\"loss/to";
        let metrics = Metrics::parse(text);
        assert_eq!(metrics.train, [("loss/total".to_owned(), vec![(50.0, 0.5)])].into());
        assert_eq!(metrics.validation, [("rollout_1/error".to_owned(), vec![(100.0, 0.25)])].into());
    }
}
