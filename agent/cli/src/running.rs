//! Body and mind together: agents for every method, and the execution of action blocks.

mod costs;
mod critic;
mod minds;

use std::sync::Arc;

use anyhow::{Context, Result};
use mindseye_agent::configurator::{Assigner, PlannerConfig};
use mindseye_agent::memory::Forgetful;
use mindseye_agent::world_model::{SeenSimulator, SimulatorWorldModel, Unchanging};
use mindseye_agent::{Agent, Task, TickReport};
use mindseye_interface::{Action, Clock, Observation, Seed, Simulator};

use self::minds::{course_name, learned, learned_modules, true_world, with_lewm};
use crate::evaluation::{Method, Without};
use crate::imagining;

pub use self::costs::{aims, cost, cost_terms, cost_with};

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

    /// See [`Agent::begin_elsewhere`].
    pub fn begin_elsewhere(&mut self) {
        self.agent.begin_elsewhere();
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
