//! Training of the critic: regression on the energies of policy rollouts.
//!
//! A target is the discounted energy of the best of the policy's plans from a state, after which the state is assumed
//! to persist (hold last). Half of the states are recorded, half are those that the policy, with noise, leads to. All
//! targets are computed once, before the training; a resumed run computes the same again.

mod accuracy;
mod rollouts;

use std::fmt;
use std::ops::Range;

use mindseye_interface::Seed;
use mindseye_world_model::OptimiserConfig;
use mindseye_world_model::encoded_dataset::checksum;
use mindseye_world_model::heads::critic::{CriticConfig, CriticTargets, CriticTrainingConfig};
use mindseye_world_model::training::{
    Collective, Objective, PartialGradients, Run, RunOptions, each_part, fit, range_of_part,
};
use mindseye_world_model::{CriticNetwork, EncodedDataset, Head};
use mindseye_world_model::{WeightSource, Weights};
use rand::Rng as _;
use serde::Serialize;
use serde_json::json;

pub(crate) use rollouts::CostsOfPolicy;

use crate::Result;
use rollouts::CriticRollouts;

/// What a critic is trained with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CriticRegressionConfig {
    /// Steps, batch, micro batches.
    pub training: CriticTrainingConfig,
    /// Members: networks trained on the same targets; the largest prediction counts.
    pub ensemble_size: usize,
    /// Discount of energies per action chunk.
    pub discount: f32,
    /// Length of the policy rollouts, action chunks.
    pub horizon: usize,
    /// Number of targets.
    pub targets: usize,
}

impl Default for CriticRegressionConfig {
    fn default() -> Self {
        let training = CriticTrainingConfig::default();
        Self { training, ensemble_size: 2, discount: 0.9, horizon: 2, targets: 50_000 }
    }
}

/// How well a critic predicts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CriticRegressionReport {
    /// Mean loss over the last tenth of the steps.
    pub loss: f64,
    /// Episodes that were held out, and pairs of state and goal out of them on which the rest was measured.
    pub held_out_episodes: usize,
    /// See [`CriticRegressionReport::held_out_episodes`].
    pub state_goal_pairs: usize,
    /// R2 of the predicted against the recorded discounted energies until the goal was reached. The mean has 0.
    pub r2: f64,
    /// R2 of the prediction that the present energy persists.
    pub r2_persistence: f64,
    /// R2 of the predicted energies of policy rollouts.
    pub r2_of_rollouts: f64,
    /// Root mean square error of the predicted energies of policy rollouts.
    pub error_of_rollouts: f64,
}

impl fmt::Display for CriticRegressionReport {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { held_out_episodes, r2, r2_persistence, r2_of_rollouts, error_of_rollouts, .. } = self;
        write!(
            text,
            "a critic; on {held_out_episodes} held-out episodes R2 {r2:.3} (persistence {r2_persistence:.3}); "
        )?;
        write!(text, "on unseen rollouts of the policy R2 {r2_of_rollouts:.3}, error {error_of_rollouts:.4}")
    }
}

/// Pairs that are measured.
const MEASURED_PAIRS: usize = 2000;
/// Shape of the networks.
const HIDDEN: usize = 256;
const LAYERS: usize = 3;

/// Trains a critic of `costs` on `dataset`; `None` when it was stopped. Targets and measurements are computed on the
/// current rayon pool.
///
/// # Errors
/// An interface error when a number is out of range; the model's and the cost's errors; those of [`fit`].
pub(crate) fn train(
    costs: &CostsOfPolicy<'_>,
    dataset: &EncodedDataset,
    config: &CriticRegressionConfig,
    options: &RunOptions<'_>,
) -> Result<Option<(CriticNetwork, CriticRegressionReport)>> {
    let seed = options.seed;
    let rollouts = CriticRollouts::new(costs, dataset, config)?;
    let critic_config = CriticConfig {
        latent_width: dataset.latent_width(),
        hidden: HIDDEN,
        layers: LAYERS,
        members: config.ensemble_size,
        discount: config.discount,
        scales: rollouts.scales(seed.child("scales"))?,
        terms: rollouts.terms(),
        metric: costs.metric,
        goal_saturation: costs.goal_saturation,
    };
    let of_targets = seed.child("thought out");
    let targets = rollouts.targets(&rollouts.training, config.targets, of_targets.child("learnt"), options.progress)?;
    let count = MEASURED_PAIRS.min(config.targets);
    let held_out = rollouts.targets(&rollouts.held_out, count, of_targets.child("kept back"), options.progress)?;
    let data = checksum(&[&targets.states, &targets.goals, &targets.energies]);
    let identity = json!({ "config": critic_config, "training": config, "data": data });
    let critic = CriticNetwork::build(critic_config, WeightSource::fresh(seed.child("critic")))?;
    let mut objective = CriticObjective { critic, rollouts: &rollouts, targets, training: &config.training, seed };
    let run = Run::new("critic", config.training.steps, identity);
    let Some(loss) = fit(&mut objective, run, OptimiserConfig::default(), options)? else {
        return Ok(None);
    };
    let critic = objective.critic;
    let (r2, r2_persistence) = rollouts.recorded_accuracy(&critic, MEASURED_PAIRS, seed.child("examine"))?;
    let (r2_of_rollouts, error_of_rollouts) = rollouts.rollout_accuracy(&critic, &held_out)?;
    let report = CriticRegressionReport {
        loss,
        held_out_episodes: rollouts.held_out.len(),
        state_goal_pairs: MEASURED_PAIRS,
        r2,
        r2_persistence,
        r2_of_rollouts,
        error_of_rollouts,
    };
    Ok(Some((critic, report)))
}

/// The squared error of the critic on precomputed targets.
struct CriticObjective<'a> {
    critic: CriticNetwork,
    rollouts: &'a CriticRollouts<'a>,
    targets: CriticTargets,
    training: &'a CriticTrainingConfig,
    seed: Seed,
}

impl Objective for CriticObjective<'_> {
    type Batch = CriticTargets;
    type Error = mindseye_world_model::Error;

    fn weights(&self) -> Weights {
        self.critic.weights().clone()
    }

    fn batch(&mut self, step: usize) -> mindseye_world_model::Result<CriticTargets> {
        let (seed, count) = (self.seed.child("lessons").index(step as u64), self.targets.energies.len());
        let count = count / self.critic.config().terms.len();
        let draw = |index: usize| {
            let mut rng = seed.index(index as u64).rng();
            // The index is the second draw of its stream: critics were trained with this order.
            self.rollouts.draw_pair(&self.rollouts.training, &mut rng);
            rng.random_range(0..count)
        };
        let chosen: Vec<usize> = (0..self.training.batch).map(draw).collect();
        Ok(self.targets.gather(&chosen, count))
    }

    fn micro_batches(&self, _batch: &CriticTargets) -> usize {
        self.critic.config().members * self.training.micro_batches
    }

    fn partial_gradients(
        &self,
        batch: &CriticTargets,
        parts: Range<usize>,
        _collective: &dyn Collective,
    ) -> mindseye_world_model::Result<Vec<PartialGradients>> {
        let CriticTrainingConfig { batch: count, micro_batches, .. } = *self.training;
        each_part(parts, |part| {
            let rows = range_of_part(count, micro_batches, part % micro_batches);
            self.critic.regression(part / micro_batches, batch, rows)
        })
    }
}
