//! Published LeWorldModels from the command line.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::path::{Path, PathBuf};

use support::{json, refuse, succeed};

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../world_model/tests/fixtures/lewm_tiny")
}

const TASK: &str = "name = \"plain distance\"\nhorizon_chunks = 2\nbudget_ms = 1000.0\n[weights]\ngoal_distance = 1.0\n\
                    [planner]\nkind = \"cem\"\nsamples = 16\niterations = 2\nelites = 4\n";

#[test]
fn a_published_folder_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let path = fixture();
    let printed = succeed(folder.path(), &["inspect", path.to_str().unwrap()]);
    assert!(printed.contains("LeWorldModel") && printed.contains("42x42"), "{printed}");
    let report = json(folder.path(), &["inspect", path.to_str().unwrap(), "--json"]);
    assert_eq!((report["kind"].as_str(), report["config"]["predictor"]["history"].as_u64()), (Some("lewm"), Some(3)));
}

#[test]
fn a_published_model_acts_and_is_evaluated_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("task.toml"), TASK).unwrap();
    let path = fixture();
    let evaluate = |more: &[&str]| -> Vec<String> {
        let common = ["evaluate", "--checkpoint", path.to_str().unwrap(), "--task", "task.toml", "--episodes", "3"];
        let rest = ["--seeds", "1", "--no-baselines", "--json"];
        common.iter().chain(&rest).chain(more).map(|&argument| argument.to_owned()).collect()
    };
    let run = |more: &[&str]| {
        let arguments = evaluate(more);
        json(folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let report = run(&["--image-side", "42"]);
    let method = &report["methods"][0];
    assert_eq!((method["name"].as_str(), &method["model"]["training_seed"]), (Some("lewm"), &serde_json::Value::Null));
    assert_eq!(method["model"]["fingerprint"].as_str().map(str::len), Some(64));
    assert_eq!(report["errors"], serde_json::json!({}));
    // 16 plans x 2 iterations x 2 chunks in each of 10 ticks.
    assert_eq!(report["predicted_states_per_episode"].as_f64(), Some(640.0));
    let standardised = run(&["--image-side", "42", "--action-mean", "0.1", "--action-std", "0.5,0.4"]);
    let distances = |report: &serde_json::Value| -> Vec<f64> {
        let pairs = report["results"].as_array().unwrap().iter();
        pairs.map(|pair| pair["final_distance"].as_f64().unwrap()).collect()
    };
    assert_ne!(distances(&report), distances(&standardised), "actions are standardised as the model was trained");
    for (more, expected) in [
        (vec![], "image-side"),
        (vec!["--image-side", "42", "--action-std", "0.0"], "action-std"),
        (vec!["--image-side", "42", "--action-mean", "1,2,3"], "action-mean"),
        (vec!["--image-side", "42", "--oracle-dynamics"], "oracle-dynamics"),
    ] {
        let arguments = evaluate(&more);
        refuse(folder.path(), &arguments.iter().map(String::as_str).collect::<Vec<_>>(), &[expected]);
    }
    std::fs::write(folder.path().join("task.toml"), TASK.replace("[planner]", "curiosity = 0.1\n[planner]")).unwrap();
    let arguments = evaluate(&["--image-side", "42"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    refuse(folder.path(), &arguments, &["weights", "method lewm", "got curiosity"]);
}
