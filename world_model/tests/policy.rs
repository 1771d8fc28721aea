//! A policy learns to propose what a search would find.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::ops::Range;

use crate::support::resumes_to_the_same_weights;
use mindseye_interface::Seed;
use mindseye_world_model::OptimiserConfig;
use mindseye_world_model::heads::policy::{PolicyConfig, StateGoalPairs};
use mindseye_world_model::training::{
    Collective, Objective, PartialGradients, Run, RunOptions, each_part, fit, range_of_part,
};
use mindseye_world_model::{Error, Head, Policy, Result};
use mindseye_world_model::{WeightSource, Weights, values_of};
use rand::Rng;

const CONFIG: PolicyConfig =
    PolicyConfig { latent_width: 3, horizon_chunks: 2, chunk_width: 4, hidden: 32, layers: 1, proposals: 1 };
const FLOOR: f32 = 0.05;

const BATCH: usize = 64;
const PARTS: usize = 2;

/// The energies `[N]` of plans, and their gradients `[N, H * A]`.
type Energies = (Vec<f32>, Vec<f32>);

/// Distils the energy `energies` of plans.
struct Distillation {
    policy: Policy,
    energies: fn(&StateGoalPairs, &[f32]) -> Energies,
    seed: Seed,
}

impl Objective for Distillation {
    type Batch = StateGoalPairs;
    type Error = Error;

    fn weights(&self) -> Weights {
        self.policy.weights().clone()
    }

    fn batch(&mut self, step: usize) -> Result<StateGoalPairs> {
        Ok(draw(BATCH, self.seed.index(step as u64)))
    }

    fn micro_batches(&self, _batch: &StateGoalPairs) -> usize {
        PARTS
    }

    fn partial_gradients(
        &self,
        batch: &StateGoalPairs,
        parts: Range<usize>,
        _collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>> {
        let proposals = self.policy.config().proposals;
        each_part(parts, |part| {
            let rows = range_of_part(BATCH, PARTS, part);
            let of = |values: &[f32]| values[3 * rows.start..3 * rows.end].to_vec();
            let recorded =
                self.policy.propose(&StateGoalPairs { states: of(&batch.states), goals: of(&batch.goals) })?;
            let repeated = |values: &[f32]| of(values).chunks_exact(3).flat_map(|row| row.repeat(proposals)).collect();
            let pairs = StateGoalPairs { states: repeated(&batch.states), goals: repeated(&batch.goals) };
            let (energies, gradients) = (self.energies)(&pairs, &recorded.plans()?);
            recorded.distil(&energies, gradients, FLOOR, BATCH)
        })
    }
}

/// A policy trained for `steps` steps, and its mean energy at the end.
fn distil(
    energies: fn(&StateGoalPairs, &[f32]) -> Energies,
    proposals: usize,
    steps: usize,
    options: &RunOptions<'_>,
) -> Result<Option<(Policy, f64)>> {
    let config = PolicyConfig { proposals, ..CONFIG };
    let policy = Policy::build(config, WeightSource::fresh(options.seed.child("policy")))?;
    let mut objective = Distillation { policy, energies, seed: options.seed.child("situations") };
    let run = Run::new("policy", steps, serde_json::json!({}));
    let energy = fit(&mut objective, run, OptimiserConfig::default(), options)?;
    Ok(energy.map(|energy| (objective.policy, energy)))
}

/// States and goals within a square; the third number has no meaning.
fn draw(count: usize, seed: Seed) -> StateGoalPairs {
    let mut rng = seed.rng();
    let mut values = || (0..3 * count).map(|_| rng.random_range(-1.0..1.0)).collect();
    StateGoalPairs { states: values(), goals: values() }
}

/// The difference from the goal after four control steps of two actions, 0.5 each.
fn off(state: &[f32], goal: &[f32], plan: &[f32]) -> [f32; 2] {
    std::array::from_fn(|axis| state[axis] - goal[axis] + 0.5 * plan.iter().skip(axis).step_by(2).sum::<f32>())
}

/// Every pair with its plan.
fn with_plans<'a>(
    state_goal_pairs: &'a StateGoalPairs,
    plans: &'a [f32],
) -> impl Iterator<Item = (&'a [f32], &'a [f32], &'a [f32])> {
    let states = state_goal_pairs.states.chunks_exact(3).zip(state_goal_pairs.goals.chunks_exact(3));
    states.zip(plans.chunks_exact(8)).map(|((state, goal), plan)| (state, goal, plan))
}

