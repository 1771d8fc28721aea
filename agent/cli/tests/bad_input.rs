//! Bad input: one line that names file and field, an exit code that is not 0, and nothing written.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, FixedSizeListArray, Float32Array, RecordBatch};
use arrow::datatypes::{DataType, Float32Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use support::{assets, json, refuse, short_recipe, succeed};

const DATA: &str = "data/data/chunk-000/file-000.parquet";
const TRAIN: [&str; 7] = ["train", "--data", "data", "--out", "run", "--recipe", "recipe.toml"];

/// A folder with a small data set and a recipe for it.
fn workplace() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &["record", "--out", "data", "--episodes", "6", "--steps", "40"]);
    short_recipe(&folder.path().join("recipe.toml"));
    folder
}

fn nothing_at(folder: &Path, name: &str) {
    assert!(!folder.join(name).exists(), "{name} was written");
}

#[test]
fn a_truncated_table() {
    let folder = workplace();
    let bytes = fs::read(folder.path().join(DATA)).unwrap();
    fs::write(folder.path().join(DATA), &bytes[..bytes.len() / 2]).unwrap();
    refuse(folder.path(), &TRAIN, &["file-000.parquet"]);
    refuse(folder.path(), &["inspect", "data"], &["file-000.parquet"]);
    nothing_at(folder.path(), "run");
}

#[test]
fn an_action_that_is_not_a_number() {
    let folder = workplace();
    poison_action(&folder.path().join(DATA));
    refuse(folder.path(), &TRAIN, &["file-000.parquet", "action", "NaN"]);
    nothing_at(folder.path(), "run");
}

