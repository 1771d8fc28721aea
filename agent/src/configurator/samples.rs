//! How many samples the rollout of a plan has, and what their standard deviation counts.

use mindseye_interface::Result;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

/// Where the samples of a plan come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SampleSource {
    /// From a stochastic predictor, which has a discrete latent code: what may happen.
    Latent,
    /// From an ensemble of predictors, the model's own first: what the model is uncertain of.
    Ensemble,
}

/// Samples per plan, `S`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SamplesConfig {
    /// Where they come from; the checkpoint must have such a head.
    pub kind: SampleSource,
    /// How many, 1 to 1000, 8 by default; an ensemble always has one per predictor. More of them show rarer outcomes
    /// and take proportionally longer.
    #[serde(default = "eight", alias = "samples")]
    pub count: usize,
    /// `k` in the energy of a plan: the mean over its samples plus `k` times their standard deviation. 0 (the default)
    /// is neutral, above 0 plans with uncertain outcomes are avoided, below 0 they are preferred.
    #[serde(default)]
    pub risk: f32,
}

fn eight() -> usize {
    8
}

impl SamplesConfig {
    pub(crate) fn validate(&self) -> Result<()> {
        require_range("samples.count", self.count, 1, 1000)?;
        require_range("samples.risk", self.risk, -1e3, 1e3)
    }
}
