//! Body and mind together: agents for every method, and the execution of action blocks.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use mindseye_agent::actor::{Actor, DistilledPolicy, Policy};
use mindseye_agent::configurator::{PlannerConfig, SequenceConfigurator};
use mindseye_agent::cost::{
    ActionLimits, CRITIC, CostModule, Effort, GoalDistance, IntrinsicTerm, LearnedCritic, OracleGoal, Reduction,
    Saturating,
};
use mindseye_agent::memory::{Forgetful, RingMemory};
use mindseye_agent::perception::{JepaPerception, LewmPerception};
use mindseye_agent::world_model::{
    LearnedWorldModel, LewmWorldModel, SeenSimulator, SimulatorWorldModel, Unchanging, WorldModel,
};
use mindseye_agent::{Agent, Latent, Modules, Task, TickReport};
use mindseye_interface::{Action, Clock, Observation, Seed, Simulator};
use mindseye_world_model::{Checkpoint, Part};

use crate::evaluation::{Method, Without};
use crate::published::PublishedLewm;

/// Moments that a life remembers.
const MEMORY_MOMENTS: usize = 1000;

/// An agent, and the oracle's view of the world where it has one.
pub struct Mind {
    agent: Agent,
    oracle: Option<Arc<SimulatorWorldModel>>,
}

impl Mind {
    /// An agent that pursues a goal, given as what is sensed there and (for the oracle only) as a true state.
    ///
    /// # Errors
    /// When the checkpoint, the goal and the scene do not fit together.
    pub fn new(
        method: &Method,
        task: &Task,
        simulator: &dyn Simulator,
        goal: &Observation,
        goal_state: &[f64],
        seed: Seed,
        threads: usize,
    ) -> Result<Self> {
        let without_model =
            |actor, action_block| true_world(task, simulator, goal_state, seed, actor, action_block, threads);
        match *method {
            Method::Model(ref checkpoint) => {
                let imagines = Box::new(LearnedWorldModel::new(&checkpoint.model, task.precision, threads)?);
                learned(checkpoint, task, goal, seed, imagines, None)
            }
            Method::Without(ref checkpoint, Without::Memory) => {
                let imagines = Box::new(LearnedWorldModel::new(&checkpoint.model, task.precision, threads)?);
                let mut modules = learned_modules(checkpoint, task, goal, imagines)?;
                modules.memory = Box::new(Forgetful);
                Ok(Self { agent: Agent::new(modules, seed), oracle: None })
            }
            Method::Without(ref checkpoint, Without::WorldModel) => {
                learned(checkpoint, task, goal, seed, Box::new(Unchanging), None)
            }
            Method::Lewm(ref published) => with_lewm(published, task, goal, seed, threads),
            Method::TrueDynamics(ref checkpoint) => {
                let world = Arc::new(SimulatorWorldModel::new(simulator, threads)?);
                let imagines = Box::new(SeenSimulator::new(world.clone(), checkpoint.clone()));
                learned(checkpoint, task, goal, seed, imagines, Some(world))
            }
            Method::Oracle { action_block } => without_model(task.planner.without_slopes().build(), action_block),
            Method::Random { action_block } => without_model(PlannerConfig::Random.build(), action_block),
            Method::Nothing { action_block } => without_model(PlannerConfig::Hold.build(), action_block),
        }
    }

    /// One tick of the agent in the world as it is.
    ///
    /// # Errors
    /// When the oracle cannot copy the world.
    pub fn tick(
        &mut self,
        simulator: &dyn Simulator,
        observation: &Observation,
        clock: &dyn Clock,
    ) -> Result<TickReport> {
        if let Some(oracle) = &self.oracle {
            oracle.synchronise(simulator)?;
        }
        Ok(self.agent.tick(observation, clock))
    }
}

/// Names of the cost terms that agents here are built with.
pub fn cost_terms() -> [&'static str; 4] {
    [GoalDistance::NAME, Effort.name(), ActionLimits.name(), CRITIC]
}

/// The cost of `task`: distance to the goal by `distance`, and the other terms.
pub fn cost(task: &Task, distance: impl IntrinsicTerm + 'static) -> CostModule {
    let distance: Box<dyn IntrinsicTerm> = match task.goal_saturation {
        Some(at) => Box::new(Saturating::new(distance, at)),
        None => Box::new(distance),
    };
    CostModule::new(vec![distance, Box::new(Effort), Box::new(ActionLimits)])
}

/// An agent that sees with a learned model, and imagines with it or in the `oracle`'s world.
fn learned(
    checkpoint: &Arc<Checkpoint>,
    task: &Task,
    goal: &Observation,
    seed: Seed,
    imagines: Box<dyn WorldModel>,
    oracle: Option<Arc<SimulatorWorldModel>>,
) -> Result<Mind> {
    let modules = learned_modules(checkpoint, task, goal, imagines)?;
    Ok(Mind { agent: Agent::new(modules, seed), oracle })
}

