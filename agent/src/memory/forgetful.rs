//! A memory that keeps nothing: what an agent is without one.

use mindseye_interface::Rng;

use super::{Memory, Moment};
use crate::latent::Latent;

/// Remembers no moment. Without the last one there is no prediction to go by when a picture is missing, no surprise, and no sub-goal that has
/// been reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Forgetful;

impl Memory for Forgetful {
    fn remember(&mut self, _moment: Moment) {}

    fn len(&self) -> usize {
        0
    }

    fn recent(&self, _count: usize) -> Vec<&Moment> {
        Vec::new()
    }

    fn at(&self, _tick: u64) -> Option<&Moment> {
        None
    }

    fn nearest(&self, _latent: &Latent, _count: usize) -> Vec<&Moment> {
        Vec::new()
    }

    fn sample(&self, _count: usize, _rng: &mut Rng) -> Vec<&Moment> {
        Vec::new()
    }
}
