//! Several futures: what a code tells apart, and what needs none.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use mindseye_interface::Seed;
use mindseye_world_model::futures::{Draws, FuturesConfig, FuturesEngine, FuturesLesson, report, train_futures};
use mindseye_world_model::{Futures, Jepa, LatentEpisodes, Part, PlanSlopes, Precision, RolloutEngine};
use rand::Rng;
use support::{PATCH, recipe};

/// A model of latents `[8]` and blocks `[4]`; its encoder is not used here.
fn model() -> Jepa {
    Jepa::initialise(recipe(1, PATCH, false, "").model, Seed::new(1)).unwrap()
}

const WIDTH: usize = 8;
const BLOCK: usize = 4;
/// How far a branch leads to the side.
const SIDE: f32 = 1.5;

/// A world in which the first value moves by the block, and where a step leads over 1 a coin decides whether the second becomes [`SIDE`] or -[`SIDE`].
/// Without a `fork` nothing is decided by a coin. The other values are what they are.
fn episodes(fork: bool, count: u64, seed: Seed) -> LatentEpisodes {
    let (mut latents, mut blocks, mut moments) = (Vec::new(), Vec::new(), Vec::new());
    for episode in 0..count {
        let mut rng = seed.index(episode).rng();
        let mut latent: Vec<f32> = (0..WIDTH).map(|_| rng.random_range(-0.5..0.5)).collect();
        latent[1] = 0.0;
        let first = latents.len() / WIDTH;
        for _ in 0..8 {
            latents.extend_from_slice(&latent);
            let block: Vec<f32> = (0..BLOCK).map(|_| rng.random_range(-0.2..1.0)).collect();
            let before = latent[0];
            latent[0] += block.iter().sum::<f32>() / 4.0;
            if fork && before < 1.0 && 1.0 <= latent[0] {
                latent[1] = if rng.random_bool(0.5) { SIDE } else { -SIDE };
            }
            blocks.extend(block);
        }
        moments.push(first..latents.len() / WIDTH);
    }
    LatentEpisodes::new(latents, blocks, (WIDTH, BLOCK), moments).unwrap()
}

/// Codes for the world, learnt in a few seconds.
fn learnt(model: &Jepa, episodes: &LatentEpisodes, threads: usize, steps: usize) -> Futures {
    let config = FuturesConfig { hidden: 32, ..FuturesConfig::for_model(model.config(), 4) };
    let futures = Futures::beginning_at(model, config, Seed::new(2)).unwrap();
    let lesson = FuturesLesson { steps, batch: 128, blocks: 2, learning_rate: 5e-3, ..FuturesLesson::default() };
    train_futures(&futures, episodes, &lesson, Seed::new(3), threads, &mut |_, _| true).unwrap();
    futures
}

/// A start just before the fork, and blocks that lead over it.
fn before_the_fork() -> (Vec<f32>, Vec<f32>) {
    let mut start = vec![0.1; WIDTH];
    (start[0], start[1]) = (0.7, 0.0);
    (start, vec![0.6; 2 * BLOCK])
}

#[test]
fn at_a_fork_samples_find_both_branches_where_one_answer_finds_neither() {
    let (model, world) = (model(), episodes(true, 600, Seed::new(7)));
    let futures = learnt(&model, &world, 2, 600);
    let (start, plan) = before_the_fork();
    let engine = FuturesEngine::new(&futures, Precision::F32).unwrap();
    let imagined = engine.imagine(&start, &plan, 2, &Draws::new(8, Seed::new(0)), 1).unwrap();
    let ends: Vec<f32> = imagined.latents.chunks(2 * WIDTH).map(|future| future[WIDTH + 1]).collect();
    let near = |branch: f32| ends.iter().filter(|end| (*end - branch).abs() < 0.3 * SIDE).count();
    assert!((3..=5).contains(&near(SIDE)) && (3..=5).contains(&near(-SIDE)), "{ends:?}");

    // The same predictor with one code for everything can only answer with the middle.
    let alone =
        Futures::beginning_at(&model, FuturesConfig { codes: 1, ..futures.config().clone() }, Seed::new(2)).unwrap();
    let lesson = FuturesLesson { steps: 600, batch: 128, blocks: 2, learning_rate: 5e-3, ..FuturesLesson::default() };
    train_futures(&alone, &world, &lesson, Seed::new(3), 2, &mut |_, _| true).unwrap();
    let engine = FuturesEngine::new(&alone, Precision::F32).unwrap();
    let imagined = engine.imagine(&start, &plan, 2, &Draws::new(8, Seed::new(0)), 1).unwrap();
    let end = imagined.latents[WIDTH + 1];
    assert!(end.abs() < 0.5 * SIDE, "{end} is no middle of two branches");

    let held_out = report(&futures, &model, &episodes(true, 60, Seed::new(8)), Seed::new(0)).unwrap();
    let best = |index: usize| held_out.error_of_best[index].error;
    assert!(best(0) > best(1) && best(1) > best(2) && best(2) >= best(3), "{held_out:?}");
    assert!(held_out.rate_nats > 0.02 && held_out.codes_in_use > 1.05, "{held_out:?}");
}

