//! The body: anything that can be reset, stepped and observed.

use serde::Serialize;

use crate::{Action, ActionSpace, Image, Observation, Result, Seed};

/// What came of one control step.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The moment after the step.
    pub observation: Observation,
    /// The episode is over for good (fallen, broken, finished).
    pub terminated: bool,
}

/// A simulator, a robot, or a process far away.
pub trait Environment: Send {
    /// Begins a new episode; equal seeds give equal episodes in a simulator.
    ///
    /// # Errors
    /// When the body cannot be brought to a start.
    fn reset(&mut self, seed: Seed) -> Result<Observation>;

    /// Acts for one control step.
    ///
    /// # Errors
    /// When the action does not fit the [`ActionSpace`], or the body fails. The body then holds still.
    fn step(&mut self, action: &Action) -> Result<Step>;

    /// Meaning and bounds of actions.
    fn action_space(&self) -> &ActionSpace;

    /// Duration of one control step, seconds.
    fn control_step_secs(&self) -> f64;
}

/// How near a state is to a goal, by the task's own predicate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GoalCheck {
    /// The field's usual predicate holds at this moment.
    pub moderate: bool,
    /// The tighter predicate holds at this moment (it must hold over the last control steps to count).
    pub strict: bool,
    /// In scenes with a block: the moderate predicate for the block alone, wherever the body is.
    pub block: Option<bool>,
    /// Distance to the goal, in the task's unit (metres for positions).
    pub distance: f64,
}

/// How far a block has to go from a start to a goal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct BlockMove {
    /// Distance, metres.
    pub distance_m: f64,
    /// Angle, radians, 0 to π.
    pub rotation_rad: f64,
    /// Whether the goal asks for it at all: at the start the block is not yet where it should be, by the task's predicate.
    pub needed: bool,
}

/// All of a simulated world, opaque; see [`Simulator::snapshot`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(pub Vec<u8>);

/// An environment whose true state can be read, set, saved and rolled out: for recording, for judging, and for the oracle planner.
pub trait Simulator: Environment {
    /// Name of the scene, for example `two_room`.
    fn scene(&self) -> &str;

    /// The true state `[K]`, SI units, in the order of [`Simulator::state_names`].
    fn state(&self) -> Vec<f64>;

    /// One name per state dimension, with its unit, for example `agent_x_m`.
    fn state_names(&self) -> Vec<String>;

    /// One name per value of proprioception, with its unit; empty for a body that does not feel itself.
    fn proprioception_names(&self) -> Vec<String>;

    /// Puts the world into `state` at rest and observes it; factors of variation stay as the last reset set them.
    ///
    /// # Errors
    /// When the state has another length, is not finite, or lies outside the world.
    fn set_state(&mut self, state: &[f64]) -> Result<Observation>;

    /// The camera's picture of this moment.
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

    /// Brings a saved world back.
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

    /// The oracle planner's energy of `state [K]`: how far `goal [K]` is for a body that must move there (not through walls), in
    /// the task's unit. Zero at the goal.
    fn goal_energy(&self, state: &[f64], goal: &[f64]) -> f64;

    /// Where in the camera's picture that is which the task is about (row, column; 0 to 1 from the top left): for putting something in front of it.
    fn subject(&self) -> Option<[f64; 2]> {
        None
    }

    /// In scenes with a block: how far it has to go from the state `start` to the state `goal`.
    fn block_move(&self, _start: &[f64], _goal: &[f64]) -> Option<BlockMove> {
        None
    }

    /// In scenes with more ways than one: the name of the one that the body is on at this moment, for example `bridge`.
    fn way(&self) -> Option<&'static str> {
        None
    }

    /// In scenes in which something is hidden from pictures and true states: draws it anew from `seed`. The world looks the same and may go on
    /// otherwise. Elsewhere nothing happens.
    fn redraw_hidden(&mut self, _seed: Seed) {}
}
