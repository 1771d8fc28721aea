//! The folder of a JEPA: `config.json` and `model.safetensors`, which holds the statistics of the latent space too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;

use super::checkpoint_config::CheckpointConfig;
use super::network::Jepa;
use crate::families::{LoadOptions, ModelFolder, config_in};
use crate::latent::LatentShape;
use crate::statistics::LatentStatistics;
use crate::{Error, Result, fingerprint, weights_file};

/// Name of the weights file.
pub(crate) const MODEL_FILE: &str = "model.safetensors";

/// Whether `folder` holds a JEPA: a `config.json` with this project's format.
pub(crate) fn is_in(folder: &Path) -> bool {
    config_in(folder)["format"].is_u64()
}

/// See [`crate::families::Family`].
pub(crate) fn load(folder: &Path, _options: &LoadOptions) -> Result<ModelFolder> {
    let config = CheckpointConfig::load(folder)?;
    let (model, statistics) = read(folder, &config)?;
    Ok(ModelFolder {
        fingerprint: fingerprint::of_weights(model.weights())?,
        model: Arc::new(model),
        origin: Some(config.origin()),
        statistics: Some(statistics),
        config: Some(config),
    })
}

/// Reads `model.safetensors`: the model of `config` and the statistics of its latent space.
pub(crate) fn read(folder: &Path, config: &CheckpointConfig) -> Result<(Jepa, LatentStatistics)> {
    let path = folder.join(MODEL_FILE);
    let (mut tensors, _) = weights_file::read(&path)?;
    let shape = LatentShape::global(config.model.latent_width);
    let statistics = LatentStatistics::take(&mut tensors, shape).map_err(|reason| Error::file(&path, reason))?;
    let model = Jepa::from_weights(config.model.clone(), tensors).map_err(|error| Error::file(&path, error))?;
    let model = if config.camera_names.is_empty() { model } else { model.with_camera_names(&config.camera_names)? };
    Ok((model, statistics))
}

/// Writes `model.safetensors`.
pub(crate) fn write(folder: &Path, model: &Jepa, statistics: &LatentStatistics) -> Result<()> {
    let mut tensors: BTreeMap<String, Tensor> =
        model.weights().iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    statistics.store(&mut tensors)?;
    weights_file::write(&folder.join(MODEL_FILE), &tensors, None)
}