/// The squared distance from the goal, and its gradients.
fn square_distance(state_goal_pairs: &StateGoalPairs, plans: &[f32]) -> Energies {
    let (mut energies, mut gradients) = (Vec::new(), Vec::new());
    for (state, goal, plan) in with_plans(state_goal_pairs, plans) {
        let off = off(state, goal, plan);
        energies.push(off[0] * off[0] + off[1] * off[1]);
        gradients.extend((0..plan.len()).map(|value| 2.0 * 0.5 * off[value % 2]));
    }
    (energies, gradients)
}

/// Half a unit to either side of the goal is equally good: the squared error of the squared distance along the first
/// axis. Its gradient leads to the nearer side.
fn either_side(state_goal_pairs: &StateGoalPairs, plans: &[f32]) -> Energies {
    let (mut energies, mut gradients) = (Vec::new(), Vec::new());
    for (state, goal, plan) in with_plans(state_goal_pairs, plans) {
        let off = off(state, goal, plan);
        let error = off[0] * off[0] - 0.25;
        energies.push(error * error + off[1] * off[1]);
        gradients.extend((0..plan.len()).map(|value| if value % 2 == 0 { 2.0 * error * off[0] } else { off[1] }));
    }
    (energies, gradients)
}

#[test]
fn plans_of_a_trained_policy_lead_to_the_goal_with_any_number_of_threads() {
    let learn = |threads| {
        let options = RunOptions { threads, ..RunOptions::new(Seed::new(1)) };
        distil(square_distance, 1, 300, &options).unwrap().unwrap()
    };
    let (policy, energy) = learn(1);
    assert!(energy < 0.1, "{energy}"); // 1.3 for doing nothing
    let (state, goal) = ([0.2, -0.4, 0.9], [-0.1, 0.5, 0.3]);
    let proposals = policy.proposals(&state, &goal).unwrap();
    assert!(proposals.len() == 1 && proposals[0].len() == 1, "one pair, one proposal");
    let plan = &proposals[0][0];
    let off = off(&state, &goal, plan);
    assert!(off[0] * off[0] + off[1] * off[1] < 0.1, "{plan:?}");
    assert!(plan.len() == 8 && plan.iter().all(|value| value.abs() <= 1.0));
    assert_eq!(learn(2).0.proposals(&state, &goal).unwrap(), proposals, "equal bits");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.safetensors");
    policy.save(&path).unwrap();
    assert_eq!(Policy::load(&path).unwrap().proposals(&state, &goal).unwrap(), proposals);
    assert!(policy.proposals(&state[1..], &goal).unwrap_err().to_string().contains("latents of 3"));
}

#[test]
fn scores_rank_the_proposals_by_energy() {
    let learn = |proposals| distil(either_side, proposals, 400, &RunOptions::new(Seed::new(1))).unwrap().unwrap();
    let (policy, energy) = learn(3);
    assert!(energy < learn(1).1, "the best of three is better than one: {energy}");
    let pairs = draw(300, Seed::new(5));
    let proposals = policy.proposals(&pairs.states, &pairs.goals).unwrap();
    let energies: Vec<Vec<f32>> = (0..3)
        .map(|proposal| proposals.iter().flat_map(|all| all[proposal].clone()).collect::<Vec<_>>())
        .map(|plans| either_side(&pairs, &plans).0)
        .collect();
    let mean = |proposal: usize| energies[proposal].iter().sum::<f32>() / 300.0;
    assert!(mean(0) < mean(1) && mean(1) < mean(2), "{} {} {}", mean(0), mean(1), mean(2));
    let best: f32 = (0..300).map(|at| energies.iter().map(|of| of[at]).fold(f32::INFINITY, f32::min)).sum();
    assert!(mean(0) < 2.0 * best / 300.0 + 0.01, "{} against {}", mean(0), best / 300.0);
}

#[test]
fn an_interrupted_distillation_ends_in_the_same_bits() {
    let train = |options: &RunOptions<'_>| distil(square_distance, 2, 9, options);
    resumes_to_the_same_weights(&[2, 5], train, |(policy, energy)| {
        [values_of(policy.weights()).unwrap(), vec![*energy as f32]].concat()
    });
}

#[test]
fn an_energy_that_is_not_finite_stops_the_training() {
    fn lost(pairs: &StateGoalPairs, plans: &[f32]) -> Energies {
        let (mut energies, gradients) = square_distance(pairs, plans);
        energies[7] = f32::NAN;
        (energies, gradients)
    }
    let learnt = distil(lost, 2, 5, &RunOptions::new(Seed::new(1))).map(drop);
    assert!(matches!(learnt, Err(Error::Diverged { .. })));
}
