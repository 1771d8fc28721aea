//! What a person can do to a run between two ticks.

use serde::{Deserialize, Serialize};

/// What a person does to a run before its next tick. The agent is told of what changes the agent and its goal; of what
/// changes the world it finds out by itself.
///
/// [`Command::SetHorizon`], [`Command::SetPlanner`], [`Command::SetMode`] and [`Command::SetReplanEvery`] replace the
/// agent by one of the changed task: its goal stays, and so do the weights that were set; its memory, its adaptation
/// and its previous plan begin anew, and its random choices are those of the change's number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Another goal by its true state; the world shows the agent the image of it.
    SetGoal {
        /// The state `[K]`, SI units, in the order of [`InteractiveRun::names`](crate::InteractiveRun::names).
        state: Vec<f64>,
    },
    /// The goal is what the camera shows now. Refused while the camera is hidden.
    GoalIsNow {},
    /// The world is put into a state at rest, as by a person's hand. The agent is not told.
    MoveWorld {
        /// The state `[K]`, SI units.
        state: Vec<f64>,
    },
    /// A cost term weighs something else from now on.
    SetWeight {
        /// Name of the term.
        name: String,
        /// The weight, finite.
        weight: f32,
    },
    /// Another planning horizon.
    SetHorizon {
        /// Action chunks, 1 to 100: a run has no deadline, and a longer plan would take seconds.
        chunks: usize,
    },
    /// Another planner.
    SetPlanner {
        /// Its kind as in task files: the setup's own planner, if that is of this kind, else the kind's defaults.
        kind: String,
    },
    /// When to plan.
    SetMode {
        /// `mode_1` (never: the policy acts), `mode_2` (always) or `auto`, as in task files.
        mode: String,
    },
    /// Another number of control steps from tick to tick.
    SetReplanEvery {
        /// Control steps, 1 to the model's action chunk.
        steps: usize,
    },
    /// Recorded actions are executed in place of the agent's, those of the run's next control step first, or no longer.
    /// The agent plans all the same, and is told what was executed. Refused where the run has no recorded actions.
    FollowRecording {
        /// Whether they are executed from now on, as long as there are any.
        follow: bool,
    },
    /// The camera is covered or uncovered: while it is hidden, observations come without images.
    HideCamera {
        /// Whether it is hidden from now on.
        hidden: bool,
    },
    /// Something pushes: every executed action is the commanded one plus a drift, within -1 and 1. The agent is not
    /// told.
    SetWind {
        /// Added to normalised actions, `[A]` of one control step, finite; all 0: no wind.
        drift: Vec<f32>,
    },
}
