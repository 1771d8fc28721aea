//! The simulator as a world model: snapshots of the true world, rolled out for real. The upper bound of every learned
//! model, and a planner for those who have a simulator but no data.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mindseye_interface::{Action, Observation, Simulator, Snapshot};
use mindseye_world_model::{Context, Dynamics, Error, Latent, Plans, Result, Rollouts};
use rayon::prelude::*;

use super::WorldModel;
use crate::directive::Directive;
use crate::perception::Perception;

/// Plans per group: many enough to amortise a fork, few enough to share out.
const GROUP: usize = 8;

/// The oracle: its latent is the true state `[1, K]`. The loop outside calls [`SimulatorWorldModel::synchronise`]
/// before every tick; this is also its perception.
///
/// Clones share one world.
#[derive(Clone)]
pub struct SimulatorWorldModel {
    world: Arc<Mutex<Box<dyn Simulator>>>,
    snapshot: Arc<Mutex<Snapshot>>,
    action_width: usize,
    threads: usize,
}

/// Appends what a rollout records of a world.
pub type Record<'a> = dyn Fn(&mut dyn Simulator, &mut Vec<f32>) -> Result<()> + Sync + 'a;

/// A poisoned lock still holds a whole world: every write to it is one assignment.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SimulatorWorldModel {
    /// An oracle for the world as `simulator` is now, on `threads` threads.
    ///
    /// # Errors
    /// When the world cannot be copied.
    pub fn new(simulator: &dyn Simulator, threads: usize) -> Result<Self> {
        Ok(Self {
            world: Arc::new(Mutex::new(simulator.fork()?)),
            snapshot: Arc::new(Mutex::new(simulator.snapshot()?)),
            action_width: simulator.action_space().width(),
            threads,
        })
    }

    /// Takes over the world as `simulator` is now.
    ///
    /// # Errors
    /// When the world cannot be copied.
    pub fn synchronise(&self, simulator: &dyn Simulator) -> Result<()> {
        let snapshot = simulator.snapshot()?;
        locked(&self.world).restore(&snapshot)?;
        *locked(&self.snapshot) = snapshot;
        Ok(())
    }

    /// Numbers per action.
    pub fn action_width(&self) -> usize {
        self.action_width
    }

    /// The true state as it is now, `[1, K]`.
    pub fn state(&self) -> Latent {
        Latent::global(locked(&self.world).state().into_iter().map(|value| value as f32).collect())
    }

    /// The task's own energy between two true states.
    pub fn goal_energy(&self, state: &[f64], goal: &[f64]) -> f64 {
        locked(&self.world).goal_energy(state, goal)
    }

    /// What `record` appends at the end of every chunk of `plans [N, H, A]`, plan by plan.
    ///
    /// # Errors
    /// When the shapes do not fit, the world cannot be copied, or `record` fails.
    pub fn roll_out(&self, plans: &Plans, record: &Record<'_>) -> Result<Vec<f32>> {
        if plans.chunk_width() == 0 || !plans.chunk_width().is_multiple_of(self.action_width) || plans.horizon() == 0 {
            return Err(Error::Shape {
                operation: "rollout in the simulator",
                expected: format!("chunks of actions of {} values", self.action_width),
                got: format!("chunks of {} values", plans.chunk_width()),
            });
        }
        let snapshot = locked(&self.snapshot).clone();
        if self.threads > 1 {
            let groups = plans.values().par_chunks(GROUP * plans.horizon() * plans.chunk_width());
            let fork = || locked(&self.world).fork();
            let roll = |group| self.roll(fork()?.as_mut(), &snapshot, group, plans, record);
            Ok(groups.map(roll).collect::<Result<Vec<Vec<f32>>>>()?.concat())
        } else {
            let mut world = locked(&self.world);
            let recorded = self.roll(world.as_mut(), &snapshot, plans.values(), plans, record);
            world.restore(&snapshot)?;
            recorded
        }
    }

    /// Some of the plans `[n, H, A]`, rolled out in `world` from `snapshot`.
    fn roll(
        &self,
        world: &mut dyn Simulator,
        snapshot: &Snapshot,
        plans: &[f32],
        shape: &Plans,
        record: &Record<'_>,
    ) -> Result<Vec<f32>> {
        let mut recorded = Vec::new();
        for plan in plans.chunks_exact(shape.horizon() * shape.chunk_width()) {
            world.restore(snapshot)?;
            for chunk in plan.chunks_exact(shape.chunk_width()) {
                for action in chunk.chunks_exact(self.action_width) {
                    world.step_blind(&Action::new(action.to_vec())?)?;
                }
                record(world, &mut recorded)?;
            }
        }
        Ok(recorded)
    }
}

impl Dynamics for SimulatorWorldModel {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Result<Rollouts> {
        let states = self.roll_out(plans, &|world, states| {
            context.cancel.check()?;
            states.extend(world.state().iter().map(|&value| value as f32));
            Ok(())
        })?;
        let width = states.len() / (plans.count() * plans.horizon()).max(1);
        Rollouts::new([plans.count(), 1, plans.horizon(), 1, width], states)
    }
}

impl WorldModel for SimulatorWorldModel {
    fn starts_anywhere(&self) -> bool {
        false
    }
}

impl fmt::Debug for SimulatorWorldModel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { action_width, threads, .. } = self;
        let mut fields = formatter.debug_struct("SimulatorWorldModel");
        fields.field("action_width", action_width).field("threads", threads).finish_non_exhaustive()
    }
}

impl Perception for SimulatorWorldModel {
    fn perceive(&self, _observation: &Observation, _directive: &Directive) -> crate::Result<Option<Latent>> {
        Ok(Some(self.state()))
    }

    fn encode_goal(&self, _goal: &Observation) -> crate::Result<Option<Latent>> {
        Ok(None) // its goals are true states, see `assembly::TrueWorld::set_goals`
    }
}
