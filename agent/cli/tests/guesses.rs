//! What `train` makes of other tools' recordings, and says before it begins.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::path::Path;

use mindseye_episodes::{DatasetSpec, DatasetWriter, EpisodeData, ImageStorage, WriteMode};
use mindseye_interface::{Image, ImageSize};
use support::{assets, json, mindseye, refuse, succeed};

/// Records episodes of an arm at 30 frames per second, as another tool would: metres, a gripper in 0..1, and a motor
/// that never moves. `change` may change an action, by episode and frame.
fn record(path: &Path, change: impl Fn(usize, usize, &mut [f32; 3])) {
    let (size, names) =
        (ImageSize::square(16).unwrap(), |names: &[&str]| names.iter().map(ToString::to_string).collect());
    let spec = DatasetSpec {
        frames_per_second: 30,
        camera: "front".into(),
        more_cameras: Vec::new(),
        image_size: size,
        image_storage: ImageStorage::Png,
        proprioception_names: names(&["x_m"]),
        state_names: vec![],
        action_names: names(&["dx_m", "gripper", "wrist"]),
        task: "reach".into(),
        robot: None,
        episodes_per_file: 8,
        sidecar: None,
    };
    let mut writer = DatasetWriter::create(path, spec, WriteMode::Error).unwrap();
    for episode in 0..6 {
        let frame = |index: usize| Image::filled(size, [(10 * episode + index) as u8, 90, (3 * index) as u8]);
        let action = |index: usize| {
            let dx_m = [0.0, 0.01, 0.004, -0.01, -0.003][(episode + index) % 5];
            let mut action = [dx_m, f32::from(u8::from(index > 40)), 0.3];
            change(episode, index, &mut action);
            action.to_vec()
        };
        writer
            .add_episode(&EpisodeData {
                frames: (0..80).map(frame).collect(),
                proprioception: (0..80).map(|index| vec![index as f32 * 0.01]).collect(),
                states: vec![vec![]; 80],
                actions: (0..80).map(action).collect(),
            })
            .unwrap();
    }
    writer.finish().unwrap();
}

/// A recipe of few steps, with chunks of five control steps.
fn few_steps(path: &Path) {
    let text = std::fs::read_to_string(assets().join("recipes/recorded.toml")).unwrap();
    let mut recipe: toml::Table = text.parse().unwrap();
    for (field, steps) in [("steps", 4), ("decoder_steps", 2)] {
        recipe.insert(field.into(), toml::Value::Integer(steps)).unwrap();
    }
    recipe["model"].as_table_mut().unwrap().insert("image_side".into(), toml::Value::Integer(32));
    recipe["model"].as_table_mut().unwrap().insert("whitening".into(), toml::Value::Boolean(false));
    recipe["finetuning"].as_table_mut().unwrap().insert("steps".into(), toml::Value::Integer(2));
    std::fs::write(path, toml::to_string(&recipe).unwrap()).unwrap();
}

/// What a training says on stderr.
fn said(folder: &Path, arguments: &[&str]) -> String {
    let output = mindseye(folder, arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{errors}");
    errors
}

/// Symptom: one action of 400000 among [-1, 1], and nothing was said; five control steps at any rate; motors that never
/// moved were planned with.
/// Cause: bounds and chunk were taken without a word, constants got made-up bounds.
/// Fix: all that is guessed is said before training begins, glitches are clamped, constants have equal bounds.
#[test]
fn training_says_what_it_guessed_before_it_begins() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    record(&at("arm"), |episode, frame, action| {
        if (episode, frame) == (2, 17) {
            action[0] = 400_000.0;
        }
    });
    let lines = said(folder.path(), &["train", "--data", "arm", "--out", "run", "--stop-after", "1"]);
    for part in [
        "6 episodes, 480 frames, 30 a second",
        "observation.images.front, 16x16 pixels, scaled to 64x64",
        "columns: action action, proprioception observation.state (not shown",
        "dx_m -0.01 to 0.01, gripper 0 to 1",
        "wrist at 0.3",
        "dx_m: 1 value is far from all others (-0.01 to 0.01): 400000 at episode 2, frame 17; clamped",
        "15 control steps, 0.5 s",
        "5 to train on, 1 held out (episode ",
        "steps: 1500, 2500 of the predictor alone, 3000 of the decoder; ",
    ] {
        assert!(lines.contains(part), "{part}: {lines}");
    }
    said(folder.path(), &["train", "--data", "arm", "--out", "run", "--stop-after", "2", "--resume"]);
    few_steps(&at("recipe.toml"));
    let common = ["train", "--data", "arm", "--recipe", "recipe.toml"];
    let lines = said(folder.path(), &[&common[..], &["--out", "min_max", "--normalise", "min-max"]].concat());
    assert!(lines.contains("stretching the range so that all others fall into 0.0000"), "{lines}");
    let lines = said(folder.path(), &[&common[..], &["--out", "robust"]].concat());
    assert!(lines.contains("5 control steps, 0.1667 s (by the recipe)"), "{lines}");
    let space = json(folder.path(), &["inspect", "robust", "--json"])["action_space"].clone();
    let bound = |field: &str, index: usize| space[field][index].as_f64().unwrap();
    assert!(bound("high", 0) < 0.011 && bound("low", 0) > -0.011, "{space}");
    assert_eq!((bound("low", 1), bound("high", 1)), (0.0, 1.0));
    assert!(bound("low", 2) == bound("high", 2) && (bound("low", 2) - 0.3).abs() < 1e-6, "{space}");
    assert!(!at("robust/recorded.json").exists() && at("run/recorded.json").exists());
}

/// Symptom: a model that was trained further on new episodes got their bounds, and its old actions meant others.
/// Cause: bounds were measured anew.
/// Fix: they are kept; what does not fit is said in one line, or refused.
#[test]
fn bounds_are_kept_when_training_goes_on_with_other_episodes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    record(&at("first"), |_, _, _| ());
    record(&at("wider"), |_, _, action| action[0] *= 1.2);
    record(&at("millimetres"), |_, _, action| action[0] = action[0] * 1e3 + 30.0);
    record(&at("moving"), |_, frame, action| action[2] += frame as f32 * 0.1);
    few_steps(&at("recipe.toml"));
    succeed(folder.path(), &["train", "--data", "first", "--recipe", "recipe.toml", "--out", "model"]);
    let further = ["train", "--recipe", "recipe.toml", "--from", "model", "--data"];
    let lines = said(folder.path(), &[&further[..], &["wider", "--out", "further"]].concat());
    assert!(lines.contains("dx_m: -0.012 to 0.012, ") && lines.contains("beyond the bounds"), "{lines}");
    let space = |run: &str| json(folder.path(), &["inspect", run, "--json"])["action_space"].clone();
    assert_eq!(space("further"), space("model"));
    refuse(folder.path(), &[&further[..], &["millimetres", "--out", "none"]].concat(), &["dx_m", "other units"]);
    refuse(folder.path(), &[&further[..], &["moving", "--out", "none"]].concat(), &["wrist", "never moved"]);
    // Without a recipe the model's own chunk is kept, and a run that was stopped goes on with the same bounds.
    let own = ["train", "--data", "wider", "--out", "own", "--steps", "3"];
    let lines = said(folder.path(), &[&own[..], &["--from", "model", "--stop-after", "1"]].concat());
    assert!(lines.contains("5 control steps"), "{lines}");
    said(folder.path(), &[&own[..], &["--resume", "--stop-after", "2"]].concat());
}
