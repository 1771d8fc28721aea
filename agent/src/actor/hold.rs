//! Holding still: how often a goal is reached without acting.

use mindseye_interface::Rng;

use super::{Actor, Choice, Deadline, Imagination};
use crate::Result;

/// Commands the action that holds still; imagines nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Hold;

impl Actor for Hold {
    fn act(&mut self, imagination: &Imagination<'_>, _rng: &mut Rng, _deadline: &Deadline<'_>) -> Result<Choice> {
        Ok(Choice::unplanned(imagination.directive.hold_plan()))
    }

    fn reset(&mut self) {}

    fn predicts(&self) -> bool {
        false
    }
}
