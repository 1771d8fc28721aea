//! Staying within what the body can do.

use super::effort::{add_per_block, per_block};
use super::{Fingerprint, IntrinsicTerm, Slopes};
use crate::Result;
use crate::configurator::Directive;
use crate::latent::{Plans, Rollouts};

/// Mean squared excess of normalised actions beyond `[-1, 1]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ActionLimits;

impl IntrinsicTerm for ActionLimits {
    fn name(&self) -> &'static str {
        "action_limits"
    }

    fn energy(&self, rollouts: &Rollouts, plans: &Plans, _directive: &Directive) -> Result<Vec<f32>> {
        Ok(per_block(rollouts, plans, |action| (action.abs() - 1.0).max(0.0).powi(2)))
    }

    fn add_slopes(
        &self,
        rollouts: &Rollouts,
        plans: &Plans,
        _directive: &Directive,
        pull: &[f32],
        slopes: &mut Slopes,
    ) -> Result<()> {
        add_per_block(rollouts, plans, pull, slopes, |action| 2.0 * (action.abs() - 1.0).max(0.0) * action.signum());
        Ok(())
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        fingerprint.name(self.name());
    }
}
