//! Doing as little as will do.

use super::IntrinsicTerm;
use crate::Result;
use crate::configurator::Directive;
use crate::latent::{Plans, Rollouts};

/// Mean squared normalised action of a block, 0..1 within the limits.
#[derive(Debug, Clone, Copy, Default)]
pub struct Effort;

impl IntrinsicTerm for Effort {
    fn name(&self) -> &'static str {
        "effort"
    }

    fn energy(&self, rollouts: &Rollouts, plans: &Plans, _directive: &Directive) -> Result<Vec<f32>> {
        Ok(per_block(rollouts, plans, |action| action * action))
    }
}

/// Mean over the actions of each block of `of`, repeated for every future, `[N, S, H]`.
pub(super) fn per_block(rollouts: &Rollouts, plans: &Plans, of: impl Fn(f32) -> f32) -> Vec<f32> {
    let width = plans.block_width().max(1);
    let mean = |block: &[f32]| block.iter().map(|&action| of(action)).sum::<f32>() / width as f32;
    let blocks: Vec<f32> = plans.values().chunks_exact(width).map(mean).collect();
    blocks.chunks(plans.horizon().max(1)).flat_map(|plan| plan.repeat(rollouts.futures())).collect()
}
