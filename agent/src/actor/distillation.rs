//! Training of the reactive policy: distillation of planning into a network (LeCun 2022, section 3.1.3).
//!
//! The policy proposes plans from recorded and from its own states; the plans are rolled out, and the gradients of
//! their energy train the policy. The states that the policy itself leads to are in the data, so that its errors do not
//! accumulate.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use mindseye_interface::{Seed, SystemClock};
use mindseye_world_model::OptimiserConfig;
use mindseye_world_model::encoded_dataset::checksum;
use mindseye_world_model::heads::policy::{
    PolicyConfig, PolicyRollout, PolicyTrainingConfig, StateGoalPairs, roll_out_policy,
};
use mindseye_world_model::training::{
    Collective, Objective, PartialGradients, Run, RunOptions, each_part, fit, range_of_part,
};
use mindseye_world_model::{EncodedDataset, Head, Jepa, PlanGradient, Policy, RolloutEngine};
use mindseye_world_model::{WeightSource, Weights, values_of};
use rand::Rng as _;
use rayon::prelude::*;
use serde::Serialize;
use serde_json::json;

use super::{Actor, Deadline, Imagination};
use crate::cost::{CostModule, Gradients};
use crate::directive::Directive;
use crate::latent::{Latent, Plans, Rollouts};
use crate::world_model::Dynamics;
use crate::{Error, Result};

/// What a policy is trained with.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DistillationConfig {
    /// Steps, batch, micro batches.
    pub training: PolicyTrainingConfig,
    /// Plans that the policy proposes per pair of state and goal.
    pub proposals: usize,
    /// Goals are recorded at most so many action chunks after the state.
    pub max_goal_distance: usize,
}

impl Default for DistillationConfig {
    fn default() -> Self {
        Self { training: PolicyTrainingConfig::default(), proposals: 4, max_goal_distance: 10 }
    }
}

/// Mean energies on the same recorded pairs of state and goal.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct DistillationReport {
    /// Of the policy's best proposals, over the last tenth of the training.
    pub energy: f64,
    /// Of the proposals with the best score.
    pub energy_of_policy: f64,
    /// Of the best proposals.
    pub energy_of_best_proposal: f64,
    /// Of the plans that the task's planner finds.
    pub energy_of_planner: f64,
    /// Of doing nothing.
    pub energy_of_no_op: f64,
}

impl fmt::Display for DistillationReport {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { energy_of_policy, energy_of_best_proposal, energy_of_planner, energy_of_no_op, .. } = self;
        write!(text, "a policy; mean energies: its plans {energy_of_policy:.3}, ")?;
        write!(text, "its best proposals {energy_of_best_proposal:.3}, ")?;
        write!(text, "plans of the planner {energy_of_planner:.3}, no-op {energy_of_no_op:.3}")
    }
}

/// Longest rollout of the policy that leads to a state of the batch, action chunks.
const MAX_ROLLOUT_CHUNKS: usize = 10;
/// The floor of logarithmic energies, as a fraction of the mean energy of doing nothing.
const FLOOR: f32 = 0.05;
/// Pairs on which policy and planner are compared.
const COMPARED: usize = 200;

/// What a policy is distilled from.
pub(crate) struct Planning<'a> {
    /// The model.
    pub model: &'a Jepa,
    /// The model for the planner.
    pub world: &'a dyn Dynamics,
    /// The costs.
    pub cost: &'a CostModule,
    /// The directive of the task, with any goal.
    pub directive: &'a Directive,
    /// Makes the task's planner.
    pub planner: &'a (dyn Fn() -> Box<dyn Actor> + Sync),
}

