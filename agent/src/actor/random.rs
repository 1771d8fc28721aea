//! Uniformly random actions: how often a goal is reached by chance.

use mindseye_interface::Rng;
use rand::Rng as _;

use super::{Actor, Choice, Deadline, Imagination};
use crate::Result;
use crate::latent::Plan;

/// Every action uniform in `[-1, 1]`, after the deadline holding still from the second chunk on; imagines nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomActions;

impl Actor for RandomActions {
    fn act(&mut self, imagination: &Imagination<'_>, rng: &mut Rng, deadline: &Deadline<'_>) -> Result<Choice> {
        let directive = imagination.directive;
        let (horizon, width) = (directive.horizon_chunks, directive.chunk_width());
        let mut values = Vec::with_capacity(horizon * width);
        for chunk in 0..horizon {
            if chunk > 0 && deadline.remaining_secs() <= 0.0 {
                values.extend(directive.hold_chunk());
            } else {
                values.extend((0..width).map(|_| rng.random_range(-1.0..=1.0f32)));
            }
        }
        directive.constrain(&mut values);
        Ok(Choice::unplanned(Plan::new(horizon, width, values)?))
    }

    fn reset(&mut self) {}

    fn predicts(&self) -> bool {
        false
    }
}
