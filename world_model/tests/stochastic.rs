//! The stochastic predictor: branches that a code distinguishes, and transitions that need none.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{PATCH, recipe, resumes_to_the_same_weights};
use mindseye_interface::Seed;
use mindseye_world_model::heads::ensemble::{Ensemble, EnsembleConfig, EnsembleTrainingConfig, train_ensemble};
use mindseye_world_model::heads::stochastic::{
    Draws, StochasticConfig, StochasticEngine, StochasticTrainingConfig, report, train_stochastic,
};
use mindseye_world_model::training::RunOptions;
use mindseye_world_model::values_of;
use mindseye_world_model::{EncodedDataset, Head, Jepa, PlanGradient, Precision, RolloutEngine, StochasticPredictor};
use rand::Rng;

/// A model of latents `[8]` and chunks `[4]`; its encoder is not used here.
fn model() -> Jepa {
    Jepa::initialise(recipe(1, PATCH, false, "").model, Seed::new(1)).unwrap()
}

const WIDTH: usize = 8;
const CHUNK: usize = 4;
/// Distance of a branch from the middle.
const SIDE: f32 = 1.5;

/// A world in which the first value moves by the mean of the chunk. With `branches`, where a step crosses 1, a coin
/// decides whether the second value becomes [`SIDE`] or -[`SIDE`]. The other values do not change.
fn episodes(branches: bool, count: u64, seed: Seed) -> EncodedDataset {
    let (mut latents, mut chunks, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
    for episode in 0..count {
        let mut rng = seed.index(episode).rng();
        let mut latent: Vec<f32> = (0..WIDTH).map(|_| rng.random_range(-0.5..0.5)).collect();
        latent[1] = 0.0;
        let first = latents.len() / WIDTH;
        for _ in 0..8 {
            latents.extend_from_slice(&latent);
            let chunk: Vec<f32> = (0..CHUNK).map(|_| rng.random_range(-0.2..1.0)).collect();
            let before = latent[0];
            latent[0] += chunk.iter().sum::<f32>() / 4.0;
            if branches && before < 1.0 && 1.0 <= latent[0] {
                latent[1] = if rng.random_bool(0.5) { SIDE } else { -SIDE };
            }
            chunks.extend(chunk);
        }
        ranges.push(first..latents.len() / WIDTH);
    }
    EncodedDataset::new(latents, chunks, (WIDTH, CHUNK), ranges).unwrap()
}

fn training(steps: usize) -> StochasticTrainingConfig {
    StochasticTrainingConfig {
        steps,
        batch: 128,
        horizon: 2,
        learning_rate: 5e-3,
        ..StochasticTrainingConfig::default()
    }
}

/// Codes for the world, learnt in a few seconds.
fn learnt(model: &Jepa, episodes: &EncodedDataset, threads: usize, steps: usize) -> StochasticPredictor {
    let config = StochasticConfig { hidden: 32, ..StochasticConfig::for_model(model.config(), 4) };
    let predictor = StochasticPredictor::beginning_at(model, config, Seed::new(2)).unwrap();
    let options = RunOptions { threads, ..RunOptions::new(Seed::new(3)) };
    train_stochastic(&predictor, episodes, &training(steps), &options).unwrap();
    predictor
}

/// A start just before the branches, and chunks that cross it.
fn before_the_branches() -> (Vec<f32>, Vec<f32>) {
    let mut start = vec![0.1; WIDTH];
    (start[0], start[1]) = (0.7, 0.0);
    (start, vec![0.6; 2 * CHUNK])
}

#[test]
fn samples_reach_both_branches_and_a_single_code_neither() {
    let (model, world) = (model(), episodes(true, 600, Seed::new(7)));
    let predictor = learnt(&model, &world, 2, 600);
    let (start, plan) = before_the_branches();
    let engine = StochasticEngine::new(&predictor, Precision::F32).unwrap();
    let sampled = engine.rollout(&start, &plan, 2, &Draws::new(8, Seed::new(0)), 1).unwrap();
    let ends: Vec<f32> = sampled.latents.chunks(2 * WIDTH).map(|sample| sample[WIDTH + 1]).collect();
    let near = |branch: f32| ends.iter().filter(|end| (*end - branch).abs() < 0.3 * SIDE).count();
    assert!((3..=5).contains(&near(SIDE)) && (3..=5).contains(&near(-SIDE)), "{ends:?}");

    // The same predictor with one code for everything predicts the middle.
    let alone = StochasticPredictor::beginning_at(
        &model,
        StochasticConfig { codes: 1, ..predictor.config().clone() },
        Seed::new(2),
    )
    .unwrap();
    train_stochastic(&alone, &world, &training(600), &RunOptions::new(Seed::new(3))).unwrap();
    let engine = StochasticEngine::new(&alone, Precision::F32).unwrap();
    let sampled = engine.rollout(&start, &plan, 2, &Draws::new(8, Seed::new(0)), 1).unwrap();
    let end = sampled.latents[WIDTH + 1];
    assert!(end.abs() < 0.5 * SIDE, "{end} expected the middle of the branches");

    let held_out = report(&predictor, &model, &episodes(true, 60, Seed::new(8)), Seed::new(0)).unwrap();
    let best = |index: usize| held_out.error_of_best[index].error;
    assert!(best(0) > best(1) && best(1) > best(2) && best(2) >= best(3), "{held_out:?}");
    assert!(held_out.rate_nats > 0.02 && held_out.codes_in_use > 1.05, "{held_out:?}");
}

#[test]
fn predictable_transitions_need_no_code() {
    let (model, world) = (model(), episodes(false, 300, Seed::new(7)));
    let predictor = learnt(&model, &world, 2, 400);
    let held_out = report(&predictor, &model, &episodes(false, 60, Seed::new(8)), Seed::new(0)).unwrap();
    assert!(held_out.rate_nats < 0.01, "{held_out:?}");
    let (one, eight) = (held_out.error_of_best[0].error, held_out.error_of_best[3].error);
    assert!(one < 1.2 * eight + 0.01, "samples differ where nothing is uncertain: {held_out:?}");
}

#[test]
fn training_and_sampling_have_the_same_bits_on_any_number_of_threads() {
    let (model, world) = (model(), episodes(true, 50, Seed::new(7)));
    let weights = |threads| -> Vec<Vec<f32>> {
        let predictor = learnt(&model, &world, threads, 5);
        predictor.weights().values().map(|var| var.flatten_all().unwrap().to_vec1().unwrap()).collect()
    };
    assert_eq!(weights(1), weights(2));
    let engine = StochasticEngine::new(&learnt(&model, &world, 1, 60), Precision::F32).unwrap();
    let mut rng = Seed::new(4).rng();
    let plans: Vec<f32> = (0..70 * 3 * CHUNK).map(|_| rng.random_range(-1.0..1.0)).collect();
    let (start, draws) = (before_the_branches().0, Draws::new(8, Seed::new(0)));
    let all = engine.rollout(&start, &plans, 3, &draws, 1).unwrap();
    assert_eq!(all, engine.rollout(&start, &plans, 3, &draws, 2).unwrap());
    let last = engine.rollout(&start, &plans[69 * 3 * CHUNK..], 3, &draws, 1).unwrap();
    assert_eq!(last.latents, all.latents[69 * 8 * 3 * WIDTH..], "a plan's samples depend on the plans beside it");
}

#[test]
fn interrupted_trainings_of_codes_and_of_an_ensemble_end_in_the_same_bits() {
    let (model, world) = (model(), episodes(true, 20, Seed::new(7)));
    let train = |options: &RunOptions<'_>| {
        let config = StochasticConfig { hidden: 16, ..StochasticConfig::for_model(model.config(), 3) };
        let predictor = StochasticPredictor::beginning_at(&model, config, options.seed.child("weights")).unwrap();
        Ok(train_stochastic(&predictor, &world, &training(7), options)?.map(|loss| (predictor, loss)))
    };
    let all = |(predictor, loss): &(StochasticPredictor, f64)| {
        [values_of(predictor.weights()).unwrap(), vec![*loss as f32]].concat()
    };
    resumes_to_the_same_weights(&[3, 6], train, all);

    // Members are trained one after the other: stops within the first, between the two, and within the second.
    let train = |options: &RunOptions<'_>| {
        let config = EnsembleConfig::for_model(model.config(), 2);
        let ensemble = Ensemble::initialise(config, options.seed.child("weights")).unwrap();
        let training = EnsembleTrainingConfig { steps: 6, batch: 32, ..EnsembleTrainingConfig::default() };
        Ok(train_ensemble(&ensemble, &world, &training, options)?.map(|loss| (ensemble, loss)))
    };
    let all =
        |(ensemble, loss): &(Ensemble, f64)| [values_of(ensemble.weights()).unwrap(), vec![*loss as f32]].concat();
    resumes_to_the_same_weights(&[2, 6, 11], train, all);
}

