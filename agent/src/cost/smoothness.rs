//! Acting without jerks.

use super::{Fingerprint, IntrinsicTerm, Slopes};
use crate::Result;
use crate::configurator::Directive;
use crate::latent::{Plans, Rollouts};

/// Mean squared change from one control step's action to the next, block by block; a plan's first action changes nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Smoothness;

impl IntrinsicTerm for Smoothness {
    fn name(&self) -> &'static str {
        "smoothness"
    }

    fn energy(&self, rollouts: &Rollouts, plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        let (length, width) = (plans.horizon() * plans.block_width(), plans.block_width());
        let mut energies = Vec::with_capacity(rollouts.states());
        for plan in plans.values().chunks_exact(length.max(1)) {
            let squares = changes(plan, directive.action_width).map(|change| change * change);
            let squares: Vec<f32> = squares.collect();
            let blocks: Vec<f32> =
                squares.chunks_exact(width.max(1)).map(|block| block.iter().sum::<f32>() / width as f32).collect();
            energies.extend(blocks.repeat(rollouts.futures()));
        }
        Ok(energies)
    }

    fn add_slopes(
        &self,
        rollouts: &Rollouts,
        plans: &Plans,
        directive: &Directive,
        pull: &[f32],
        slopes: &mut Slopes,
    ) -> Result<()> {
        let (horizon, width, action) = (plans.horizon(), plans.block_width(), directive.action_width);
        let length = (horizon * width).max(1);
        let rows = plans.values().chunks_exact(length).zip(slopes.plans.chunks_exact_mut(length)).enumerate();
        for (index, (plan, slopes)) in rows {
            let of_block = |block: usize| -> f32 {
                (0..rollouts.futures())
                    .map(|future| pull[(index * rollouts.futures() + future) * horizon + block])
                    .sum()
            };
            let changes: Vec<f32> = changes(plan, action).collect();
            for (at, change) in changes.iter().enumerate().skip(action) {
                let slope = 2.0 * of_block(at / width) * change / width as f32;
                slopes[at] += slope;
                slopes[at - action] -= slope;
            }
        }
        Ok(())
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        fingerprint.name(self.name());
    }
}

/// From the value of the action before to each value of `plan`, whose actions have `width` numbers; 0 for the first action.
fn changes(plan: &[f32], width: usize) -> impl Iterator<Item = f32> + '_ {
    let before = plan[..width.min(plan.len())].iter().chain(plan);
    plan.iter().zip(before).map(|(now, before)| now - before)
}
