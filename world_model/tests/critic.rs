//! A critic foresees what it will cost to get somewhere.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use mindseye_interface::Seed;
use mindseye_world_model::critic::{CostsThatCame, CriticConfig, CriticLesson, CriticTraining, Lessons, train_critic};
use mindseye_world_model::{AdaptationConfig, CriticEngine, CriticNetwork, Error, LatentMetric, Part, Result};
use rand::Rng;

const DISCOUNT: f32 = 0.8;
/// Length of a block's move.
const MOVE: f32 = 0.25;

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

fn training(steps: usize, expectile: f32) -> CriticTraining {
    CriticTraining { steps, batch: 256, expectile, weights: vec![1.0, 0.0], follow: 0.02 }
}

/// On a line (the second number says nothing): half of the moves lead towards the goal, half away from it. A state costs its distance, a move 1.
fn draw(_critic: &CriticNetwork, count: usize, seed: Seed) -> Result<Lessons> {
    let mut rng = seed.rng();
    let lesson = |_| {
        let (state, goal): (f32, f32) = (rng.random_range(-1.0..1.0), rng.random_range(-1.0..1.0));
        let away = goal - state;
        let towards = away.signum() * MOVE.min(away.abs());
        let next = if rng.random_bool(0.5) { state + towards } else { state - away.signum() * MOVE };
        CriticLesson {
            state: vec![state, rng.random_range(-1.0..1.0)],
            next: vec![next, rng.random_range(-1.0..1.0)],
            goal: vec![goal, rng.random_range(-1.0..1.0)],
            energies: vec![(1.0 - DISCOUNT) * (goal - next).abs(), 1.0 - DISCOUNT],
            tail: if next == goal { 0.0 } else { DISCOUNT },
        }
    };
    Ok((0..count).map(lesson).collect())
}

/// What the straight way costs: `(1 - γ) Σ γ^j |distance after j + 1 moves|`.
fn straight(mut distance: f32) -> f32 {
    let (mut sum, mut share) = (0.0, 1.0 - DISCOUNT);
    while distance > 0.0 {
        distance = (distance - MOVE).max(0.0);
        sum += share * distance;
        share *= DISCOUNT;
    }
    sum
}

fn learnt(expectile: f32, threads: usize, steps: usize) -> CriticNetwork {
    train_critic(config(), &training(steps, expectile), &draw, Seed::new(3), threads, |_, _| true).unwrap().unwrap().0
}

#[test]
fn it_foresees_the_best_of_what_was_lived() {
    let (best, average) = (learnt(0.95, 2, 1500), learnt(0.5, 2, 1500));
    let (best, average) = (best.engine().unwrap(), average.engine().unwrap());
    let goal = [0.6f32, 0.0];
    let places = [-0.9f32, -0.5, -0.1, 0.3, 0.6];
    let states: Vec<f32> = places.iter().flat_map(|&place| [place, 0.2]).collect();
    let foreseen = best.energies(&states, &goal, &[1.0, 0.0]).unwrap();
    for (place, foreseen) in places.iter().zip(&foreseen) {
        let expected = straight(0.6 - place);
        assert!((foreseen - expected).abs() < 0.12, "from {place}: {foreseen}, the straight way costs {expected}");
    }
    assert!(foreseen.windows(2).all(|pair| pair[0] > pair[1]), "nearer is cheaper: {foreseen:?}");
    let (dear, cheap) = (average.energies(&states[..2], &goal, &[1.0, 0.0]).unwrap()[0], foreseen[0]);
    assert!(dear > cheap + 0.1, "going to and fro ({dear}) costs more than going there ({cheap})");
}

#[test]
fn slopes_are_those_of_the_energies() {
    let engine = learnt(0.7, 1, 30).engine().unwrap();
    let (states, goal, weights) = ([0.3f32, -0.2, -0.7, 0.9, 0.1, 0.4], [0.5f32, 0.1], [0.7, 0.4]);
    let (energies, slopes) = engine.energies_and_slopes(&states, &goal, &weights).unwrap();
    assert_eq!(energies, engine.energies(&states, &goal, &weights).unwrap());
    for index in 0..states.len() {
        let moved = |by: f32| {
            let mut states = states;
            states[index] += by;
            engine.energies(&states, &goal, &weights).unwrap()[index / 2]
        };
        let measured = (moved(1e-3) - moved(-1e-3)) / 2e-3;
        assert!((measured - slopes[index]).abs() < 2e-3 + 0.01 * measured.abs(), "{measured} {}", slopes[index]);
    }
}

