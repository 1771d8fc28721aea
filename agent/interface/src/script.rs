//! Scripts: behaviour that knows the true state. Episodes are recorded by them; no agent uses one.

use crate::{Action, Observation, Result, Seed, Simulator};

/// A scripted behaviour that knows the true state.
pub trait Script {
    /// Begins the episode of `seed`, the seed that the environment was reset with.
    fn begin(&mut self, seed: Seed);

    /// The next action in the true `state [K]`.
    fn act(&mut self, state: &[f64]) -> Action;

    /// The next action in `world`, whose episode this is: by default that in its true state. Scripts that the world
    /// itself brings ask it.
    ///
    /// # Errors
    /// When the world does not answer.
    fn act_in(&mut self, world: &mut dyn Simulator) -> Result<Action> {
        Ok(self.act(&world.state()))
    }
}

/// Makes scripts, one for every episode that runs at the same time.
pub trait ScriptSource: Sync {
    /// A new script.
    ///
    /// # Errors
    /// When there is none.
    fn script(&self) -> Result<Box<dyn Script>>;
}

impl<F: Fn() -> Result<Box<dyn Script>> + Sync> ScriptSource for F {
    fn script(&self) -> Result<Box<dyn Script>> {
        self()
    }
}

/// Where an agent that collects episodes of its own takes goals from.
pub trait GoalSource: Sync {
    /// A goal for the world as it is now: its true state `[K]`, and what is observed there.
    ///
    /// # Errors
    /// When there is none.
    fn goal(&self, world: &dyn Simulator, seed: Seed) -> Result<(Vec<f64>, Observation)>;
}
