//! From recordings to an encoder and what it is worth, as a user does it.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::path::{Path, PathBuf};

use mindseye_episodes::image_codec::encode_png;
use mindseye_interface::{Image, ImageSize};
use support::{assets, json, refuse, succeed, tree};

/// The recipe that comes with the program, cut down.
fn small(path: &Path) {
    let text = std::fs::read_to_string(assets().join("recipes/pretraining/vjepa.toml")).unwrap();
    let mut recipe: toml::Table = text.parse().unwrap();
    let mut set = |table: &str, field: &str, value: i64| {
        let place = if table.is_empty() { &mut recipe } else { recipe[table].as_table_mut().unwrap() };
        place.insert(field.into(), toml::Value::Integer(value)).unwrap();
    };
    for (field, value) in [("steps", 12), ("validate_every", 6), ("report_every", 2), ("save_every", 4)] {
        set("", field, value);
    }
    for (field, value) in [("image_side", 32), ("frames", 4), ("width", 24), ("layers", 1), ("heads", 2)] {
        set("encoder", field, value);
    }
    for (field, value) in [("width", 12), ("layers", 1), ("heads", 2)] {
        set("predictor", field, value);
    }
    set("data", "batch", 8);
    std::fs::write(path, toml::to_string(&recipe).unwrap()).unwrap();
}

fn fixture(name: &str) -> String {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../world_model").join(name);
    folder.display().to_string()
}

#[test]
fn recordings_become_an_encoder_that_is_encoded_with_and_probed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let record = ["record", "--scene", "two_room", "--episodes", "12", "--steps", "20", "--out", "data"];
    succeed(at, &record);
    small(&at.join("small.toml"));
    let pretrain = ["pretrain", "small.toml", "--data", "data", "--threads", "2"];
    let said = succeed(at, &[&pretrain[..], &["--out", "encoder"]].concat());
    assert!(
        said.contains("12 steps, 96 clips") && said.contains("trained:") && said.contains("effective rank"),
        "{said}"
    );
    let metrics = std::fs::read_to_string(at.join("encoder/metrics.jsonl")).unwrap();
    assert!(metrics.contains("\"effective_rank\"") && metrics.contains("\"constant\"") && metrics.contains("loss/std"));
    // Stopped and resumed: the same bytes.
    let stopped = succeed(at, &[&pretrain[..], &["--out", "again", "--stop-after", "5"]].concat());
    assert!(stopped.contains("stopped at step 5 of 12; --resume continues"), "{stopped}");
    refuse(at, &[&pretrain[..], &["--out", "again"]].concat(), &["--resume"]);
    let report = json(at, &[&pretrain[..], &["--out", "again", "--resume", "--json"]].concat());
    assert_eq!((report["steps"].as_u64(), report["finished"].as_bool()), (Some(12), Some(true)));
    let weights = |run: &str| std::fs::read(at.join(run).join("model.safetensors")).unwrap();
    assert_eq!(weights("encoder"), weights("again"));
    // Other verbs read the folder.
    let image = Image::filled(ImageSize::new(40, 30).unwrap(), [90, 40, 200]);
    std::fs::write(at.join("a.png"), encode_png(&image).unwrap()).unwrap();
    let tokens = succeed(at, &["encode", "a.png", "--weights", "encoder", "--out", "tokens.npy"]);
    assert!(tokens.contains("[1, 32, 24]"), "2 steps in time of 16 patches: {tokens}");
    let before = tree(&at.join("encoder"));
    let probe = ["probe", "encoder", "--data", "data", "--clips", "60", "--bootstrap", "50", "--threads", "2"];
    let reports = json(at, &[&probe[..], &["--fractions", "50,100", "--untrained", "--json"]].concat());
    let reports = reports.as_array().unwrap();
    assert_eq!(reports.len(), 2, "the encoder and an untrained one");
    for report in reports {
        assert_eq!(report["rows"].as_array().unwrap().len(), 6, "three probes, two shares of the labels");
        for row in report["rows"].as_array().unwrap() {
            let [low, score, high] = ["low", "score", "high"].map(|name| row[name].as_f64().unwrap());
            assert!(low <= score && score <= high && score <= 1.0, "{row}");
        }
    }
    assert!(reports[0]["untrained_seed"].is_null() && reports[1]["untrained_seed"].is_u64());
    assert_ne!(reports[0]["tokens_sha256"], reports[1]["tokens_sha256"]);
    assert_eq!(before, tree(&at.join("encoder")), "frozen: nothing in the folder changes");
    let order = succeed(at, &[&probe[..], &["--label", "order", "--probe", "linear"]].concat());
    assert!(order.contains("order by accuracy") && order.contains("by chance 0.5"), "{order}");
    let action = succeed(at, &[&probe[..], &["--label", "action", "--probe", "knn"]].concat());
    assert!(action.contains("action by R2"), "{action}");
    refuse(at, &[&probe[..], &["--label", "mood"]].concat(), &["label", "state, action, order or one of"]);
    // A checkpoint of a world model, and a published encoder.
    let checkpoint = assets().join("checkpoints/two_room").display().to_string();
    let other = ["--data", "data", "--clips", "40", "--bootstrap", "20", "--probe", "linear", "--untrained"];
    for (encoder, width) in [(checkpoint, "of 32"), (fixture("tests/fixtures/dinov2_tiny"), "of 32")] {
        let said = succeed(at, &[&["probe", &encoder][..], &other].concat());
        assert!(said.contains("untrained (seed") && said.contains(width), "{said}");
    }
}

