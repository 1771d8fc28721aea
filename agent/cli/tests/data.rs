//! Recordings of other tools: inspected, validated, converted and trained on.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and does not recognise helpers as tests

mod support;

use std::path::Path;

use support::{assets, json, mindseye, refuse, succeed, tree};

fn fixture(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../world_model/episodes/tests/fixtures");
    folder.join(name).to_str().unwrap().to_owned()
}

const ALL: [&str; 9] = [
    "lerobot_v3_tiny_image",
    "lerobot_v3_tiny",
    "lerobot_v3_tiny_h264",
    "lerobot_v21_tiny",
    "swm_hdf5_tiny/toy_push.h5",
    "swm_hdf5_blosc_tiny/toy_push_blosc.h5",
    "swm_video_tiny",
    "swm_folder_tiny",
    "robomimic_tiny/toy_lift.hdf5",
];

#[test]
fn every_format_is_inspected_validated_and_previewed() {
    let folder = tempfile::tempdir().unwrap();
    for name in ALL {
        let summary = json(folder.path(), &["inspect", &fixture(name), "--json"]);
        assert_eq!(summary["kind"].as_str(), Some("dataset"), "{name}");
        assert_eq!(summary["mapping"]["cameras"].as_array().unwrap().len(), 1, "{name}");
        let report = json(folder.path(), &["data", "validate", &fixture(name), "--json"]);
        assert_eq!((report["episodes"].as_u64(), report["broken"].as_array().unwrap().len()), (Some(3), 0), "{name}");
        assert_eq!(report["frames"], summary["frames"], "{name}");
    }
    succeed(folder.path(), &["data", "preview", &fixture(ALL[1]), "--out", "sheet.png", "--episodes", "2"]);
    assert!(std::fs::read(folder.path().join("sheet.png")).unwrap().starts_with(b"\x89PNG"));
    succeed(folder.path(), &["data", "preview", &fixture(ALL[0]), "--out", "film.gif", "--episodes", "3"]);
    assert!(std::fs::read(folder.path().join("film.gif")).unwrap().starts_with(b"GIF89a"));
    refuse(folder.path(), &["data", "preview", &fixture(ALL[0]), "--out", "film.avi"], &["film.avi", ".gif"]);
}

#[test]
fn converting_is_lossless_and_joins_data_sets() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    succeed(folder.path(), &["data", "convert", &fixture(ALL[0]), "--out", "once"]);
    succeed(folder.path(), &["data", "convert", "once", "--out", "twice"]);
    assert!(tree(&at("once")) == tree(&at("twice")), "converting twice changes nothing");
    let episodes = |path: &Path| -> Vec<mindseye_episodes::EpisodeData> {
        let source = mindseye_episodes::open(path).unwrap();
        (0..source.len()).map(|index| source.read_episode(index).unwrap()).collect()
    };
    assert!(episodes(&at("once")) == episodes(Path::new(&fixture(ALL[0]))), "lossless images and numbers");
    let both = ["data", "convert", "once", &fixture(ALL[3]), "--out", "joined", "--json"];
    assert_eq!(json(folder.path(), &both)["episodes"], 6);
    let joined = episodes(&at("joined"));
    assert!(joined[..3] == episodes(&at("once"))[..]);
    let hdf5 = fixture(ALL[4]);
    refuse(folder.path(), &["data", "convert", &hdf5, "--out", "new"], &["--fps", "toy_push.h5"]);
    refuse(
        folder.path(),
        &["data", "convert", "once", &hdf5, "--fps", "10", "--out", "new"],
        &["toy_push.h5", "3 of state"],
    );
    refuse(folder.path(), &["data", "convert", "once", "--out", "joined"], &["joined", "new or empty folder"]);
    assert!(!at("new").exists());
}

