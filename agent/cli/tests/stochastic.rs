//! Stochastic predictors and ensembles, from the command line.

mod support;

use support::{assets, json, refuse, succeed};

#[test]
fn the_shipped_samples_find_both_branches_and_one_prediction_finds_neither() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["evaluate", "branches", "--scene", "bridge", "--episodes", "40", "--seed", "1000", "--json"];
    let report = json(folder.path(), &arguments);
    assert!(report["branch_points"].as_u64().unwrap() >= 30, "{report}");
    let rate = |finding: &serde_json::Value| finding["recall"]["rate"].as_f64().unwrap();
    let of = |samples: u64| {
        let coverages = report["stochastic"].as_array().unwrap();
        rate(coverages.iter().find(|coverage| coverage["samples"] == samples).unwrap())
    };
    assert!(of(8) >= RECALL, "{report}");
    assert!(of(1) < of(2) && of(2) <= of(8), "{report}");
    assert!(rate(&report["model"]) < 0.2, "{report}");
}

/// Share of the branches that eight samples must find.
const RECALL: f64 = 0.8;

#[test]
fn standard_deviation_and_error_of_trained_predictors_are_correlated() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &["record", "--scene", "bridge", "--episodes", "60", "--seed", "77", "--out", "fresh"]);
    let checkpoint = assets().join("checkpoints/bridge");
    let checkpoint = checkpoint.to_str().unwrap();
    let train = |verb: &[&str], more: &[&str], out: &str| {
        let arguments = ["--scene", "bridge", "--checkpoint", checkpoint, "--data", "fresh", "--json", "--out", out];
        json(folder.path(), &[verb, &arguments, more].concat())
    };
    // A few steps depend on nothing but the seed: not on threads, nor on the name of the verb.
    train(&["train", "stochastic"], &["--steps", "3", "--threads", "1"], "one");
    let former = ["teach", "futures"]; // the old name
    let report = train(&former, &["--steps", "3", "--threads", "2", "--rate", "0.02"], "two");
    let bytes = |out: &str| std::fs::read(folder.path().join(out).join("stochastic.safetensors")).unwrap();
    assert!(bytes("one") == bytes("two"), "stochastic.safetensors");
    assert_eq!(report["held_out"]["error_of_best"].as_array().unwrap().len(), 4);
    let report = train(&["train", "ensemble"], &["--ensemble-size", "2", "--steps", "40"], "three");
    let calibration = report["calibration"].as_array().unwrap();
    assert_eq!(calibration.iter().map(|at| at["chunks"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 3, 5]);
    assert!(calibration.iter().all(|at| at["spearman"].as_f64().unwrap() > 0.0), "{report}");
    assert!(folder.path().join("three/ensemble.safetensors").exists());
}

#[test]
fn a_task_that_asks_for_samples_needs_a_checkpoint_that_has_the_predictor() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = assets().join("checkpoints/two_room");
    let shipped = std::fs::read_to_string(assets().join("tasks/two_room.toml")).unwrap();
    for (kind, command) in [("latent", "train stochastic"), ("ensemble", "train ensemble")] {
        let task = folder.path().join("task.toml");
        let section = format!("[futures]\nkind = \"{kind}\"\n"); // the old name of the section
        std::fs::write(&task, format!("{shipped}\n{section}")).unwrap();
        let arguments = ["evaluate", "--episodes", "1", "--seeds", "1", "--no-baselines", "--task", "task.toml"];
        refuse(
            folder.path(),
            &[&arguments[..], &["--checkpoint", checkpoint.to_str().unwrap()]].concat(),
            &[&format!("samples.kind {kind}"), command],
        );
    }
    refuse(
        folder.path(),
        &["evaluate", "branches", "--scene", "two_room", "--episodes", "1"],
        &["two_room", "more ends than one"],
    );
}

#[test]
fn an_agent_without_a_risk_weight_takes_the_bridge() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["evaluate", "--scene", "bridge", "--pairs", "cross", "--episodes", "4", "--seeds", "1"];
    let report = json(folder.path(), &[&arguments[..], &["--budget", "40", "--no-baselines", "--json"]].concat());
    assert!(report["routes"]["bridge"]["rate"].as_f64().unwrap() >= 0.75, "{}", report["routes"]);
    let first = &report["results"][0];
    assert!(first["routes"].as_array().is_some_and(|routes| !routes.is_empty()), "{first}");
}
