//! LeWM as published: parity with what stable-worldmodel's own code computes (see the fixture's README).

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use mindseye_world_model::OptimiserConfig;
use mindseye_world_model::families::lewm::{LewmEngine, LewmLosses, LewmTrainer};
use mindseye_world_model::testing::{product, sigreg};
use mindseye_world_model::{
    ActionStatistics, Context, Error, InferenceOptions, Latent, Lewm, Model, Plans, PublishedLewm,
};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/lewm_tiny")
}

fn io() -> HashMap<String, Tensor> {
    candle_core::safetensors::load(fixture().join("io.safetensors"), &Device::Cpu).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap()
}

fn agree(name: &str, got: &Tensor, expected: &Tensor) {
    assert_eq!(got.elem_count(), expected.elem_count(), "{name}");
    let worst = values(got).iter().zip(&values(expected)).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert!(worst < 1e-4, "{name}: {worst}");
}

/// The model of a folder that has only this weights file.
fn model(weights: &str) -> Lewm {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", weights] {
        std::fs::copy(fixture().join(file), folder.path().join(file)).unwrap();
    }
    assert!(Lewm::is_in(folder.path()));
    Lewm::load(folder.path()).unwrap()
}

#[test]
fn every_stage_of_the_encoder_agrees() {
    let (model, io) = (model("weights.pt"), io());
    let flat = |name: &str| io[name].flatten_to(1).unwrap();
    let images = flat("in.pixels");
    agree("tokens", &model.patch_tokens(&images).unwrap(), &io["out.encoder.embeddings"]);
    agree("class tokens", &model.class_tokens(&images).unwrap(), &io["out.encoder.cls"]);
    agree("embeddings", &model.embed(&images).unwrap(), &io["out.emb"]);
    agree("goal", &model.embed(&flat("in.goal_pixels")).unwrap(), &io["out.goal_emb"]);
    let other_size = flat("in.resized_pixels");
    agree("tokens of another size", &model.patch_tokens(&other_size).unwrap(), &io["out.resized.embeddings"]);
    agree("embedding of another size", &model.embed(&other_size).unwrap(), &io["out.resized.emb"]);
}

#[test]
fn the_predictor_agrees_with_one_two_and_three_frames() {
    let (model, io) = (model("weights.pt"), io());
    let actions = model.embed_actions(&io["in.actions"].flatten_to(1).unwrap()).unwrap();
    agree("action embeddings", &actions, &io["out.act_emb"]);
    for frames in 1..=3 {
        let first = |name: &str| io[name].narrow(1, 0, frames).unwrap().contiguous().unwrap();
        let (seen, done) = (first("out.emb"), first("out.act_emb"));
        let raw = model.predict_raw(&seen, &done).unwrap();
        agree("predictor", &raw, &io[&format!("out.predictor.t{frames}")]);
        agree("prediction", &model.predict(&seen, &done).unwrap(), &io[&format!("out.pred.t{frames}")]);
    }
    let done = io["out.act_emb"].narrow(1, 0, 3).unwrap().contiguous().unwrap();
    agree("small frames", &model.predict_raw(&io["in.small_emb"], &done).unwrap(), &io["out.small.predictor"]);
    assert!(model.predict(&io["out.emb"], &io["out.act_emb"]).unwrap_err().to_string().contains("1 to 3 frames"));
}

/// Costs of rollouts `[N, H, D]`: squared distance of the last embedding to the goal.
fn costs(rollouts: &[f32], horizon: usize, goal: &[f32]) -> Vec<f32> {
    let ends = rollouts.chunks_exact(horizon * goal.len()).map(|rollout| &rollout[(horizon - 1) * goal.len()..]);
    ends.map(|end| end.iter().zip(goal).map(|(value, goal)| (value - goal) * (value - goal)).sum()).collect()
}

