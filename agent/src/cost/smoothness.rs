//! Acting without jerks.

use super::{Fingerprint, Gradients, IntrinsicTerm};
use crate::Result;
use crate::directive::{Directive, terms};
use crate::latent::{Plans, Rollouts};

/// Mean squared change from one control step's action to the next, chunk by chunk; a plan's first action changes
/// nothing. The change of an absolutely commanded joint counts in its largest steps ([`Directive::max_step`]): in
/// shares of its range, the usual measure, those of a control step are too small to count beside a goal.
#[derive(Debug, Clone, Copy, Default)]
pub struct Smoothness;

impl IntrinsicTerm for Smoothness {
    fn name(&self) -> &'static str {
        terms::SMOOTHNESS
    }

    fn energy(&self, rollouts: &Rollouts, plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        let (length, width) = (plans.horizon() * plans.chunk_width(), plans.chunk_width());
        let mut energies = Vec::with_capacity(rollouts.states());
        for plan in plans.values().chunks_exact(length.max(1)) {
            let squares = changes(plan, directive).map(|(change, unit)| (change / unit) * (change / unit));
            let squares: Vec<f32> = squares.collect();
            let chunks: Vec<f32> =
                squares.chunks_exact(width.max(1)).map(|chunk| chunk.iter().sum::<f32>() / width as f32).collect();
            energies.extend(chunks.repeat(rollouts.samples()));
        }
        Ok(energies)
    }

    fn add_gradients(
        &self,
        rollouts: &Rollouts,
        plans: &Plans,
        directive: &Directive,
        upstream: &[f32],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let (horizon, width, action) = (plans.horizon(), plans.chunk_width(), directive.action_width);
        let length = (horizon * width).max(1);
        let all = plans.values().chunks_exact(length).zip(gradients.plans.chunks_exact_mut(length)).enumerate();
        for (index, (plan, gradients)) in all {
            let of_chunk = |chunk: usize| -> f32 {
                (0..rollouts.samples())
                    .map(|sample| upstream[(index * rollouts.samples() + sample) * horizon + chunk])
                    .sum()
            };
            for (at, (change, unit)) in changes(plan, directive).enumerate().skip(action) {
                let gradient = 2.0 * of_chunk(at / width) * change / (unit * unit * width as f32);
                gradients[at] += gradient;
                gradients[at - action] -= gradient;
            }
        }
        Ok(())
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        fingerprint.name(self.name());
    }
}

/// From the value of the action before to each value of `plan`, 0 for the first action, and the unit it counts in.
fn changes<'a>(plan: &'a [f32], directive: &'a Directive) -> impl Iterator<Item = (f32, f32)> + 'a {
    let width = directive.action_width;
    let before = plan[..width.min(plan.len())].iter().chain(plan);
    let unit = move |at: usize| {
        let most = directive.max_step.get(at % width.max(1)).copied();
        most.filter(|most| most.is_finite() && *most > 0.0).unwrap_or(1.0)
    };
    plan.iter().zip(before).enumerate().map(move |(at, (now, before))| (now - before, unit(at)))
}
