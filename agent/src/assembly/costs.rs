//! The cost of a task: all terms that do not depend on the kind of agent.

use crate::configurator::Task;
use crate::cost::{
    ActionLimits, CostModule, Effort, IntrinsicTerm, Saturating, SharedEstimator, Smoothness, StateCost,
};

/// The cost of `task` with `distance` as its goal distance, without the terms of named dimensions of the state.
pub fn cost(task: &Task, distance: impl IntrinsicTerm + 'static) -> CostModule {
    cost_with(task, distance, None)
}

/// The cost of `task` with `distance` as its goal distance, and with the terms of named dimensions of the state where
/// there is an `estimator`.
pub fn cost_with(
    task: &Task,
    distance: impl IntrinsicTerm + 'static,
    estimator: Option<&SharedEstimator>,
) -> CostModule {
    let mut terms = vec![saturating(task, distance)];
    if let Some(estimator) = estimator {
        terms.push(saturating(task, StateCost::pose(estimator.clone())));
        terms.push(saturating(task, StateCost::region(estimator.clone())));
        terms.push(Box::new(StateCost::keep_out(estimator.clone())));
        terms.push(Box::new(StateCost::workspace(estimator.clone())));
    }
    terms.extend([Box::new(Effort) as Box<dyn IntrinsicTerm>, Box::new(Smoothness), Box::new(ActionLimits)]);
    CostModule::new(terms)
}

/// A term for the distance to a goal, with the task's upper limit.
fn saturating(task: &Task, term: impl IntrinsicTerm + 'static) -> Box<dyn IntrinsicTerm> {
    match task.goal_saturation {
        Some(at) => Box::new(Saturating::new(term, at)),
        None => Box::new(term),
    }
}
