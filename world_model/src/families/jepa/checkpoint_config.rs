//! `config.json` of a checkpoint: what the model is and where it comes from.

mod checks;

use std::path::Path;

use mindseye_interface::config::Validate as _;
use mindseye_interface::{ActionSpace, inputs};
use serde::{Deserialize, Serialize};

use super::config::ModelConfig;
use super::training::{DataStatistics, STATE_FILE, TrainingConfig, TrainingReport};
use crate::families::Origin;
use crate::{Error, Result};

/// Version of the checkpoint format; another version is refused.
pub const FORMAT: u32 = 1;

/// Name of the file.
pub(crate) const CONFIG_FILE: &str = "config.json";

/// Content of `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointConfig {
    /// Version of the format, [`FORMAT`].
    pub format: u32,
    /// Scene or robot whose episodes the model was trained on.
    pub scene: String,
    /// Duration of one control step, seconds.
    pub control_step_secs: f64,
    /// Meaning of the actions.
    pub action_space: ActionSpace,
    /// Names of the true state's dimensions that the probes were fitted to; empty without a true state.
    pub state_names: Vec<String>,
    /// Names of the model's cameras, in their order; empty where frames are taken by their position.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub camera_names: Vec<String>,
    /// The model.
    pub model: ModelConfig,
    /// Statistics of the training data.
    pub data: DataStatistics,
    /// The recipe.
    pub recipe: TrainingConfig,
    /// How training went.
    pub training: TrainingReport,
}

impl CheckpointConfig {
    /// Reads the `config.json` in `folder`.
    ///
    /// # Errors
    /// [`Error::File`] naming the field.
    pub fn load(folder: &Path) -> Result<Self> {
        let path = folder.join(CONFIG_FILE);
        if !path.exists() && folder.join(STATE_FILE).exists() {
            const UNFINISHED: &str =
                "expected a checkpoint, got a training run that is not finished: mindseye train --resume ends it";
            return Err(Error::file(folder, UNFINISHED));
        }
        let text = inputs::read(&path, inputs::MAX_CONFIG_BYTES).map_err(|error| Error::file(&path, error))?;
        Self::parse(&text).map_err(|problem| Error::file(&path, problem))
    }

    /// Reads the content of a `config.json`, and checks every field.
    pub(crate) fn parse(text: &[u8]) -> std::result::Result<Self, String> {
        let target = serde_json::from_slice::<serde_json::Value>(text).ok();
        if let Some(target) = target.as_ref().and_then(|config| config["_target_"].as_str()) {
            let expected = "expected a checkpoint of mindseye, or a LeWorldModel with its encoder, predictor, \
                            action_encoder, projector and pred_proj";
            return Err(format!("_target_: {expected}, got {target}"));
        }
        let config: Self = serde_json::from_slice(text).map_err(|error| error.to_string())?;
        if config.format != FORMAT {
            return Err(format!("format: expected {FORMAT}, got {}", config.format));
        }
        config.validate().map_err(|error| error.to_string())?;
        Ok(config)
    }

    /// Where the model's episodes come from.
    pub fn origin(&self) -> Origin {
        Origin {
            scene: self.scene.clone(),
            control_step_secs: self.control_step_secs,
            action_space: self.action_space.clone(),
            state_names: self.state_names.clone(),
        }
    }
}
