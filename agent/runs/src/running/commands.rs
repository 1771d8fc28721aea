//! What commands do. One that is refused changes nothing.

use mindseye_evaluation::GoalState;
use mindseye_interface::Simulator;

use super::changes::changed;
use super::goals::{Goals, goal_at};
use super::{Running, agent};
use crate::{Command, Error, Result, RunSetup};

impl Running {
    /// Does `command` before the next tick.
    ///
    /// # Errors
    /// Saying what was expected; nothing has changed then.
    pub fn apply(&mut self, setup: &RunSetup, command: &Command) -> Result<()> {
        if let Some(task) = changed(&self.task, &setup.task, command)? {
            let mut agent = agent(setup, &task, self.changes + 1, self.world.as_ref())?;
            agent.set_run_goals(&self.goals.left(&self.names))?;
            self.weights.iter().try_for_each(|(name, weight)| agent.set_weight(name, *weight))?;
            (self.agent, self.task, self.first_tick) = (agent, task, self.tick);
            self.changes += 1;
            return Ok(());
        }
        match command {
            Command::SetGoal { state } => {
                self.require_state("goal", state)?;
                let (task, names) = (self.task.clone(), self.names.clone());
                let goal = goal_at(&task, &names, state.clone(), self.aside(setup)?)?;
                self.pursue(goal)?;
            }
            Command::GoalIsNow {} => {
                let observation = self.observed();
                if observation.frames.is_empty() {
                    return Err(Error::value("goal", "an image", "a hidden camera"));
                }
                self.pursue(GoalState { observation, state: self.world.state() })?;
            }
            Command::MoveWorld { state } => {
                self.require_state("state of the world", state)?;
                self.aside(setup)?.set_state(state)?; // a state that is refused may have moved something
                self.observation = self.world.set_state(state)?;
            }
            Command::SetWeight { name, weight } => {
                self.agent.set_weight(name, *weight)?;
                self.weights.push((name.clone(), *weight));
            }
            Command::FollowRecording { follow } => {
                if self.recorded.is_none() {
                    return Err(Error::value("following a recording", "a run of a recorded episode", "another"));
                }
                self.follows_recording = *follow;
            }
            Command::HideCamera { hidden } => self.camera_hidden = *hidden,
            Command::SetWind { drift } => {
                let width = self.world.action_space().width();
                let is_finite = drift.iter().all(|drift| drift.is_finite());
                if drift.len() != width || !is_finite {
                    return Err(Error::value("wind", format!("{width} finite numbers"), format!("{drift:?}")));
                }
                self.wind = if drift.iter().all(|drift| *drift == 0.0) { Vec::new() } else { drift.clone() };
            }
            // Those that change the task are done.
            Command::SetHorizon { .. }
            | Command::SetPlanner { .. }
            | Command::SetMode { .. }
            | Command::SetReplanEvery { .. } => {}
        }
        Ok(())
    }

    /// Pursues `goal` alone.
    fn pursue(&mut self, goal: GoalState) -> Result<()> {
        let goals = Goals::one(goal);
        self.agent.set_run_goals(&goals.left(&self.names))?;
        self.goals = goals;
        Ok(())
    }

    /// Refuses what cannot be a state before the world is asked.
    fn require_state(&self, what: &str, state: &[f64]) -> Result<()> {
        let count = self.names.len();
        if state.len() == count && state.iter().all(|value| value.is_finite()) {
            return Ok(());
        }
        let expected = format!("{count} finite numbers ({})", self.names.join(", "));
        Err(Error::value(what, expected, format!("{state:?}")))
    }

    /// The second world.
    fn aside(&mut self, setup: &RunSetup) -> Result<&mut dyn Simulator> {
        let world = match self.aside.take() {
            Some(world) => world,
            None => {
                let mut world = setup.benchmark.environment()?;
                world.reset(setup.pair.episode)?;
                world
            }
        };
        Ok(self.aside.insert(world).as_mut())
    }
}
