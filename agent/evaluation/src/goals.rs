//! The goals of one episode in their order, and what the task asks of the true state at each of them.

use std::collections::BTreeMap;
use std::sync::Arc;

use mindseye_agent::Task;
use mindseye_agent::configurator::{GoalConfig, StateGoals};
use mindseye_agent::cost::{PrivilegedState, SharedEstimator};
use mindseye_interface::{Image, Observation, Simulator, StartGoal};

use crate::{Error, Result};

/// A goal as the world shows it and as it truly is.
#[derive(Debug, Clone)]
pub struct GoalState {
    /// What is observed at the goal.
    pub observation: Observation,
    /// The true state there, `[K]`: for the oracle, and for tasks that name dimensions of the state.
    pub state: Vec<f64>,
}

/// Goals that are pursued one after the other; at least one.
#[derive(Debug, Clone)]
pub struct GoalSequence(pub Vec<GoalState>);

/// Another goal in the middle of an episode.
#[derive(Debug, Clone, PartialEq)]
pub struct GoalChange {
    /// Control steps before it is set.
    pub after_steps: usize,
    /// The true state that is the goal from then on, `[K]`.
    pub goal: Vec<f64>,
}

/// The goals of `pair` and of `change`, and the position in them.
pub(crate) struct EpisodeGoals {
    sequences: Vec<GoalSequence>,
    /// What the task forbids and asks of true states at each goal.
    state_goals: Vec<Vec<StateGoals>>,
    sequence: usize,
    position: usize,
}

impl EpisodeGoals {
    /// Observes the goals in `simulator`. Values that the task itself gives replace those of the pair.
    pub fn new(
        task: &Task,
        pair: &StartGoal,
        change: Option<&GoalChange>,
        simulator: &mut dyn Simulator,
    ) -> Result<Self> {
        let names = simulator.state_names();
        let sequence = |states: Vec<&Vec<f64>>, simulator: &mut dyn Simulator| -> Result<GoalSequence> {
            let goals = states.into_iter().map(|state| goal_state(task, &names, state.clone(), simulator));
            Ok(GoalSequence(goals.collect::<Result<_>>()?))
        };
        let mut sequences = vec![sequence(pair.via.iter().chain([&pair.goal]).collect(), simulator)?];
        if let Some(change) = change {
            sequences.push(sequence(vec![&change.goal], simulator)?);
        }
        let mut state_goals = Vec::with_capacity(sequences.len());
        for GoalSequence(goals) in &sequences {
            let of_goals = goals.iter().map(|goal| true_state_goals(task, &names, &goal.state));
            state_goals.push(of_goals.collect::<Result<Vec<_>>>()?);
        }
        Ok(Self { sequences, state_goals, sequence: 0, position: 0 })
    }

    /// All sequences: the pair's, then that of the change.
    pub fn sequences(&self) -> &[GoalSequence] {
        &self.sequences
    }

    /// The pair's sequence, which is pursued first.
    pub fn first(&self) -> &GoalSequence {
        &self.sequences[0]
    }

    /// Turns to the goals of the change; `None` where there are none, or they are pursued already.
    pub fn change(&mut self) -> Option<&GoalSequence> {
        let next = self.sequences.get(self.sequence + 1)?;
        (self.sequence, self.position) = (self.sequence + 1, 0);
        Some(next)
    }

    fn current(&self) -> &GoalState {
        &self.sequences[self.sequence].0[self.position]
    }

    /// The true state of the current goal.
    pub fn state(&self) -> &[f64] {
        &self.current().state
    }

    /// The first camera's image of the current goal.
    pub fn image(&self) -> Result<Image> {
        let image = self.current().observation.image().cloned();
        image.ok_or_else(|| Error::value("goal", "an image", "none"))
    }

    /// Whether the current goal is the last one.
    pub fn is_last(&self) -> bool {
        self.position + 1 == self.sequences[self.sequence].0.len()
    }

    /// Goes on to the next goal, if there is one.
    pub fn advance(&mut self) {
        self.position += usize::from(!self.is_last());
    }

    /// Whether the task forbids states.
    pub fn forbid_states(&self) -> bool {
        let first = &self.state_goals[0][0];
        !first.keep_out.is_empty() || !first.workspace.is_empty()
    }

    /// Whether the task asks for a region.
    pub fn want_region(&self) -> bool {
        !self.state_goals[0][0].region.is_empty()
    }

    /// Whether the true `state` is forbidden.
    pub fn is_violated_by(&self, state: &[f64]) -> bool {
        self.state_goals[self.sequence][self.position].violates(&narrow(state))
    }

    /// Whether the true `state` is in the region of the current goal.
    pub fn region_contains(&self, state: &[f64]) -> bool {
        self.state_goals[self.sequence][self.position].is_in_region(&narrow(state))
    }
}

/// Observes the goal `state` in `simulator`.
fn goal_state(task: &Task, names: &[String], mut state: Vec<f64>, simulator: &mut dyn Simulator) -> Result<GoalState> {
    if let GoalConfig::Pose { values, .. } = &task.goal {
        for (name, value) in names.iter().zip(&mut state) {
            *value = values.get(name).copied().unwrap_or(*value);
        }
    }
    Ok(GoalState { observation: simulator.set_state(&state)?, state })
}

/// What `task` asks and forbids of true states where the run's goal is `state [K]`.
fn true_state_goals(task: &Task, names: &[String], state: &[f64]) -> Result<StateGoals> {
    if task.names_states().is_none() {
        return Ok(StateGoals::default());
    }
    let estimator: SharedEstimator = Arc::new(PrivilegedState::new(names.to_vec()));
    let run_goal: BTreeMap<String, f64> = names.iter().cloned().zip(state.iter().copied()).collect();
    Ok(task.state_goals(estimator.as_ref(), &run_goal)?)
}

/// A test of true states `[K]`: whether they keep the distance from what `task` forbids that the task asks for. Pairs
/// start and end only there.
///
/// # Errors
/// When the task forbids what `simulator` has no names for.
pub fn allowed_states(task: &Task, simulator: &dyn Simulator) -> Result<impl Fn(&[f64]) -> bool + use<>> {
    let state_goals = true_state_goals(task, &simulator.state_names(), &simulator.state())?;
    Ok(move |state: &[f64]| !state_goals.is_too_near(&narrow(state)))
}

fn narrow(state: &[f64]) -> Vec<f32> {
    state.iter().map(|&value| value as f32).collect()
}
