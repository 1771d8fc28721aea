//! The folder of a LeWM: `config.json`, its weights as `model.safetensors` or PyTorch's `weights.pt`, and, where
//! there is one, `mindseye.json` with what the authors' files lack.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::safetensors::Load as _;
use candle_core::{DType, Device, Tensor};
use mindseye_interface::{MemoryLimit, inputs};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::config::LewmConfig;
use super::network::Lewm;
use super::pickle::PickledWeights;
use super::published::{ActionStatistics, PublishedLewm};
use crate::families::{LoadOptions, ModelFolder, Origin, config_in};
use crate::parameters::{Shapes, require_shapes, values_in};
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
    let text = inputs::read_if_present(&path, inputs::MAX_CONFIG_BYTES).map_err(|error| Error::file(&path, error))?;
    let sidecar: Sidecar = match text {
        Some(text) => serde_json::from_slice(&text).map_err(|error| Error::file(&path, error))?,
        None => Sidecar::default(),
    };
    let Sidecar { action_width, actions, origin } = sidecar;
    let of_origin = origin.as_ref().map(|origin| origin.action_space.width());
    let Some(width) = options.action_width.or(action_width).or(of_origin) else {
        return Err(Error::file(&path, "action_width: expected it here or in the load options, got none"));
    };
    if let Some(origin) = &origin {
        origin.validate(width).map_err(|error| Error::file(&path, format!("origin.{error}")))?;
    }
    let actions = options.action_statistics.as_ref().unwrap_or(&actions);
    let lewm = Lewm::load(folder)?;
    let fingerprint = fingerprint::of_weights(lewm.weights())?;
    let model = PublishedLewm::new(lewm, width, actions).map_err(|error| Error::file(&path, error))?;
    Ok(ModelFolder { model: Arc::new(model), fingerprint, origin, statistics: None, config: None })
}

impl Lewm {
    /// Whether `folder` holds a LeWM: a `config.json` that says so.
    pub fn is_in(folder: &Path) -> bool {
        let config = config_in(folder);
        config["_target_"].as_str().is_some_and(|target| target.to_lowercase().ends_with("lewm"))
    }

    /// Reads the networks in a folder as published: `model.safetensors` if it is there, else `weights.pt`. Of the
    /// latter only a list of tensors is interpreted: no code in the file is ever run.
    ///
    /// # Errors
    /// [`Error::File`] that names the file, and the weight that is missing, left over, of another shape or not finite.
    pub fn load(folder: &Path) -> Result<Self> {
        Self::load_within(folder, MemoryLimit::default())
    }

    /// As [`Lewm::load`], with a limit of memory. What the model needs is summed up first, and names and shapes are
    /// compared before any values are read.
    ///
    /// # Errors
    /// As [`Lewm::load`], and when the weights need more memory.
    pub fn load_within(folder: &Path, memory: MemoryLimit) -> Result<Self> {
        let config_path = folder.join("config.json");
        let config = LewmConfig::load(&config_path)?;
        let shapes = Self::shapes(&config).map_err(|error| Error::file(&config_path, error))?;
        let needed = values_in(&shapes).saturating_mul(4);
        memory.require("weights", needed).map_err(|error| Error::file(&config_path, error))?;
        let safetensors = folder.join("model.safetensors");
        let weights = if safetensors.exists() {
            read_safetensors(&safetensors, &shapes, memory)?
        } else {
            read_pickled(&folder.join("weights.pt"), &shapes, memory)?
        };
        Self::from_weights(config, weights).map_err(|error| Error::file(&config_path, error))
    }
}

/// Whether a tensor of a LeWM's file is a weight: PyTorch's batch norms store a counter beside theirs.
fn is_weight(name: &str) -> bool {
    !name.ends_with("num_batches_tracked")
}

/// The weights in a PyTorch file.
fn read_pickled(path: &Path, shapes: &Shapes, memory: MemoryLimit) -> Result<BTreeMap<String, Tensor>> {
    let file = PickledWeights::open(path, memory.bytes())?;
    let stored = file.tensors().iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice()));
    require_shapes(shapes, stored.filter(|(name, _)| is_weight(name))).map_err(|error| Error::file(path, error))?;
    file.read(memory, is_weight, |name, tensor| finite(path, name, &tensor))
}

/// The weights in a safetensors file.
fn read_safetensors(path: &Path, shapes: &Shapes, memory: MemoryLimit) -> Result<BTreeMap<String, Tensor>> {
    let bytes = inputs::read(path, memory.bytes()).map_err(|error| Error::file(path, error))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| Error::file(path, error))?;
    let views: Vec<_> = file.iter().filter(|(name, _)| is_weight(name)).collect();
    let stored = views.iter().map(|(name, view)| (*name, view.shape()));
    require_shapes(shapes, stored).map_err(|error| Error::file(path, error))?;
    let needed = values_in(shapes).saturating_mul(4).saturating_add(bytes.len() as u128);
    memory.require(&format!("{}: tensors", path.display()), needed)?;
    let read = views.into_iter().map(|(name, view)| {
        let tensor = view.load(&Device::Cpu).map_err(|error| Error::file(path, format!("{name}: {error}")))?;
        Ok((name.to_owned(), finite(path, name, &tensor)?))
    });
    read.collect()
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