#[test]
fn the_engine_rolls_out_what_the_authors_do_from_one_frame_and_from_three() {
    let (model, io) = (model("weights.pt"), io());
    let engine = LewmEngine::new(&model).unwrap();
    let (width, horizon) = (48, 5);
    for seen in [1, 3] {
        let (expected, costs_expected) = (&io[&format!("out.rollout.h{seen}")], &io[&format!("out.cost.h{seen}")]);
        for world in 0..2 {
            let of = |name: &str| io[name].get(world).unwrap();
            let context = values(&of("out.emb").narrow(0, 0, seen).unwrap());
            let past = if seen > 1 { values(&of("in.actions").narrow(0, 0, seen - 1).unwrap()) } else { Vec::new() };
            let plans = values(&of("in.candidates"));
            let rollouts = engine.rollout(&context, &past, &plans, horizon, 1).unwrap();
            let imagined = expected.get(world).unwrap().narrow(1, seen, horizon).unwrap();
            let got = Tensor::from_vec(rollouts.clone(), (6, horizon, width), &Device::Cpu).unwrap();
            agree("rollouts", &got, &imagined);
            let expected = values(&costs_expected.get(world).unwrap());
            for (got, expected) in costs(&rollouts, horizon, &values(&of("out.goal_emb"))).iter().zip(&expected) {
                assert!((got - expected).abs() < 1e-4 * expected, "{got} {expected}");
            }
        }
    }
}

#[test]
fn the_engine_has_equal_bits_on_any_number_of_threads_and_refuses_other_shapes() {
    let (model, io) = (model("model.safetensors"), io());
    let engine = LewmEngine::new(&model).unwrap();
    let context = values(&io["out.emb"].get(0).unwrap().narrow(0, 0, 1).unwrap());
    let plans: Vec<f32> = (0..200 * 50).map(|index| (index as f32 * 0.37).sin()).collect();
    let alone = engine.rollout(&context, &[], &plans, 5, 1).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert_eq!(alone, pool.install(|| engine.rollout(&context, &[], &plans, 5, 3)).unwrap());
    for (context, past, plans) in [(47, 0, 50), (48, 10, 50), (48, 0, 51), (0, 0, 50)] {
        let refused = engine.rollout(&vec![0.0; context], &vec![0.0; past], &vec![0.0; plans], 5, 1);
        assert!(refused.unwrap_err().to_string().contains("rollout"), "{context} {past} {plans}");
    }
}

/// The first `count` recorded frames of a world as states, and the chunks executed between them.
fn recorded(io: &HashMap<String, Tensor>, world: usize, count: usize) -> (Vec<Latent>, Vec<f32>) {
    let frames = values(&io["out.emb"].get(world).unwrap().narrow(0, 0, count).unwrap());
    let actions = values(&io["in.actions"].get(world).unwrap().narrow(0, 0, count).unwrap());
    let latents = frames.chunks(48).map(|frame| Latent::global(frame.to_vec())).collect();
    (latents, actions[..(count - 1) * 10].to_vec())
}

#[test]
fn a_context_of_three_states_gives_what_the_authors_predictor_gives_for_a_window_of_three() {
    let (network, io) = (model("weights.pt"), io());
    let published = PublishedLewm::new(model("weights.pt"), 2, &ActionStatistics::default()).unwrap();
    assert_eq!((published.spec().context, published.spec().action_chunk, published.spec().chunk_width()), (3, 5, 10));
    let dynamics = published.dynamics(&InferenceOptions::default()).unwrap();
    for world in 0..2 {
        let (latents, actions) = recorded(&io, world, 3);
        let context = Context::after(&latents, &actions);
        let last = values(&io["in.actions"].get(world).unwrap().narrow(0, 2, 1).unwrap());
        let plan = Plans::new(1, 1, 10, last).unwrap();
        let got = dynamics.rollout(&context, &plan).unwrap();
        let first = |name: &str| io[name].narrow(0, world, 1).unwrap().narrow(1, 0, 3).unwrap().contiguous().unwrap();
        let predicted = network.predict(&first("out.emb"), &first("out.act_emb")).unwrap();
        let expected = predicted.narrow(1, 2, 1).unwrap();
        agree("the state after three", &Tensor::new(got.values(), &Device::Cpu).unwrap(), &expected);
        // Over a whole plan, and with states that are older than the history.
        let plans = Plans::new(6, 5, 10, values(&io["in.candidates"].get(world).unwrap())).unwrap();
        let rollouts = dynamics.rollout(&context, &plans).unwrap();
        let expected = io["out.rollout.h3"].get(world).unwrap().narrow(1, 3, 5).unwrap();
        agree("rollouts", &Tensor::new(rollouts.values(), &Device::Cpu).unwrap(), &expected);
        let longer: Vec<Latent> = [vec![Latent::global(vec![9.0; 48])], latents.clone()].concat();
        let longer_actions = [vec![0.5; 10], actions.clone()].concat();
        let longer = Context::after(&longer, &longer_actions);
        assert_eq!(dynamics.rollout(&longer, &plans).unwrap(), rollouts, "older states are ignored");
    }
}

