//! Equal seeds give equal bytes, whatever the number of threads and however often the work is interrupted.

mod support;

use std::path::Path;

use serde_json::Value;
use support::{json, short_recipe, succeed, tree};

fn record(folder: &Path, out: &str, more: &[&str]) {
    let common = ["record", "--out", out, "--steps", "60", "--seed", "3"];
    succeed(folder, &[&common, more].concat());
}

#[test]
fn recording_twice_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), "one", &["--episodes", "12", "--threads", "1"]);
    record(folder.path(), "two", &["--episodes", "12", "--threads", "2"]);
    let (one, two) = (tree(&folder.path().join("one")), tree(&folder.path().join("two")));
    assert!(one.len() >= 5);
    assert_eq!(one, two);
    let seed_4 = ["record", "--out", "other", "--steps", "60", "--seed", "4", "--episodes", "12"];
    succeed(folder.path(), &seed_4);
    assert_ne!(one, tree(&folder.path().join("other")));
}

#[test]
fn a_recording_that_goes_on_holds_the_same_episodes() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), "whole", &["--episodes", "8", "--episodes-per-file", "4"]);
    record(folder.path(), "parts", &["--episodes", "4", "--episodes-per-file", "4"]);
    record(folder.path(), "parts", &["--episodes", "8", "--episodes-per-file", "4", "--append"]);
    let (whole, parts) = (tree(&folder.path().join("whole")), tree(&folder.path().join("parts")));
    assert_eq!(whole.keys().collect::<Vec<_>>(), parts.keys().collect::<Vec<_>>());
    for (path, bytes) in &whole {
        if path.starts_with("data") {
            assert!(parts[path] == *bytes, "{}", path.display());
        }
    }
}

#[test]
fn training_gives_the_same_weights_whole_repeated_and_resumed() {
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), "data", &["--episodes", "30"]);
    short_recipe(&folder.path().join("recipe.toml"));
    let train = |out: &str, more: &[&str]| {
        let common = ["train", "--data", "data", "--out", out, "--recipe", "recipe.toml"];
        succeed(folder.path(), &[&common, more].concat());
    };
    train("whole", &["--threads", "2"]);
    train("again", &["--threads", "1"]);
    train("parts", &["--stop-after", "25"]);
    assert!(!folder.path().join("parts/model.safetensors").exists());
    train("parts", &["--resume"]);
    for file in ["model.safetensors", "decoder.safetensors", "state.safetensors"] {
        let bytes = |out: &str| std::fs::read(folder.path().join(out).join(file)).unwrap();
        assert!(bytes("whole") == bytes("again"), "{file} of a repeated run");
        assert!(bytes("whole") == bytes("parts"), "{file} of a resumed run");
    }
    let steps = |out: &str| -> Vec<u64> {
        let text = std::fs::read_to_string(folder.path().join(out).join("metrics.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["step"].as_u64().unwrap()).collect()
    };
    assert!(steps("whole").contains(&50));
}

#[test]
fn evaluation_does_not_depend_on_threads() {
    let folder = tempfile::tempdir().unwrap();
    let evaluate = |threads: &str| {
        let arguments = ["evaluate", "--episodes", "4", "--seeds", "2", "--seed", "50", "--threads", threads, "--json"];
        json(folder.path(), &arguments)
    };
    let (one, two) = (evaluate("1"), evaluate("2"));
    assert_eq!(one["results"].as_array().unwrap().len(), 8);
    for field in ["results", "moderate", "strict", "baselines", "predictor_rows_per_episode"] {
        assert_eq!(one[field], two[field], "{field}");
    }
}
