//! LeWM as published: parity with what stable-worldmodel's own code computes (see the fixture's README), and what a broken folder says.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use mindseye_world_model::Lewm;
use mindseye_world_model::lewm::{LewmEngine, LewmLosses, LewmTrainer};
use mindseye_world_model::ops;
use mindseye_world_model::optimiser::OptimiserConfig;

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
fn both_kinds_of_weights_are_the_same_model() {
    let [one, other] = ["weights.pt", "model.safetensors"].map(model);
    for ((name, one), (_, other)) in one.weights().iter().zip(other.weights()) {
        assert_eq!(values(one), values(other), "{name}");
    }
    assert_eq!(one.weights().len(), 89, "91 tensors without two counters");
}

#[test]
fn every_stage_of_the_encoder_agrees() {
    let (model, io) = (model("weights.pt"), io());
    let flat = |name: &str| io[name].flatten_to(1).unwrap();
    let pictures = flat("in.pixels");
    agree("tokens", &model.patch_tokens(&pictures).unwrap(), &io["out.encoder.embeddings"]);
    agree("class tokens", &model.class_tokens(&pictures).unwrap(), &io["out.encoder.cls"]);
    agree("embeddings", &model.embed(&pictures).unwrap(), &io["out.emb"]);
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
fn the_engine_does_not_care_for_threads_and_refuses_what_does_not_fit() {
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
        let projections = ops::product(&io["in.sigreg.proj"].get(frame).unwrap(), &directions).unwrap();
        8.0 * ops::sigreg(&projections, 17).unwrap().to_scalar::<f32>().unwrap()
    };
    let mean = (0..4).map(statistic_of).sum::<f32>() / 4.0;
    agree_relatively("statistic", &Tensor::new(&[mean], &Device::Cpu).unwrap(), &io["out.sigreg.statistic"], 1e-4);
}

#[test]
fn three_rounds_of_cem_have_the_authors_costs_and_elites() {
    let (model, io) = (model("weights.pt"), io());
    let engine = LewmEngine::new(&model).unwrap();
    let (samples, horizon, block, elites) = (16, 5, 10, 4);
    for world in 0..2 {
        let context = values(&io["out.emb"].get(world).unwrap().narrow(0, 0, 1).unwrap());
        let goal = values(&io["out.goal_emb"].get(world).unwrap());
        let (mut mean, mut std) = (vec![0.0f32; horizon * block], vec![1.0f32; horizon * block]);
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
                let spread = values.iter().map(|value| (value - mean[index]).powi(2)).sum::<f32>();
                std[index] = (spread / (elites - 1) as f32).sqrt();
            }
            let length = mean.len();
            agree("mean", &Tensor::from_vec(mean.clone(), length, &Device::Cpu).unwrap(), &of("out.cem.mean"));
            agree("std", &Tensor::from_vec(std.clone(), length, &Device::Cpu).unwrap(), &of("out.cem.std"));
        }
    }
}

/// A folder like the fixture's, with changes, and what loading it says.
fn complaint(change: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    for file in ["config.json", "model.safetensors"] {
        std::fs::copy(fixture().join(file), folder.path().join(file)).unwrap();
    }
    change(folder.path());
    Lewm::load(folder.path()).unwrap_err().to_string()
}

fn with_tensors(folder: &Path, change: impl FnOnce(&mut HashMap<String, Tensor>)) {
    let path = folder.join("model.safetensors");
    let mut tensors = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    change(&mut tensors);
    candle_core::safetensors::save(&tensors, path).unwrap();
}

fn with_config(folder: &Path, change: impl FnOnce(&mut serde_json::Value)) {
    let path = folder.join("config.json");
    let mut config = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(path, config.to_string()).unwrap();
}

#[test]
fn a_broken_folder_is_refused_by_name() {
    const NAME: &str = "predictor.transformer.layers.1.attn.to_qkv.weight";
    let missing = complaint(|folder| with_tensors(folder, |tensors| drop(tensors.remove(NAME))));
    assert!(missing.contains(NAME) && missing.contains("model.safetensors"), "{missing}");
    let renamed = complaint(|folder| {
        with_tensors(folder, |tensors| {
            let tensor = tensors["projector.net.0.bias"].clone();
            tensors.insert("projector.net.9.bias".into(), tensor);
        });
    });
    assert!(renamed.contains("projector.net.9.bias"), "{renamed}");
    let reshaped = complaint(|folder| {
        with_tensors(folder, |tensors| {
            let transposed = tensors[NAME].t().unwrap().contiguous().unwrap();
            tensors.insert(NAME.into(), transposed);
        });
    });
    assert!(reshaped.contains(NAME) && reshaped.contains("[192, 48]") && reshaped.contains("[48, 192]"), "{reshaped}");
    let poisoned = complaint(|folder| {
        with_tensors(folder, |tensors| {
            let tensor = (&tensors["encoder.layernorm.bias"] * f64::NAN).unwrap();
            tensors.insert("encoder.layernorm.bias".into(), tensor);
        });
    });
    assert!(poisoned.contains("encoder.layernorm.bias") && poisoned.contains("finite"), "{poisoned}");
    let narrow = complaint(|folder| with_config(folder, |config| config["predictor"]["hidden_dim"] = 47.into()));
    assert!(narrow.contains("predictor.hidden_dim") && narrow.contains("48") && narrow.contains("47"), "{narrow}");
    let absurd = complaint(|folder| with_config(folder, |config| config["encoder"]["image_size"] = 1_000_000.into()));
    assert!(absurd.contains("encoder.image_size") && absurd.contains("1000000"), "{absurd}");
    let headless = complaint(|folder| {
        with_config(folder, |config| drop(config["predictor"].as_object_mut().unwrap().remove("heads")))
    });
    assert!(headless.contains("config.json") && headless.contains("heads"), "{headless}");
    let cut = complaint(|folder| {
        let path = folder.join("model.safetensors");
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(cut.contains("model.safetensors"), "{cut}");
    let without_weights = complaint(|folder| std::fs::remove_file(folder.join("model.safetensors")).unwrap());
    assert!(without_weights.contains("weights.pt"), "{without_weights}");
    let cut_pickle = complaint(|folder| {
        std::fs::remove_file(folder.join("model.safetensors")).unwrap();
        let bytes = std::fs::read(fixture().join("weights.pt")).unwrap();
        std::fs::write(folder.join("weights.pt"), &bytes[..bytes.len() / 2]).unwrap();
    });
    assert!(cut_pickle.contains("weights.pt"), "{cut_pickle}");
}
