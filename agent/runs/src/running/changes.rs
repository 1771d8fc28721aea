//! Changes of a task that need another agent.

use mindseye_agent::Task;
use mindseye_agent::configurator::{ModeConfig, PlannerConfig};
use mindseye_interface::config::{Validate as _, require_range};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::{Command, Error, Result};

/// Kinds of planners, as in task files.
const PLANNERS: [&str; 8] = ["icem", "cem", "mppi", "predictive_sampling", "gradient", "hybrid", "random", "hold"];
/// Kinds of modes, as in task files.
const MODES: [&str; 3] = ["mode_1", "mode_2", "auto"];

/// Longest horizon, action chunks: the time of a tick grows with it, and a run has no deadline.
const MAX_HORIZON: usize = 100;

/// `task` as `command` changes it; `None` where the command changes no task. `original` is the task of the setup.
pub(super) fn changed(task: &Task, original: &Task, command: &Command) -> Result<Option<Task>> {
    let mut task = task.clone();
    match command {
        Command::SetHorizon { chunks } => {
            require_range("horizon_chunks", *chunks, 1, MAX_HORIZON)?;
            task.horizon_chunks = *chunks;
        }
        Command::SetReplanEvery { steps } => task.replan_every = Some(*steps),
        Command::SetPlanner { kind } => set_planner(&mut task, original, kind)?,
        Command::SetMode { mode } => {
            let of_original = (mode == "auto").then_some(original.mode);
            let confidence = of_original.filter(|mode| matches!(mode, ModeConfig::Auto(_)));
            task.mode = match confidence {
                Some(mode) => mode,
                None => of_kind("mode", mode, &MODES)?,
            };
        }
        Command::SetGoal { .. }
        | Command::GoalIsNow {}
        | Command::MoveWorld { .. }
        | Command::SetWeight { .. }
        | Command::FollowRecording { .. }
        | Command::HideCamera { .. }
        | Command::SetWind { .. } => return Ok(None),
    }
    task.validate()?;
    Ok(Some(task))
}

/// The planner of this kind for `task`, whether there is a policy or not: the settings of the original task where they
/// are of this kind.
fn set_planner(task: &mut Task, original: &Task, kind: &str) -> Result<()> {
    let with_policy = original.planner_with_policy.as_ref();
    if original.planner.name() == kind && with_policy.is_none_or(|planner| planner.name() == kind) {
        (task.planner, task.planner_with_policy) = (original.planner.clone(), original.planner_with_policy.clone());
    } else {
        (task.planner, task.planner_with_policy) = (of_kind::<PlannerConfig>("planner", kind, &PLANNERS)?, None);
    }
    Ok(())
}

/// The defaults of `kind`, which must be one of `known`.
fn of_kind<T: DeserializeOwned>(field: &'static str, kind: &str, known: &[&str]) -> Result<T> {
    let unknown = |got: String| Error::value(field, known.join(", "), got);
    if !known.contains(&kind) {
        return Err(unknown(kind.to_owned()));
    }
    serde_json::from_value(json!({ "kind": kind })).map_err(|error| unknown(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_that_is_listed_is_one() {
        for kind in PLANNERS {
            let planner: PlannerConfig = of_kind("planner", kind, &PLANNERS).unwrap();
            assert_eq!(planner.name(), if kind == "cem" { "icem" } else { kind });
        }
        for mode in MODES {
            assert!(of_kind::<ModeConfig>("mode", mode, &MODES).is_ok());
        }
        let error = of_kind::<ModeConfig>("mode", "mode_3", &MODES).unwrap_err().to_string();
        assert_eq!(error, "mode: expected mode_1, mode_2, auto, got mode_3");
    }
}
