//! Acting no more than necessary.

use super::{Fingerprint, Gradients, IntrinsicTerm};
use crate::Result;
use crate::directive::{Directive, terms};
use crate::latent::{Plans, Rollouts};

/// Mean squared distance of a chunk's normalised actions from the one that holds still.
#[derive(Debug, Clone, Copy, Default)]
pub struct Effort;

impl IntrinsicTerm for Effort {
    fn name(&self) -> &'static str {
        terms::EFFORT
    }

    fn energy(&self, rollouts: &Rollouts, plans: &Plans, directive: &Directive) -> Result<Vec<f32>> {
        Ok(mean_over_chunks(rollouts, plans, directive, |action, neutral| (action - neutral) * (action - neutral)))
    }

    fn add_gradients(
        &self,
        rollouts: &Rollouts,
        plans: &Plans,
        directive: &Directive,
        upstream: &[f32],
        gradients: &mut Gradients,
    ) -> Result<()> {
        let gradient = |action, neutral| 2.0 * (action - neutral);
        add_chunk_gradients((rollouts, plans), directive, upstream, gradients, gradient);
        Ok(())
    }

    fn describe(&self, fingerprint: &mut Fingerprint) {
        fingerprint.name(self.name());
    }
}

/// The mean over the actions of each chunk of `of`, a function of the action and the one that holds still, repeated for
/// every sample: `[N, S, H]`.
pub(super) fn mean_over_chunks(
    rollouts: &Rollouts,
    plans: &Plans,
    directive: &Directive,
    of: impl Fn(f32, f32) -> f32,
) -> Vec<f32> {
    let (width, neutral) = (plans.chunk_width().max(1), neutral_of(directive));
    let value = |(index, &action): (usize, &f32)| of(action, neutral[index % neutral.len()]);
    let mean = |chunk: &[f32]| chunk.iter().enumerate().map(value).sum::<f32>() / width as f32;
    let chunks: Vec<f32> = plans.values().chunks_exact(width).map(mean).collect();
    chunks.chunks(plans.horizon().max(1)).flat_map(|plan| plan.repeat(rollouts.samples())).collect()
}

/// Adds the gradients of [`mean_over_chunks`], where `gradient` is that of its function.
pub(super) fn add_chunk_gradients(
    (rollouts, plans): (&Rollouts, &Plans),
    directive: &Directive,
    upstream: &[f32],
    gradients: &mut Gradients,
    gradient: impl Fn(f32, f32) -> f32,
) {
    let (width, horizon, neutral) = (plans.chunk_width().max(1), plans.horizon().max(1), neutral_of(directive));
    let chunks = plans.values().chunks_exact(width).zip(gradients.plans.chunks_exact_mut(width)).enumerate();
    for (index, (chunk, gradients)) in chunks {
        let (plan, at) = (index / horizon, index % horizon);
        let of_sample = |sample: usize| upstream[(plan * rollouts.samples() + sample) * horizon + at];
        let upstream: f32 = (0..rollouts.samples()).map(of_sample).sum();
        let upstream = upstream / width as f32;
        for (index, (sum, &action)) in gradients.iter_mut().zip(chunk).enumerate() {
            *sum += upstream * gradient(action, neutral[index % neutral.len()]);
        }
    }
}

/// The action that holds still; zero where none is known (such a tick does not act).
fn neutral_of(directive: &Directive) -> &[f32] {
    if directive.neutral.is_empty() { &[0.0] } else { &directive.neutral }
}
