//! A world in which nothing that is done changes anything: what planning is worth without a model of consequences.

use super::{Judge, WorldModel};
use crate::Result;
use crate::latent::{Latent, Plans, Rollouts};

/// Predicts that all stays as it is ("copy last", the baseline of every predictor).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Unchanging;

impl WorldModel for Unchanging {
    fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts> {
        let shape = [plans.count(), 1, plans.horizon(), start.tokens(), start.width()];
        Rollouts::new(shape, start.values().repeat(plans.count() * plans.horizon()))
    }

    fn differentiate(&self, start: &Latent, plans: &Plans, judge: &mut Judge<'_>) -> Result<Vec<f32>> {
        judge(&self.imagine(start, plans)?)?;
        Ok(vec![0.0; plans.values().len()])
    }
}