#[test]
fn the_engine_agrees_with_the_predictor_for_the_drawn_codes() {
    let (model, world) = (model(), episodes(true, 100, Seed::new(7)));
    let predictor = learnt(&model, &world, 1, 60);
    let engine = StochasticEngine::new(&predictor, Precision::F32).unwrap();
    let (start, plan) = before_the_branches();
    let sampled = engine.rollout(&start, &plan, 2, &Draws::new(8, Seed::new(0)), 1).unwrap();
    let rolled = RolloutEngine::of_predictor(predictor.predictor(), WIDTH, CHUNK + 4, Precision::F32).unwrap();
    for (sample, codes) in sampled.codes.chunks(2).enumerate() {
        let one_hot = |code: usize| (0..4).map(move |one| f32::from(u8::from(one == code)));
        let chunks = plan.chunks(CHUNK).zip(codes);
        let joined: Vec<f32> = chunks.flat_map(|(chunk, &code)| chunk.iter().copied().chain(one_hot(code))).collect();
        let alone = rolled.rollout(&start, &joined, 2, 1).unwrap();
        assert_eq!(alone, sampled.latents[sample * 2 * WIDTH..(sample + 1) * 2 * WIDTH], "sample {sample}");
    }
    let gradients = PlanGradient::of_predictor(predictor.predictor(), WIDTH, CHUNK + 4);
    assert!(gradients.is_ok());
    let error = engine.rollout(&start[1..], &plan, 2, &Draws::new(8, Seed::new(0)), 1).unwrap_err().to_string();
    assert!(error.contains("a start of 8 values") && error.contains("a start of 7"), "{error}");
}

#[test]
fn a_stochastic_predictor_is_stored_and_refuses_a_model_of_another_shape() {
    let model = model();
    let config = StochasticConfig::for_model(model.config(), 4);
    let predictor = StochasticPredictor::beginning_at(&model, config.clone(), Seed::new(2)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(StochasticPredictor::FILE);
    predictor.save(&path).unwrap();
    let stored = StochasticPredictor::load(&path).unwrap();
    assert_eq!(stored.config(), &config);
    for (name, var) in predictor.weights() {
        let values = |var: &candle_core::Var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(var), values(&stored.weights()[name]), "{name}");
    }
    let mut other = model.config().clone();
    other.latent_width = 16;
    let error = stored.require_fit(&other).unwrap_err().to_string();
    assert!(error.contains("latent_width 8") && error.contains("16"), "{error}");
    let none = StochasticPredictor::beginning_at(&model, StochasticConfig { codes: 0, ..config }, Seed::new(2))
        .unwrap_err()
        .to_string();
    assert!(none.contains("stochastic.codes"), "{none}");
}