#[test]
fn what_can_be_predicted_is_told_by_no_code() {
    let (model, world) = (model(), episodes(false, 300, Seed::new(7)));
    let futures = learnt(&model, &world, 2, 400);
    let held_out = report(&futures, &model, &episodes(false, 60, Seed::new(8)), Seed::new(0)).unwrap();
    assert!(held_out.rate_nats < 0.01, "{held_out:?}");
    let (one, eight) = (held_out.error_of_best[0].error, held_out.error_of_best[3].error);
    assert!(one < 1.2 * eight + 0.01, "samples differ where nothing is uncertain: {held_out:?}");
}

#[test]
fn learning_and_imagining_have_the_same_bits_on_any_number_of_threads() {
    let (model, world) = (model(), episodes(true, 50, Seed::new(7)));
    let weights = |threads| -> Vec<Vec<f32>> {
        let futures = learnt(&model, &world, threads, 5);
        futures.weights().values().map(|var| var.flatten_all().unwrap().to_vec1().unwrap()).collect()
    };
    assert_eq!(weights(1), weights(2));
    let engine = FuturesEngine::new(&learnt(&model, &world, 1, 60), Precision::F32).unwrap();
    let mut rng = Seed::new(4).rng();
    let plans: Vec<f32> = (0..70 * 3 * BLOCK).map(|_| rng.random_range(-1.0..1.0)).collect();
    let (start, draws) = (before_the_fork().0, Draws::new(8, Seed::new(0)));
    let all = engine.imagine(&start, &plans, 3, &draws, 1).unwrap();
    assert_eq!(all, engine.imagine(&start, &plans, 3, &draws, 2).unwrap());
    let last = engine.imagine(&start, &plans[69 * 3 * BLOCK..], 3, &draws, 1).unwrap();
    assert_eq!(last.latents, all.latents[69 * 8 * 3 * WIDTH..], "a plan's futures depend on the plans beside it");
}

#[test]
fn the_engine_does_what_the_predictor_does_with_the_codes_that_were_drawn() {
    let (model, world) = (model(), episodes(true, 100, Seed::new(7)));
    let futures = learnt(&model, &world, 1, 60);
    let engine = FuturesEngine::new(&futures, Precision::F32).unwrap();
    let (start, plan) = before_the_fork();
    let imagined = engine.imagine(&start, &plan, 2, &Draws::new(8, Seed::new(0)), 1).unwrap();
    let rolled = RolloutEngine::of_predictor(futures.predictor(), WIDTH, BLOCK + 4, Precision::F32).unwrap();
    for (future, codes) in imagined.codes.chunks(2).enumerate() {
        let one_hot = |code: usize| (0..4).map(move |one| f32::from(u8::from(one == code)));
        let blocks = plan.chunks(BLOCK).zip(codes);
        let joined: Vec<f32> = blocks.flat_map(|(block, &code)| block.iter().copied().chain(one_hot(code))).collect();
        let alone = rolled.rollout(&start, &joined, 2, 1).unwrap();
        assert_eq!(alone, imagined.latents[future * 2 * WIDTH..(future + 1) * 2 * WIDTH], "future {future}");
    }
    let slopes = PlanSlopes::of_predictor(futures.predictor(), WIDTH, BLOCK + 4);
    assert!(slopes.is_ok());
    let error = engine.imagine(&start[1..], &plan, 2, &Draws::new(8, Seed::new(0)), 1).unwrap_err().to_string();
    assert!(error.contains("a start of 8 values") && error.contains("a start of 7"), "{error}");
}

#[test]
fn it_is_stored_beside_its_model_and_refuses_another() {
    let model = model();
    let config = FuturesConfig::for_model(model.config(), 4);
    let futures = Futures::beginning_at(&model, config.clone(), Seed::new(2)).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(Futures::FILE);
    futures.save(&path).unwrap();
    let stored = Futures::load(&path).unwrap();
    assert_eq!(stored.config(), &config);
    for (name, var) in futures.weights() {
        let values = |var: &candle_core::Var| var.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(var), values(&stored.weights()[name]), "{name}");
    }
    let mut other = model.config().clone();
    other.latent_width = 16;
    let error = stored.require_fit(&other).unwrap_err().to_string();
    assert!(error.contains("latent_width 8") && error.contains("16"), "{error}");
    let none =
        Futures::beginning_at(&model, FuturesConfig { codes: 0, ..config }, Seed::new(2)).unwrap_err().to_string();
    assert!(none.contains("futures.codes"), "{none}");
}