fn learned_modules(
    checkpoint: &Arc<Checkpoint>,
    task: &Task,
    goal: &Observation,
    imagines: Box<dyn WorldModel>,
) -> Result<Modules> {
    let perception = JepaPerception::new(checkpoint.clone());
    let goal = perception.encode(goal).context("goal")?.context("goal: expected a picture, got none")?;
    let model = &checkpoint.config.model;
    let metric = GoalDistance::new(checkpoint.statistics.factor(task.metric))?;
    let policy = DistilledPolicy::of(checkpoint).filter(|_| task.proposals || task.planner == PlannerConfig::Policy);
    if policy.is_none() && task.planner == PlannerConfig::Policy {
        bail!("planner policy: expected a checkpoint with a policy (mindseye teach policy makes one), got none");
    }
    let cost = match task.weights.get(CRITIC) {
        Some(_) => cost(task, metric).with_critic(Box::new(critic(checkpoint, task)?)),
        None => cost(task, metric),
    };
    let planner = task.with_policy.as_ref().filter(|_| policy.is_some()).unwrap_or(&task.planner);
    Ok(Modules {
        configurator: Box::new(SequenceConfigurator::new(task, vec![goal], model.action_block, model.action_width)?),
        perception: Box::new(perception),
        world_model: imagines,
        cost,
        actor: planner.build(),
        policy: policy.map(|policy| Box::new(policy) as Box<dyn Policy>),
        memory: Box::new(RingMemory::new(MEMORY_MOMENTS)),
    })
}

/// The critic of `checkpoint`, if it foresees what `task` weighs.
fn critic(checkpoint: &Checkpoint, task: &Task) -> Result<LearnedCritic> {
    let Some(network) = &checkpoint.critic else {
        bail!("weights.critic: expected a checkpoint with a critic (mindseye teach critic makes one), got none");
    };
    let config = network.config();
    if (config.metric, config.goal_saturation) != (task.metric, task.goal_saturation) {
        let (metric, saturation) = (config.metric, config.goal_saturation);
        bail!(
            "weights.critic: expected a task with the metric {metric:?} and goal_saturation {saturation:?} that the critic was taught, got {:?} and {:?}",
            task.metric,
            task.goal_saturation
        );
    }
    if let Some(name) = task.weights.keys().find(|name| *name != CRITIC && !config.terms.contains(name)) {
        bail!("weights.{name}: expected terms that the critic foresees ({}), got another", config.terms.join(", "));
    }
    if let Reduction::Discounted { discount } = task.reduction
        && discount != config.discount
    {
        bail!("reduction.discount: expected the critic's {}, got {discount}", config.discount);
    }
    Ok(LearnedCritic::new(network.engine()?))
}

/// An agent that sees and imagines with a LeWM; distances are those of its embeddings, as its authors plan.
fn with_lewm(published: &PublishedLewm, task: &Task, goal: &Observation, seed: Seed, threads: usize) -> Result<Mind> {
    let perception = LewmPerception::new(published.model.clone());
    let goal = goal.image.as_ref().context("goal: expected a picture, got none")?;
    let goal = perception.encode(goal).context("goal picture")?;
    let metric = GoalDistance::euclidean(goal.width());
    let (gain, offset) = (published.gain.clone(), published.offset.clone());
    let imagines = LewmWorldModel::new(&published.model, gain, offset, task.precision, threads)?;
    let (block, width) = (published.action_block, published.action_width);
    let modules = Modules {
        configurator: Box::new(SequenceConfigurator::new(task, vec![goal], block, width)?),
        perception: Box::new(perception),
        world_model: Box::new(imagines),
        cost: cost(task, metric),
        actor: task.planner.build(),
        policy: None,
        memory: Box::new(RingMemory::new(MEMORY_MOMENTS)),
    };
    Ok(Mind { agent: Agent::new(modules, seed), oracle: None })
}

/// An agent that knows the true state and imagines (if its actor does) in the true world.
fn true_world(
    task: &Task,
    simulator: &dyn Simulator,
    goal: &[f64],
    seed: Seed,
    actor: Box<dyn Actor>,
    action_block: usize,
    threads: usize,
) -> Result<Mind> {
    let world = Arc::new(SimulatorWorldModel::new(simulator, threads)?);
    // A critic foresees from a model's latents; who knows the true state has none.
    let mut task = task.clone();
    task.weights.remove(CRITIC);
    let task = &task;
    let goal = Latent::global(goal.iter().map(|&value| value as f32).collect());
    let width = simulator.action_space().width();
    let modules = Modules {
        configurator: Box::new(SequenceConfigurator::new(task, vec![goal], action_block, width)?),
        perception: Box::new(world.clone()),
        world_model: Box::new(world.clone()),
        cost: cost(task, OracleGoal::new(world.clone(), action_block)?),
        actor,
        policy: None,
        memory: Box::new(RingMemory::new(MEMORY_MOMENTS)),
    };
    Ok(Mind { agent: Agent::new(modules, seed), oracle: Some(world) })
}

/// Executes a block of actions `[A]` control step by control step, at most `steps` of them; `after` sees the world after each.
/// Only the last step is rendered.
///
/// # Errors
/// When an action is not finite or the body fails.
pub fn execute(
    simulator: &mut dyn Simulator,
    block: &[f32],
    steps: usize,
    mut after: impl FnMut(&dyn Simulator),
) -> Result<Observation> {
    let width = simulator.action_space().width();
    let actions: Vec<&[f32]> = block.chunks_exact(width).take(steps).collect();
    let (last, before) = actions.split_last().context("action block: expected at least one action, got none")?;
    for action in before {
        simulator.step_blind(&Action::new(action.to_vec())?)?;
        after(simulator);
    }
    let step = simulator.step(&Action::new(last.to_vec())?)?;
    after(simulator);
    Ok(step.observation)
}
