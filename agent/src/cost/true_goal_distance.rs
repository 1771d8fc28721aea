//! The task's own distance, for the oracle planner.

use mindseye_interface::Seed;
use rand::Rng as _;

use super::{Fingerprint, Gradients, IntrinsicTerm};
use crate::directive::{Directive, terms};
use crate::latent::{Plans, Rollouts};
use crate::world_model::{Context, Dynamics, SimulatorWorldModel};
use crate::{Error, Result};

/// The square of [`mindseye_interface::Simulator::goal_energy`] of imagined true states, in the unit of the learned
/// metrics: the mean energy of one action chunk (here a random one, from where the world is now) is 1. So one task file
/// serves both.
pub struct TrueGoalDistance {
    world: SimulatorWorldModel,
    unit: f64,
}

/// Random action chunks from which the unit is taken.
const UNIT_CHUNKS: usize = 64;

impl TrueGoalDistance {
    /// The true distance in `world`, for chunks of `action_chunk` control steps.
    ///
    /// # Errors
    /// When the world cannot be rolled out.
    pub fn new(world: SimulatorWorldModel, action_chunk: usize) -> Result<Self> {
        let width = action_chunk * world.action_width();
        let mut rng = Seed::new(0).child("unit").rng();
        let actions = (0..UNIT_CHUNKS * width).map(|_| rng.random_range(-1.0..=1.0)).collect();
        let start = world.state();
        let reached = world.rollout(&Context::of(&start), &Plans::new(UNIT_CHUNKS, 1, width, actions)?)?;
        let states = reached.values().chunks_exact(reached.state_len().max(1));
        let start = wide(start.values());
        let mean =
            states.map(|state| world.goal_energy(&start, &wide(state)).powi(2)).sum::<f64>() / UNIT_CHUNKS as f64;
        Ok(Self { world, unit: mean.sqrt().max(f64::MIN_POSITIVE) })
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

impl IntrinsicTerm for TrueGoalDistance {
    fn name(&self) -> &'static str {
        terms::GOAL_DISTANCE
    }

    fn energy(&self, rollouts: &Rollouts, _plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        let goal = wide(directive.goal.values());
        let states = rollouts.values().chunks_exact(rollouts.state_len().max(1));
        Ok(states.map(|state| (self.world.goal_energy(&wide(state), &goal) / self.unit).powi(2) as f32).collect())
    }

    fn add_gradients(
        &self,
        _rollouts: &Rollouts,
        _plans: &Plans,
        _directive: &Directive,
        _upstream: &[f32],
        _gradients: &mut Gradients,
    ) -> Result<()> {
        Err(Error::NotDifferentiable { part: "the task's own distance" })
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        fingerprint.name("the task's own distance");
        fingerprint.numbers(&[self.unit as f32]);
    }
}
