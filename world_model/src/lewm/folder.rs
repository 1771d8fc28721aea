//! The folder of a LeWM: `config.json`, and its weights as `model.safetensors` or PyTorch's `weights.pt`.

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::pickle::PthTensors;
use candle_core::{DType, Tensor};

use super::{Lewm, LewmConfig};
use crate::{Error, Result};

/// Largest weights file, bytes: a LeWM has 72 MB.
const MOST_BYTES: u64 = 8 << 30;

impl Lewm {
    /// Whether `folder` holds a LeWM: a `config.json` that says so.
    pub fn is_in(folder: &Path) -> bool {
        let text = std::fs::read_to_string(folder.join("config.json")).unwrap_or_default();
        let config: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
        config["_target_"].as_str().is_some_and(|target| target.to_lowercase().ends_with("lewm"))
    }

    /// Reads a folder as published: `model.safetensors` if it is there, else `weights.pt`. Reading the latter interprets a list of
    /// tensors and nothing else: no code of the file is ever run.
    ///
    /// # Errors
    /// [`Error::File`] that names the file, and the weight that is missing, left over, of another shape or not finite.
    pub fn load(folder: &Path) -> Result<Self> {
        let config = LewmConfig::load(&folder.join("config.json"))?;
        let safetensors = folder.join("model.safetensors");
        let path = if safetensors.exists() { safetensors } else { folder.join("weights.pt") };
        let bytes = std::fs::metadata(&path).map_err(|error| Error::file(&path, error))?.len();
        if bytes > MOST_BYTES {
            return Err(Error::file(&path, format!("expected at most {MOST_BYTES} bytes, got {bytes}")));
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