/// Trains a policy on `dataset`; `None` when it was stopped. Rollouts before and after the training run on the current
/// rayon pool. `identity` distinguishes the task of the run from others.
///
/// # Errors
/// The model's and the cost's errors; those of [`fit`].
pub(crate) fn distil(
    planning: &Planning<'_>,
    dataset: &EncodedDataset,
    config: &DistillationConfig,
    identity: &serde_json::Value,
    options: &RunOptions<'_>,
) -> Result<Option<(Policy, DistillationReport)>> {
    let seed = options.seed;
    let policy_config = PolicyConfig {
        proposals: config.proposals,
        ..PolicyConfig::for_model(planning.model.config(), planning.directive.horizon_chunks)
    };
    let model = checksum(&[&values_of(planning.model.weights())?]);
    let data = dataset.checksum();
    let identity =
        json!({ "config": policy_config, "training": config, "task": identity, "data": data, "model": model });
    let policy = Policy::build(policy_config, WeightSource::fresh(seed.child("policy")))?;
    let mut objective = Distillation {
        planning,
        dataset,
        config,
        policy,
        engine: RolloutEngine::new(planning.model)?,
        gradients: PlanGradient::new(planning.model)?,
        threads: options.threads,
        floor: 0.0,
        seed,
    };
    objective.floor = FLOOR * objective.energy_of_no_op(seed.child("nothing"))?;
    let run = Run::new("policy", config.training.steps, identity);
    let Some(energy) = fit(&mut objective, run, OptimiserConfig::default(), options)? else {
        return Ok(None);
    };
    let report = objective.compare(energy, seed.child("compare"))?;
    Ok(Some((objective.policy, report)))
}

/// The energy of the policy's plans.
struct Distillation<'a> {
    planning: &'a Planning<'a>,
    dataset: &'a EncodedDataset,
    config: &'a DistillationConfig,
    policy: Policy,
    engine: RolloutEngine,
    gradients: PlanGradient,
    threads: usize,
    /// See [`mindseye_world_model::heads::policy::RecordedProposals::distil`].
    floor: f32,
    seed: Seed,
}

impl Objective for Distillation<'_> {
    type Batch = StateGoalPairs;
    type Error = Error;

    fn weights(&self) -> Weights {
        self.policy.weights().clone()
    }

    fn batch(&mut self, step: usize) -> Result<StateGoalPairs> {
        self.draw(true, self.config.training.batch, self.seed.child("situations").index(step as u64))
    }

    fn micro_batches(&self, _batch: &StateGoalPairs) -> usize {
        self.config.training.micro_batches
    }

    fn partial_gradients(
        &self,
        batch: &StateGoalPairs,
        parts: Range<usize>,
        _collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>> {
        let (width, proposals) = (self.dataset.latent_width(), self.policy.config().proposals);
        let PolicyTrainingConfig { batch: count, micro_batches, .. } = self.config.training;
        each_part(parts, |part| {
            let rows = range_of_part(count, micro_batches, part);
            let values = rows.start * width..rows.end * width;
            let pairs =
                StateGoalPairs { states: batch.states[values.clone()].to_vec(), goals: batch.goals[values].to_vec() };
            let recorded = self.policy.propose(&pairs)?;
            let repeated = |values: &[f32]| values.chunks_exact(width).flat_map(|row| row.repeat(proposals)).collect();
            let pairs = StateGoalPairs { states: repeated(&pairs.states), goals: repeated(&pairs.goals) };
            let (energies, gradients) = self.energies_and_gradients(&pairs, &recorded.plans()?)?;
            Ok(recorded.distil(&energies, gradients, self.floor, count)?)
        })
    }
}

