//! What is believed when an image is missing or implausible, and how a state became known.

use mindseye_interface::Result;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

use crate::removed_fields;

/// How a state became known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateSource {
    /// It was observed.
    #[default]
    #[serde(alias = "seen")]
    Observed,
    /// Nothing was observed: it is the prediction (or what [`Imputation`] says).
    #[serde(alias = "dropped")]
    Imputed,
    /// The observation was rejected as implausible: it is the prediction.
    #[serde(alias = "doubted")]
    Rejected,
}

/// What stands in for a state that was not observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Imputation {
    /// What the world model predicted for now.
    #[default]
    Prediction,
    /// The last state that was observed: for measuring what the prediction is worth.
    LastObserved,
}

/// When an observation is rejected (LeCun 2022, section 3: perception and the world model complete each other). A
/// missing image is always imputed from the world model's prediction.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(remote = "Self", deny_unknown_fields, default)]
pub struct MissingFrames {
    /// An observation farther than this from its prediction is rejected: something may be in front of the camera. Mean
    /// squared difference per dimension of the latent, as [`crate::TickReport::surprise`], above 0. None (the default)
    /// accepts every observation; too low a gate rejects what is merely surprising.
    #[serde(alias = "doubt_above")]
    pub innovation_gate: Option<f32>,
    /// After so many rejected ticks in a row the observation is accepted: the world has changed. 3 by default.
    pub patience_ticks: usize,
}

removed_fields!(MissingFrames, [("predict", "missing images are always imputed from predictions")]);

impl Default for MissingFrames {
    fn default() -> Self {
        Self { innovation_gate: None, patience_ticks: 3 }
    }
}

impl MissingFrames {
    pub(crate) fn validate(&self) -> Result<()> {
        require_range("missing_frames.patience_ticks", self.patience_ticks, 0, 1_000_000)?;
        let gate = self.innovation_gate;
        gate.map_or(Ok(()), |gate| require_range("missing_frames.innovation_gate", gate, 1e-6, 1e6))
    }
}