/// Rewrites a data file with a NaN in the action of its sixth timestep.
fn poison_action(path: &Path) {
    let reader = ParquetRecordBatchReaderBuilder::try_new(fs::File::open(path).unwrap()).unwrap().build().unwrap();
    let batch = reader.map(Result::unwrap).next().unwrap();
    let index = batch.schema().index_of("action").unwrap();
    let mut columns = batch.columns().to_vec();
    columns[index] = poisoned(&columns[index]);
    let batch = RecordBatch::try_new(batch.schema(), columns).unwrap();
    let mut writer = ArrowWriter::try_new(fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn poisoned(actions: &ArrayRef) -> ArrayRef {
    let list = actions.as_fixed_size_list();
    let mut values = list.values().as_primitive::<Float32Type>().values().to_vec();
    values[11] = f32::NAN;
    let DataType::FixedSizeList(field, width) = actions.data_type() else { panic!("not a list") };
    Arc::new(FixedSizeListArray::new(Arc::clone(field), *width, Arc::new(Float32Array::from(values)), None))
}

#[test]
fn a_config_with_an_unknown_field() {
    let folder = workplace();
    let recipe = folder.path().join("recipe.toml");
    let text = fs::read_to_string(&recipe).unwrap();
    fs::write(&recipe, text.replace("[optimiser]", "[optimiser]\nlearning_speed = 1.0")).unwrap();
    refuse(folder.path(), &TRAIN, &["recipe.toml", "learning_speed"]);
    nothing_at(folder.path(), "run");
    let task = fs::read_to_string(assets().join("tasks/two_room.toml")).unwrap();
    fs::write(folder.path().join("task.toml"), format!("horizon = 3\n{task}")).unwrap();
    let evaluate = ["evaluate", "--task", "task.toml", "--episodes", "1", "--out", "report"];
    refuse(folder.path(), &evaluate, &["task.toml", "horizon"]);
    nothing_at(folder.path(), "report");
}

#[test]
fn a_config_value_that_makes_no_sense() {
    let folder = workplace();
    let task = fs::read_to_string(assets().join("tasks/two_room.toml")).unwrap();
    let absurd: String = task
        .lines()
        .map(
            |line| if line.starts_with("horizon_chunks") { "horizon_chunks = 0\n".into() } else { format!("{line}\n") },
        )
        .collect();
    fs::write(folder.path().join("task.toml"), absurd).unwrap();
    refuse(
        folder.path(),
        &["demo", "two_room", "--task", "task.toml", "--out", "film.gif"],
        &["task.toml", "horizon_chunks", "got 0"],
    );
    nothing_at(folder.path(), "film.gif");
    fs::write(folder.path().join("task.toml"), task.replace("effort = ", "efort = ")).unwrap();
    for command in [&["demo", "two_room"][..], &["evaluate"]] {
        refuse(
            folder.path(),
            &[command, &["--task", "task.toml"]].concat(),
            &["task.toml", "weights", "efort", "goal_distance, effort"],
        );
    }
}

#[test]
fn a_task_that_the_baselines_cannot_run() {
    let folder = tempfile::tempdir().unwrap();
    let task = fs::read_to_string(assets().join("tasks/two_room.toml")).unwrap();
    fs::write(folder.path().join("task.toml"), task.replace("[weights]", "[weights]\ncuriosity = 0.1")).unwrap();
    let evaluate = ["evaluate", "--task", "task.toml", "--episodes", "1", "--seeds", "1", "--out", "report"];
    refuse(folder.path(), &evaluate, &["baselines", "--no-baselines", "weights", "method random", "got curiosity"]);
    nothing_at(folder.path(), "report");
    succeed(folder.path(), &[&evaluate[..], &["--no-baselines"]].concat());
}

#[test]
fn oracle_dynamics_with_a_planner_that_needs_gradients() {
    let folder = tempfile::tempdir().unwrap();
    let evaluate = ["evaluate", "--oracle-dynamics", "--no-baselines", "--episodes", "1", "--seeds", "1"];
    refuse(folder.path(), &evaluate, &["planner", "method oracle_dynamics", "without gradients"]);
    let task = "name = \"sampling\"\nhorizon_chunks = 2\nbudget_ms = 1000.0\n[weights]\n\
                goal_distance = 1.0\n[planner]\nkind = \"cem\"\nsamples = 4\niterations = 1\nelites = 2\n";
    fs::write(folder.path().join("task.toml"), task).unwrap();
    let report = json(folder.path(), &[&evaluate[..], &["--task", "task.toml", "--budget", "10", "--json"]].concat());
    assert_eq!((report["errors"].as_object().unwrap().len(), report["ticks"].as_u64()), (0, Some(2)));
}

#[test]
fn a_checkpoint_for_another_scene() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other");
    fs::create_dir(&other).unwrap();
    for file in ["config.json", "model.safetensors", "decoder.safetensors"] {
        fs::copy(assets().join("checkpoints/two_room").join(file), other.join(file)).unwrap();
    }
    let config = fs::read_to_string(other.join("config.json")).unwrap();
    fs::write(other.join("config.json"), config.replace("\"scene\": \"two_room\"", "\"scene\": \"kitchen\"")).unwrap();
    for command in
        [&["demo", "two_room", "--checkpoint", "other"][..], &["evaluate", "--checkpoint", "other", "--out", "report"]]
    {
        refuse(folder.path(), command, &["config.json", "scene", "expected two_room, got kitchen"]);
    }
    nothing_at(folder.path(), "report");
    nothing_at(folder.path(), "mindseye_demo_two_room.gif");
}

#[test]
fn a_checkpoint_that_is_cut_off_or_poisoned() {
    let folder = tempfile::tempdir().unwrap();
    let broken = folder.path().join("broken");
    fs::create_dir(&broken).unwrap();
    let shipped = assets().join("checkpoints/two_room");
    fs::copy(shipped.join("config.json"), broken.join("config.json")).unwrap();
    let bytes = fs::read(shipped.join("model.safetensors")).unwrap();
    let mut poisoned = bytes.clone();
    let last = poisoned.len() - 4;
    poisoned[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    for content in [&bytes[..bytes.len() / 2], &[], &poisoned] {
        fs::write(broken.join("model.safetensors"), content).unwrap();
        refuse(folder.path(), &["inspect", "broken"], &["model.safetensors"]);
    }
}

#[test]
fn an_image_size_that_makes_no_sense() {
    let folder = tempfile::tempdir().unwrap();
    for side in ["0", "100000"] {
        refuse(folder.path(), &["record", "--out", "data", "--image-side", side], &["--image-side", side]);
        nothing_at(folder.path(), "data");
    }
    refuse(folder.path(), &["evaluate", "--image-side", "96"], &["--image-side", "64", "96"]);
}

#[test]
fn names_that_do_not_exist() {
    let folder = tempfile::tempdir().unwrap();
    let record = |more: &[&'static str]| [&["record", "--out", "data"], more].concat();
    refuse(folder.path(), &record(&["--scene", "attic"]), &["scene", "two_room", "attic"]);
    refuse(folder.path(), &record(&["--policy", "sleeper"]), &["policy", "explorer", "sleeper"]);
    refuse(folder.path(), &record(&["--factors", "weather"]), &["--factors", "door_position", "weather"]);
    refuse(
        folder.path(),
        &record(&["--factors", "block_shape"]),
        &["factor of two_room", "door_position", "block_shape"],
    );
    refuse(folder.path(), &record(&["--scene", "push_t", "--policy", "walker"]), &["policy", "explorer", "walker"]);
    for goals in [["--goals", "robot-only"], ["--pairs", "still"]] {
        refuse(folder.path(), &["evaluate", goals[0], goals[1]], &["robot-only pairs", "an object", "two_room"]);
    }
    refuse(folder.path(), &["inspect", "nowhere"], &["nowhere"]);
    refuse(folder.path(), &["train", "--data", "nowhere", "--out", "run"], &["nowhere"]);
    nothing_at(folder.path(), "data");
    nothing_at(folder.path(), "run");
}

#[test]
fn existing_data_sets_and_runs_are_not_overwritten() {
    let folder = workplace();
    refuse(folder.path(), &["record", "--out", "data", "--episodes", "1"], &["data", "overwrite"]);
    succeed(folder.path(), &TRAIN);
    refuse(folder.path(), &TRAIN, &["run", "--resume"]);
}
