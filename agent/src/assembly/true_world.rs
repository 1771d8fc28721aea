//! Agents in the true world: the oracle planner and the baselines. They know the true state, and roll plans out (if
//! they do) in a copy of the simulator.

use std::collections::BTreeMap;
use std::sync::Arc;

use mindseye_interface::{Clock, Observation, Seed, Simulator};

use super::{MEMORY_TICKS, cost_with, require_memory, require_replanning, require_weights};
use crate::actor::{Actor, Hold, RandomActions};
use crate::configurator::{SequenceConfigurator, SubGoal, Task};
use crate::cost::{PrivilegedState, SharedEstimator, TrueGoalDistance};
use crate::directive::terms;
use crate::latent::Latent;
use crate::memory::RingMemory;
use crate::world_model::SimulatorWorldModel;
use crate::{Agent, Error, Modules, Result, TickReport};

/// Who acts in the true world.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrueWorldActor {
    /// The task's planner, with the task's own distance: the upper bound of every model.
    Planner,
    /// Uniformly random actions.
    Random,
    /// The action that holds still.
    Hold,
}

/// An agent that knows the true state. Its world model owns a copy of the simulator, which every tick synchronises.
pub struct TrueWorld {
    agent: Agent,
    world: SimulatorWorldModel,
    task: Task,
    names: Vec<String>,
    estimator: SharedEstimator,
}

/// The agent `actor` for `task` in the world as `simulator` is now, with chunks of `action_chunk` control steps, on
/// `threads` threads of the current rayon pool. A critic's weight is left out: it predicts from a model's latents.
///
/// # Errors
/// [`Error::Unknown`] for a weight of a term that needs a learned model (curiosity); when the simulator cannot be
/// copied or rolled out.
pub fn true_world(
    task: &Task,
    simulator: &dyn Simulator,
    actor: TrueWorldActor,
    action_chunk: usize,
    seed: Seed,
    threads: usize,
) -> Result<TrueWorld> {
    let mut task = task.clone();
    task.weights.remove(terms::CRITIC);
    let world = SimulatorWorldModel::new(simulator, threads)?;
    let names = simulator.state_names();
    let estimator: SharedEstimator = Arc::new(PrivilegedState::new(names.clone()));
    let cost = cost_with(&task, TrueGoalDistance::new(world.clone(), action_chunk)?, Some(&estimator));
    require_weights(&task, &cost)?;
    require_replanning(&task, action_chunk)?;
    let space = simulator.action_space().clone();
    require_memory(&task, &task.planner, action_chunk * space.width(), names.len())?;
    let actor: Box<dyn Actor> = match actor {
        TrueWorldActor::Planner => task.planner.without_gradients().build(),
        TrueWorldActor::Random => Box::new(RandomActions),
        TrueWorldActor::Hold => Box::new(Hold),
    };
    let modules = Modules {
        configurator: Box::new(SequenceConfigurator::without_goal(&task, action_chunk, space.width())),
        perception: Box::new(world.clone()),
        world_model: Box::new(world.clone()),
        cost,
        actor,
        policy: None,
        memory: Box::new(RingMemory::new(MEMORY_TICKS)),
    };
    let agent = Agent::new(modules, seed).with_action_space(space).with_task(&task, Some(estimator.clone()));
    Ok(TrueWorld { agent, world, task, names, estimator })
}

impl TrueWorld {
    /// Pursues the true states `goals [K]` from the next tick on, one after the other.
    ///
    /// # Errors
    /// When a goal has another length than the state, or the task names a dimension that the state does not have.
    pub fn set_goals(&mut self, goals: &[Vec<f64>]) -> Result<()> {
        let goal = |state: &Vec<f64>| -> Result<SubGoal> {
            if state.len() != self.names.len() {
                let (expected, got) = (format!("states of {} values", self.names.len()), state.len().to_string());
                return Err(Error::Shape { operation: "setting goals", expected, got });
            }
            let by_name: BTreeMap<String, f64> = self.names.iter().cloned().zip(state.iter().copied()).collect();
            Ok(SubGoal {
                latent: Latent::global(state.iter().map(|&value| value as f32).collect()),
                term: self.task.goal.term(),
                state_goals: self.task.state_goals(self.estimator.as_ref(), &by_name)?,
            })
        };
        let goals = goals.iter().map(goal).collect::<Result<_>>()?;
        self.agent.set_sub_goals(goals)
    }

    /// One tick in the world as `simulator` is now.
    ///
    /// # Errors
    /// When the simulator cannot be copied.
    pub fn tick(
        &mut self,
        simulator: &dyn Simulator,
        observation: &Observation,
        clock: &dyn Clock,
    ) -> Result<TickReport> {
        self.world.synchronise(simulator)?;
        Ok(self.agent.tick(observation, clock))
    }

    /// See [`Agent::report_executed`].
    pub fn report_executed(&mut self, steps: usize) {
        self.agent.report_executed(steps);
    }

    /// See [`Agent::start_episode`].
    pub fn start_episode(&mut self) {
        self.agent.start_episode();
    }
}
