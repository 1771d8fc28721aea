//! A model as its users see it: encoding, rolling out, saving, loading, drawing.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{KEYPOINT, PATCH, SIDE, data, image_of, origin, recipe, resumes_to_the_same_weights, run};
use candle_core::{Device, Tensor, Var};
use mindseye_interface::{Image, Seed};
use mindseye_world_model::SensorBatch;
use mindseye_world_model::heads::decoder::{Decoder, DecoderTrainingConfig, train_decoder};
use mindseye_world_model::training::RunOptions;
use mindseye_world_model::values_of;
use mindseye_world_model::{Checkpoint, Head, Jepa, LatentMetric, PlanGradient, Precision, Result, RolloutEngine};
use rand::Rng;

fn random(count: usize, seed: u64) -> Vec<f32> {
    let mut rng = Seed::new(seed).rng();
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

#[test]
fn the_rollout_engine_is_the_predictor_on_any_number_of_threads() {
    for gated in [false, true] {
        let mut config = recipe(1, PATCH, false, "").model;
        config.predictor.gated = gated;
        rolls_out_as_its_predictor(&Jepa::initialise(config, Seed::new(3)).unwrap());
    }
}

fn rolls_out_as_its_predictor(model: &Jepa) {
    let engine = RolloutEngine::new(model).unwrap();
    let (plans, horizon, latent_width, chunk_width) = (70, 3, 8, 4);
    let (start, actions) = (random(latent_width, 0), random(plans * horizon * chunk_width, 1));
    let rollouts = engine.rollout(&start, &actions, horizon, 1).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(rollouts, pool.install(|| engine.rollout(&start, &actions, horizon, 3)).unwrap());
    let all = Tensor::from_vec(actions, (plans, horizon, chunk_width), &Device::Cpu).unwrap();
    let mut latents = Tensor::from_vec(start.repeat(plans), (plans, latent_width), &Device::Cpu).unwrap();
    for step in 0..horizon {
        let chunks = all.narrow(1, step, 1).unwrap().squeeze(1).unwrap().contiguous().unwrap();
        latents = model.predictor().forward(&latents, &chunks).unwrap();
        for (plan, expected) in latents.to_vec2::<f32>().unwrap().iter().enumerate() {
            let got = &rollouts[(plan * horizon + step) * latent_width..][..latent_width];
            assert!(got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-5), "plan {plan}, chunk {step}");
        }
    }
    assert!(engine.rollout(&start[1..], &random(12, 2), 3, 1).is_err());
    assert!(engine.rollout(&start, &random(13, 2), 3, 1).is_err());
}

#[test]
fn a_plan_has_the_same_bits_alone_and_among_others() {
    let model = Jepa::initialise(recipe(1, PATCH, false, "").model, Seed::new(3)).unwrap();
    let engine = RolloutEngine::new(&model).unwrap();
    let (start, actions) = (random(8, 0), random(50 * 12, 1));
    let together = engine.rollout(&start, &actions, 3, 1).unwrap();
    for plan in [0, 31, 49] {
        let alone = engine.rollout(&start, &actions[plan * 12..(plan + 1) * 12], 3, 1).unwrap();
        assert_eq!(alone, together[plan * 24..(plan + 1) * 24], "plan {plan}");
    }
}

#[test]
fn sixteen_bits_predict_nearly_the_same_and_have_equal_bits_on_any_number_of_threads() {
    let mut config = recipe(1, PATCH, false, "").model;
    (config.predictor.gated, config.predictor.hidden) = (true, 64);
    let model = Jepa::initialise(config, Seed::new(3)).unwrap();
    let exact = RolloutEngine::new(&model).unwrap();
    let rounded = RolloutEngine::with_precision(&model, Precision::Bf16).unwrap();
    let (plans, horizon) = (70, 3);
    let (start, actions) = (random(8, 0), random(plans * horizon * 4, 1));
    let (exact, near) =
        (exact.rollout(&start, &actions, horizon, 1).unwrap(), rounded.rollout(&start, &actions, horizon, 1).unwrap());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(near, pool.install(|| rounded.rollout(&start, &actions, horizon, 3)).unwrap());
    let mean_square = |of: &dyn Fn(usize) -> f32| (0..exact.len()).map(|i| of(i).powi(2)).sum::<f32>();
    let error = mean_square(&|index| near[index] - exact[index]);
    let step = mean_square(&|index| exact[index] - start[index % 8]);
    assert!(error > 0.0 && error < 1e-3 * step, "squared error {error}, squared steps {step}");
}

