//! The folder of a LeWM: `config.json`, its weights as `model.safetensors` or PyTorch's `weights.pt`, and, where
//! there is one, `mindseye.json` with what the authors' files lack.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::pickle::PthTensors;
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use super::config::LewmConfig;
use super::network::Lewm;
use super::published::{ActionStatistics, PublishedLewm};
use crate::families::{LoadOptions, ModelFolder, Origin};
use crate::{Error, Result, fingerprint};

/// Name of the file beside a published model.
const SIDECAR: &str = "mindseye.json";

/// Content of `mindseye.json`. Every field may be left out.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sidecar {
    /// Numbers per action; by default those of the origin's action space.
    action_width: Option<usize>,
    /// Statistics of normalised actions in the training data.
    actions: ActionStatistics,
    /// Where the model's episodes come from.
    origin: Option<Origin>,
}

/// See [`crate::families::Family`].
pub(crate) fn load(folder: &Path, options: &LoadOptions) -> Result<ModelFolder> {
    let path = folder.join(SIDECAR);
    let sidecar: Sidecar = match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| Error::file(&path, error))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Sidecar::default(),
        Err(error) => return Err(Error::file(&path, error)),
    };
    let Sidecar { action_width, actions, origin } = sidecar;
    let of_origin = origin.as_ref().map(|origin| origin.action_space.width());
    let Some(width) = options.action_width.or(action_width).or(of_origin) else {
        return Err(Error::file(&path, "action_width: expected it here or in the load options, got none"));
    };
    let actions = options.action_statistics.as_ref().unwrap_or(&actions);
    let lewm = Lewm::load(folder)?;
    let fingerprint = fingerprint::of_weights(lewm.weights())?;
    let model = PublishedLewm::new(lewm, width, actions).map_err(|error| Error::file(&path, error))?;
    Ok(ModelFolder { model: Arc::new(model), fingerprint, origin, statistics: None, config: None })
}

/// Largest weights file, bytes: a LeWM has 72 MB.
const MAX_BYTES: u64 = 8 << 30;

impl Lewm {
    /// Whether `folder` holds a LeWM: a `config.json` that says so.
    pub fn is_in(folder: &Path) -> bool {
        let text = std::fs::read_to_string(folder.join("config.json")).unwrap_or_default();
        let config: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        config["_target_"].as_str().is_some_and(|target| target.to_lowercase().ends_with("lewm"))
    }

    /// Reads the networks in a folder as published: `model.safetensors` if it is there, else `weights.pt`. Of the
    /// latter only a list of tensors is interpreted: no code in the file is ever run.
    ///
    /// # Errors
    /// [`Error::File`] that names the file, and the weight that is missing, left over, of another shape or not finite.
    pub fn load(folder: &Path) -> Result<Self> {
        let config = LewmConfig::load(&folder.join("config.json"))?;
        let safetensors = folder.join("model.safetensors");
        let path = if safetensors.exists() { safetensors } else { folder.join("weights.pt") };
        let bytes = std::fs::metadata(&path).map_err(|error| Error::file(&path, error))?.len();
        if bytes > MAX_BYTES {
            return Err(Error::file(&path, format!("expected at most {MAX_BYTES} bytes, got {bytes}")));
        }
        let stored = if path.extension().is_some_and(|extension| extension == "pt") {
            read_pickled(&path, bytes)?
        } else {
            let tensors = candle_core::safetensors::load(&path, &candle_core::Device::Cpu);
            tensors.map_err(|error| Error::file(&path, error))?.into_iter().collect()
        };
        let mut weights = BTreeMap::new();
        for (name, tensor) in stored {
            if !name.ends_with("num_batches_tracked") {
                weights.insert(name.clone(), finite(&path, &name, &tensor)?);
            }
        }
        Self::from_weights(config, weights).map_err(|error| Error::file(&path, error))
    }
}

/// The tensors of a PyTorch file.
fn read_pickled(path: &Path, bytes: u64) -> Result<BTreeMap<String, Tensor>> {
    let file = PthTensors::new(path, None).map_err(|error| Error::file(path, error))?;
    let mut tensors = BTreeMap::new();
    for (name, info) in file.tensor_infos() {
        let size = (info.layout.shape().elem_count() as u64).saturating_mul(info.dtype.size_in_bytes() as u64);
        if size > bytes {
            return Err(Error::file(path, format!("{name}: expected at most {bytes} bytes, got {size}")));
        }
        let tensor = file.get(name).map_err(|error| Error::file(path, format!("{name}: {error}")))?;
        tensors.extend(tensor.map(|tensor| (name.clone(), tensor)));
    }
    if tensors.is_empty() {
        return Err(Error::file(path, "expected a state dict of tensors, got none"));
    }
    Ok(tensors)
}

/// `tensor` in `f32`, every value finite.
fn finite(path: &Path, name: &str, tensor: &Tensor) -> Result<Tensor> {
    let tensor = tensor.to_dtype(DType::F32).and_then(|tensor| tensor.contiguous());
    let tensor = tensor.map_err(|error| Error::file(path, format!("{name}: {error}")))?;
    if crate::ops::with_values(&tensor, |values| values.iter().all(|value| value.is_finite()))? {
        Ok(tensor)
    } else {
        Err(Error::file(path, format!("{name}: expected finite weights, got NaN or infinity")))
    }
}
