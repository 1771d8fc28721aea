//! Statistics of training data.

use serde::{Deserialize, Serialize};

/// Largest mean, standard deviation or error, in any unit: what is recorded is `f32`, and may be a time in nanoseconds.
pub(crate) const MAX_VALUE: f64 = 1e40;

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
    /// The colour of most pixels, of models with one camera.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub background_rgb: Option<[u8; 3]>,
}
