//! A memory that keeps nothing: for measuring what memory is worth.

use mindseye_interface::Rng;

use super::{Memory, Transition};
use crate::latent::Latent;

/// Remembers no tick. Without the newest one there is no prediction for a missing image, no surprise, and no sub-goal
/// that has been reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NoMemory;

impl Memory for NoMemory {
    fn remember(&mut self, _transition: Transition) {}

    fn len(&self) -> usize {
        0
    }

    fn recent(&self, _count: usize) -> Vec<&Transition> {
        Vec::new()
    }

    fn at(&self, _tick: u64) -> Option<&Transition> {
        None
    }

    fn nearest(&self, _latent: &Latent, _count: usize) -> Vec<&Transition> {
        Vec::new()
    }

    fn sample(&self, _count: usize, _rng: &mut Rng) -> Vec<&Transition> {
        Vec::new()
    }
}
