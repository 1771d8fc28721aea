//! Doing nothing: what success comes by itself.

use mindseye_interface::Rng;

use super::{Actor, Choice, Deadline, Imagination};
use crate::Result;
use crate::latent::Plan;

/// Holds still; imagines nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hold;

impl Actor for Hold {
    fn act(&mut self, imagination: &Imagination<'_>, _rng: &mut Rng, _deadline: &Deadline<'_>) -> Result<Choice> {
        let directive = imagination.directive;
        Ok(Choice::unthinking(Plan::zeros(directive.horizon_blocks, directive.block_width())))
    }

    fn reset(&mut self) {}
}
