//! What a line of text asks a session for.

use serde::Deserialize;

use super::NamedImages;
use crate::{Error, Result};

/// One request: what is observed now, and what happened since the request before.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlanRequest {
    /// What the cameras show now; none: the frame was lost.
    pub image: Option<NamedImages>,
    /// Measurements of the robot itself, in the units of the recordings.
    pub proprioception: Vec<f32>,
    /// What was executed since the last plan; by default the first chunk of that plan.
    pub executed: Option<Executed>,
    /// Another goal.
    pub goal: Option<NamedImages>,
    /// Measurements at that goal, for models that take proprioception.
    pub goal_proprioception: Vec<f32>,
    /// Whether a new episode begins: the image does not follow from the one before.
    pub new_episode: bool,
}

/// What was executed since the last plan.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "expected a number of control steps, or a list with the action of each")]
pub enum Executed {
    /// So many control steps of its first chunk.
    Steps(usize),
    /// These actions, one list of numbers per control step, in the robot's units.
    Actions(Vec<Vec<f64>>),
    /// The same in one list.
    Flat(Vec<f64>),
}

impl Executed {
    /// The actions of `width` numbers each, or the number of planned steps.
    ///
    /// # Errors
    /// [`Error::Shape`] for actions of another width.
    pub(super) fn rows(&self, width: usize) -> Result<std::result::Result<Vec<Vec<f64>>, usize>> {
        let wrong = |got: usize| {
            let (expected, got) = (format!("{width} numbers per control step"), got.to_string());
            Error::Shape { operation: "executed", expected, got }
        };
        match self {
            Self::Steps(steps) => Ok(Err(*steps)),
            Self::Actions(rows) => match rows.iter().find(|row| row.len() != width) {
                Some(row) => Err(wrong(row.len())),
                None => Ok(Ok(rows.clone())),
            },
            Self::Flat(values) if values.len() % width.max(1) == 0 => {
                Ok(Ok(values.chunks_exact(width).map(<[f64]>::to_vec).collect()))
            }
            Self::Flat(values) => Err(wrong(values.len())),
        }
    }
}
