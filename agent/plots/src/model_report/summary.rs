//! What is in the folder of a checkpoint.

use std::fmt::{Display, Formatter, Result};
use std::path::{Path, PathBuf};

use mindseye_world_model::checkpoint::CheckpointConfig;
use mindseye_world_model::{Checkpoint, Head as _};
use serde::Serialize;

use super::ModelReport;

/// A checkpoint, described.
#[derive(Debug, Serialize)]
pub struct CheckpointSummary {
    #[serde(serialize_with = "mindseye_interface::text::serialize_path")]
    path: PathBuf,
    parameters: usize,
    /// Names of the heads that lie beside the model.
    heads: Vec<&'static str>,
    /// Whether its surprise is calibrated.
    surprise: bool,
    /// Names of what the state probe reads; none without one.
    state_probe: Vec<String>,
    #[serde(flatten)]
    config: CheckpointConfig,
    /// What was measured on a data set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on_data: Option<ModelReport>,
}

impl CheckpointSummary {
    /// The summary of `checkpoint`, which was read from `path`.
    pub fn of(path: &Path, checkpoint: &Checkpoint) -> Self {
        let probe = checkpoint.state_probe.as_ref().map(|state_probe| state_probe.config().state_names.clone());
        Self {
            path: path.to_path_buf(),
            parameters: checkpoint.model.parameters(),
            heads: checkpoint.heads().names(),
            surprise: checkpoint.heads().has_calibration(),
            state_probe: probe.unwrap_or_default(),
            config: checkpoint.config.clone(),
            on_data: None,
        }
    }
}

impl Display for CheckpointSummary {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let CheckpointConfig { model, training, data, scene, .. } = &self.config;
        let (weights, latent, side) = (self.parameters, model.latent_width, model.image_side);
        let (chunk, actions, kept) = (model.action_chunk, model.action_width, training.training_episodes);
        writeln!(text, "checkpoint {} (scene {scene})", self.path.display())?;
        writeln!(text, "  {weights} weights, latent of {latent}, images of {side}x{side}")?;
        writeln!(text, "  chunks of {chunk} control steps with {actions} actions")?;
        let (steps, minutes, seed) = (training.steps, training.minutes, training.seed);
        writeln!(text, "  trained {steps} steps in {minutes:.1} minutes, seed {seed}")?;
        writeln!(text, "  data: {} episodes, {} frames ({kept} for training)", data.episodes, data.frames)?;
        let listed = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let calibrated = if self.surprise { "calibrated" } else { "not calibrated" };
        write!(text, "  heads: {}; surprise: {calibrated}", listed(&self.heads))?;
        if !self.state_probe.is_empty() {
            write!(text, "\n  state probe reads: {}", self.state_probe.join(", "))?;
        }
        training.validation.iter().try_for_each(|validation| write!(text, "\n  {validation}"))?;
        self.on_data.iter().try_for_each(|report| write!(text, "\n{report}"))
    }
}
