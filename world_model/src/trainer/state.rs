//! Everything that a run needs to continue as if it had never stopped.

use std::collections::BTreeMap;
use std::path::PathBuf;

use candle_core::Tensor;
use mindseye_interface::Seed;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ops::{tensor, with_values};
use crate::optimiser::AdamState;
use crate::parameters::Weights;
use crate::{Error, Result, weights_file};

/// The file that a run's state is saved in.
pub(super) struct StateFile {
    path: PathBuf,
    seed: Seed,
    identity: Map<String, Value>,
}

/// What a run has counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Counters {
    /// Steps done in all stages.
    pub done: usize,
    /// Sum of the losses in the last tenth of the stage under way.
    pub late_loss: f64,
    /// Mean losses over the last tenth of finished stages.
    pub stage_losses: Vec<f64>,
}

/// Header of the file. Losses are stored as bits: JSON numbers are not read back exactly.
#[derive(Serialize, Deserialize)]
struct Header {
    step: usize,
    seed: u64,
    #[serde(default)]
    late_loss: u64,
    #[serde(default)]
    stage_losses: Vec<u64>,
    #[serde(flatten)]
    identity: Map<String, Value>,
}

impl StateFile {
    pub fn new(path: PathBuf, seed: Seed, identity: &Value) -> Self {
        Self { path, seed, identity: identity.as_object().cloned().unwrap_or_default() }
    }

    pub fn identity(&self) -> &Map<String, Value> {
        &self.identity
    }

    pub fn save(&self, weights: &Weights, adam: &AdamState, counters: &Counters) -> Result<()> {
        let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
        for (name, var) in weights {
            tensors.insert(format!("weights.{name}"), var.as_tensor().clone());
        }
        for (kind, weights) in [("first", &adam.first), ("second", &adam.second)] {
            for (name, values) in weights {
                tensors.insert(format!("{kind}.{name}"), tensor(values.clone(), values.len())?);
            }
        }
        let header = Header {
            step: counters.done,
            seed: self.seed.value(),
            late_loss: counters.late_loss.to_bits(),
            stage_losses: counters.stage_losses.iter().map(|loss| loss.to_bits()).collect(),
            identity: self.identity.clone(),
        };
        let header = serde_json::to_string(&header).map_err(|error| Error::file(&self.path, error))?;
        weights_file::write(&self.path, &tensors, Some(header))
    }

    /// Sets `weights` to those of the saved state. An expected identity field that is `null` is taken as it was stored.
    ///
    /// # Errors
    /// [`Error::File`] when the file is missing or broken, belongs to another run, or to more than its `steps` steps;
    /// it names the tensor that is missing, left over, or makes no sense.
    pub fn load(&mut self, weights: &Weights, steps: usize) -> Result<(AdamState, Counters)> {
        let refuse = |reason: String| Error::file(&self.path, reason);
        let (mut tensors, header) = weights_file::read(&self.path)?;
        let header = header.ok_or_else(|| refuse("header: expected that of a training state, got none".into()))?;
        let header: Header = serde_json::from_str(&header).map_err(|error| refuse(error.to_string()))?;
        let another = |field: &str| refuse(format!("{field}: expected that of the run to resume, got another"));
        if header.seed != self.seed.value() {
            return Err(another("seed"));
        }
        let expected: Map<String, Value> = serde_json::from_str(&Value::Object(self.identity.clone()).to_string())
            .map_err(|error| refuse(error.to_string()))?;
        for (field, value) in expected.iter().filter(|(_, value)| !value.is_null()) {
            if header.identity.get(field) != Some(value) {
                return Err(another(field));
            }
        }
        if header.step > steps {
            return Err(refuse(format!("step: expected at most {steps}, the run's, got {}", header.step)));
        }
        let shapes: Vec<_> = weights.iter().map(|(name, var)| (format!("weights.{name}"), var)).collect();
        for (name, var) in &shapes {
            let stored = tensors.get(name).ok_or_else(|| refuse(format!("{name}: expected it, got none")))?;
            if stored.shape() != var.shape() {
                let (expected, got) = (var.dims(), stored.dims());
                return Err(refuse(format!("{name}: expected shape {expected:?}, got {got:?}")));
            }
        }
        let mut adam = AdamState::default();
        for (name, stored) in tensors.iter().filter(|(name, _)| !name.starts_with("weights.")) {
            let (kind, weight) = name.split_once('.').unwrap_or_default();
            let values = with_values(stored, <[f32]>::to_vec)?;
            let expected = weights.get(weight).map(|var| var.elem_count());
            if expected != Some(values.len()) || stored.rank() != 1 {
                let expected = expected.map_or("a moment of a weight of the run".into(), |count| format!("[{count}]"));
                return Err(refuse(format!("{name}: expected {expected}, got {:?}", stored.dims())));
            }
            match kind {
                "first" => drop(adam.first.insert(weight.to_owned(), values)),
                "second" if values.iter().any(|&value| value < 0.0) => {
                    return Err(refuse(format!("{name}: expected squares of 0 or more, got negative ones")));
                }
                "second" => drop(adam.second.insert(weight.to_owned(), values)),
                _ => return Err(refuse(format!("{name}: expected a first or second moment, got another tensor"))),
            }
        }
        if let Some(name) = adam.first.keys().find(|name| !adam.second.contains_key(*name)) {
            return Err(refuse(format!("second.{name}: expected it beside the first moment, got none")));
        }
        if let Some(name) = adam.second.keys().find(|name| !adam.first.contains_key(*name)) {
            return Err(refuse(format!("first.{name}: expected it beside the second moment, got none")));
        }
        let losses = header.stage_losses.iter().chain([&header.late_loss]);
        if losses.map(|bits| f64::from_bits(*bits)).any(|loss| !loss.is_finite()) {
            return Err(refuse("losses: expected finite ones, got NaN or infinity".into()));
        }
        let unknown = |name: &String| name.strip_prefix("weights.").is_some_and(|name| !weights.contains_key(name));
        if let Some(name) = tensors.keys().find(|name| unknown(name)) {
            return Err(refuse(format!("{name}: expected a weight of the run, got another")));
        }
        // Nothing is set before everything is known to fit.
        for (name, var) in shapes {
            let stored = tensors.remove(&name).ok_or_else(|| refuse(format!("{name}: expected it, got none")))?;
            var.set(&stored)?;
        }
        let counters = Counters {
            done: header.step,
            late_loss: f64::from_bits(header.late_loss),
            stage_losses: header.stage_losses.iter().map(|bits| f64::from_bits(*bits)).collect(),
        };
        self.identity = header.identity;
        Ok((adam, counters))
    }
}