#[test]
fn a_frozen_encoder_carries_a_world_model_that_plans() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    succeed(at, &["record", "--scene", "two_room", "--episodes", "12", "--steps", "20", "--out", "data"]);
    small(&at.join("small.toml"));
    succeed(at, &["pretrain", "small.toml", "--data", "data", "--out", "encoder", "--steps", "2"]);
    let train = ["train", "dynamics", "--encoder", "encoder", "--data", "data", "--steps", "6", "--out", "model"];
    let report = json(at, &[&train[..], &["--json"]].concat());
    assert_eq!((report["finished"].as_bool(), report["tokens"].to_string().as_str()), (Some(true), "[16,24]"));
    assert!(report["validation"]["rollout"][0]["error"].as_f64().is_some_and(f64::is_finite), "{report}");
    refuse(at, &train, &["model", "--resume"]);
    let said = succeed(at, &["inspect", "model"]);
    assert!(said.contains("world model on a frozen encoder model") && said.contains("16 tokens of 24"), "{said}");
    let evaluate = ["evaluate", "--scene", "two_room", "--checkpoint", "model", "--image-side", "32", "--json"];
    let result = json(at, &[&evaluate[..], &["--episodes", "2", "--seeds", "1", "--no-baselines"]].concat());
    assert_eq!(result["results"].as_array().map(Vec::len), Some(2), "{result}");
    // Its dynamics have no gradients.
    let task = std::fs::read_to_string(assets().join("tasks/push_t.toml")).unwrap().replace("scene = ", "# ");
    std::fs::write(at.join("gradient.toml"), task).unwrap();
    refuse(at, &[&evaluate[..], &["--task", "gradient.toml"]].concat(), &["planner.kind", "gradients"]);
    let outside = ["train", "dynamics", "--encoder", "nosuch", "--data", "data", "--out", "x"];
    refuse(at, &outside, &["nosuch"]);
    assert!(!at.join("x").exists());
}

#[test]
fn a_folder_of_videos_is_enough() {
    let folder = tempfile::tempdir().unwrap();
    small(&folder.path().join("small.toml"));
    let videos = folder.path().join("videos");
    std::fs::create_dir(&videos).unwrap();
    let plain = fixture("episodes/tests/fixtures/videos/plain.mp4");
    for name in ["a.mp4", "b.mp4", "c.mp4"] {
        std::fs::copy(&plain, videos.join(name)).unwrap();
    }
    let pretrain = ["pretrain", "small.toml", "--data", "videos", "--stride", "1", "--out", "encoder"];
    let said = succeed(folder.path(), &[&pretrain[..], &["--steps", "2", "--objective", "pixels"]].concat());
    assert!(said.contains("2 steps"), "{said}");
    let encoded = ["encode", "videos/a.mp4", "--weights", "encoder", "--out", "tokens.safetensors", "--fps", "10"];
    assert!(succeed(folder.path(), &encoded).contains(", 32, 24]"));
    let inside = ["pretrain", "small.toml", "--data", "videos", "--out", "videos/encoder"];
    refuse(folder.path(), &inside, &["outside the data"]);
    refuse(folder.path(), &["pretrain", "none.toml", "--data", "videos", "--out", "x"], &["none.toml"]);
    refuse(folder.path(), &["pretrain", "--data", "videos", "--out", "x", "--resume"], &["--resume", "got none"]);
    assert!(!folder.path().join("x").exists());
}
