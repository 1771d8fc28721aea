//! Success rates that were measured before, kept beside a checkpoint.

use std::path::Path;

use mindseye_interface::config::require_range;
use mindseye_interface::{Error as InterfaceError, GoalKind, inputs};
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::interval::SuccessRate;

/// How often the agent with a checkpoint reached its goals in an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MeasuredRate {
    /// Name of the task.
    pub task: String,
    /// How starts and goals were chosen.
    pub goals: GoalKind,
    /// Episodes that reached their goal (moderate).
    pub reached: usize,
    /// Episodes in all.
    pub episodes: usize,
}

impl MeasuredRate {
    /// Name of the file beside a checkpoint: a list of rates.
    pub const FILE: &'static str = "measured.json";

    /// The rate of the checkpoint in `folder` with the task called `task` on `goals`, where it is known.
    ///
    /// # Errors
    /// When there is such a file and it makes no sense.
    pub fn find(folder: &Path, task: &str, goals: GoalKind) -> Result<Option<SuccessRate>> {
        let path = folder.join(Self::FILE);
        let broken = |reason: String| InterfaceError::File { path: path.clone(), reason };
        let text =
            inputs::read_if_present(&path, inputs::MAX_CONFIG_BYTES).map_err(|error| broken(error.to_string()))?;
        let Some(text) = text else { return Ok(None) };
        let all: Vec<Self> = serde_json::from_slice(&text).map_err(|error| broken(error.to_string()))?;
        for known in &all {
            let reached = require_range("reached", known.reached, 0, known.episodes);
            reached.map_err(|error| broken(error.to_string()))?;
        }
        let fits = |known: &&Self| known.task == task && known.goals == goals;
        Ok(all.iter().find(fits).map(|known| SuccessRate::of(known.reached, known.episodes)))
    }
}
