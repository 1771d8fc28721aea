//! Body and mind together: agents for every method, and the execution of action blocks.

mod critic;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use mindseye_agent::actor::{Actor, Arbiter, DistilledPolicy, Policy};
use mindseye_agent::configurator::{
    Aims, Assigner, Focus, GoalConfig, ModeConfig, PlannerConfig, SequenceConfigurator, Switchboard,
};
use mindseye_agent::cost::{
    ActionLimits, CRITIC, CostModule, Curiosity, Effort, GoalDistance, IntrinsicTerm, LearnedReader, Named, OracleGoal,
    Saturating, SharedReader, Smoothness, TrueState,
};
use mindseye_agent::memory::{AssociativeMemory, Forgetful, RingMemory};
use mindseye_agent::perception::{JepaPerception, LewmPerception};
use mindseye_agent::world_model::{LewmWorldModel, SeenSimulator, SimulatorWorldModel, Unchanging, WorldModel};
use mindseye_agent::{Agent, Latent, Modules, Task, TickReport};
use mindseye_episodes::picture::{decode_picture, picture_size, resized};
use mindseye_interface::{Action, Clock, Image, ImageSize, Observation, Seed, Simulator};
use mindseye_world_model::Checkpoint;

use crate::evaluation::{Method, Without};
use crate::imagining;
use crate::published::PublishedLewm;
use critic::critic;

/// Moments that a life remembers.
const MEMORY_MOMENTS: usize = 1000;

/// Something to bring about.
#[derive(Debug, Clone)]
pub struct Aim {
    /// What is sensed there.
    pub seen: Observation,
    /// The true state there: for the oracle, and for what a task wants of it as numbers. The learned agent gets no other.
    pub state: Vec<f64>,
}

/// An agent, and the oracle's view of the world where it has one.
pub struct Mind {
    agent: Agent,
    assigner: Assigner,
    oracle: Option<Arc<SimulatorWorldModel>>,
}

impl Mind {
    /// An agent that pursues the first of `courses`, each a sequence of goals, until another is assigned.
    ///
    /// # Errors
    /// When the checkpoint, the goals and the scene do not fit together.
    pub fn new(
        method: &Method,
        task: &Task,
        simulator: &dyn Simulator,
        courses: &[Vec<Aim>],
        seed: Seed,
        threads: usize,
    ) -> Result<Self> {
        let without_model =
            |actor, action_block| true_world(task, simulator, courses, seed, actor, action_block, threads);
        let names = simulator.state_names();
        match *method {
            Method::Model(ref checkpoint) => {
                let imagines = imagining::world_model(checkpoint, task, threads)?;
                learned(checkpoint, task, (courses, &names), seed, imagines, None)
            }
            Method::Without(ref checkpoint, Without::Memory) => {
                let imagines = imagining::world_model(checkpoint, task, threads)?;
                let (mut modules, assigner) = learned_modules(checkpoint, task, (courses, &names), imagines)?;
                modules.memory = Box::new(Forgetful);
                Ok(Self { agent: Agent::new(modules, seed), assigner, oracle: None })
            }
            Method::Without(ref checkpoint, Without::WorldModel) => {
                learned(checkpoint, task, (courses, &names), seed, Box::new(Unchanging), None)
            }
            Method::Lewm(ref published) => with_lewm(published, task, courses, seed, threads),
            Method::TrueDynamics(ref checkpoint) => {
                let world = Arc::new(SimulatorWorldModel::new(simulator, threads)?);
                let imagines = Box::new(SeenSimulator::new(world.clone(), checkpoint.clone()));
                learned(checkpoint, task, (courses, &names), seed, imagines, Some(world))
            }
            Method::Oracle { action_block } => without_model(task.planner.without_slopes().build(), action_block),
            Method::Random { action_block } => without_model(PlannerConfig::Random.build(), action_block),
            Method::Nothing { action_block } => without_model(PlannerConfig::Hold.build(), action_block),
        }
    }