#[test]
fn one_state_gives_the_engines_bits_and_actions_are_standardised_inside() {
    let io = io();
    let statistics = ActionStatistics { mean: vec![0.1], std: vec![0.5, 0.4] };
    let published = PublishedLewm::new(model("weights.pt"), 2, &statistics).unwrap();
    let engine = LewmEngine::new(&model("weights.pt")).unwrap();
    let dynamics = published.dynamics(&InferenceOptions::default()).unwrap();
    let candidates = values(&io["in.candidates"].get(0).unwrap());
    let plans = Plans::new(6, 5, 10, candidates.clone()).unwrap();
    let (latents, actions) = recorded(&io, 0, 2);
    // Division by the standard deviation is a product with its inverse: the same bits as the gain.
    let standardised = |values: &[f32]| -> Vec<f32> {
        let of = |(index, value): (usize, &f32)| {
            let std = [0.5f32, 0.4][index % 2];
            value * (1.0 / std) + -0.1 / std
        };
        values.iter().enumerate().map(of).collect()
    };
    let one = dynamics.rollout(&Context::of(&latents[0]), &plans).unwrap();
    assert_eq!(one.values(), engine.rollout(latents[0].values(), &[], &standardised(&candidates), 5, 1).unwrap());
    let context = Context::after(&latents, &actions);
    let frames: Vec<f32> = latents.iter().flat_map(|latent| latent.values()).copied().collect();
    let expected = engine.rollout(&frames, &standardised(&actions), &standardised(&candidates), 5, 1).unwrap();
    assert_eq!(dynamics.rollout(&context, &plans).unwrap().values(), expected);
    let refused = dynamics.rollout_recorded(&context, &plans);
    assert!(matches!(refused, Err(Error::NotDifferentiable { .. })));
}

/// Relative to the largest entry.
fn agree_relatively(name: &str, got: &Tensor, expected: &Tensor, tolerance: f32) {
    let (got, expected) = (values(got), values(expected));
    let scale = expected.iter().fold(1e-12f32, |most, value| most.max(value.abs()));
    let worst = got.iter().zip(&expected).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
    assert_eq!(got.len(), expected.len(), "{name}");
    assert!(worst < tolerance * scale, "{name}: {worst} of {scale}");
}

#[test]
fn a_training_step_has_the_authors_losses_gradients_and_statistics() {
    let (model, io) = (model("weights.pt"), io());
    let gaussian = &io["in.sigreg.gaussian"];
    let lengths = gaussian.sqr().unwrap().sum_keepdim(0).unwrap().sqrt().unwrap();
    let directions = gaussian.broadcast_div(&lengths).unwrap();
    agree("directions", &directions, &io["out.sigreg.directions"]);
    let directions = directions.t().unwrap().contiguous().unwrap();
    let pass = model.training_pass(&io["in.pixels"], &io["in.actions"], &directions).unwrap();
    agree("embeddings", &pass.embeddings, &io["out.train.emb"]);
    agree("predictions", &pass.predictions, &io["out.train.pred"]);
    let total = (&pass.prediction + (&pass.sigreg * 0.09).unwrap()).unwrap();
    let losses = Tensor::stack(&[&pass.prediction, &pass.sigreg, &total], 0).unwrap();
    agree_relatively("losses", &losses, &io["out.train.loss"], 1e-4);
    let gradients = total.backward().unwrap();
    let trained = model.weights().iter().filter(|(name, _)| !name.contains("running_"));
    let (mut square, mut compared) = (0.0f64, 0);
    for (name, var) in trained {
        let gradient = gradients.get(var).unwrap_or_else(|| panic!("{name}: no gradient"));
        square += values(gradient).iter().map(|value| f64::from(value * value)).sum::<f64>();
        if let Some(expected) = io.get(&format!("out.grad.{name}")) {
            agree_relatively(name, gradient, expected, 1e-3);
            compared += 1;
        }
    }
    assert_eq!(compared, io.keys().filter(|name| name.starts_with("out.grad.")).count() - 1);
    let norm = Tensor::new(&[square.sqrt() as f32], &Device::Cpu).unwrap();
    agree_relatively("norm of all gradients", &norm, &io["out.grad.total_norm"], 1e-4);
    model.remember_statistics(&pass).unwrap();
    for (name, var) in model.weights().iter().filter(|(name, _)| name.contains("running_")) {
        agree(name, var, &io[&format!("out.train.{}", name.replace("net.1.", ""))]);
    }
}

