//! From a checkpoint and a task to an agent: which modules a task asks for, and whether the checkpoint has them. A task
//! that an agent cannot pursue is refused here, once, naming the field.

mod costs;
mod critic;
mod family;
mod latent_planner;
mod learned;
mod training;
mod true_world;
mod world_models;

pub use costs::{cost, cost_with};
pub use latent_planner::LatentPlanner;
pub use learned::oracle_dynamics;
pub use training::{train_critic, train_policy};
pub use true_world::{TrueWorld, TrueWorldActor, true_world};
pub use world_models::world_model;

use crate::configurator::{PlannerConfig, Task};
use crate::cost::CostModule;
use crate::directive::Imputation;
use crate::{Error, Result};

/// Ticks that an agent remembers.
const MEMORY_TICKS: usize = 1000;

/// How an agent computes, apart from what it is to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// Threads of the current rayon pool that roll plans out, 1 by default; the result does not depend on it.
    pub threads: usize,
    /// Parts that are taken away; none by default.
    pub overrides: Overrides,
}

impl Default for Options {
    fn default() -> Self {
        Self { threads: 1, overrides: Overrides::default() }
    }
}

/// Parts of an agent that are taken away or replaced by a trivial one. For evaluation only: what is a part worth?
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overrides {
    /// The policy's proposals take no part in the search (they still act in Mode-1).
    pub ignore_proposals: bool,
    /// The first goal is kept for ever, whether it is reached or not.
    pub keep_first_goal: bool,
    /// What stands in for a state that was not observed.
    pub imputation: Imputation,
    /// Nothing is remembered.
    pub without_memory: bool,
    /// The world model predicts that nothing changes.
    pub without_world_model: bool,
}

/// Refuses a task that replans less often than the model's chunks of `action_chunk` control steps last.
fn require_replanning(task: &Task, action_chunk: usize) -> Result<()> {
    match task.replan_every.filter(|steps| *steps > action_chunk) {
        None => Ok(()),
        Some(steps) => Err(Error::task("replan_every", format!("1 to {action_chunk} (the action chunk)"), steps)),
    }
}

/// Memory that the plans and states of one search may take, bytes.
const PLANNING_BYTES: f64 = 4.0 * 1024.0 * 1024.0 * 1024.0;

/// Refuses a task whose `planner` would hold more than a search may at once: elites of chunks of `chunk_width` numbers,
/// and the predicted states `[S, H, P * D]` of one plan, `state_len` numbers each.
fn require_memory(task: &Task, planner: &PlannerConfig, chunk_width: usize, state_len: usize) -> Result<()> {
    let (plans, field) = planner.plans_held();
    let samples = task.samples.as_ref().map_or(1, |samples| samples.count);
    let (horizon, bytes) = (task.horizon_chunks as f64, size_of::<f32>() as f64);
    let of_plans = plans as f64 * horizon * chunk_width as f64 * bytes;
    let of_states = 2.0 * samples as f64 * horizon * state_len as f64 * bytes;
    if of_plans + of_states <= PLANNING_BYTES {
        return Ok(());
    }
    let gib = |bytes: f64| format!("{:.1} GiB", bytes / PLANNING_BYTES * 4.0);
    let (field, counted) = if of_plans > of_states {
        (format!("{field} x horizon_chunks"), format!("{plans} plans of {} x {chunk_width}", task.horizon_chunks))
    } else {
        let counted = format!("{samples} samples of {} x {state_len}", task.horizon_chunks);
        ("samples.count x horizon_chunks".to_owned(), counted)
    };
    let got = format!("{} ({counted} numbers)", gib(of_plans + of_states));
    Err(Error::task(field, format!("at most {} of plans and states at once", gib(PLANNING_BYTES)), got))
}

/// Refuses a task that gives a weight to a term that `cost` does not have.
fn require_weights(task: &Task, cost: &CostModule) -> Result<()> {
    task.weights.keys().try_for_each(|name| cost.require_term(name))
}
