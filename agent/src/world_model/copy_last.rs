//! The copy-last baseline of every predictor: for measuring what a model of consequences is worth.

use mindseye_world_model::{Cancel, Context, Dynamics, Error, Plans, Recording, Result, Rollouts};

use super::WorldModel;

/// Predicts that the state does not change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CopyLast;

impl Dynamics for CopyLast {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Result<Rollouts> {
        let Some(start) = context.latents.last() else {
            return Err(Error::Shape { operation: "rollout", expected: "a state".into(), got: "none".into() });
        };
        let shape = [plans.count(), 1, plans.horizon(), start.tokens(), start.width()];
        Rollouts::new(shape, start.values().repeat(plans.count() * plans.horizon()))
    }

    fn rollout_recorded(&self, context: &Context<'_>, plans: &Plans) -> Result<(Rollouts, Recording)> {
        Ok((self.rollout(context, plans)?, Recording::new(plans.values().len())))
    }

    /// No action changes a state.
    fn vjp(&self, recording: Recording, _upstream: &[f32], _cancel: Cancel<'_>) -> Result<Vec<f32>> {
        Ok(vec![0.0; recording.open()?])
    }
}

impl WorldModel for CopyLast {}
