//! Training of the heads that need the costs and the planner of a task: the policy and the critic.

use mindseye_world_model::training::RunOptions;
use mindseye_world_model::{Checkpoint, CriticNetwork, EncodedDataset, InferenceOptions, Model, Policy};
use serde_json::json;

use super::cost;
use crate::actor::distillation::{DistillationConfig, DistillationReport, Planning, distil};
use crate::configurator::{Configurator, SequenceConfigurator, Task};
use crate::cost::GoalDistance;
use crate::cost::critic_training::{self, CostsOfPolicy, CriticRegressionConfig, CriticRegressionReport};
use crate::directive::{Directive, frozen_dimensions};
use crate::latent::Latent;
use crate::memory::RingMemory;
use crate::{Error, Result};

/// Trains a policy for the model of `checkpoint` and the costs of `task` on `dataset`; `None` when it was stopped.
/// Rollouts before and after the training run on the current rayon pool.
///
/// # Errors
/// [`Error::Task`] when the task has costs of named states, which a policy cannot see; the model's and the cost's
/// errors; those of the trainer.
pub fn train_policy(
    checkpoint: &Checkpoint,
    task: &Task,
    dataset: &EncodedDataset,
    config: &DistillationConfig,
    options: &RunOptions<'_>,
) -> Result<Option<(Policy, DistillationReport)>> {
    if let Some(field) = task.names_states() {
        return Err(Error::task(field, "an image as goal and no costs of named states: a policy sees no more", field));
    }
    let inference = InferenceOptions { precision: task.precision, ..InferenceOptions::default() };
    let planning = Planning {
        model: &checkpoint.model,
        world: &*checkpoint.model.dynamics(&inference)?,
        cost: &cost(task, GoalDistance::new(checkpoint.statistics.factor(task.metric))?),
        directive: &directive(checkpoint, task)?,
        planner: &|| task.planner.build(),
    };
    distil(&planning, dataset, config, &json!(task), options)
}

/// Trains a critic of the energies that the policy of `checkpoint` costs by `task`, on `dataset`; `None` when it was
/// stopped. Targets and measurements are computed on the current rayon pool.
///
/// # Errors
/// [`Error::Task`] without a policy; an interface error when a number is out of range; the model's and the cost's
/// errors; those of the trainer.
pub fn train_critic(
    checkpoint: &Checkpoint,
    task: &Task,
    dataset: &EncodedDataset,
    config: &CriticRegressionConfig,
    options: &RunOptions<'_>,
) -> Result<Option<(CriticNetwork, CriticRegressionReport)>> {
    let Some(policy) = &checkpoint.policy else {
        return Err(Error::task("critic", "a checkpoint with a policy (mindseye train policy makes one)", "none"));
    };
    let distance = GoalDistance::new(checkpoint.statistics.factor(task.metric))?;
    let costs = CostsOfPolicy {
        model: &checkpoint.model,
        policy,
        cost: &|| cost(task, distance.clone()),
        directive: &directive(checkpoint, task)?,
        metric: task.metric,
        goal_saturation: task.goal_saturation,
    };
    critic_training::train(&costs, dataset, config, options)
}

/// The directive of `task`, with any goal.
pub(super) fn directive(checkpoint: &Checkpoint, task: &Task) -> Result<Directive> {
    let model = &checkpoint.config.model;
    let goal = Latent::global(vec![0.0; model.latent_width]);
    let configurator = SequenceConfigurator::new(task, vec![goal], model.action_chunk, model.action_width)?;
    let frozen = frozen_dimensions(&checkpoint.config.action_space);
    Ok(Directive { frozen, ..configurator.configure(&RingMemory::new(1)) })
}
