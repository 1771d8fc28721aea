//! The folder of a LeWM: `config.json`, its weights as safetensors or in one of PyTorch's files, and, where there is
//! one, `mindseye.json` with what the authors' files lack.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::safetensors::Load as _;
use candle_core::{DType, Device, Tensor};
use mindseye_interface::{MemoryLimit, inputs};
use safetensors::SafeTensors;
use serde::{Deserialize, Serialize};

use super::config::LewmConfig;
use super::names::account;
use super::network::Lewm;
use super::published::{ActionStatistics, PublishedLewm};
use super::weights::folder_of;
use crate::families::{LoadOptions, ModelFolder, Origin};
use crate::parameters::{Shapes, values_in};
use crate::pickle::PickledWeights;
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
pub(crate) fn load(model: &Path, options: &LoadOptions) -> Result<ModelFolder> {
    let path = folder_of(model).join(SIDECAR);
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
    let lewm = Lewm::load(model)?;
    let fingerprint = fingerprint::of_weights(lewm.weights())?;
    let model = PublishedLewm::new(lewm, width, actions).map_err(|error| Error::file(&path, error))?;
    Ok(ModelFolder { model: Arc::new(model), fingerprint, origin, statistics: None, config: None })
}

impl Lewm {
    /// Reads the networks at `path`: a folder with weights as [`Lewm::weights_file`] finds them, or such a file, with
    /// the `config.json` beside it. Names are read as several versions of the authors' libraries and their wrappers
    /// write them, numbers of any precision. Of PyTorch's files only a list of tensors is interpreted: no code in them
    /// is ever run.
    ///
    /// # Errors
    /// [`Error::File`] that names the file, and the weights that are missing, left over, of another shape or not
    /// finite.
    pub fn load(path: &Path) -> Result<Self> {
        Self::load_within(path, MemoryLimit::default())
    }

    /// As [`Lewm::load`], with a limit of memory. What the model needs is summed up first, and names and shapes are
    /// compared before any values are read.
    ///
    /// # Errors
    /// As [`Lewm::load`], and when the weights need more memory.
    pub fn load_within(path: &Path, memory: MemoryLimit) -> Result<Self> {
        let file = Self::weights_file(path)?;
        let config_path = folder_of(path).join("config.json");
        let config = LewmConfig::load(&config_path)?;
        let shapes = Self::shapes(&config).map_err(|error| Error::file(&config_path, error))?;
        let needed = values_in(&shapes).saturating_mul(4);
        memory.require("weights", needed).map_err(|error| Error::file(&config_path, error))?;
        let weights = if file.extension().is_some_and(|ending| ending == "safetensors") {
            read_safetensors(&file, &shapes, memory)?
        } else {
            read_pickled(&file, &shapes, memory)?
        };
        Self::from_weights(config, weights).map_err(|error| Error::file(&config_path, error))
    }
}

/// The weights in a PyTorch file, under their published names.
fn read_pickled(path: &Path, shapes: &Shapes, memory: MemoryLimit) -> Result<BTreeMap<String, Tensor>> {
    let file = PickledWeights::open(path, memory.bytes())?;
    let stored = file.tensors().iter().map(|tensor| (tensor.name.as_str(), tensor.shape.as_slice()));
    let names = account(shapes, stored).map_err(|error| Error::file(path, error))?;
    let wanted = |name: &str| names.contains_key(name);
    let read = file.read(memory, wanted, |name, tensor| finite(path, name, &tensor))?;
    Ok(read.into_iter().filter_map(|(name, tensor)| Some((names.get(&name)?.clone(), tensor))).collect())
}

/// The weights in a safetensors file, under their published names.
fn read_safetensors(path: &Path, shapes: &Shapes, memory: MemoryLimit) -> Result<BTreeMap<String, Tensor>> {
    let bytes = inputs::read(path, memory.bytes()).map_err(|error| Error::file(path, error))?;
    let file = SafeTensors::deserialize(&bytes).map_err(|error| Error::file(path, error))?;
    let views: Vec<_> = file.iter().collect();
    let stored = views.iter().map(|(name, view)| (*name, view.shape()));
    let names = account(shapes, stored).map_err(|error| Error::file(path, error))?;
    let needed = values_in(shapes).saturating_mul(4).saturating_add(bytes.len() as u128);
    memory.require(&format!("{}: tensors", path.display()), needed)?;
    let used = views.into_iter().filter_map(|(name, view)| Some((names.get(name)?, name, view)));
    let read = used.map(|(published, name, view)| {
        let tensor = view.load(&Device::Cpu).map_err(|error| Error::file(path, format!("{name}: {error}")))?;
        Ok((published.clone(), finite(path, name, &tensor)?))
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