#[test]
fn what_it_is_wrong_about_it_learns_from_few_moments() {
    let engine = learnt(0.95, 2, 800).engine().unwrap();
    let mut rng = Seed::new(9).rng();
    let mut lived = |count: usize, cost: &dyn Fn(f32, f32) -> f32| {
        let mut came = CostsThatCame::default();
        for _ in 0..count {
            let pair: [f32; 4] = std::array::from_fn(|_| rng.random_range(-1.0..1.0));
            came.states.extend_from_slice(&pair[..2]);
            came.goals.extend_from_slice(&pair[2..]);
            came.energies.extend([cost(pair[0], pair[2]), 1.0 - DISCOUNT]);
        }
        came
    };
    // Every way takes twice as long as it was taught.
    let slowly = |state: f32, goal: f32| 2.0 * straight((goal - state).abs());
    let (few, others) = (lived(60, &slowly), lived(200, &slowly));
    let config = AdaptationConfig { ridge: 0.01, largest_step: 2.0, ..AdaptationConfig::default() };
    let (adapted, adaptation) = engine.adapt(&few, &config).unwrap();
    assert!(adaptation.adopted && adaptation.after < 0.5 * adaptation.before, "{adaptation:?}");
    let error = |engine: &CriticEngine| -> f32 {
        let squares = (0..200).map(|index| {
            let [state, goal] = [&others.states, &others.goals].map(|values| &values[2 * index..2 * index + 2]);
            (engine.energies(state, goal, &[1.0, 0.0]).unwrap()[0] - others.energies[2 * index]).powi(2)
        });
        squares.sum()
    };
    assert!(error(&adapted) < 0.5 * error(&engine), "{} after, {} before", error(&adapted), error(&engine));

    // What has nothing to do with where it is cannot be learnt, and changes nothing; what was learnt before is not kept either.
    let mut noise = Seed::new(10).rng();
    let mut chance = lived(12, &|_, _| 0.0);
    for index in 0..12 {
        let [state, goal] = [&chance.states, &chance.goals].map(|values| &values[2 * index..2 * index + 2]);
        for (term, weights) in [[1.0, 0.0], [0.0, 1.0]].into_iter().enumerate() {
            let foreseen = engine.energies(state, goal, &weights).unwrap()[0];
            chance.energies[2 * index + term] = foreseen + noise.random_range(-0.5..0.5f32);
        }
    }
    let (same, adaptation) = adapted.adapt(&chance, &AdaptationConfig { ridge: 1e-4, ..config }).unwrap();
    assert!(!adaptation.adopted, "{adaptation:?}");
    assert_eq!(error(&same), error(&engine));

    let short = CostsThatCame { goals: vec![0.0], ..few };
    assert!(engine.adapt(&short, &config).unwrap_err().to_string().contains("goals of 2 values"));
}

#[test]
fn threads_change_no_bit_and_files_keep_all() {
    let (one, two) = (learnt(0.7, 1, 20), learnt(0.7, 2, 20));
    let ask =
        |critic: &CriticNetwork| critic.engine().unwrap().energies(&[0.3, -0.2], &[0.5, 0.1], &[1.0, 0.5]).unwrap();
    assert_eq!(ask(&one), ask(&two));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(CriticNetwork::FILE);
    one.save(&path).unwrap();
    assert_eq!(ask(&CriticNetwork::load(&path).unwrap()), ask(&one));
}

#[test]
fn what_does_not_fit_is_refused() {
    let engine = learnt(0.7, 1, 1).engine().unwrap();
    let refused =
        |states: &[f32], goal: &[f32], weights: &[f32]| engine.energies(states, goal, weights).unwrap_err().to_string();
    assert!(refused(&[0.0; 3], &[0.0; 2], &[1.0; 2]).contains("latents of 2"));
    assert!(refused(&[0.0; 2], &[0.0; 3], &[1.0; 2]).contains("a goal of 3 values"));
    assert!(refused(&[0.0; 2], &[0.0; 2], &[1.0]).contains("expected 2 weights, got 1"));
    let narrow = |_: &CriticNetwork, count: usize, seed: Seed| -> Result<Lessons> {
        let mut rng = seed.rng();
        let lesson = |_| CriticLesson {
            state: vec![rng.random()],
            next: vec![0.0],
            goal: vec![0.0],
            energies: vec![0.0; 2],
            tail: DISCOUNT,
        };
        Ok((0..count).map(lesson).collect())
    };
    let error = train_critic(config(), &training(1, 0.5), &narrow, Seed::new(0), 1, |_, _| true).unwrap_err();
    assert!(matches!(error, Error::Shape { .. }) && error.to_string().contains("2 values per latent"), "{error}");
}
