//! Recordings of other tools: looked at, checked, converted, trained on.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::path::Path;

use support::{assets, json, refuse, succeed, tree};

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../world_model/episodes/tests/fixtures");
    folder.join(name).to_str().unwrap().to_owned()
}

const ALL: [&str; 6] = [
    "lerobot_v3_tiny_image",
    "lerobot_v3_tiny",
    "lerobot_v3_tiny_h264",
    "lerobot_v21_tiny",
    "swm_hdf5_tiny/toy_push.h5",
    "swm_hdf5_blosc_tiny/toy_push_blosc.h5",
];

#[test]
fn every_format_is_explained_and_found_whole() {
    let folder = tempfile::tempdir().unwrap();
    for name in ALL {
        let summary = json(folder.path(), &["inspect", &fixture(name), "--json"]);
        assert_eq!((summary["kind"].as_str(), summary["frames"].as_u64()), (Some("dataset"), Some(60)), "{name}");
        let report = json(folder.path(), &["data", "validate", &fixture(name), "--json"]);
        assert_eq!((report["episodes"].as_u64(), report["broken"].as_array().unwrap().len()), (Some(3), 0), "{name}");
    }
    succeed(folder.path(), &["data", "preview", &fixture(ALL[1]), "--out", "sheet.png", "--episodes", "2"]);
    assert!(std::fs::read(folder.path().join("sheet.png")).unwrap().starts_with(b"\x89PNG"));
}

#[test]
fn converting_loses_nothing_and_joins() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    succeed(folder.path(), &["data", "convert", &fixture(ALL[0]), "--out", "once"]);
    succeed(folder.path(), &["data", "convert", "once", "--out", "twice"]);
    assert!(tree(&at("once")) == tree(&at("twice")), "what is converted again stays as it is");
    let episodes = |path: &Path| -> Vec<mindseye_episodes::EpisodeData> {
        let source = mindseye_episodes::open(path).unwrap();
        (0..source.len()).map(|index| source.read_episode(index).unwrap()).collect()
    };
    assert!(episodes(&at("once")) == episodes(Path::new(&fixture(ALL[0]))), "pictures and numbers without loss");
    let both = ["data", "convert", "once", &fixture(ALL[3]), "--out", "joined", "--json"];
    assert_eq!(json(folder.path(), &both)["episodes"], 6);
    let joined = episodes(&at("joined"));
    assert!(joined[..3] == episodes(&at("once"))[..]);
    let hdf5 = fixture(ALL[4]);
    refuse(folder.path(), &["data", "convert", &hdf5, "--out", "new"], &["--fps", "toy_push.h5"]);
    refuse(
        folder.path(),
        &["data", "convert", "once", &hdf5, "--fps", "10", "--out", "new"],
        &["toy_push.h5", "state: 3"],
    );
    refuse(folder.path(), &["data", "convert", "once", "--out", "joined"], &["joined", "new or empty folder"]);
    assert!(!at("new").exists());
}

#[test]
fn what_is_joined_still_tells_how_it_came_about() {
    let folder = tempfile::tempdir().unwrap();
    for (scene, seed, out) in [("two_room", "3", "first"), ("two_room", "4", "second"), ("push_t", "3", "other")] {
        let common = ["record", "--scene", scene, "--seed", seed, "--episodes", "3", "--steps", "6", "--out", out];
        succeed(folder.path(), &common);
    }
    succeed(folder.path(), &["data", "convert", "first", "second", "--out", "both"]);
    succeed(folder.path(), &["data", "convert", "both", "first", "--out", "three", "--camera", "top"]);
    let recordings = |path: &str| -> Vec<(u64, u64)> {
        let summary = json(folder.path(), &["inspect", path, "--json"]);
        let recordings = summary["sidecar"]["recordings"].as_array().unwrap().clone();
        let numbers = |recording: &serde_json::Value| {
            (recording["first_episode"].as_u64().unwrap(), recording["seed"].as_u64().unwrap())
        };
        recordings.iter().map(numbers).collect()
    };
    assert_eq!(recordings("both"), [(0, 3), (3, 4)]);
    assert_eq!(recordings("three"), [(0, 3), (3, 4), (6, 3)]);
    refuse(folder.path(), &["data", "convert", "first", "other", "--out", "mixed"], &["other"]);
}

#[test]
fn broken_episodes_are_listed_and_left_out_of_a_new_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("broken");
    for (path, bytes) in tree(Path::new(&fixture("lerobot_v21_tiny"))) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }
    let video = root.join("videos/chunk-000/observation.images.front/episode_000001.mp4");
    let bytes = std::fs::read(&video).unwrap();
    std::fs::write(&video, &bytes[..bytes.len() / 2]).unwrap();
    let before = tree(&root);
    let output = support::mindseye(folder.path(), &["data", "validate", "broken"]);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success() && said.contains("episode 1:") && said.contains("episode_000001.mp4"), "{said}");
    let report = json(folder.path(), &["data", "validate", "broken", "--repair", "whole", "--json"]);
    assert_eq!((report["broken"][0]["episode"].as_u64(), report["repaired"]["episodes"].as_u64()), (Some(1), Some(2)));
    assert!(tree(&root) == before, "what is read is never changed");
    let report = json(folder.path(), &["data", "validate", "whole", "--json"]);
    assert_eq!((report["episodes"].as_u64(), report["frames"].as_u64()), (Some(2), Some(40)));
}

#[test]
fn a_model_is_trained_from_any_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe: toml::Table =
        std::fs::read_to_string(assets().join("recipes/recorded.toml")).unwrap().parse().unwrap();
    for field in ["steps", "decoder_steps"] {
        recipe.insert(field.into(), toml::Value::Integer(4)).unwrap();
    }
    recipe["refinement"].as_table_mut().unwrap().insert("steps".into(), toml::Value::Integer(2));
    recipe["refinement"].as_table_mut().unwrap().insert("frames".into(), toml::Value::Integer(3));
    recipe["data"].as_table_mut().unwrap().insert("frames".into(), toml::Value::Integer(3));
    recipe["data"].as_table_mut().unwrap().insert("validation_fraction".into(), toml::Value::Float(0.4));
    std::fs::write(folder.path().join("recipe.toml"), toml::to_string(&recipe).unwrap()).unwrap();
    let train = |name: &str, out: &str, more: &[&str]| {
        let data = fixture(name);
        let common = ["train", "--data", &data, "--recipe", "recipe.toml", "--out", out, "--json"];
        json(folder.path(), &[&common, more].concat())
    };
    train("lerobot_v3_tiny", "video", &["--scene", "pushing"]);
    let summary = json(folder.path(), &["inspect", "video", "--json"]);
    assert_eq!(summary["scene"], "pushing");
    let space = &summary["action_space"];
    assert_eq!(space["names"], serde_json::json!(["dx", "dy"]));
    assert!(space["low"][0].as_f64() < space["high"][0].as_f64() && space["high"][0].as_f64() < Some(0.1), "{space}");
    train("swm_hdf5_tiny/toy_push.h5", "new", &["--fps", "10"]);
    train("swm_hdf5_blosc_tiny/toy_push_blosc.h5", "old", &["--fps", "10"]);
    let weights = |run: &str| std::fs::read(folder.path().join(run).join("model.safetensors")).unwrap();
    assert!(weights("new").len() == weights("old").len());
    refuse(
        folder.path(),
        &["train", "--data", &fixture("swm_hdf5_tiny/toy_push.h5"), "--recipe", "recipe.toml", "--out", "none"],
        &["--fps", "toy_push.h5"],
    );
    assert!(!folder.path().join("none").exists());
}
