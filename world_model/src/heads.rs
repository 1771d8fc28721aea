//! Heads: networks that work on the latents of one model, one module each. A head lies beside its model in a
//! checkpoint, in a file of its own: weights, and in the header its config and the fingerprints of its model and of its
//! weights.
//!
//! | head | output |
//! |---|---|
//! | [`policy`] | plans from a state and a goal, without a rollout |
//! | [`critic`] | the energy beyond the horizon |
//! | [`state_probe`] | named values of the true state |
//! | [`decoder`] | images of latents, for display |
//! | [`stochastic`] | several samples per plan, from a predictor with codes |
//! | [`ensemble`] | further predictors of the same latents |

pub mod critic;
pub mod decoder;
pub mod ensemble;
pub mod policy;
pub mod state_probe;
pub mod stochastic;
mod store;

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;
use mindseye_interface::text::is_printable;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use store::Heads;

use crate::families::jepa::config::ModelConfig;
use crate::parameters::{WeightSource, Weights};
use crate::{Error, Result, fingerprint, weights_file};

/// A network that works with a model and is stored beside it.
pub trait Head: Sized {
    /// What its shape follows from.
    type Config: Serialize + DeserializeOwned;

    /// Name of its file.
    const FILE: &'static str;

    /// Builds it with weights from `source`.
    ///
    /// # Errors
    /// When the config makes no sense, or stored weights do not fit.
    fn build(config: Self::Config, source: WeightSource) -> Result<Self>;

    /// Its shape.
    fn config(&self) -> &Self::Config;

    /// Its weights by name.
    fn weights(&self) -> &Weights;

    /// Refuses a model of another shape.
    ///
    /// # Errors
    /// [`Error::Shape`] naming the difference.
    fn require_fit(&self, model: &ModelConfig) -> Result<()>;

    /// Reads a file that [`Head::save`] or [`Head::save_for`] wrote, whatever model it belongs to.
    ///
    /// # Errors
    /// [`Error::File`] when the file is missing or broken.
    fn load(path: &Path) -> Result<Self> {
        Ok(read(path)?.0)
    }

    /// Writes weights and config to one file, without the fingerprint of a model.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    fn save(&self, path: &Path) -> Result<()> {
        write(self, path, None)
    }

    /// Writes weights and config to one file, for the model with this fingerprint.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be written.
    fn save_for(&self, path: &Path, model_fingerprint: &str) -> Result<()> {
        write(self, path, Some(model_fingerprint))
    }
}

/// Field of the header that holds the fingerprint of the head's model.
const FINGERPRINT: &str = "model_fingerprint";
/// Field of the header that holds the fingerprint of the head's own weights; heads of before have none.
const OWN_FINGERPRINT: &str = "weights_fingerprint";

/// What the header of a head's file holds.
#[derive(Serialize)]
struct Header<'a, C> {
    #[serde(skip_serializing_if = "Option::is_none")]
    model_fingerprint: Option<&'a str>,
    weights_fingerprint: String,
    #[serde(flatten)]
    config: &'a C,
}

fn write<H: Head>(head: &H, path: &Path, model_fingerprint: Option<&str>) -> Result<()> {
    let weights_fingerprint = fingerprint::of_weights(head.weights())?;
    let header = Header { model_fingerprint, weights_fingerprint, config: head.config() };
    let header = serde_json::to_string(&header).map_err(|error| Error::file(path, error))?;
    let tensors: BTreeMap<String, Tensor> =
        head.weights().iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    weights_file::write(path, &tensors, Some(header))
}

/// A head and the fingerprint of its model; heads that were written before there were fingerprints have none.
fn read<H: Head>(path: &Path) -> Result<(H, Option<String>)> {
    decode(weights_file::read(path)?).map_err(|reason| Error::file(path, reason))
}

/// As [`read`], of the content of a file.
pub(crate) fn decode<H: Head>(content: weights_file::Content) -> std::result::Result<(H, Option<String>), String> {
    let (tensors, header) = content;
    let header = header.ok_or("header: expected a config, got none")?;
    let mut fields: Map<String, Value> = serde_json::from_str(&header).map_err(|error| error.to_string())?;
    if let Some((field, _)) = fields.iter().find(|(name, value)| !is_printable(name) || !is_printable_inside(value)) {
        return Err(format!("header: {field}: expected text without control characters, got some"));
    }
    let mut text = |field: &str| match fields.remove(field) {
        None => Ok(None),
        Some(value) => String::deserialize(value).map(Some).map_err(|error| format!("{field}: {error}")),
    };
    let (fingerprint, own) = (text(FINGERPRINT)?, text(OWN_FINGERPRINT)?);
    let other = |error| format!("{error}; a head of another version: remove the file and train the head again");
    let config = H::Config::deserialize(Value::Object(fields)).map_err(other)?;
    let broken = |error| format!("{error}; of another version, or broken: remove the file and train the head again");
    let head = H::build(config, WeightSource::stored(tensors)).map_err(broken)?;
    if let Some(expected) = own {
        let got = fingerprint::of_weights(head.weights()).map_err(|error| error.to_string())?;
        if got != expected {
            return Err(format!("{OWN_FINGERPRINT}: expected {expected}, got {got}: the weights have changed"));
        }
    }
    Ok((head, fingerprint))
}

/// Whether all texts in `value` can be printed as they are: reports show names of states and terms. JSON is read no
/// deeper than 128 levels.
fn is_printable_inside(value: &Value) -> bool {
    match value {
        Value::String(text) => is_printable(text),
        Value::Array(values) => values.iter().all(is_printable_inside),
        Value::Object(fields) => fields.iter().all(|(name, value)| is_printable(name) && is_printable_inside(value)),
        _ => true,
    }
}

/// Refuses sizes that differ from the model's, by name.
pub(crate) fn require_sizes(operation: &'static str, sizes: &[(&str, usize, usize)]) -> Result<()> {
    match sizes.iter().find(|(_, own, model)| own != model) {
        None => Ok(()),
        Some((name, own, model)) => Err(Error::Shape {
            operation,
            expected: format!("a model with {name} {own}"),
            got: format!("{name} {model}"),
        }),
    }
}
