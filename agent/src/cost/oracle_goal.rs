//! The task's own distance, for the oracle planner.

use std::sync::Arc;

use mindseye_interface::Seed;
use rand::Rng as _;

use super::{Fingerprint, GoalDistance, IntrinsicTerm, Slopes};
use crate::configurator::Directive;
use crate::latent::{Plans, Rollouts};
use crate::world_model::{SimulatorWorldModel, WorldModel};
use crate::{Error, Result};

/// The square of [`mindseye_interface::Simulator::goal_energy`] of imagined true states, in the unit of the learned metrics: the mean
/// energy of one action block (here a random one, from where the world is now) is 1. So one task file serves both.
pub struct OracleGoal {
    world: Arc<SimulatorWorldModel>,
    unit: f64,
}

/// Random action blocks from which the unit is taken.
const BLOCKS: usize = 64;

impl OracleGoal {
    /// The energy that `world` knows, for blocks of `action_block` control steps.
    ///
    /// # Errors
    /// When the world cannot be rolled out.
    pub fn new(world: Arc<SimulatorWorldModel>, action_block: usize) -> Result<Self> {
        let width = action_block * world.action_width();
        let mut rng = Seed::new(0).child("unit").rng();
        let actions = (0..BLOCKS * width).map(|_| rng.random_range(-1.0..=1.0)).collect();
        let start = world.state();
        let reached = world.imagine(&start, &Plans::new(BLOCKS, 1, width, actions)?)?;
        let states = reached.values().chunks_exact(reached.state_len().max(1));
        let start = wide(start.values());
        let mean = states.map(|state| world.goal_energy(&start, &wide(state)).powi(2)).sum::<f64>() / BLOCKS as f64;
        Ok(Self { world, unit: mean.sqrt().max(f64::MIN_POSITIVE) })
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

impl IntrinsicTerm for OracleGoal {
    fn name(&self) -> &'static str {
        GoalDistance::NAME
    }

    fn energy(&self, rollouts: &Rollouts, _plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        let goal = wide(directive.goal.values());
        let states = rollouts.values().chunks_exact(rollouts.state_len().max(1));
        Ok(states.map(|state| (self.world.goal_energy(&wide(state), &goal) / self.unit).powi(2) as f32).collect())
    }

    fn add_slopes(
        &self,
        _rollouts: &Rollouts,
        _plans: &Plans,
        _directive: &Directive,
        _pull: &[f32],
        _slopes: &mut Slopes,
    ) -> Result<()> {
        Err(Error::NoSlopes { part: "the task's own distance" })
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        fingerprint.name("the task's own distance");
        fingerprint.numbers(&[self.unit as f32]);
    }
}
