//! The six modules put together: of a checkpoint, of a published LeWM, of the true world.

use std::sync::Arc;

use anyhow::{Context, Result, bail};
use mindseye_agent::actor::{Actor, Arbiter, DistilledPolicy, Policy};
use mindseye_agent::configurator::{
    Aims, Assigner, Focus, GoalConfig, ModeConfig, PlannerConfig, SequenceConfigurator, Switchboard,
};
use mindseye_agent::cost::{CRITIC, Curiosity, GoalDistance, LearnedReader, OracleGoal, SharedReader, TrueState};
use mindseye_agent::memory::{AssociativeMemory, RingMemory};
use mindseye_agent::perception::{JepaPerception, LewmPerception};
use mindseye_agent::world_model::{LewmWorldModel, SimulatorWorldModel, WorldModel};
use mindseye_agent::{Agent, Latent, Modules, Task};
use mindseye_episodes::picture::{decode_picture, picture_size, resized};
use mindseye_interface::{Image, ImageSize, Observation, Seed, Simulator};
use mindseye_world_model::Checkpoint;

use super::critic::critic;
use super::{Aim, Mind, aims, cost, cost_with};
use crate::published::PublishedLewm;

/// Moments that a life remembers.
const MEMORY_MOMENTS: usize = 1000;

pub(super) fn course_name(index: usize) -> String {
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
pub(super) fn learned(
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

pub(super) fn learned_modules(
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
pub(super) fn with_lewm(
    published: &PublishedLewm,
    task: &Task,
    courses: &[Vec<Aim>],
    seed: Seed,
    threads: usize,
) -> Result<Mind> {
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
pub(super) fn true_world(
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
