//! What the controls of a run say.

use std::sync::Arc;

use mindseye_agent::Task;
use serde::Serialize;

use crate::{Command, TickRecord};

/// What commands have made of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Settings {
    /// Weights of cost terms.
    pub weights: Vec<(String, f32)>,
    /// Action chunks that a plan has.
    pub horizon: usize,
    /// Kind of planner.
    pub planner: String,
    /// Mode-1, Mode-2, or whichever is good enough.
    pub mode: String,
    /// Control steps between two plans.
    pub replan_every: usize,
    /// Most control steps between two plans: an action chunk.
    pub action_chunk: usize,
    /// Whether recorded actions are executed in place of the agent's; none where there are none.
    pub follows_recording: Option<bool>,
    /// Whether the agent's camera is covered.
    pub camera_hidden: bool,
    /// Added to every executed action.
    pub wind: Vec<f32>,
}

impl Settings {
    /// What `task` begins with, for actions of `action_width` numbers in chunks of `action_chunk`. A run with recorded
    /// actions follows them at first.
    pub(crate) fn of(task: &Task, action_width: usize, action_chunk: usize, has_recording: bool) -> Self {
        Self {
            weights: task.weights.iter().map(|(name, weight)| (name.clone(), *weight)).collect(),
            horizon: task.horizon_chunks,
            planner: task.planner.name().to_owned(),
            mode: task.mode.name().to_owned(),
            replan_every: task.replan_every.unwrap_or(action_chunk),
            action_chunk,
            follows_recording: has_recording.then_some(true),
            camera_hidden: false,
            wind: vec![0.0; action_width],
        }
    }

    /// What these, of before the first tick, are after the ticks in `records` and the commands in `pending`, which wait
    /// for the next one.
    #[must_use]
    pub fn after(&self, records: &[Arc<TickRecord>], pending: &[Command]) -> Self {
        let mut settings = self.clone();
        let all = records.iter().flat_map(|record| &record.commands).chain(pending);
        all.for_each(|command| settings.follow(command));
        settings
    }

    fn follow(&mut self, command: &Command) {
        match command {
            Command::SetWeight { name, weight } => {
                let known = self.weights.iter_mut().find(|(known, _)| known == name);
                known.into_iter().for_each(|(_, known)| *known = *weight);
            }
            Command::SetHorizon { chunks } => self.horizon = *chunks,
            Command::SetPlanner { kind } => self.planner.clone_from(kind),
            Command::SetMode { mode } => self.mode.clone_from(mode),
            Command::SetReplanEvery { steps } => self.replan_every = *steps,
            Command::FollowRecording { follow } => self.follows_recording = Some(*follow),
            Command::HideCamera { hidden } => self.camera_hidden = *hidden,
            Command::SetWind { drift } => self.wind.clone_from(drift),
            Command::SetGoal { .. } | Command::GoalIsNow {} | Command::MoveWorld { .. } => {}
        }
    }
}
