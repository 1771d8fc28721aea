//! Several futures, from the command line.

mod support;

use support::{assets, json, refuse, succeed, tree};

#[test]
fn the_shipped_futures_find_both_branches_of_forks_and_one_answer_finds_neither() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["forks", "--scene", "bridge", "--episodes", "40", "--seed", "1000", "--json"];
    let report = json(folder.path(), &arguments);
    assert!(report["forks"].as_u64().unwrap() >= 30, "{report}");
    let rate = |finding: &serde_json::Value| finding["recall"]["rate"].as_f64().unwrap();
    let of = |samples: u64| {
        let futures = report["futures"].as_array().unwrap();
        rate(futures.iter().find(|futures| futures["samples"] == samples).unwrap())
    };
    assert!(of(8) >= RECALL, "{report}");
    assert!(of(1) < of(2) && of(2) <= of(8), "{report}");
    assert!(rate(&report["model"]) < 0.2, "{report}");
}

/// Share of the branches that eight futures must find.
const RECALL: f64 = 0.8;

#[test]
fn spread_and_error_of_the_shipped_futures_go_together() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &["record", "--scene", "bridge", "--episodes", "60", "--seed", "77", "--out", "fresh"]);
    let checkpoint = assets().join("checkpoints/bridge");
    let checkpoint = checkpoint.to_str().unwrap();
    let teach = |part: &str, more: &[&str], out: &str| {
        let arguments = ["teach", part, "--scene", "bridge", "--checkpoint", checkpoint, "--data", "fresh", "--json"];
        json(folder.path(), &[&arguments, more, &["--out", out]].concat())
    };
    // What a few steps teach depends on nothing but the seed.
    teach("futures", &["--steps", "3", "--threads", "1"], "one");
    let report = teach("futures", &["--steps", "3", "--threads", "2"], "two");
    assert_eq!(tree(&folder.path().join("one")), tree(&folder.path().join("two")));
    assert_eq!(report["held_out"]["error_of_best"].as_array().unwrap().len(), 4);
    let report = teach("ensemble", &["--members", "2", "--steps", "40"], "three");
    let calibration = report["calibration"].as_array().unwrap();
    assert_eq!(calibration.iter().map(|at| at["blocks"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 3, 5]);
    assert!(calibration.iter().all(|at| at["spearman"].as_f64().unwrap() > 0.0), "{report}");
    assert!(folder.path().join("three/ensemble.safetensors").exists());
}

#[test]
fn a_task_that_asks_for_futures_wants_a_checkpoint_that_has_them() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = assets().join("checkpoints/two_room");
    let shipped = std::fs::read_to_string(assets().join("tasks/two_room.toml")).unwrap();
    for (kind, command) in [("latent", "teach futures"), ("ensemble", "teach ensemble")] {
        let task = folder.path().join("task.toml");
        std::fs::write(&task, format!("{shipped}\n[futures]\nkind = \"{kind}\"\n")).unwrap();
        let arguments = ["evaluate", "--episodes", "1", "--seeds", "1", "--no-baselines", "--task", "task.toml"];
        refuse(
            folder.path(),
            &[&arguments[..], &["--checkpoint", checkpoint.to_str().unwrap()]].concat(),
            &[&format!("futures.kind {kind}"), command],
        );
    }
    refuse(folder.path(), &["forks", "--scene", "two_room", "--episodes", "1"], &["two_room", "more ends than one"]);
}

#[test]
fn who_does_not_mind_the_risk_takes_the_bridge() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["evaluate", "--scene", "bridge", "--pairs", "cross", "--episodes", "4", "--seeds", "1"];
    let report = json(folder.path(), &[&arguments[..], &["--budget", "40", "--no-baselines", "--json"]].concat());
    assert!(report["ways"]["bridge"]["rate"].as_f64().unwrap() >= 0.75, "{}", report["ways"]);
    let first = &report["results"][0];
    assert!(first["ways"].as_array().is_some_and(|ways| !ways.is_empty()), "{first}");
}