#[test]
fn a_trainer_takes_the_same_step_on_any_number_of_threads() {
    let io = io();
    let directions = io["out.sigreg.directions"].t().unwrap().contiguous().unwrap();
    let trained = |threads: usize| {
        let optimiser = OptimiserConfig { learning_rate: 1e-3, warmup_steps: 1, ..OptimiserConfig::default() };
        let mut trainer = LewmTrainer::new(model("weights.pt"), optimiser, 100, threads).unwrap();
        let mut step = || trainer.step_along(&io["in.pixels"], &io["in.actions"], &directions).unwrap();
        let losses: Vec<LewmLosses> = (0..8).map(|_| step()).collect();
        let weights: Vec<Vec<f32>> = trainer.model().weights().values().map(|var| values(var)).collect();
        (losses, weights)
    };
    let (losses, weights) = trained(1);
    assert_eq!((losses.clone(), weights), trained(3));
    let expected = values(&io["out.train.loss"]);
    assert!((losses[0].prediction - expected[0]).abs() < 1e-4 * expected[0], "{losses:?} {expected:?}");
    let norm = values(&io["out.grad.total_norm"])[0];
    assert!((losses[0].gradient_norm as f32 - norm).abs() < 1e-3 * norm, "{losses:?} {norm}");
    let total = |losses: &LewmLosses| losses.prediction + 0.09 * losses.sigreg;
    assert!(total(&losses[7]) < 0.9 * total(&losses[0]), "it learns: {losses:?}");
}

#[test]
fn sigreg_is_the_authors_statistic() {
    let io = io();
    let directions = io["out.sigreg.directions"].t().unwrap().contiguous().unwrap();
    let statistic_of = |frame: usize| {
        let projections = product(&io["in.sigreg.proj"].get(frame).unwrap(), &directions).unwrap();
        8.0 * sigreg(&projections, 17).unwrap().to_scalar::<f32>().unwrap()
    };
    let mean = (0..4).map(statistic_of).sum::<f32>() / 4.0;
    agree_relatively("statistic", &Tensor::new(&[mean], &Device::Cpu).unwrap(), &io["out.sigreg.statistic"], 1e-4);
}

#[test]
fn three_rounds_of_cem_have_the_authors_costs_and_elites() {
    let (model, io) = (model("weights.pt"), io());
    let engine = LewmEngine::new(&model).unwrap();
    let (samples, horizon, chunk, elites) = (16, 5, 10, 4);
    for world in 0..2 {
        let context = values(&io["out.emb"].get(world).unwrap().narrow(0, 0, 1).unwrap());
        let goal = values(&io["out.goal_emb"].get(world).unwrap());
        let (mut mean, mut std) = (vec![0.0f32; horizon * chunk], vec![1.0f32; horizon * chunk]);
        for round in 0..3 {
            let of = |name: &str| io[name].get(round).unwrap().get(world).unwrap();
            let noise = values(&of("in.cem.noise"));
            let mut plans: Vec<f32> = noise
                .chunks_exact(mean.len())
                .flat_map(|noise| noise.iter().zip(&std).zip(&mean).map(|((noise, std), mean)| noise * std + mean))
                .collect();
            plans[..mean.len()].copy_from_slice(&mean);
            let costs = costs(&engine.rollout(&context, &[], &plans, horizon, 1).unwrap(), horizon, &goal);
            let expected = values(&of("out.cem.costs"));
            let largest = expected.iter().fold(0.0f32, |most, cost| most.max(*cost));
            assert!(costs.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4 * largest), "{costs:?} {expected:?}");
            let mut order: Vec<usize> = (0..samples).collect();
            order.sort_by(|&a, &b| costs[a].total_cmp(&costs[b]));
            let best: Vec<i64> = order[..elites].iter().map(|&index| index as i64).collect();
            assert_eq!(best, of("out.cem.elites").to_vec1::<i64>().unwrap());
            for index in 0..mean.len() {
                let values: Vec<f32> = order[..elites].iter().map(|plan| plans[plan * mean.len() + index]).collect();
                mean[index] = values.iter().sum::<f32>() / elites as f32;
                let squares = values.iter().map(|value| (value - mean[index]).powi(2)).sum::<f32>();
                std[index] = (squares / (elites - 1) as f32).sqrt();
            }
            let length = mean.len();
            agree("mean", &Tensor::from_vec(mean.clone(), length, &Device::Cpu).unwrap(), &of("out.cem.mean"));
            agree("std", &Tensor::from_vec(std.clone(), length, &Device::Cpu).unwrap(), &of("out.cem.std"));
        }
    }
}
