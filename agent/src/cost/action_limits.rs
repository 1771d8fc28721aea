//! Staying within what the body can do.

use super::effort::{add_chunk_gradients, mean_over_chunks};
use super::{Fingerprint, Gradients, IntrinsicTerm};
use crate::Result;
use crate::directive::{Directive, terms};
use crate::latent::{Plans, Rollouts};

/// Mean squared excess of normalised actions beyond `[-1, 1]`.
#[derive(Debug, Clone, Copy, Default)]
pub struct ActionLimits;

impl IntrinsicTerm for ActionLimits {
    fn name(&self) -> &'static str {
        terms::ACTION_LIMITS
    }

    fn energy(&self, rollouts: &Rollouts, plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        Ok(mean_over_chunks(rollouts, plans, directive, |action, _| (action.abs() - 1.0).max(0.0).powi(2)))
    }

    fn add_gradients(
        &self,
        rollouts: &Rollouts,
        plans: &Plans,
        directive: &Directive,
        upstream: &[f32],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let gradient = |action: f32, _| 2.0 * (action.abs() - 1.0).max(0.0) * action.signum();
        add_chunk_gradients((rollouts, plans), directive, upstream, gradients, gradient);
        Ok(())
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        fingerprint.name(self.name());
    }
}
