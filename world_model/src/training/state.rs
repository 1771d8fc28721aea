//! Everything that a run needs to continue as if it had never stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use mindseye_interface::Seed;
use serde::{Deserialize, Serialize};

use super::Start;
use super::config::TrainingConfig;
use super::data::{Fingerprint, TrainingData, sensed};
use crate::checkpoint::Checkpoint;
use crate::jepa::{Jepa, trained};
use crate::losses::LossHeads;
use crate::ops::with_values;
use crate::optimiser::Moments;
use crate::parameters::Source;
use crate::weights_file;
use crate::{Error, Result};

/// Model, loss heads, optimiser moments and the number of steps done.
pub struct TrainingState {
    pub model: Jepa,
    pub heads: LossHeads,
    pub moments: Moments,
    pub step: usize,
    /// The run whose weights this one started from.
    pub start: Option<Box<Start>>,
}

/// What a saved state belongs to; stored beside it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StateHeader {
    step: usize,
    seed: u64,
    config: TrainingConfig,
    data: Fingerprint,
    #[serde(default)]
    start: Option<Box<Start>>,
}

/// Frames from which the whitening constants are taken.
const WHITENING_FRAMES: usize = 6000;

/// The state's file in a run's folder.
fn state_path(folder: &Path) -> PathBuf {
    folder.join("state.safetensors")
}

impl TrainingState {
    /// A fresh model at step 0, or a copy of `start`.
    pub fn fresh(config: &TrainingConfig, seed: Seed, start: Option<&Checkpoint>, data: &TrainingData) -> Result<Self> {
        let model = match start {
            Some(start) => start.model.copy()?,
            None => {
                let mut model = Jepa::initialise(config.model.clone(), seed.child("weights"))?;
                let statistics = data.statistics();
                model.fix_proprioception(&statistics.proprioception_mean, &statistics.proprioception_std)?;
                model
            }
        };
        let source = Source::fresh(seed.child("weights"));
        let heads = LossHeads::new(source, config.model.latent_width, config.model.block_width())?;
        let start =
            start.map(|start| Start { recipe: start.config.recipe.clone(), training: start.config.training.clone() });
        Ok(Self { model, heads, moments: Moments::default(), step: 0, start: start.map(Box::new) })
    }

    /// Everything that training moves.
    pub fn all_trained(&self) -> impl Iterator<Item = (&String, &candle_core::Var)> {
        trained(self.model.weights()).chain(trained(&self.heads.weights))
    }

    /// Takes the whitening constants of an encoder that has changed from a fixed choice of training frames.
    pub fn fix_whitening(&mut self, data: &TrainingData, config: &TrainingConfig) -> Result<()> {
        if !config.model.whitening || config.steps == 0 {
            return Ok(()); // nothing to fix, or the encoder and its constants are those of the model that the run started from
        }
        let sample = data.training_sample(WHITENING_FRAMES, 2, Seed::new(0))?;
        let mut raw = Vec::new();
        for part in sensed(&config.model, &sample).chunks(&config.model, 256) {
            raw.extend(with_values(&self.model.encode_raw(part)?, <[f32]>::to_vec)?);
        }
        self.model.fix_whitening(&raw)
    }

    /// From here on latents do not change, and the predictor gets an optimiser of its own.
    pub fn begin_refinement(&mut self, data: &TrainingData, config: &TrainingConfig) -> Result<()> {
        self.moments = Moments::default();
        self.fix_whitening(data, config)
    }

    /// Writes the state, in one file: half a state cannot exist.
    pub fn save(&self, folder: &Path, config: &TrainingConfig, seed: Seed, data: &TrainingData) -> Result<()> {
        let mut tensors: BTreeMap<String, Tensor> = BTreeMap::new();
        for (name, var) in self.model.weights().iter().chain(&self.heads.weights) {
            tensors.insert(format!("weights.{name}"), var.as_tensor().clone());
        }
        for (kind, moments) in [("first", &self.moments.first), ("second", &self.moments.second)] {
            for (name, values) in moments {
                tensors.insert(format!("{kind}.{name}"), crate::ops::tensor(values.clone(), values.len())?);
            }
        }
        let path = state_path(folder);
        let header = StateHeader {
            step: self.step,
            seed: seed.value(),
            config: config.clone(),
            data: data.fingerprint(),
            start: self.start.clone(),
        };
        let header = serde_json::to_string(&header).map_err(|error| Error::file(&path, error))?;
        weights_file::write(&path, &tensors, Some(header))
    }

    /// Reads a state that `save` wrote for the same config, seed and data.
    pub fn load(folder: &Path, config: &TrainingConfig, seed: Seed, data: &TrainingData) -> Result<Self> {
        let path = state_path(folder);
        let (mut tensors, header) = weights_file::read(&path)?;
        let header = header.ok_or_else(|| Error::file(&path, "header: expected that of a training state, got none"))?;
        let header: StateHeader = serde_json::from_str(&header).map_err(|error| Error::file(&path, error))?;
        let same = [
            ("seed", header.seed == seed.value()),
            ("config", header.config == *config),
            ("data", header.data == data.fingerprint()),
        ];
        if let Some((field, _)) = same.iter().find(|(_, same)| !same) {
            return Err(Error::file(&path, format!("{field}: expected that of the run to resume, got another")));
        }
        let mut take = |kind: &str| -> BTreeMap<String, Tensor> {
            let prefix = format!("{kind}.");
            let names: Vec<String> = tensors.keys().filter(|name| name.starts_with(&prefix)).cloned().collect();
            let found = names.into_iter().filter_map(|name| tensors.remove_entry(&name));
            found.map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor)).collect()
        };
        let (heads, model): (BTreeMap<_, _>, BTreeMap<_, _>) =
            take("weights").into_iter().partition(|(name, _)| name.starts_with("heads."));
        let values = |tensors: BTreeMap<String, Tensor>| -> Result<BTreeMap<String, Vec<f32>>> {
            tensors.into_iter().map(|(name, tensor)| Ok((name, with_values(&tensor, <[f32]>::to_vec)?))).collect()
        };
        let moments = Moments { first: values(take("first"))?, second: values(take("second"))? };
        let heads = LossHeads::new(Source::stored(heads), config.model.latent_width, config.model.block_width())?;
        let model = Jepa::from_weights(config.model.clone(), model)?;
        Ok(Self { model, heads, moments, step: header.step, start: header.start })
    }
}
