//! What tasks weigh: the terms that agents here are built with.

use std::collections::BTreeMap;

use anyhow::Result;
use mindseye_agent::Task;
use mindseye_agent::configurator::Aims;
use mindseye_agent::cost::{
    ActionLimits, CRITIC, CostModule, Curiosity, Effort, GoalDistance, IntrinsicTerm, Named, Saturating, SharedReader,
    Smoothness,
};

/// Names of the cost terms that agents here are built with.
pub fn cost_terms() -> Vec<&'static str> {
    [
        &[GoalDistance::NAME, Effort.name(), Smoothness.name(), ActionLimits.name(), CRITIC, Curiosity::NAME][..],
        &Named::ALL,
    ]
    .concat()
}

/// The cost of `task`: distance to the goal by `distance`, and the other terms but those about named things.
pub fn cost(task: &Task, distance: impl IntrinsicTerm + 'static) -> CostModule {
    cost_with(task, distance, None)
}

/// The cost of `task`: distance to the goal by `distance`, and the other terms; those about named things where there is a `reader`.
pub fn cost_with(task: &Task, distance: impl IntrinsicTerm + 'static, reader: Option<&SharedReader>) -> CostModule {
    let mut terms = vec![saturating(task, distance)];
    if let Some(reader) = reader {
        terms.push(saturating(task, Named::pose(reader.clone())));
        terms.push(saturating(task, Named::region(reader.clone())));
        terms.push(Box::new(Named::keep_out(reader.clone())));
        terms.push(Box::new(Named::workspace(reader.clone())));
    }
    terms.extend([Box::new(Effort) as Box<dyn IntrinsicTerm>, Box::new(Smoothness), Box::new(ActionLimits)]);
    CostModule::new(terms)
}

/// A term that says how far the goal is, as `task` has it saturate.
fn saturating(task: &Task, term: impl IntrinsicTerm + 'static) -> Box<dyn IntrinsicTerm> {
    match task.goal_saturation {
        Some(at) => Box::new(Saturating::new(term, at)),
        None => Box::new(term),
    }
}

/// What `task` wants and forbids where the run's goal is `state`, whose dimensions are called `names`; nothing without names in the task.
///
/// # Errors
/// When the task speaks of the state and there is no `reader`, or names what it does not read.
pub fn aims(task: &Task, reader: Option<&SharedReader>, names: &[String], state: &[f64]) -> Result<Aims> {
    let run_goal: BTreeMap<String, f64> = names.iter().cloned().zip(state.iter().copied()).collect();
    match (reader, task.names_states()) {
        (_, None) => Ok(Aims::default()),
        (Some(reader), Some(_)) => Ok(task.aims(reader.as_ref(), &run_goal)?),
        (None, Some(field)) => Err(mindseye_agent::Error::NoReadout { field }.into()),
    }
}
