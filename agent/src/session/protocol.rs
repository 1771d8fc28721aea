//! What a line of text asks a session for.

use serde::Deserialize;

use super::NamedImages;

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
