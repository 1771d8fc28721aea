//! Doing as little as will do.

use super::{Fingerprint, IntrinsicTerm, Slopes};
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

    fn add_slopes(
        &self,
        rollouts: &Rollouts,
        plans: &Plans,
        _directive: &Directive,
        pull: &[f32],
        slopes: &mut Slopes,
    ) -> Result<()> {
        add_per_block(rollouts, plans, pull, slopes, |action| 2.0 * action);
        Ok(())
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        fingerprint.name(self.name());
    }
}

/// Mean over the actions of each block of `of`, repeated for every future, `[N, S, H]`.
pub(super) fn per_block(rollouts: &Rollouts, plans: &Plans, of: impl Fn(f32) -> f32) -> Vec<f32> {
    let width = plans.block_width().max(1);
    let mean = |block: &[f32]| block.iter().map(|&action| of(action)).sum::<f32>() / width as f32;
    let blocks: Vec<f32> = plans.values().chunks_exact(width).map(mean).collect();
    blocks.chunks(plans.horizon().max(1)).flat_map(|plan| plan.repeat(rollouts.futures())).collect()
}

/// Adds the slopes of [`per_block`], where `slope` is that of its function.
pub(super) fn add_per_block(
    rollouts: &Rollouts,
    plans: &Plans,
    pull: &[f32],
    slopes: &mut Slopes,
    slope: impl Fn(f32) -> f32,
) {
    let (width, horizon) = (plans.block_width().max(1), plans.horizon().max(1));
    let blocks = plans.values().chunks_exact(width).zip(slopes.plans.chunks_exact_mut(width)).enumerate();
    for (index, (block, slopes)) in blocks {
        let (plan, at) = (index / horizon, index % horizon);
        let of_future = |future: usize| pull[(plan * rollouts.futures() + future) * horizon + at];
        let pull: f32 = (0..rollouts.futures()).map(of_future).sum();
        let pull = pull / width as f32;
        slopes.iter_mut().zip(block).for_each(|(sum, &action)| *sum += pull * slope(action));
    }
}
