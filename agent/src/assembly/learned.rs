//! Agents with a learned model.

use std::sync::Arc;

use mindseye_interface::{Seed, Simulator};
use mindseye_world_model::LatentMetric;

use super::critic::critic;
use super::family::require_known_fields;
use super::{
    MEMORY_TICKS, Options, Overrides, cost_with, require_memory, require_replanning, require_weights, world_model,
};
use crate::actor::{DistilledPolicy, ModeSelector, Policy};
use crate::configurator::{ModeConfig, RunGoal, SequenceConfigurator, Task};
use crate::cost::{Curiosity, GoalDistance, LearnedEstimator, SharedEstimator};
use crate::memory::{AssociativeMemory, Memory, NoMemory};
use crate::model_source::ModelSource;
use crate::perception::ModelPerception;
use crate::world_model::{CopyLast, RenderedSimulator, SimulatorWorldModel, WorldModel};
use crate::{Agent, Error, Modules, Result};

impl Agent {
    /// The agent that pursues `task` with the model of `checkpoint`, of any family, on one thread. It holds still until
    /// it has a goal ([`Agent::set_goal`]), unless the task itself says all of it.
    ///
    /// # Errors
    /// When the checkpoint lacks a head that the task asks for, the task names what the model does not know, or the
    /// model's family cannot follow a field of the task.
    pub fn from_checkpoint(checkpoint: impl Into<ModelSource>, task: &Task, seed: Seed) -> Result<Self> {
        Self::from_checkpoint_with(checkpoint, task, seed, &Options::default())
    }

    /// As [`Agent::from_checkpoint`], with options.
    ///
    /// # Errors
    /// As [`Agent::from_checkpoint`].
    pub fn from_checkpoint_with(
        checkpoint: impl Into<ModelSource>,
        task: &Task,
        seed: Seed,
        options: &Options,
    ) -> Result<Self> {
        let source = checkpoint.into();
        require_known_fields(&source, task)?;
        let world: Box<dyn WorldModel> = if options.overrides.without_world_model {
            Box::new(CopyLast)
        } else {
            Box::new(world_model(&source, task, options.threads)?)
        };
        agent(&source, task, seed, world, &options.overrides)
    }
}

/// An agent that perceives with the model of `checkpoint` and rolls plans out in `simulator`, every state rendered and
/// encoded: it separates errors of the learned dynamics from errors of the latent. Before every tick the returned world
/// is synchronised ([`SimulatorWorldModel::synchronise`]).
///
/// # Errors
/// As [`Agent::from_checkpoint`]; when the simulator cannot be copied.
pub fn oracle_dynamics(
    checkpoint: impl Into<ModelSource>,
    task: &Task,
    simulator: &dyn Simulator,
    seed: Seed,
    options: &Options,
) -> Result<(Agent, SimulatorWorldModel)> {
    let source = checkpoint.into();
    require_known_fields(&source, task)?;
    let world = SimulatorWorldModel::new(simulator, options.threads)?;
    let rendered = Box::new(RenderedSimulator::new(world.clone(), &source));
    Ok((agent(&source, task, seed, rendered, &options.overrides)?, world))
}

fn agent(
    source: &ModelSource,
    task: &Task,
    seed: Seed,
    world_model: Box<dyn WorldModel>,
    overrides: &Overrides,
) -> Result<Agent> {
    if source.action_space().is_some_and(|space| !space.moves()) {
        return Err(Error::NoActions);
    }
    let spec = source.model().spec();
    let estimator = source.state_probe()?.map(|probe| LearnedEstimator::of_tokens(&probe, spec.latent)).transpose()?;
    let estimator = estimator.map(|estimator| Arc::new(estimator) as SharedEstimator);
    if let (Some(field), None) = (task.names_states(), &estimator) {
        return Err(Error::NoStateProbe { field });
    }
    let policy = policy(source, task, overrides)?;
    let cost = match source.metric_factor(task.metric) {
        Some(factor) => {
            let cost = cost_with(task, GoalDistance::new(factor.clone())?, estimator.as_ref());
            cost.with_term(Box::new(Curiosity::new(factor)?))
        }
        None if task.metric == LatentMetric::Euclidean => {
            cost_with(task, GoalDistance::euclidean(spec.latent.width), estimator.as_ref())
        }
        None => {
            let expected = "euclidean for a model without statistics of its latent space";
            return Err(Error::task("metric", expected, format!("{:?}", task.metric)));
        }
    };
    let cost = match critic(source, task)? {
        Some(critic) => cost.with_critic(Box::new(critic)),
        None => cost,
    };
    require_weights(task, &cost)?;
    require_replanning(task, spec.action_chunk)?;
    // A policy knows no boxes to keep out of: there its proposals are no reason to search less.
    let is_short = policy.is_some() && task.names_states().is_none();
    let planner = task.planner_with_policy.as_ref().filter(|_| is_short).unwrap_or(&task.planner);
    require_memory(task, planner, spec.chunk_width(), spec.latent.tokens * spec.latent.width)?;
    let perception = ModelPerception::new(source);
    let perception = if task.adapt_background { perception.adapting() } else { perception };
    let memory: Box<dyn Memory> = if overrides.without_memory {
        Box::new(NoMemory)
    } else {
        Box::new(AssociativeMemory::new(MEMORY_TICKS, task.memory.clone())?)
    };
    let configurator = SequenceConfigurator::without_goal(task, spec.action_chunk, spec.action_width);
    let configurator = configurator.keeping_first(overrides.keep_first_goal).imputing(overrides.imputation);
    let modules = Modules {
        configurator: Box::new(configurator),
        perception: Box::new(perception),
        world_model,
        cost,
        actor: Box::new(ModeSelector::new(planner.build())),
        policy: policy.map(|policy| Box::new(policy) as Box<dyn Policy>),
        memory,
    };
    let agent = Agent::new(modules, seed);
    let agent = match source.action_space() {
        Some(space) => agent.with_action_space(space.clone()),
        None => agent,
    };
    let mut agent = agent.with_task(task, estimator);
    if !task.goal.comes_with_the_run() {
        agent.set_run_goals(&[RunGoal::default()])?;
    }
    Ok(agent)
}

/// The policy of `source`, where the task has a use for it.
fn policy(source: &ModelSource, task: &Task, overrides: &Overrides) -> Result<Option<DistilledPolicy>> {
    let acts_alone = task.mode == ModeConfig::Mode1;
    if acts_alone && !task.goal.is_image() {
        let expected = "a goal that is an image for mode_1, since a policy knows no others";
        return Err(Error::task("goal.kind", expected, task.goal.term()));
    }
    let has_use = !overrides.ignore_proposals || task.mode != ModeConfig::Mode2;
    let policy = DistilledPolicy::of(source)?.filter(|_| has_use && task.goal.is_image());
    if policy.is_none() && acts_alone {
        let expected = "a checkpoint with a policy (mindseye train policy makes one) for mode_1";
        return Err(Error::task("mode", expected, "none"));
    }
    Ok(policy)
}
