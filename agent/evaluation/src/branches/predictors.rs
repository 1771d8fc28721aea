//! Coverage of the branches by each predictor of a checkpoint.

use mindseye_world_model::{Checkpoint, InferenceOptions, SampleSource};
use serde::{Deserialize, Serialize};

use super::{BranchCoverage, BranchPoints};
use crate::Result;

/// Numbers of samples that are reported.
const SAMPLES: [usize; 5] = [1, 2, 4, 8, 16];

/// Coverage by each predictor of a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PredictorCoverage {
    /// The model's own predictor, with one prediction.
    pub model: BranchCoverage,
    /// The stochastic predictor, if the checkpoint has one, by the number of its samples.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stochastic: Vec<SampledCoverage>,
    /// The ensemble, if the checkpoint has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ensemble: Option<BranchCoverage>,
}

/// Coverage by several samples per plan.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SampledCoverage {
    /// Samples per plan.
    pub samples: usize,
    /// What they cover.
    #[serde(flatten)]
    pub coverage: BranchCoverage,
}

impl BranchPoints {
    /// Coverage by every predictor of `checkpoint`, on the threads of the current rayon pool.
    ///
    /// # Errors
    /// When a predictor does not fit the model, or a rollout fails.
    pub fn coverage_by_predictor(&self, checkpoint: &Checkpoint) -> Result<PredictorCoverage> {
        let coverage = |samples: SampleSource| {
            let options = InferenceOptions { samples, ..InferenceOptions::default() };
            self.coverage(&*checkpoint.dynamics(&options)?)
        };
        let mut stochastic = Vec::new();
        for samples in SAMPLES.into_iter().filter(|_| checkpoint.stochastic.is_some()) {
            let coverage = coverage(SampleSource::Stochastic { samples })?;
            stochastic.push(SampledCoverage { samples, coverage });
        }
        let ensemble = checkpoint.ensemble.is_some().then(|| coverage(SampleSource::Ensemble)).transpose()?;
        Ok(PredictorCoverage { model: coverage(SampleSource::One)?, stochastic, ensemble })
    }
}
