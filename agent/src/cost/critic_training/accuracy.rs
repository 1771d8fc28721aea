//! How well a critic predicts: on recorded episodes, and on rollouts of the policy, both held out.

use mindseye_interface::Seed;
use mindseye_world_model::heads::critic::CriticTargets;
use mindseye_world_model::{CriticNetwork, Head};
use rand::Rng as _;
use rayon::prelude::*;

use super::rollouts::{CriticRollouts, nth};
use crate::Result;

impl CriticRollouts<'_> {
    /// R2 of the critic, and of the prediction that the present energy persists, for the recorded energies until the
    /// goal.
    pub fn recorded_accuracy(&self, critic: &CriticNetwork, count: usize, seed: Seed) -> Result<(f64, f64)> {
        let (engine, discount) = (critic.engine()?, self.discount());
        let weights = self.weights();
        let one = |index: usize| -> Result<[f64; 3]> {
            let mut rng = seed.index(index as u64).rng();
            let episode = self.held_out[rng.random_range(0..self.held_out.len())];
            let frames = self.dataset().episodes()[episode].clone();
            let start = rng.random_range(frames.start..frames.end - 1);
            let goal = rng.random_range(start + 1..frames.end);
            let directive = self.directive_to(self.dataset().latent(goal));
            let mut recorded = 0.0;
            for frame in (start..goal).rev() {
                let energy = self.weighted(&self.recorded_energies(frame, &directive)?);
                recorded = (1.0 - discount) * energy + discount * recorded;
            }
            let state = self.dataset().latent(start);
            let predicted = engine.energies(state, directive.goal.values(), &weights)?[0];
            let present = self.present_energy(state, &directive)?;
            Ok([recorded, predicted, present].map(f64::from))
        };
        let all: Vec<[f64; 3]> = (0..count).into_par_iter().map(one).collect::<Result<_>>()?;
        Ok((r2(all.iter().map(|row| (row[0], row[1]))), r2(all.iter().map(|row| (row[0], row[2])))))
    }

    /// R2 and root mean square error of the critic for `targets`.
    pub fn rollout_accuracy(&self, critic: &CriticNetwork, targets: &CriticTargets) -> Result<(f64, f64)> {
        let (engine, weights, terms) = (critic.engine()?, self.weights(), critic.config().terms.len());
        let width = self.dataset().latent_width();
        let pair = |index: usize| -> Result<(f64, f64)> {
            let (state, goal) = (nth(&targets.states, index, width), nth(&targets.goals, index, width));
            let energy = self.weighted(nth(&targets.energies, index, terms));
            Ok((f64::from(energy), f64::from(engine.energies(state, goal, &weights)?[0])))
        };
        let pairs: Vec<(f64, f64)> =
            (0..targets.states.len() / width).into_par_iter().map(pair).collect::<Result<_>>()?;
        let squares = pairs.iter().map(|(energy, predicted)| (energy - predicted).powi(2)).sum::<f64>();
        Ok((r2(pairs.iter().copied()), (squares / pairs.len().max(1) as f64).sqrt()))
    }
}

/// Coefficient of determination of predictions, given pairs of truth and prediction.
fn r2(pairs: impl Iterator<Item = (f64, f64)> + Clone) -> f64 {
    let count = pairs.clone().count().max(1) as f64;
    let mean = pairs.clone().map(|(truth, _)| truth).sum::<f64>() / count;
    let residuals = pairs.clone().map(|(truth, predicted)| (truth - predicted).powi(2)).sum::<f64>();
    let spread = pairs.map(|(truth, _)| (truth - mean).powi(2)).sum::<f64>();
    1.0 - residuals / spread.max(f64::MIN_POSITIVE)
}
