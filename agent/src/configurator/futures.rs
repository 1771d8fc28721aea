//! How many futures a plan has, and what is thought of their spread.

use mindseye_interface::Result;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

/// Where the futures of a plan come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FutureKind {
    /// From the codes of a predictor with a discrete latent (`mindseye teach futures`): what may happen.
    Latent,
    /// From several predictors (`mindseye teach ensemble`), the model's own first: what the model is not sure of.
    Ensemble,
}

/// Futures per plan.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FuturesConfig {
    /// Where they come from; the checkpoint must have it.
    pub kind: FutureKind,
    /// How many; of an ensemble as many as it has members and one, whatever this says. More tell rare outcomes, and take longer where outcomes differ.
    #[serde(default = "eight")]
    pub samples: usize,
    /// `k` in the energy of a plan, the mean over its futures plus `k` times their standard deviation. 0 does not mind risk, above it is avoided, below it is
    /// sought.
    #[serde(default)]
    pub risk: f32,
}

fn eight() -> usize {
    8
}

impl FuturesConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        require_range("futures.samples", self.samples, 1, 1000)?;
        require_range("futures.risk", self.risk, -1e3, 1e3)
    }
}
