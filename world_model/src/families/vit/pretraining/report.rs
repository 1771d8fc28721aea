//! How a run of pretraining went.

use serde::{Deserialize, Serialize};

use super::diagnostics::PretrainingValidation;

/// How a run went.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PretrainingReport {
    /// Steps done.
    pub steps: usize,
    /// Whether all steps were done (not stopped before).
    pub finished: bool,
    /// The root seed.
    pub seed: u64,
    /// Wall-clock minutes in steps and validations, over all processes that took part.
    pub minutes: f64,
    /// Clips seen.
    pub clips: usize,
    /// Numbers in the encoder that is saved.
    pub parameters: usize,
    /// The validation before the first step: of an untrained encoder. None of a run that was resumed.
    pub before: Option<PretrainingValidation>,
    /// The last validation.
    pub validation: Option<PretrainingValidation>,
}
