//! A critic predicts the energy still to come on the way to a goal.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::ops::Range;

use crate::support::resumes_to_the_same_weights;
use mindseye_interface::Seed;
use mindseye_world_model::OptimiserConfig;
use mindseye_world_model::heads::critic::{CriticConfig, CriticTargets};
use mindseye_world_model::training::{
    Collective, Objective, PartialGradients, Run, RunOptions, each_part, fit, range_of_part,
};
use mindseye_world_model::{CriticNetwork, Error, Head, LatentMetric, Result};
use mindseye_world_model::{WeightSource, Weights, values_of};
use rand::Rng;

const DISCOUNT: f32 = 0.8;
/// Length of the move of a chunk.
const MOVE: f32 = 0.25;
const BATCH: usize = 256;
const PARTS: usize = 2;

fn config() -> CriticConfig {
    CriticConfig {
        latent_width: 2,
        hidden: 48,
        layers: 1,
        members: 2,
        discount: DISCOUNT,
        terms: vec!["goal_distance".into(), "effort".into()],
        scales: vec![0.5, 1.0],
        metric: LatentMetric::Euclidean,
        goal_saturation: None,
    }
}

/// Energy of the straight way: `(1 - γ) Σ γ^j |distance after j + 1 moves|`.
fn straight(mut distance: f32) -> f32 {
    let (mut sum, mut factor) = (0.0, 1.0 - DISCOUNT);
    while distance > 0.0 {
        distance = (distance - MOVE).max(0.0);
        sum += factor * distance;
        factor *= DISCOUNT;
    }
    sum
}

/// On a line (the second number has no meaning), with an effort of 1 everywhere.
fn draw(count: usize, seed: Seed) -> CriticTargets {
    let mut rng = seed.rng();
    let mut targets = CriticTargets::default();
    for _ in 0..count {
        let pair: [f32; 4] = std::array::from_fn(|_| rng.random_range(-1.0..1.0));
        targets.states.extend_from_slice(&pair[..2]);
        targets.goals.extend_from_slice(&pair[2..]);
        targets.energies.extend([straight((pair[2] - pair[0]).abs()), 1.0]);
    }
    targets
}

struct Regression {
    critic: CriticNetwork,
    seed: Seed,
}

impl Objective for Regression {
    type Batch = CriticTargets;
    type Error = Error;

    fn weights(&self) -> Weights {
        self.critic.weights().clone()
    }

    fn batch(&mut self, step: usize) -> Result<CriticTargets> {
        Ok(draw(BATCH, self.seed.index(step as u64)))
    }

    fn micro_batches(&self, _batch: &CriticTargets) -> usize {
        self.critic.config().members * PARTS
    }

    fn partial_gradients(
        &self,
        batch: &CriticTargets,
        parts: Range<usize>,
        _collective: &dyn Collective,
    ) -> Result<Vec<PartialGradients>> {
        each_part(parts, |part| self.critic.regression(part / PARTS, batch, range_of_part(BATCH, PARTS, part % PARTS)))
    }
}

fn train(steps: usize, options: &RunOptions<'_>) -> Result<Option<CriticNetwork>> {
    let critic = CriticNetwork::build(config(), WeightSource::fresh(options.seed.child("critic")))?;
    let mut objective = Regression { critic, seed: options.seed.child("targets") };
    let run = Run::new("critic", steps, serde_json::json!({}));
    Ok(fit(&mut objective, run, OptimiserConfig::default(), options)?.map(|_| objective.critic))
}

fn learnt(threads: usize, steps: usize) -> CriticNetwork {
    train(steps, &RunOptions { threads, ..RunOptions::new(Seed::new(3)) }).unwrap().unwrap()
}

#[test]
fn predicted_energies_are_those_of_the_straight_line() {
    let engine = learnt(2, 1200).engine().unwrap();
    let goal = [0.6f32, 0.0];
    let places = [-0.9f32, -0.5, -0.1, 0.3, 0.6];
    let states: Vec<f32> = places.iter().flat_map(|&place| [place, 0.2]).collect();
    let predicted = engine.energies(&states, &goal, &[1.0, 0.0]).unwrap();
    for (place, predicted) in places.iter().zip(&predicted) {
        let expected = straight(0.6 - place);
        assert!((predicted - expected).abs() < 0.08, "from {place}: {predicted}, the straight way costs {expected}");
    }
    assert!(predicted.windows(2).all(|pair| pair[0] > pair[1]), "nearer is cheaper: {predicted:?}");
    let effort = engine.energies(&states[..2], &goal, &[0.0, 1.0]).unwrap()[0];
    assert!((effort - 1.0).abs() < 0.08, "{effort}");
}

#[test]
fn gradients_are_those_of_the_energies() {
    let engine = learnt(1, 30).engine().unwrap();
    let (states, goal, weights) = ([0.3f32, -0.2, -0.7, 0.9, 0.1, 0.4], [0.5f32, 0.1], [0.7, 0.4]);
    let (energies, gradients) = engine.energies_and_gradients(&states, &goal, &weights).unwrap();
    assert_eq!(energies, engine.energies(&states, &goal, &weights).unwrap());
    for index in 0..states.len() {
        let moved = |by: f32| {
            let mut states = states;
            states[index] += by;
            engine.energies(&states, &goal, &weights).unwrap()[index / 2]
        };
        let measured = (moved(1e-3) - moved(-1e-3)) / 2e-3;
        assert!((measured - gradients[index]).abs() < 2e-3 + 0.01 * measured.abs(), "{measured} {}", gradients[index]);
    }
}

#[test]
fn energies_have_equal_bits_on_any_number_of_threads_and_after_loading() {
    let (one, two) = (learnt(1, 20), learnt(2, 20));
    let ask =
        |critic: &CriticNetwork| critic.engine().unwrap().energies(&[0.3, -0.2], &[0.5, 0.1], &[1.0, 0.5]).unwrap();
    assert_eq!(ask(&one), ask(&two));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(CriticNetwork::FILE);
    one.save(&path).unwrap();
    assert_eq!(ask(&CriticNetwork::load(&path).unwrap()), ask(&one));
}

#[test]
fn an_interrupted_critic_training_ends_in_the_same_bits() {
    let train = |options: &RunOptions<'_>| train(8, options);
    resumes_to_the_same_weights(&[3, 7], train, |critic| values_of(critic.weights()).unwrap());
}

#[test]
fn values_of_other_shapes_are_refused() {
    let critic = learnt(1, 1);
    let engine = critic.engine().unwrap();
    let refused =
        |states: &[f32], goal: &[f32], weights: &[f32]| engine.energies(states, goal, weights).unwrap_err().to_string();
    assert!(refused(&[0.0; 3], &[0.0; 2], &[1.0; 2]).contains("latents of 2"));
    assert!(refused(&[0.0; 2], &[0.0; 3], &[1.0; 2]).contains("a goal of 3 values"));
    assert!(refused(&[0.0; 2], &[0.0; 2], &[1.0]).contains("expected 2 weights, got 1"));
    let narrow = CriticTargets { goals: vec![0.0; 3], ..draw(2, Seed::new(0)) };
    let error = critic.regression(0, &narrow, 0..2).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }) && error.to_string().contains("2 values per latent"), "{error}");
}
