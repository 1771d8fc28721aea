//! Dynamics of a body that does not apply actions as they are commanded.

use std::sync::Arc;

use super::AffineActionMap;
use crate::Result;
use crate::cancel::Cancel;
use crate::latent::{Plans, Rollouts};
use crate::model::{Context, Dynamics, Recording};

/// Other dynamics, with an affine map between the commanded actions of plans and contexts and the actions that these
/// dynamics take.
#[derive(Debug, Clone)]
pub struct CorrectedDynamics {
    dynamics: Arc<dyn Dynamics>,
    map: AffineActionMap,
}

impl CorrectedDynamics {
    /// `dynamics` of the actions that `map` gives.
    pub fn new(dynamics: Arc<dyn Dynamics>, map: AffineActionMap) -> Self {
        Self { dynamics, map }
    }

    fn applied(&self, plans: &Plans) -> Result<Plans> {
        Plans::new(plans.count(), plans.horizon(), plans.chunk_width(), self.map.applied(plans.values()))
    }
}

impl Dynamics for CorrectedDynamics {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Result<Rollouts> {
        let actions = self.map.applied(context.actions);
        self.dynamics.rollout(&Context { actions: &actions, ..*context }, &self.applied(plans)?)
    }

    fn rollout_recorded(&self, context: &Context<'_>, plans: &Plans) -> Result<(Rollouts, Recording)> {
        let actions = self.map.applied(context.actions);
        self.dynamics.rollout_recorded(&Context { actions: &actions, ..*context }, &self.applied(plans)?)
    }

    fn vjp(&self, recording: Recording, upstream: &[f32], cancel: Cancel<'_>) -> Result<Vec<f32>> {
        Ok(self.map.gradients_on_commanded(&self.dynamics.vjp(recording, upstream, cancel)?))
    }
}
