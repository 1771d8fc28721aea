//! A trained model as a folder: `config.json`, `model.safetensors`, and the parts beside it where there are any
//! (`decoder.safetensors`, `policy.safetensors`, `critic.safetensors`, `readout.safetensors`, `futures.safetensors`, `ensemble.safetensors`).

use std::collections::BTreeMap;
use std::path::Path;

use candle_core::Tensor;
use mindseye_interface::config::Validate;
use mindseye_interface::{ActionSpace, Seed, files};
use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::critic::CriticNetwork;
use crate::decoder::Decoder;
use crate::ensemble::Ensemble;
use crate::futures::Futures;
use crate::jepa::{Jepa, ModelConfig};
use crate::ops::{tensor, with_values};
use crate::part;
use crate::policy::Policy;
use crate::readout::Readout;
use crate::statistics::LatentStatistics;
use crate::training::{TrainingConfig, TrainingData, TrainingReport};
use crate::{Error, Result, weights_file};

/// Version of the checkpoint format; another version is refused.
pub const FORMAT: u32 = 1;

/// What stands in `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Version of the format, [`FORMAT`].
    pub format: u32,
    /// Scene or robot whose episodes the model learnt from.
    pub scene: String,
    /// Duration of one control step, seconds.
    pub control_step_secs: f64,
    /// Meaning of the actions.
    pub action_space: ActionSpace,
    /// Names of the true state's dimensions that the probes were fitted to; empty without a true state.
    pub state_names: Vec<String>,
    /// The model.
    pub model: ModelConfig,
    /// Statistics of the training data.
    pub data: DataStatistics,
    /// The recipe.
    pub recipe: TrainingConfig,
    /// How training went.
    pub training: TrainingReport,
}

/// Statistics of the data a model was trained on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataStatistics {
    /// Episodes in the data set.
    pub episodes: usize,
    /// Frames in the data set.
    pub frames: usize,
    /// Mean of the normalised actions, per dimension.
    pub action_mean: Vec<f64>,
    /// Standard deviation of the normalised actions, per dimension.
    pub action_std: Vec<f64>,
    /// Mean of proprioception, per dimension, SI units.
    pub proprioception_mean: Vec<f64>,
    /// Standard deviation of proprioception, per dimension, SI units.
    pub proprioception_std: Vec<f64>,
    /// The colour that most of the pictures show, of models with one camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background_rgb: Option<[u8; 3]>,
}

/// A model with all that is needed to plan with it.
#[derive(Debug)]
pub struct Checkpoint {
    /// What the model is and where it comes from.
    pub config: CheckpointConfig,
    /// The model.
    pub model: Jepa,
    /// Statistics of its latent space.
    pub statistics: LatentStatistics,
    /// Draws latents for people.
    pub decoder: Option<Decoder>,
    /// Does without imagining what a planner would do with it.
    pub policy: Option<Policy>,
    /// Says what is still to come beyond the horizon.
    pub critic: Option<CriticNetwork>,
    /// Reads latents as people name states, for costs about named things.
    pub readout: Option<Readout>,
    /// Tells the futures of a plan apart by a code.
    pub futures: Option<Futures>,
    /// Further predictors of the same latents.
    pub ensemble: Option<Ensemble>,
}

const CONFIG_FILE: &str = "config.json";
const MODEL_FILE: &str = "model.safetensors";
const STATISTICS: &str = "statistics.";

/// Where a model's episodes come from.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// Scene or robot.
    pub scene: String,
    /// Duration of one control step, seconds.
    pub control_step_secs: f64,
    /// Meaning of the actions.
    pub action_space: ActionSpace,
    /// Names of the true state's dimensions; empty without a true state.
    pub state_names: Vec<String>,
}

impl Checkpoint {
    /// What a finished run leaves: the model with the statistics of its latent space. The decoder is added when it is trained.
    ///
    /// # Errors
    /// When the data do not fit the model.
    pub fn of_run(
        model: Jepa,
        training: TrainingReport,
        recipe: TrainingConfig,
        data: &TrainingData,
        origin: Origin,
    ) -> Result<Self> {
        let statistics = LatentStatistics::measure(&model, data, Seed::new(training.seed).child("statistics"))?;
        let config = CheckpointConfig {
            format: FORMAT,
            scene: origin.scene,
            control_step_secs: origin.control_step_secs,
            action_space: origin.action_space,
            state_names: origin.state_names,
            model: model.config().clone(),
            data: data.statistics(),
            recipe,
            training,
        };
        Ok(Self {
            config,
            model,
            statistics,
            decoder: None,
            policy: None,
            critic: None,
            readout: None,
            futures: None,
            ensemble: None,
        })
    }