    /// From the next tick on the agent pursues course number `index`.
    ///
    /// # Errors
    /// When there is no such course.
    pub fn assign(&self, index: usize) -> Result<()> {
        Ok(self.assigner.assign(&course_name(index))?)
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

fn course_name(index: usize) -> String {
    format!("course {index}")
}

/// A configurator for `courses` of goals with their aims.
fn configurator(
    task: &Task,
    courses: Vec<Vec<(Latent, Aims)>>,
    (action_block, action_width): (usize, usize),
) -> Result<(Box<Switchboard>, Assigner)> {
    let sequence = |(index, goals)| {
        let configurator = SequenceConfigurator::with_aims(task, goals, action_block, action_width)?;
        Ok((course_name(index), configurator))
    };
    let sequences = courses.into_iter().enumerate().map(sequence).collect::<mindseye_agent::Result<_>>()?;
    let (switchboard, assigner) = Switchboard::new(sequences)?;
    Ok((Box::new(switchboard), assigner))
}

/// The pictures that come before the run's goal, at the size of the run's own.
fn key_frames(task: &Task, size: ImageSize) -> Result<Vec<Image>> {
    let GoalConfig::KeyFrames { files } = &task.goal else { return Ok(Vec::new()) };
    let read = |path: &std::path::PathBuf| -> Result<Image> {
        let bytes = std::fs::read(path)?;
        let picture = picture_size(&bytes).and_then(|own| decode_picture(&bytes, own)).map_err(anyhow::Error::msg)?;
        Ok(Image::new(size, resized(&picture, size))?)
    };
    files.iter().map(|path| read(path).with_context(|| format!("goal.files: {}", path.display()))).collect()
}

/// An agent that sees with a learned model, and imagines with it or in the `oracle`'s world.
fn learned(
    checkpoint: &Arc<Checkpoint>,
    task: &Task,
    (courses, names): (&[Vec<Aim>], &[String]),
    seed: Seed,
    imagines: Box<dyn WorldModel>,
    oracle: Option<Arc<SimulatorWorldModel>>,
) -> Result<Mind> {
    let (modules, assigner) = learned_modules(checkpoint, task, (courses, names), imagines)?;
    Ok(Mind { agent: Agent::new(modules, seed), assigner, oracle })
}

fn learned_modules(
    checkpoint: &Arc<Checkpoint>,
    task: &Task,
    (courses, names): (&[Vec<Aim>], &[String]),
    imagines: Box<dyn WorldModel>,
) -> Result<(Modules, Assigner)> {
    let perception = JepaPerception::new(checkpoint.clone());
    let perception = if task.adapt_background { perception.adapting() } else { perception };
    let reader = checkpoint.readout.as_ref().map(LearnedReader::new).transpose()?;
    let reader = reader.map(|reader| Arc::new(reader) as SharedReader);
    let encode = |seen: &Observation| {
        if !task.goal.is_picture() {
            return Ok(Latent::global(Vec::new()));
        }
        perception.encode(seen).context("goal")?.context("goal: expected a picture, got none")
    };
    let course = |goals: &Vec<Aim>| -> Result<Vec<(Latent, Aims)>> {
        let mut seen: Vec<(Observation, &Aim)> = Vec::new();
        if let Some((first, size)) = goals.first().and_then(|first| Some((first, first.seen.image.as_ref()?.size()))) {
            let frames = key_frames(task, size)?.into_iter();
            seen.extend(frames.map(|frame| (Observation { image: Some(frame), ..first.seen.clone() }, first)));
        }
        seen.extend(goals.iter().map(|goal| (goal.seen.clone(), goal)));
        let one = |(seen, aim): &(Observation, &Aim)| -> Result<(Latent, Aims)> {
            let (goal, mut aims) = (encode(seen)?, aims(task, reader.as_ref(), names, &aim.state)?);
            if let (Some(focus), Some(reader)) = (&task.focus, &reader) {
                aims.focus = Some(Focus::on(focus, reader.as_ref(), &goal)?);
            }
            Ok((goal, aims))
        };
        seen.iter().map(one).collect()
    };
    let courses = courses.iter().map(course).collect::<Result<_>>()?;
    let model = &checkpoint.config.model;
    let metric = GoalDistance::new(checkpoint.statistics.factor(task.metric))?;
    let curiosity = Curiosity::new(checkpoint.statistics.factor(task.metric))?;
    let policy = DistilledPolicy::of(checkpoint).filter(|_| {
        let wanted = task.proposals || task.planner == PlannerConfig::Policy || task.mode != ModeConfig::Mode2;
        wanted && task.goal.is_picture() // it knows no other goals
    });
    let alone = task.planner == PlannerConfig::Policy || task.mode == ModeConfig::Mode1;
    if alone && !task.goal.is_picture() {
        bail!("mode_1: expected a goal that is a picture, since a policy knows no others, got another kind");
    }
    if policy.is_none() && alone {
        bail!("planner policy: expected a checkpoint with a policy (mindseye teach policy makes one), got none");
    }
    let cost = cost_with(task, metric, reader.as_ref()).with_term(Box::new(curiosity));
    let cost = match critic(checkpoint, task)? {
        Some(critic) => cost.with_critic(Box::new(critic)),
        None => cost,
    };
    // A policy knows nothing of places to keep out of: its proposals are no reason to search less then.
    let shorter = policy.is_some() && task.names_states().is_none();
    let planner = task.with_policy.as_ref().filter(|_| shorter).unwrap_or(&task.planner);
    let (configurator, assigner) = configurator(task, courses, (model.action_block, model.action_width))?;
    let modules = Modules {
        configurator,
        perception: Box::new(perception),
        world_model: imagines,
        cost,
        actor: Box::new(Arbiter::new(planner.build())),
        policy: policy.map(|policy| Box::new(policy) as Box<dyn Policy>),
        memory: Box::new(AssociativeMemory::new(MEMORY_MOMENTS, task.memory.clone())?),
    };
    Ok((modules, assigner))
}

/// An agent that sees and imagines with a LeWM; distances are those of its embeddings, as its authors plan.
fn with_lewm(published: &PublishedLewm, task: &Task, courses: &[Vec<Aim>], seed: Seed, threads: usize) -> Result<Mind> {
    if let Some(field) = task.names_states() {
        return Err(mindseye_agent::Error::NoReadout { field }.into());
    }
    if matches!(task.goal, GoalConfig::KeyFrames { .. }) {
        bail!("goal.kind: expected image for a LeWorldModel, got key_frames");
    }
    let perception = LewmPerception::new(published.model.clone());
    let encode = |aim: &Aim| -> Result<(Latent, Aims)> {
        let goal = aim.seen.image.as_ref().context("goal: expected a picture, got none")?;
        Ok((perception.encode(goal).context("goal picture")?, Aims::default()))
    };
    let course = |goals: &Vec<Aim>| goals.iter().map(encode).collect::<Result<Vec<_>>>();
    let courses = courses.iter().map(course).collect::<Result<Vec<_>>>()?;
    let metric = GoalDistance::euclidean(published.model.config().width());
    let (gain, offset) = (published.gain.clone(), published.offset.clone());
    let imagines = LewmWorldModel::new(&published.model, gain, offset, task.precision, threads)?;
    let (block, width) = (published.action_block, published.action_width);
    let (configurator, assigner) = configurator(task, courses, (block, width))?;
    let modules = Modules {
        configurator,
        perception: Box::new(perception),
        world_model: Box::new(imagines),
        cost: cost(task, metric),
        actor: task.planner.build(),
        policy: None,
        memory: Box::new(AssociativeMemory::new(MEMORY_MOMENTS, task.memory.clone())?),
    };
    Ok(Mind { agent: Agent::new(modules, seed), assigner, oracle: None })
}

/// An agent that knows the true state and imagines (if its actor does) in the true world.
fn true_world(
    task: &Task,
    simulator: &dyn Simulator,
    courses: &[Vec<Aim>],
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
    let names = simulator.state_names();
    let reader: SharedReader = Arc::new(TrueState::new(names.clone()));
    let goal = |aim: &Aim| -> Result<(Latent, Aims)> {
        let state = Latent::global(aim.state.iter().map(|&value| value as f32).collect());
        Ok((state, aims(task, Some(&reader), &names, &aim.state)?))
    };
    let course = |goals: &Vec<Aim>| goals.iter().map(goal).collect::<Result<Vec<_>>>();
    let courses = courses.iter().map(course).collect::<Result<_>>()?;
    let width = simulator.action_space().width();
    let (configurator, assigner) = configurator(task, courses, (action_block, width))?;
    let modules = Modules {
        configurator,
        perception: Box::new(world.clone()),
        world_model: Box::new(world.clone()),
        cost: cost_with(task, OracleGoal::new(world.clone(), action_block)?, Some(&reader)),
        actor,
        policy: None,
        memory: Box::new(RingMemory::new(MEMORY_MOMENTS)),
    };
    Ok(Mind { agent: Agent::new(modules, seed), assigner, oracle: Some(world) })
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