#[test]
fn joined_data_sets_keep_the_seeds_of_their_recordings() {
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
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(!output.status.success());
    assert!(printed.contains("episode 1:") && printed.contains("episode_000001.mp4"), "{printed}");
    let report = json(folder.path(), &["data", "validate", "broken", "--repair", "whole", "--json"]);
    assert_eq!((report["broken"][0]["episode"].as_u64(), report["repaired"]["episodes"].as_u64()), (Some(1), Some(2)));
    assert!(tree(&root) == before, "the data set that is read is unchanged");
    let report = json(folder.path(), &["data", "validate", "whole", "--json"]);
    assert_eq!((report["episodes"].as_u64(), report["frames"].as_u64()), (Some(2), Some(40)));
}

#[test]
fn a_model_is_trained_from_recordings_of_other_tools() {
    let folder = tempfile::tempdir().unwrap();
    let mut recipe: toml::Table =
        std::fs::read_to_string(assets().join("recipes/recorded.toml")).unwrap().parse().unwrap();
    for field in ["steps", "decoder_steps"] {
        recipe.insert(field.into(), toml::Value::Integer(4)).unwrap();
    }
    recipe["finetuning"].as_table_mut().unwrap().insert("steps".into(), toml::Value::Integer(2));
    recipe["finetuning"].as_table_mut().unwrap().insert("frames".into(), toml::Value::Integer(3));
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

/// Writes the recipe for recordings to `path`, with a few steps and the model fields `more`.
fn few_steps(path: &Path, more: &[(&str, i64)]) {
    let mut recipe: toml::Table =
        std::fs::read_to_string(assets().join("recipes/recorded.toml")).unwrap().parse().unwrap();
    for field in ["steps", "decoder_steps"] {
        recipe.insert(field.into(), toml::Value::Integer(4)).unwrap();
    }
    recipe["finetuning"].as_table_mut().unwrap().insert("steps".into(), toml::Value::Integer(2));
    recipe["data"].as_table_mut().unwrap().insert("validation_fraction".into(), toml::Value::Float(0.2));
    for (field, value) in more {
        recipe["model"].as_table_mut().unwrap().insert((*field).into(), toml::Value::Integer(*value));
    }
    std::fs::write(path, toml::to_string(&recipe).unwrap()).unwrap();
}

#[test]
fn equal_data_in_any_format_shards_or_cache_train_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    few_steps(&folder.path().join("recipe.toml"), &[("image_side", 32)]);
    let run = |arguments: &str| succeed(folder.path(), &arguments.split(' ').collect::<Vec<_>>());
    run("record --scene push_t --episodes 12 --steps 40 --out whole");
    run("record --scene push_t --episodes 12 --steps 40 --shard 1/2 --out first");
    run("record --scene push_t --episodes 12 --steps 40 --shard 2/2 --out second");
    run("data convert whole --to hdf5 --out whole.h5");
    run("data convert second --to hdf5 --out second.h5");
    let train = |data: &str, out: &str| -> [Vec<u8>; 2] {
        run(&format!("train {data} --recipe recipe.toml --out {out}"));
        ["model.safetensors", "decoder.safetensors"]
            .map(|file| std::fs::read(folder.path().join(out).join(file)).unwrap())
    };
    let expected = train("--data whole", "from_folder");
    assert!(train("--data whole.h5", "from_hdf5") == expected);
    assert!(train("--data first --data second.h5", "from_parts") == expected);
    assert!(train("--data whole --cache frames", "decoding") == expected);
    let frames = tree(&folder.path().join("frames"));
    assert_eq!(frames.len(), 1);
    assert!(train("--data whole --cache frames", "decoded") == expected);
    assert!(tree(&folder.path().join("frames")) == frames, "frames are decoded only once");
    let mixed = train("--data first --data second --weights 3,1", "mixed");
    assert!(mixed != expected && mixed == train("--data first --data second --weights 6,2", "mixed_alike"));
    let evaluated = "evaluate --scene push_t --image-side 32 --checkpoint from_hdf5 --episodes 2 --seeds 1";
    run(&format!("{evaluated} --budget 10 --no-baselines"));
    let refused = ["train", "--data", "whole", "--data", "second.h5", "--weights", "1", "--out", "none"];
    refuse(folder.path(), &refused, &["--weights", "2 data sets", "got 1"]);
}

