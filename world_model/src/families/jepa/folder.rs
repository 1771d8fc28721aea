//! The folder of a JEPA: `config.json` and `model.safetensors`, which holds the statistics of the latent space too.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use candle_core::Tensor;
use nalgebra::DMatrix;

use super::checkpoint_config::CheckpointConfig;
use super::network::Jepa;
use crate::families::{LoadOptions, ModelFolder, config_in};
use crate::ops::{tensor, with_values};
use crate::statistics::LatentStatistics;
use crate::{Error, Result, fingerprint, weights_file};

/// Name of the weights file.
pub(crate) const MODEL_FILE: &str = "model.safetensors";
const STATISTICS: &str = "statistics.";

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
    let width = config.model.latent_width;
    let mut take = |name: &str, length: usize| -> Result<Vec<f64>> {
        let name = format!("{STATISTICS}{name}");
        let stored =
            tensors.remove(&name).ok_or_else(|| Error::file(&path, format!("{name}: expected it, got none")))?;
        let values = with_values(&stored, <[f32]>::to_vec)?;
        if values.len() != length {
            return Err(Error::file(&path, format!("{name}: expected {length} values, got {}", values.len())));
        }
        Ok(values.into_iter().map(f64::from).collect())
    };
    let statistics = LatentStatistics {
        tokens: 1,
        mean: take("mean", width)?,
        covariance: DMatrix::from_row_iterator(width, width, take("covariance", width * width)?),
        step_covariance: DMatrix::from_row_iterator(width, width, take("step_covariance", width * width)?),
    };
    statistics.validate().map_err(|error| Error::file(&path, error))?;
    let model = Jepa::from_weights(config.model.clone(), tensors).map_err(|error| Error::file(&path, error))?;
    let model = if config.camera_names.is_empty() { model } else { model.with_camera_names(&config.camera_names)? };
    Ok((model, statistics))
}

/// Writes `model.safetensors`.
pub(crate) fn write(folder: &Path, model: &Jepa, statistics: &LatentStatistics) -> Result<()> {
    let mut tensors: BTreeMap<String, Tensor> =
        model.weights().iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
    let width = statistics.mean.len();
    let vector = |values: &[f64]| tensor(values.iter().map(|&value| value as f32).collect(), values.len());
    let matrix =
        |values: &DMatrix<f64>| tensor(values.transpose().iter().map(|&value| value as f32).collect(), (width, width));
    tensors.insert(format!("{STATISTICS}mean"), vector(&statistics.mean)?);
    tensors.insert(format!("{STATISTICS}covariance"), matrix(&statistics.covariance)?);
    tensors.insert(format!("{STATISTICS}step_covariance"), matrix(&statistics.step_covariance)?);
    weights_file::write(&folder.join(MODEL_FILE), &tensors, None)
}
