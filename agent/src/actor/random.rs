//! Uniformly random actions: what success costs nothing.

use mindseye_interface::Rng;
use rand::Rng as _;

use super::{Actor, Choice, Deadline, Imagination};
use crate::Result;
use crate::latent::Plan;

/// Every action uniform in `[-1, 1]`; imagines nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomActions;

impl Actor for RandomActions {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, _deadline: &Deadline<'_>) -> Result<Choice> {
        let directive = imagination.directive;
        let (horizon, width) = (directive.horizon_blocks, directive.block_width());
        let values = (0..horizon * width).map(|_| rng.random_range(-1.0..=1.0)).collect();
        Ok(Choice::unthinking(Plan::new(horizon, width, values)?))
    }

    fn reset(&mut self) {}
}
