//! The simulator as a world model: snapshots of the true world, rolled out for real. The upper bound of every learned model, and a
//! planner for people who have a simulator but no data.

use std::sync::{Mutex, MutexGuard, PoisonError};

use mindseye_interface::{Action, Observation, Simulator, Snapshot};
use rayon::prelude::*;

use super::WorldModel;
use crate::configurator::Directive;
use crate::latent::{Latent, Plans, Rollouts};
use crate::perception::Perception;
use crate::{Error, Result};

/// Plans per task: many enough to amortise a fork, few enough to share out.
const GROUP: usize = 8;

/// The oracle: its latent is the true state `[1, K]`. The loop outside calls [`SimulatorWorldModel::synchronise`] before every
/// tick; this is also its perception.
pub struct SimulatorWorldModel {
    world: Mutex<Box<dyn Simulator>>,
    snapshot: Mutex<Snapshot>,
    action_width: usize,
    threads: usize,
}

/// Appends what there is to see of a world.
pub type Look<'a> = dyn Fn(&mut dyn Simulator, &mut Vec<f32>) -> Result<()> + Sync + 'a;

/// A poisoned lock holds a whole world all the same: every write to it is one assignment.
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
            world: Mutex::new(simulator.fork()?),
            snapshot: Mutex::new(simulator.snapshot()?),
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

    /// What `look` appends at the end of every block of `plans [N, H, A]`, plan by plan.
    ///
    /// # Errors
    /// When the shapes do not fit, the world cannot be copied, or `look` fails.
    pub fn roll_out(&self, plans: &Plans, look: &Look<'_>) -> Result<Vec<f32>> {
        if plans.block_width() == 0 || !plans.block_width().is_multiple_of(self.action_width) || plans.horizon() == 0 {
            return Err(Error::Shape {
                operation: "imagining in the simulator",
                expected: format!("blocks of actions of {} values", self.action_width),
                got: format!("blocks of {} values", plans.block_width()),
            });
        }
        let snapshot = locked(&self.snapshot).clone();
        if self.threads > 1 {
            let groups = plans.values().par_chunks(GROUP * plans.horizon() * plans.block_width());
            let fork = || locked(&self.world).fork();
            let roll = |group| self.roll(fork()?.as_mut(), &snapshot, group, plans, look);
            Ok(groups.map(roll).collect::<Result<Vec<Vec<f32>>>>()?.concat())
        } else {
            let mut world = locked(&self.world);
            let seen = self.roll(world.as_mut(), &snapshot, plans.values(), plans, look)?;
            world.restore(&snapshot)?;
            Ok(seen)
        }
    }

    /// Some of the plans `[n, H, A]`, rolled out in `world` from `snapshot`.
    fn roll(
        &self,
        world: &mut dyn Simulator,
        snapshot: &Snapshot,
        plans: &[f32],
        shape: &Plans,
        look: &Look<'_>,
    ) -> Result<Vec<f32>> {
        let mut seen = Vec::new();
        for plan in plans.chunks_exact(shape.horizon() * shape.block_width()) {
            world.restore(snapshot)?;
            for block in plan.chunks_exact(shape.block_width()) {
                for action in block.chunks_exact(self.action_width) {
                    world.step_blind(&Action::new(action.to_vec())?)?;
                }
                look(world, &mut seen)?;
            }
        }
        Ok(seen)
    }
}

impl WorldModel for SimulatorWorldModel {
    fn imagine(&self, _start: &Latent, plans: &Plans) -> Result<Rollouts> {
        let states = self.roll_out(plans, &|world, states| {
            states.extend(world.state().iter().map(|&value| value as f32));
            Ok(())
        })?;
        let width = states.len() / (plans.count() * plans.horizon()).max(1);
        Rollouts::new([plans.count(), 1, plans.horizon(), 1, width], states)
    }
}

impl Perception for SimulatorWorldModel {
    fn perceive(&self, _observation: &Observation, _directive: &Directive) -> Result<Option<Latent>> {
        Ok(Some(self.state()))
    }
}
