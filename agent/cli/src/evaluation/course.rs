//! The goals of one episode, in their order, and what its judge knows of them.

use std::sync::Arc;

use anyhow::{Context, Result};
use mindseye_agent::Task;
use mindseye_agent::configurator::{Aims, GoalConfig};
use mindseye_agent::cost::{SharedReader, TrueState};
use mindseye_interface::{Image, Simulator};
use serde::Serialize;

use super::interval::SuccessRate;
use super::pairs::Pair;
use crate::running::{Aim, aims};

/// Another goal in the middle of an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct Switch {
    /// Control steps before it comes.
    pub after_steps: usize,
    /// The true state that is wanted from then on, `[K]`.
    pub goal: Vec<f64>,
}

/// Goals to be reached one after the other, and those that they are switched to.
pub struct Course {
    courses: Vec<Vec<Aim>>,
    /// What the task forbids and wants at each of them, of true states.
    judged: Vec<Vec<Aims>>,
    current: usize,
    stage: usize,
}

impl Course {
    /// The goals of `pair` and of `switch`, looked at in `simulator`; values that `task` has of its own replace those of the pair.
    ///
    /// # Errors
    /// When a goal is no state of the scene, or the task names what its state does not have.
    pub fn new(task: &Task, pair: &Pair, switch: Option<&Switch>, simulator: &mut dyn Simulator) -> Result<Self> {
        let names = simulator.state_names();
        let mut aim = |state: &Vec<f64>| -> Result<Aim> {
            let mut state = state.clone();
            if let GoalConfig::Pose { values, .. } = &task.goal {
                let own = names.iter().zip(&mut state).filter_map(|(name, value)| Some((value, values.get(name)?)));
                own.for_each(|(value, own)| *value = *own);
            }
            Ok(Aim { seen: simulator.set_state(&state).context("goal")?, state })
        };
        let goals = pair.via.iter().chain([&pair.goal]).map(&mut aim).collect::<Result<Vec<_>>>()?;
        let later = switch.map(|switch| aim(&switch.goal)).transpose()?.map(|aim| vec![aim]);
        let courses: Vec<Vec<Aim>> = std::iter::once(goals).chain(later).collect();
        let reader: SharedReader = Arc::new(TrueState::new(names.clone()));
        let judge =
            |goals: &Vec<Aim>| goals.iter().map(|goal| aims(task, Some(&reader), &names, &goal.state)).collect();
        let judged = courses.iter().map(judge).collect::<Result<Vec<Vec<Aims>>>>()?;
        Ok(Self { courses, judged, current: 0, stage: 0 })
    }

    /// All goals, for the agent.
    pub fn courses(&self) -> &[Vec<Aim>] {
        &self.courses
    }

    /// Turns to the goals of the switch; which course that is, if it is not under way yet.
    pub fn switch(&mut self) -> Option<usize> {
        let next = self.current + 1;
        if next == self.courses.len() {
            return None;
        }
        (self.current, self.stage) = (next, 0);
        Some(next)
    }

    /// The true state wanted now.
    pub fn goal(&self) -> &[f64] {
        &self.courses[self.current][self.stage].state
    }

    /// What it looks like.
    pub fn picture(&self) -> Option<&Image> {
        self.courses[self.current][self.stage].seen.image.as_ref()
    }

    /// Whether no goal comes after it.
    pub fn is_last(&self) -> bool {
        self.stage + 1 == self.courses[self.current].len()
    }

    /// Goes on to the next goal.
    pub fn advance(&mut self) {
        self.stage += usize::from(!self.is_last());
    }

    /// Whether the task forbids something, and whether it wants a region.
    pub fn has(&self) -> (bool, bool) {
        let first = &self.judged[0][0];
        (!first.keep_out.is_empty() || !first.workspace.is_empty(), !first.region.is_empty())
    }

    /// Whether the true state is where the task forbids it to be, and whether it is in the region wanted now.
    pub fn judge(&self, state: &[f64]) -> (bool, bool) {
        let state = narrow(state);
        let aims = &self.judged[self.current][self.stage];
        (aims.violates(&state), aims.is_in_region(&state))
    }
}

/// Whether a true state is as far from what `task` forbids as it wants to be: where pairs may start and end.
///
/// # Errors
/// When the task names what the state does not have.
pub fn allowed(task: &Task, simulator: &dyn Simulator) -> Result<impl Fn(&[f64]) -> bool + use<>> {
    let names = simulator.state_names();
    let reader: SharedReader = Arc::new(TrueState::new(names.clone()));
    let aims = aims(task, Some(&reader), &names, &simulator.state())?;
    Ok(move |state: &[f64]| !aims.is_too_near(&narrow(state)))
}

fn narrow(state: &[f64]) -> Vec<f32> {
    state.iter().map(|&value| value as f32).collect()
}

/// How often what a task forbids was done, on true states.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Violations {
    /// Share of the control steps, 0 to 1.
    pub steps: f64,
    /// Episodes in which it happened at all.
    pub episodes: SuccessRate,
}