    /// Writes the folder; every file whole, `config.json` last.
    ///
    /// # Errors
    /// [`Error::File`] when a file cannot be written.
    pub fn save(&self, folder: &Path) -> Result<()> {
        let mut tensors: BTreeMap<String, Tensor> =
            self.model.weights().iter().map(|(name, var)| (name.clone(), var.as_tensor().clone())).collect();
        let width = self.statistics.mean.len();
        let vector = |values: &[f64]| tensor(values.iter().map(|&value| value as f32).collect(), values.len());
        let matrix = |values: &DMatrix<f64>| {
            tensor(values.transpose().iter().map(|&value| value as f32).collect(), (width, width))
        };
        tensors.insert(format!("{STATISTICS}mean"), vector(&self.statistics.mean)?);
        tensors.insert(format!("{STATISTICS}covariance"), matrix(&self.statistics.covariance)?);
        tensors.insert(format!("{STATISTICS}step_covariance"), matrix(&self.statistics.step_covariance)?);
        weights_file::write(&folder.join(MODEL_FILE), &tensors, None)?;
        part::save_to(folder, self.decoder.as_ref())?;
        part::save_to(folder, self.policy.as_ref())?;
        part::save_to(folder, self.critic.as_ref())?;
        part::save_to(folder, self.readout.as_ref())?;
        part::save_to(folder, self.futures.as_ref())?;
        part::save_to(folder, self.ensemble.as_ref())?;
        let path = folder.join(CONFIG_FILE);
        let mut config = serde_json::to_vec_pretty(&self.config).map_err(|error| Error::file(&path, error))?;
        config.push(b'\n');
        files::write_whole(&path, &config).map_err(|error| Error::file(&path, error))
    }

    /// Reads a folder that [`Checkpoint::save`] wrote.
    ///
    /// # Errors
    /// [`Error::File`] naming the file and what is wrong with it.
    pub fn load(folder: &Path) -> Result<Self> {
        let config = Self::load_config(folder)?;
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
            mean: take("mean", width)?,
            covariance: DMatrix::from_row_iterator(width, width, take("covariance", width * width)?),
            step_covariance: DMatrix::from_row_iterator(width, width, take("step_covariance", width * width)?),
        };
        let model = Jepa::from_weights(config.model.clone(), tensors).map_err(|error| Error::file(&path, error))?;
        let decoder = part::load_from(folder, &config.model)?;
        let policy = part::load_from(folder, &config.model)?;
        let critic = part::load_from(folder, &config.model)?;
        let readout = part::load_from(folder, &config.model)?;
        let futures = part::load_from(folder, &config.model)?;
        let ensemble = part::load_from(folder, &config.model)?;
        Ok(Self { config, model, statistics, decoder, policy, critic, readout, futures, ensemble })
    }

    /// Reads `config.json` only.
    ///
    /// # Errors
    /// [`Error::File`] naming the field.
    pub fn load_config(folder: &Path) -> Result<CheckpointConfig> {
        let path = folder.join(CONFIG_FILE);
        let text = std::fs::read(&path).map_err(|error| Error::file(&path, error))?;
        let config: CheckpointConfig = serde_json::from_slice(&text).map_err(|error| Error::file(&path, error))?;
        if config.format != FORMAT {
            return Err(Error::file(&path, format!("format: expected {FORMAT}, got {}", config.format)));
        }
        config.model.validate().map_err(|error| Error::file(&path, error))?;
        if config.action_space.width() != config.model.action_width {
            let (expected, got) = (config.model.action_width, config.action_space.width());
            return Err(Error::file(&path, format!("action_space: expected {expected} dimensions, got {got}")));
        }
        Ok(config)
    }

    /// Reads a folder and refuses a model of another scene.
    ///
    /// # Errors
    /// [`Error::File`] naming the file and the field `scene`.
    pub fn load_for_scene(folder: &Path, scene: &str) -> Result<Self> {
        let config = Self::load_config(folder)?;
        if config.scene != scene {
            return Err(Error::file(
                &folder.join(CONFIG_FILE),
                format!("scene: expected {scene}, got {}", config.scene),
            ));
        }
        Self::load(folder)
    }
}