impl Distillation<'_> {
    fn directive(&self, goal: &[f32]) -> Directive {
        Directive { goal: Arc::new(Latent::global(goal.to_vec())), ..self.planning.directive.clone() }
    }

    /// `count` recorded pairs; with `own_states`, the states of half of them are replaced by those that the policy
    /// leads to.
    fn draw(&self, own_states: bool, count: usize, seed: Seed) -> Result<StateGoalPairs> {
        let mut pairs = StateGoalPairs::default();
        let mut rollouts = Vec::new();
        for index in 0..count {
            let mut rng = seed.index(index as u64).rng();
            let episodes = self.dataset.episodes();
            let episode = &episodes[rng.random_range(0..episodes.len())];
            let start = rng.random_range(episode.start..episode.end - 1);
            let ahead = rng.random_range(1..=self.config.max_goal_distance.min(episode.end - 1 - start));
            pairs.states.extend_from_slice(self.dataset.latent(start));
            pairs.goals.extend_from_slice(self.dataset.latent(start + ahead));
            if index % 2 == 1 {
                let chunks = rng.random_range(1..=MAX_ROLLOUT_CHUNKS);
                rollouts.push(PolicyRollout { index, chunks, noise: 0.0, rng });
            }
        }
        if own_states {
            roll_out_policy(&mut pairs, rollouts, &self.policy, &self.engine, self.threads)?;
        }
        Ok(pairs)
    }

    /// The energies `[N]` of one plan per pair, `plans [N, H, A]`, and their gradients.
    fn energies_and_gradients(&self, pairs: &StateGoalPairs, plans: &[f32]) -> Result<(Vec<f32>, Vec<f32>)> {
        let width = self.dataset.latent_width();
        let (horizon, chunk_width) = (self.planning.directive.horizon_chunks, self.dataset.chunk_width());
        let mut plans = plans.to_vec();
        self.planning.directive.freeze(&mut plans);
        let plans = &plans[..];
        let plan = |index: usize| {
            let values = &plans[index * horizon * chunk_width..][..horizon * chunk_width];
            Plans::new(1, horizon, chunk_width, values.to_vec())
        };
        let (mut energies, mut on_plans) = (Vec::new(), Vec::new());
        let on_states = |latents: Vec<f32>| -> Result<Vec<f32>> {
            let one = |(index, latents): (usize, &[f32])| {
                let directive = self.directive(&pairs.goals[index * width..(index + 1) * width]);
                let rollout = Rollouts::new([1, 1, horizon, 1, width], latents.to_vec())?;
                self.planning.cost.energies_and_gradients(&rollout, &plan(index)?, &directive)
            };
            let all: Vec<(Vec<f32>, Gradients)> =
                latents.par_chunks(horizon * width).enumerate().map(one).collect::<Result<_>>()?;
            energies = all.iter().map(|(energies, _)| energies[0]).collect();
            on_plans = all.iter().flat_map(|(_, gradients)| &gradients.plans).copied().collect();
            Ok(all.into_iter().flat_map(|(_, gradients)| gradients.states).collect())
        };
        let through_states = self.gradients.of(&pairs.states, plans, horizon, self.threads, on_states)?;
        on_plans.iter_mut().zip(through_states).for_each(|(gradient, through)| *gradient += through);
        self.planning.directive.freeze(&mut on_plans);
        Ok((energies, on_plans))
    }

    /// Mean energy of doing nothing.
    fn energy_of_no_op(&self, seed: Seed) -> Result<f32> {
        let pairs = self.draw(false, COMPARED, seed)?;
        let plans = vec![0.0; COMPARED * self.planning.directive.horizon_chunks * self.dataset.chunk_width()];
        let (energies, _) = self.energies_and_gradients(&pairs, &plans)?;
        Ok(energies.iter().sum::<f32>() / COMPARED as f32)
    }

    /// Policy, planner and no-op on the same recorded pairs.
    fn compare(&self, energy: f64, seed: Seed) -> Result<DistillationReport> {
        let StateGoalPairs { states, goals } = self.draw(false, COMPARED, seed)?;
        let width = self.dataset.latent_width();
        let one = |index: usize| -> Result<[f64; 4]> {
            let row = |values: &[f32]| values[index * width..(index + 1) * width].to_vec();
            let (state, goal) = (row(&states), row(&goals));
            let (directive, start) = (self.directive(&goal), Latent::global(state.clone()));
            let imagination = Imagination::new(self.planning.world, self.planning.cost, &start, &directive);
            let clock = SystemClock::start();
            let deadline = Deadline { clock: &clock, at_secs: f64::INFINITY };
            let mut rng = seed.child("planner").index(index as u64).rng();
            let found = (self.planning.planner)().act(&imagination, &mut rng, &deadline)?.plan.values().to_vec();
            let mut plans = vec![directive.hold_plan().values().to_vec(), found];
            let proposals = self.policy.proposals(&state, &goal)?.into_iter().flatten();
            plans.extend(proposals.map(|plan| directive.bounded(&plan)));
            let plans = Plans::new(plans.len(), directive.horizon_chunks, directive.chunk_width(), plans.concat())?;
            let energies = imagination.energies(&plans)?;
            let best = energies[2..].iter().copied().fold(f32::INFINITY, f32::min);
            Ok([energies[2], best, energies[1], energies[0]].map(f64::from))
        };
        let all: Vec<[f64; 4]> = (0..COMPARED).into_par_iter().map(one).collect::<Result<_>>()?;
        let mean = |column: usize| all.iter().map(|energies| energies[column]).sum::<f64>() / COMPARED as f64;
        Ok(DistillationReport {
            energy,
            energy_of_policy: mean(0),
            energy_of_best_proposal: mean(1),
            energy_of_planner: mean(2),
            energy_of_no_op: mean(3),
        })
    }
}
