//! The task's own distance, for the oracle planner.

use std::sync::Arc;

use super::IntrinsicTerm;
use crate::Result;
use crate::configurator::Directive;
use crate::latent::{Plans, Rollouts};
use crate::world_model::SimulatorWorldModel;

/// [`mindseye_interface::Simulator::goal_energy`] of imagined true states.
pub struct OracleGoal {
    world: Arc<SimulatorWorldModel>,
}

impl OracleGoal {
    /// The energy that `world` knows.
    pub fn new(world: Arc<SimulatorWorldModel>) -> Self {
        Self { world }
    }
}

fn wide(values: &[f32]) -> Vec<f64> {
    values.iter().map(|&value| f64::from(value)).collect()
}

impl IntrinsicTerm for OracleGoal {
    fn name(&self) -> &'static str {
        "goal_distance"
    }

    fn energy(&self, rollouts: &Rollouts, _plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        let goal = wide(directive.goal.values());
        let states = rollouts.values().chunks_exact(rollouts.state_len().max(1));
        Ok(states.map(|state| self.world.goal_energy(&wide(state), &goal) as f32).collect())
    }
}