#[test]
fn a_mapping_assigns_columns_to_cameras_actions_and_proprioception() {
    let folder = tempfile::tempdir().unwrap();
    few_steps(&folder.path().join("recipe.toml"), &[("action_chunk", 2)]);
    std::fs::write(
        folder.path().join("mapping.toml"),
        "cameras = [\"pixels\", \"pixels\"]\naction = [\"action\", \"proprio[0..1]\"]\n\
         proprioception = [\"state[1..3]\"]\nstate = []\nfps = 10.0\n",
    )
    .unwrap();
    let data = fixture("swm_hdf5_tiny/toy_push.h5");
    let summary = json(folder.path(), &["inspect", &data, "--mapping", "mapping.toml", "--json"]);
    assert_eq!(summary["mapping"]["action"], serde_json::json!(["action", "proprio[0..1]"]));
    let common = ["train", "--data", &data, "--mapping", "mapping.toml", "--recipe", "recipe.toml"];
    succeed(folder.path(), &[&common[..], &["--proprioception", "--out", "run"]].concat());
    let summary = json(folder.path(), &["inspect", "run", "--json"]);
    let model = &summary["model"];
    assert_eq!(
        [&model["cameras"], &model["action_width"], &model["proprioception_width"]],
        [2, 3, 2],
        "two cameras, three actions, two of proprioception"
    );
    assert!(summary["state_names"].as_array().unwrap().is_empty());
    std::fs::write(folder.path().join("none.toml"), "action = []\n").unwrap();
    let refused = ["train", "--data", &data, "--mapping", "none.toml", "--fps", "10", "--out", "none"];
    refuse(folder.path(), &refused, &["toy_push.h5", "a column of actions", "none"]);
    std::fs::write(folder.path().join("wrong.toml"), "action = [\"arm\"]\n").unwrap();
    let refused = ["inspect", &data, "--mapping", "wrong.toml"];
    refuse(folder.path(), &refused, &["toy_push.h5", "action arm", "proprio"]);
}

#[test]
fn data_inspect_names_the_command_that_replaces_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = fixture(ALL[0]);
    refuse(folder.path(), &["data", "inspect", &data, "--json"], &["mindseye inspect"]);
    let help = support::mindseye(folder.path(), &["data", "--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains("convert") && !help.contains("merge") && !help.contains("Renamed"), "{help}");
}

/// Own recordings are good, and a warning is no error unless it is asked to be one.
#[test]
fn validate_warns_of_useless_recordings_and_not_of_own_ones() {
    let folder = tempfile::tempdir().unwrap();
    for scene in ["two_room", "push_t"] {
        succeed(folder.path(), &["record", "--scene", scene, "--episodes", "30", "--steps", "70", "--out", scene]);
        let report = json(folder.path(), &["data", "validate", scene, "--strict", "--json"]);
        assert_eq!(report["warnings"].as_array().unwrap().len(), 0, "{report}");
    }
    let small = fixture(ALL[0]);
    let report = json(folder.path(), &["data", "validate", &small, "--json"]);
    assert_eq!(report["warnings"][0]["kind"], "few_episodes");
    let strict = mindseye(folder.path(), &["data", "validate", &small, "--strict"]);
    assert!(!strict.status.success());
    assert!(String::from_utf8_lossy(&strict.stderr).contains("--strict: expected no warnings, got 2"));
}

/// Symptom: the rate of `--fps` was that of the new data set alone; a recording with timestamps of this rate, beside a
/// description of another, was refused.
#[test]
fn a_rate_that_is_given_reads_timestamps_that_run_at_it() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = fixture("as_people_have_it/rate_said_wrongly");
    refuse(folder.path(), &["data", "convert", &wrong, "--out", "new"], &["timestamp: expected 0.0333"]);
    succeed(folder.path(), &["data", "convert", &wrong, "--fps", "20", "--out", "new"]);
    assert_eq!(json(folder.path(), &["inspect", "new", "--json"])["frames_per_second"], 20.0);
    succeed(folder.path(), &["data", "validate", &wrong, "--fps", "20"]);
}
