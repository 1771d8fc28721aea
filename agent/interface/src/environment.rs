//! Environments: anything that can be reset, stepped, observed and stopped.

use std::collections::BTreeMap;

use crate::{Action, ActionSpace, Error, Image, Observation, Result, Seed, StateSchema};

/// What came of one control step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What is observed after the step.
    pub observation: Observation,
    /// The episode is over for good (fallen, broken, finished).
    pub terminated: bool,
}

/// A simulator, a robot, or a process far away.
pub trait Environment: Send {
    /// Begins a new episode; equal seeds give equal episodes in a simulator.
    ///
    /// # Errors
    /// When the robot cannot be brought to a start.
    fn reset(&mut self, seed: Seed) -> Result<Observation>;

    /// Observes without acting.
    ///
    /// # Errors
    /// When the robot or its cameras fail.
    fn observe(&mut self) -> Result<Observation>;

    /// Acts for one control step.
    ///
    /// # Errors
    /// When the action does not fit the [`ActionSpace`], or the robot fails. The robot then holds still.
    fn step(&mut self, action: &Action) -> Result<Step>;

    /// Brings the robot to rest where it is: called when an episode ends for any reason, errors included. A simulator
    /// has nothing to stop.
    ///
    /// # Errors
    /// When the robot does not answer.
    fn stop(&mut self) -> Result<()> {
        Ok(())
    }

    /// Meaning and bounds of actions.
    fn action_space(&self) -> &ActionSpace;

    /// Duration of one control step, seconds.
    fn control_step_secs(&self) -> f64;

    /// How many of the newest control steps the observation that [`Environment::step`] returns does not show yet: 0
    /// where it shows what the action led to, 1 where it shows the world at the beginning of the step (cameras that
    /// take time to deliver).
    fn observation_lag_steps(&self) -> usize {
        0
    }
}

/// How near a state is to a goal, by the task's own predicate.
#[derive(Debug, Clone, PartialEq)]
pub struct GoalCheck {
    /// The field's usual predicate holds at this timestep.
    pub moderate: bool,
    /// The tighter predicate holds at this timestep (it must hold over the last control steps to count).
    pub strict: bool,
    /// Distance to the goal, in the task's unit (metres for positions).
    pub distance: f64,
    /// Further measures by name. A predicate is 1 where it holds and 0 where it does not: in scenes with a block,
    /// `block` is the moderate predicate for the block alone.
    pub metrics: BTreeMap<&'static str, f64>,
}

/// All of a simulated world, opaque; see [`Simulator::snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(pub Vec<u8>);

/// An environment whose true state can be read, set, saved and rolled out: for recording, for evaluation, and for the
/// oracle planner.
pub trait Simulator: Environment {
    /// Name of the scene, for example `two_room`.
    fn scene(&self) -> &str;

    /// The true state `[K]`, SI units, in the order of [`Simulator::state_names`].
    fn state(&self) -> Vec<f64>;

    /// One name per state dimension, with its unit, for example `agent_x_m`.
    fn state_names(&self) -> Vec<String>;

    /// Names, units and kinds of the state's dimensions.
    fn state_schema(&self) -> StateSchema {
        StateSchema::named(&self.state_names())
    }

    /// One name per value of proprioception, with its unit; empty where there is none.
    fn proprioception_names(&self) -> Vec<String>;

    /// Puts the world into `state` at rest and observes it; factors of variation stay as the last reset set them.
    ///
    /// # Errors
    /// When the state has another length, is not finite, or lies outside the world.
    fn set_state(&mut self, state: &[f64]) -> Result<Observation>;

    /// The first camera's image of the state now.
    fn render(&mut self) -> Image;

    /// Acts for one control step without rendering: for rollouts. The state afterwards equals that after `step`.
    ///
    /// # Errors
    /// As [`Environment::step`].
    fn step_blind(&mut self, action: &Action) -> Result<()>;

    /// Saves the whole world; after [`Simulator::restore`] it continues with equal bits.
    ///
    /// # Errors
    /// When the world cannot be serialised.
    fn snapshot(&self) -> Result<Snapshot>;

    /// Restores a saved world.
    ///
    /// # Errors
    /// When the snapshot is not one of this scene.
    fn restore(&mut self, snapshot: &Snapshot) -> Result<()>;

    /// A second world in the same state.
    ///
    /// # Errors
    /// When the world cannot be copied.
    fn fork(&self) -> Result<Box<dyn Simulator>>;

    /// The task's predicate between the state now and `goal`, a state `[K]`.
    fn check_goal(&self, goal: &[f64]) -> GoalCheck;

    /// The oracle planner's energy of `state [K]`: how far `goal [K]` is for a robot that must move there (not through
    /// walls), in the task's unit. Zero at the goal.
    fn goal_energy(&self, state: &[f64], goal: &[f64]) -> f64;

    /// Where the object of the task is in the first camera's image: row and column as shares of its height and width, 0
    /// to 1 from the top left. `None` where there is no such object, or outside the image. An occlusion test covers
    /// this place.
    fn occlusion_target(&self) -> Option<[f64; 2]> {
        None
    }

    /// In scenes with several routes: the name of the one that the robot is on now, for example `bridge`.
    fn route(&self) -> Option<&'static str> {
        None
    }

    /// In scenes with a part of the state that neither images nor true states show: draws it again from `seed`. The
    /// world looks the same and may continue differently. In other scenes nothing happens.
    fn resample_hidden(&mut self, _seed: Seed) {}

    /// Whether the world can be saved, and copied as it is: without that nothing plans with the true dynamics.
    fn has_snapshots(&self) -> bool {
        true
    }

    /// The next calls are steps with `actions`, in this order: [`Environment::step`] where the image is wanted (always
    /// after the last action, after all of them where they are `rendered`), else [`Simulator::step_blind`]; in between
    /// the world is only looked at. A world behind a slow connection does them all at once. By default nothing happens.
    ///
    /// # Errors
    /// As [`Environment::step`].
    fn announce(&mut self, _actions: &[Action], _rendered: bool) -> Result<()> {
        Ok(())
    }

    /// The next action of the demonstrator that the world itself brings, where it is now; of a new one where there is a
    /// seed for its choices.
    ///
    /// # Errors
    /// [`Error::Environment`] where it brings none (the default).
    fn demonstrated_action(&mut self, _begin: Option<Seed>) -> Result<Action> {
        let reason = format!("{} has none of its own", self.scene());
        Err(Error::Environment { operation: "demonstrator", reason })
    }
}