#[test]
fn gradients_of_plans_are_those_of_finite_differences() {
    for gated in [false, true] {
        let mut config = recipe(1, PATCH, false, "").model;
        config.predictor.gated = gated;
        has_the_gradients_of_finite_differences(&Jepa::initialise(config, Seed::new(3)).unwrap());
    }
}

fn has_the_gradients_of_finite_differences(model: &Jepa) {
    let (gradients, engine) = (PlanGradient::new(model).unwrap(), RolloutEngine::new(model).unwrap());
    let (plans, horizon, width) = (20, 3, 4);
    let (starts, actions) = (random(plans * 8, 0), random(plans * horizon * width, 1));
    // An energy of all states of all plans: the weighted sum of squares.
    let weights = random(plans * horizon * 8, 2);
    let energy = |actions: &[f32]| -> f64 {
        let states = engine.rollout(&starts, actions, horizon, 1).unwrap();
        states.iter().zip(&weights).map(|(state, weight)| f64::from(weight * state * state)).sum()
    };
    let upstream = |states: Vec<f32>| -> Result<Vec<f32>> {
        assert_eq!(states.len(), weights.len());
        Ok(states.iter().zip(&weights).map(|(state, weight)| 2.0 * weight * state).collect())
    };
    let found = gradients.of(&starts, &actions, horizon, 1, upstream).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(found, pool.install(|| gradients.of(&starts, &actions, horizon, 3, upstream)).unwrap());
    let one_for_all = gradients.of(&starts[..8], &actions, horizon, 1, upstream).unwrap();
    assert_eq!(one_for_all, gradients.of(&starts[..8].repeat(plans), &actions, horizon, 1, upstream).unwrap());
    let steepest = found.iter().fold(0.0f32, |most, gradient| most.max(gradient.abs()));
    for index in (0..actions.len()).step_by(7) {
        let moved = |by: f32| {
            let mut actions = actions.clone();
            actions[index] += by;
            energy(&actions)
        };
        let numeric = ((moved(1e-2) - moved(-1e-2)) / 2e-2) as f32;
        assert!((found[index] - numeric).abs() < 1e-2 * steepest, "value {index}: {} against {numeric}", found[index]);
    }
    // Automatic differentiation says the same, to the precision of its arithmetic.
    let shape = (plans, horizon, width);
    let plans_of = Var::from_tensor(&Tensor::from_vec(actions.clone(), shape, &Device::Cpu).unwrap()).unwrap();
    let mut states = vec![Tensor::from_vec(starts.clone(), (plans, 8), &Device::Cpu).unwrap()];
    for step in 0..horizon {
        let chunks = plans_of.narrow(1, step, 1).unwrap().squeeze(1).unwrap().contiguous().unwrap();
        states.push(model.predictor().forward(&states[step], &chunks).unwrap());
    }
    let states = Tensor::stack(&states[1..], 1).unwrap();
    let weighted = Tensor::from_vec(weights.clone(), (plans, horizon, 8), &Device::Cpu).unwrap();
    let graph = (states.sqr().unwrap() * weighted).unwrap().sum_all().unwrap().backward().unwrap();
    let exact = graph.get(&plans_of).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
    assert_eq!(found.len(), exact.len());
    for (index, (found, exact)) in found.iter().zip(&exact).enumerate() {
        assert!((found - exact).abs() < 1e-4 * steepest, "value {index}: {found} against {exact}");
    }
    let short = gradients.of(&starts, &actions, horizon, 1, |_| -> Result<Vec<f32>> { Ok(vec![0.0; 3]) });
    assert!(short.unwrap_err().to_string().contains("3 gradients"));
    assert!(gradients.of(&starts[1..], &actions, horizon, 1, upstream).is_err());
    assert!(engine.rollout(&starts[8..], &actions, horizon, 1).is_err(), "a start too few");
}

