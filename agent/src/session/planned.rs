//! A plan as it is handed over: numbers for a robot, and what is expected of them.

use std::fmt::{Display, Formatter, Result};

use serde::Serialize;

/// A plan in the robot's units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlannedActions {
    /// Names of the numbers of an action.
    pub names: Vec<String>,
    /// Their units; empty where the checkpoint does not say them.
    pub units: Vec<String>,
    /// Duration of a control step, seconds, where it is known.
    pub step_secs: Option<f64>,
    /// Control steps of the first action chunk: execute so many, observe, plan again.
    pub action_chunk: usize,
    /// The actions of the whole plan, one per control step `[T][A]`.
    pub actions: Vec<Vec<f64>>,
    /// Distances to the goal in latent space; about 1 is what one action chunk of the training data covers, where the
    /// checkpoint has statistics of its latent space.
    pub distance: GoalDistances,
    /// Time from the observation until the plan, milliseconds.
    pub planning_ms: f64,
    /// States predicted in the search.
    pub predicted_states: usize,
    /// How far the observed state is from the one that was predicted for it; `null` in the first plan, or where other
    /// than whole chunks were executed.
    pub surprise: Option<f32>,
    /// What the plan is instead of the result of a search: there was no time for one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
}

/// Distances to the goal in latent space.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GoalDistances {
    /// Now.
    pub now: f32,
    /// Predicted after every action chunk of the plan.
    pub planned: Vec<f32>,
    /// Predicted for as many chunks of holding still; `null` where no action is known to hold still.
    pub holding_still: Option<Vec<f32>>,
}

/// A plan, and what is imagined of it.
#[derive(Debug, Clone)]
pub struct SessionPlan {
    /// The plan.
    pub actions: PlannedActions,
    /// Predicted states after every chunk `[H, P * D]`, of the first sample.
    pub imagined: Vec<Vec<f32>>,
}

impl Display for PlannedActions {
    /// A line of what was planned and how near it comes, then one row per control step, without a line break at the
    /// end.
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let step = self.step_secs.map_or_else(String::new, |secs| format!(" of {secs:.3} s"));
        let (steps, chunk, ms) = (self.actions.len(), self.action_chunk, self.planning_ms);
        write!(text, "{steps} control steps{step}, planned in {ms:.1} ms ({} states)", self.predicted_states)?;
        if let Some(fallback) = &self.fallback {
            write!(text, "\nNOT the result of a search, there was no time for one: {fallback}")?;
        }
        write!(text, "\nexecute the first {chunk}, then observe and plan again\n{}", self.distance)?;
        let headings: Vec<String> =
            self.names.iter().zip(&self.units).map(|(name, unit)| format!("{name} {unit}").trim().to_owned()).collect();
        let time = if self.step_secs.is_some() { "time s" } else { "step" };
        write!(text, "\n{time:>8}")?;
        headings.iter().try_for_each(|heading| write!(text, "  {heading:>10}"))?;
        for (index, action) in self.actions.iter().enumerate() {
            match self.step_secs {
                Some(secs) => write!(text, "\n{:>8.3}", index as f64 * secs)?,
                None => write!(text, "\n{index:>8}")?,
            }
            for (value, heading) in action.iter().zip(&headings) {
                write!(text, "  {value:>+width$.4}", width = heading.chars().count().max(10))?;
            }
        }
        Ok(())
    }
}

impl Display for GoalDistances {
    fn fmt(&self, text: &mut Formatter<'_>) -> Result {
        let line = |values: &[f32]| values.iter().map(|value| format!("{value:.3}")).collect::<Vec<_>>().join(" ");
        write!(text, "distance to the goal (latent): now {:.3}; planned {}", self.now, line(&self.planned))?;
        let nearest = (0..self.planned.len()).min_by(|&one, &other| self.planned[one].total_cmp(&self.planned[other]));
        match nearest {
            Some(nearest) if self.planned[nearest] < self.now => {
                write!(text, " (nearest after chunk {})", nearest + 1)?
            }
            _ => write!(text, " (NO NEARER than now: already there, or the model knows no way)")?,
        }
        match &self.holding_still {
            Some(held) => write!(text, "; holding still {}", line(held)),
            None => write!(text, "; holding still: not known (it takes proprioception)"),
        }
    }
}
