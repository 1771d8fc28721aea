//! A scene behind the protocol of worlds, as another program would offer it, is the scene.
#![cfg(unix)]
#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use serde_json::Value;
use support::{json, refuse, succeed, tree};

/// The command of a world that is the scene `push_t`.
fn served(rest: &str) -> String {
    format!("{} world --scene push_t{rest}", env!("CARGO_BIN_EXE_mindseye"))
}

/// The report without what is measured by a clock, what names the program, and what the protocol does not carry: what
/// the goals ask for, by the scene's own measures.
fn comparable(mut report: Value) -> Value {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(fields) => {
                fields.retain(|name, _| !name.contains("planning") && name != "metrics" && name != "subsets");
                fields.values_mut().for_each(strip);
            }
            Value::Array(values) => values.iter_mut().for_each(strip),
            _ => {}
        }
    }
    strip(&mut report);
    report
}

#[test]
fn recordings_in_a_served_scene_have_the_bytes_of_those_in_the_scene() {
    let folder = tempfile::tempdir().unwrap();
    let common = ["--episodes", "4", "--steps", "30", "--seed", "3", "--threads", "2"];
    let record = |where_to: &[&str]| succeed(folder.path(), &[&["record"], where_to, &common[..]].concat());
    record(&["--scene", "push_t", "--out", "scene"]);
    record(&["--world", &served(""), "--out", "world"]);
    assert_eq!(tree(&folder.path().join("scene")), tree(&folder.path().join("world")));
    // An agent's own collection needs copies of the world for its goals, which the protocol has too.
    let common = ["--policy", "agent", "--episodes", "2", "--steps", "20", "--threads", "2"];
    let record = |where_to: &[&str]| succeed(folder.path(), &[&["record"], where_to, &common[..]].concat());
    record(&["--scene", "push_t", "--out", "agent_in_scene"]);
    record(&["--world", &served(""), "--out", "agent_in_world"]);
    assert_eq!(tree(&folder.path().join("agent_in_scene")), tree(&folder.path().join("agent_in_world")));
}

#[test]
fn an_evaluation_in_a_served_scene_has_the_results_of_one_in_the_scene() {
    let folder = tempfile::tempdir().unwrap();
    let common = ["--episodes", "3", "--seeds", "1", "--goal-offset", "10", "--no-baselines", "--json"];
    let evaluate = |place: &[&str]| comparable(json(folder.path(), &[&["evaluate"], place, &common[..]].concat()));
    let scene = evaluate(&["--scene", "push_t"]);
    assert_eq!(scene["results"].as_array().unwrap().len(), 3);
    assert_eq!(scene, evaluate(&["--world", &served("")]));
}

#[test]
fn a_world_that_can_do_little_is_evaluated_by_repeating_actions_and_without_an_oracle() {
    let folder = tempfile::tempdir().unwrap();
    let world = served(" --without set_state,snapshot");
    let arguments = ["evaluate", "--world", &world, "--episodes", "2", "--seeds", "1", "--goal-offset", "5", "--json"];
    let report = json(folder.path(), &arguments);
    let text = report.to_string();
    assert!(text.contains("no_op") && text.contains("random") && !text.contains("\"oracle\""), "{text}");
    refuse(folder.path(), &[&arguments[..], &["--oracle-dynamics"]].concat(), &["--oracle-dynamics", "snapshots"]);
    refuse(folder.path(), &["demo", "--world", &world], &["--checkpoint"]);
}

#[test]
fn goals_come_from_recordings_of_the_world_and_an_evaluation_uses_none_that_the_model_may_know() {
    let folder = tempfile::tempdir().unwrap();
    let world = served(" --without set_state,snapshot");
    let record = |rest: &[&str]| {
        let common = ["record", "--world", &world, "--steps", "45", "--threads", "2"];
        succeed(folder.path(), &[&common[..], rest].concat())
    };
    record(&["--episodes", "3", "--out", "data"]);
    for out in ["own", "again"] {
        record(&["--policy", "agent", "--episodes", "2", "--data", "data", "--out", out]);
    }
    assert_eq!(tree(&folder.path().join("own")), tree(&folder.path().join("again")));
    // The shipped checkpoint is of before, and does not say what it was trained on.
    let evaluate = ["evaluate", "--world", &world, "--data", "data", "--episodes", "1", "--seeds", "1"];
    refuse(folder.path(), &evaluate, &["--data", "trained on"]);
    let other = format!("{} world --scene two_room", env!("CARGO_BIN_EXE_mindseye"));
    let wrong = ["evaluate", "--world", &other, "--data", "data", "--episodes", "1"];
    refuse(folder.path(), &wrong, &["--data", "actions"]);
}
