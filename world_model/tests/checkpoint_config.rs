//! `config.json` of a checkpoint: a field that makes no sense is refused on one line that names file and field.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::Path;

use crate::support::{PATCH, data, origin, recipe, run};
use mindseye_world_model::{AnyCheckpoint, Checkpoint};
use serde_json::{Value, json};

/// Symptom: control steps of 0 seconds, swapped bounds, negative standard deviations and names with escape sequences
/// were loaded, and `inspect` reported that everything had been checked.
/// Cause: only the model's sizes and the width of the actions were validated.
/// Fix: every field is.
#[test]
fn every_field_is_checked_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let config = recipe(2, PATCH, false, "sigreg = 0.02");
    let data = data(&config, 6);
    let (model, report) = run(&config, &data, &folder.path().join("run"), false, None).unwrap();
    Checkpoint::of_run(model, report, config, &data, origin()).unwrap().save(folder.path()).unwrap();
    Checkpoint::load(folder.path()).unwrap();
    let path = folder.path().join("config.json");
    let good: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let huge = 1_u64 << 63;
    let cases = [
        ("/format", json!(2), "format"),
        ("/scene", json!("a\u{1b}[31m\nb"), "scene"),
        ("/scene", json!("x".repeat(300)), "scene"),
        ("/control_step_secs", json!(0), "control_step_secs"),
        ("/control_step_secs", json!(-1), "control_step_secs"),
        ("/control_step_secs", json!(1e308), "control_step_secs"),
        ("/action_space/names", json!(["x"]), "action_space.names"),
        ("/action_space/units", json!(["m", "m\r"]), "action_space.units"),
        ("/action_space/low", json!([-1.0]), "action_space"),
        ("/action_space/low", json!([2.0, -1.0]), "action_space.high[0]"),
        ("/action_space/high", json!([1.0, 1e300]), "action_space.high[1]"),
        ("/action_space/neutral", json!([0.0]), "action_space.neutral"),
        ("/action_space/neutral", json!([0.0, {"proprioception": 0}]), "action_space.neutral[1].proprioception"),
        ("/state_names", json!(["a", "\u{202e}b"]), "state_names[1]"),
        ("/camera_names", json!(["one", "two"]), "camera_names"),
        ("/model/latent_width", json!(0), "model.latent_width"),
        ("/data/episodes", json!(0), "data.episodes"),
        ("/data/frames", json!(3), "data.episodes"),
        ("/data/action_mean", json!([1.0]), "data.action_mean"),
        ("/data/action_mean", json!([1.0, 1e300]), "data.action_mean[1]"),
        ("/data/action_std", json!([0, 0]), "data.action_std"),
        ("/data/action_std", json!([1.0, -1.0]), "data.action_std[1]"),
        ("/data/action_std", json!([1.0]), "data.action_std"),
        ("/data/proprioception_std", json!([1.0]), "data.proprioception_std"),
        ("/recipe/steps", json!(huge), "recipe.steps"),
        ("/recipe/optimiser/learning_rate", json!(-1.0), "recipe.optimiser.learning_rate"),
        ("/recipe/loss/prediction", json!(-1.0), "recipe.loss.prediction"),
        ("/recipe/data/validation_fraction", json!(2.0), "recipe.data.validation_fraction"),
        ("/recipe/model/latent_width", json!(9), "recipe.model"),
        ("/training/steps", json!(huge), "training.steps"),
        ("/training/minutes", json!(-1.0), "training.minutes"),
        ("/training/training_episodes", json!(7), "training.training_episodes"),
        ("/training/validation/rollout/0/error", json!(-1.0), "training.validation.rollout[0].error"),
        ("/training/validation/probe_r2", json!([0.5]), "training.validation.probe_r2"),
        ("/training/validation/probe_rmse/0", json!(-0.5), "training.validation.probe_rmse"),
        ("/training/validation/effective_rank", json!(-1.0), "training.validation.effective_rank"),
        ("/training/validation/mean_std", json!(-1.0), "training.validation.mean_std"),
    ];
    for (place, value, field) in cases {
        let mut changed = good.clone();
        set(&mut changed, place, value);
        std::fs::write(&path, changed.to_string()).unwrap();
        for refused in
            [Checkpoint::load(folder.path()).map(drop), AnyCheckpoint::load(folder.path()).map(drop)].map(|result| {
                result.map_or_else(|error| error.to_string(), |()| panic!("{place}: expected a refusal, got none"))
            })
        {
            assert!(refused.contains("config.json: ") && refused.contains(field), "{place}: {refused}");
            assert!(!refused.contains(char::is_control), "{place}: {refused:?}");
        }
    }
}

/// Sets the value at `place`, a JSON pointer whose parent exists.
fn set(config: &mut Value, place: &str, value: Value) {
    let (parent, name) = place.rsplit_once('/').unwrap();
    match config.pointer_mut(parent).unwrap() {
        Value::Object(fields) => drop(fields.insert(name.to_owned(), value)),
        Value::Array(values) => values[name.parse::<usize>().unwrap()] = value,
        _ => panic!("{place}: expected a parent with fields"),
    }
}

#[test]
fn the_shipped_checkpoints_pass_every_check() {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../assets/checkpoints");
    let mut loaded = 0;
    for folder in std::fs::read_dir(shipped).unwrap().map(|folder| folder.unwrap().path()) {
        if folder.join("config.json").exists() {
            AnyCheckpoint::load(&folder).unwrap();
            loaded += 1;
        }
    }
    assert!(loaded >= 3, "{loaded}");
}
