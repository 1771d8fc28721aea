//! Scripts: behaviour that knows the true state. Episodes are recorded by them; no agent uses one.

use crate::{Action, Result, Seed};

/// A scripted behaviour that knows the true state.
pub trait Script {
    /// Begins the episode of `seed`, the seed that the environment was reset with.
    fn begin(&mut self, seed: Seed);

    /// The next action in the true `state [K]`.
    fn act(&mut self, state: &[f64]) -> Action;
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