#[test]
fn an_image_has_the_same_latent_alone_and_among_others() {
    for encoder in [PATCH, KEYPOINT] {
        let model = Jepa::initialise(recipe(1, encoder, false, "").model, Seed::new(3)).unwrap();
        let images = [[0.0, 0.0], [3.5, 7.25], [12.0, 1.0]].map(image_of);
        let bytes: Vec<u8> = images.iter().flat_map(|image| image.pixels().to_vec()).collect();
        let together = model.encode(SensorBatch::images(&bytes)).unwrap();
        for (index, image) in images.iter().enumerate() {
            let alone = model.encode_image(image).unwrap();
            assert!(alone.iter().zip(&together[index * 8..]).all(|(a, b)| (a - b).abs() < 1e-5));
        }
        let moved = model.encode_image(&image_of([3.6, 7.25])).unwrap();
        assert_ne!(moved, together[8..16], "a tenth of a pixel shows");
    }
}

#[test]
fn a_decoder_draws_what_moves_where_it_is() {
    let config = recipe(200, KEYPOINT, true, "sigreg = 0.02");
    let (data, folder) = (data(&config, 40), tempfile::tempdir().unwrap());
    let (model, _) = run(&config, &data, folder.path(), false, None).unwrap();
    let training = DecoderTrainingConfig { steps: 300, micro_batches: 2 };
    let decoder = train_decoder(&model, &data, &training, &RunOptions::new(Seed::new(0))).unwrap().unwrap();
    let (mut near, mut count) = (0, 0);
    for index in 0..60 {
        let seen = image_of([(index % 10) as f32 * 1.2, (index / 10) as f32 * 2.1]);
        let drawn = decoder.draw(&model.encode_image(&seen).unwrap()).unwrap();
        let [expected, got] = [&seen, &drawn[0]].map(centre_of_the_square);
        count += 1;
        near += usize::from((0..2).all(|axis| (expected[axis] - got[axis]).abs() < 1.0));
    }
    assert!(near * 10 >= count * 9, "{near} of {count} within a pixel");
}

/// Centre of what is bright in an image, pixels.
fn centre_of_the_square(image: &Image) -> [f32; 2] {
    let (mut sums, mut total) = ([0.0; 2], 0.0);
    for (row, column) in (0..SIDE).flat_map(|row| (0..SIDE).map(move |column| (row, column))) {
        let weight = (f32::from(image.rgb(row, column)[0]) - 60.0).max(0.0);
        sums[0] += weight * column as f32;
        sums[1] += weight * row as f32;
        total += weight;
    }
    sums.map(|sum| sum / total.max(1e-9))
}

#[test]
fn a_loaded_checkpoint_equals_the_saved_one() {
    let config = recipe(30, KEYPOINT, true, "sigreg = 0.02");
    let (data, folder) = (data(&config, 10), tempfile::tempdir().unwrap());
    let (model, report) = run(&config, &data, folder.path(), false, None).unwrap();
    let training = DecoderTrainingConfig { steps: 20, micro_batches: 2 };
    let decoder = train_decoder(&model, &data, &training, &RunOptions::new(Seed::new(0))).unwrap();
    let mut saved = Checkpoint::of_run(model, report, config, &data, origin()).unwrap();
    resumes_to_the_same_weights(
        &[3, 11],
        |options| train_decoder(&saved.model, &data, &training, options),
        |decoder: &Decoder| values_of(decoder.weights()).unwrap(),
    );
    saved.decoder = decoder;
    saved.save(folder.path()).unwrap();
    let loaded = Checkpoint::load_for_scene(folder.path(), "square").unwrap();
    assert_eq!(saved.config, loaded.config);
    let seen = image_of([4.0, 5.0]);
    let latent = saved.model.encode_image(&seen).unwrap();
    assert_eq!(latent, loaded.model.encode_image(&seen).unwrap());
    let metric = LatentMetric::StepWhitened { power: 1.0 };
    let factors = saved.statistics.factor(metric).into_iter().zip(loaded.statistics.factor(metric));
    assert!(factors.into_iter().all(|(a, b)| (a - b).abs() < 1e-3 * a.abs().max(1.0)));
    let drawn = |checkpoint: &Checkpoint| checkpoint.decoder.as_ref().unwrap().draw(&latent).unwrap();
    assert_eq!(drawn(&saved), drawn(&loaded));
    assert_eq!(drawn(&saved)[0].size().height(), SIDE);
    let error = Checkpoint::load_for_scene(folder.path(), "circle").unwrap_err().to_string();
    assert!(error.contains("config.json") && error.contains("scene") && error.contains("circle"), "{error}");
}
