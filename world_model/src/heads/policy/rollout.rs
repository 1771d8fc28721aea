//! States that a policy leads to.

use mindseye_interface::Rng;
use rand::Rng as _;

use super::{Policy, StateGoalPairs};
use crate::Result;
use crate::families::jepa::RolloutEngine;

/// A rollout of the policy that replaces the state of a pair.
pub struct PolicyRollout {
    /// Index of the pair.
    pub index: usize,
    /// Length, action chunks.
    pub chunks: usize,
    /// Actions differ from those of the policy by at most this.
    pub noise: f32,
    /// Draws the noise.
    pub rng: Rng,
}

/// Replaces states of `pairs` by those that `policy` leads to from there in the model of `engine`.
///
/// # Errors
/// When sizes do not fit.
pub fn roll_out_policy(
    pairs: &mut StateGoalPairs,
    mut rollouts: Vec<PolicyRollout>,
    policy: &Policy,
    engine: &RolloutEngine,
    threads: usize,
) -> Result<()> {
    let (width, chunk_width) = (engine.latent_width(), engine.chunk_width());
    for chunk in 0.. {
        rollouts.retain(|rollout| rollout.chunks > chunk);
        if rollouts.is_empty() {
            break;
        }
        let rows = |values: &[f32]| -> Vec<f32> {
            let row = |rollout: &PolicyRollout| &values[rollout.index * width..(rollout.index + 1) * width];
            rollouts.iter().flat_map(row).copied().collect()
        };
        let states = rows(&pairs.states);
        let proposals = policy.proposals(&states, &rows(&pairs.goals))?;
        let mut chunks: Vec<f32> = proposals.iter().flat_map(|plans| &plans[0][..chunk_width]).copied().collect();
        for (rollout, actions) in rollouts.iter_mut().zip(chunks.chunks_exact_mut(chunk_width)) {
            if rollout.noise > 0.0 {
                for action in actions {
                    *action = (*action + rollout.noise * rollout.rng.random_range(-1.0..1.0)).clamp(-1.0, 1.0);
                }
            }
        }
        let next = engine.rollout(&states, &chunks, 1, threads)?;
        for (rollout, next) in rollouts.iter().zip(next.chunks_exact(width)) {
            pairs.states[rollout.index * width..(rollout.index + 1) * width].copy_from_slice(next);
        }
    }
    Ok(())
}
