//! From recordings without actions to a model that watches a feed and refuses to plan.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};

use mindseye_episodes::image_codec::encode_png;
use mindseye_episodes::{DatasetSpec, DatasetWriter, EpisodeData, ImageStorage, WriteMode};
use mindseye_interface::{Image, ImageSize};
use support::{assets, mindseye, refuse, succeed};

/// A square that goes to and fro, seen ten times a second by a camera beside no robot.
fn record(path: &Path, phase: usize) {
    let size = ImageSize::square(32).unwrap();
    let spec = DatasetSpec {
        frames_per_second: 10,
        camera: "desk".into(),
        more_cameras: Vec::new(),
        image_size: size,
        image_storage: ImageStorage::Png,
        proprioception_names: Vec::new(),
        state_names: Vec::new(),
        action_names: Vec::new(),
        task: "look".into(),
        robot: None,
        episodes_per_file: 8,
        sidecar: None,
    };
    let mut writer = DatasetWriter::create(path, spec, WriteMode::Error).unwrap();
    for episode in 0..6usize {
        let frame = |index: usize| {
            let left = 12 + (((index + 7 * episode + phase) as f64 * 0.2).sin() * 10.0) as i64;
            let mut image = Image::filled(size, [230; 3]);
            for (place, pixel) in image.pixels_mut().chunks_exact_mut(3).enumerate() {
                let (row, column) = (place / 32, (place % 32) as i64);
                if (12..20).contains(&row) && (left..left + 8).contains(&column) {
                    pixel.copy_from_slice(&[40, 60, 200]);
                }
            }
            image
        };
        let rows = vec![vec![]; 60];
        let frames = (0..60).map(frame).collect();
        let data = EpisodeData { frames, proprioception: rows.clone(), states: rows.clone(), actions: rows };
        writer.add_episode(&data).unwrap();
    }
    writer.finish().unwrap();
}

fn few_steps(path: &Path) {
    let text = std::fs::read_to_string(assets().join("recipes/recorded.toml")).unwrap();
    let mut recipe: toml::Table = text.parse().unwrap();
    for (field, steps) in [("steps", 4), ("decoder_steps", 2)] {
        recipe.insert(field.into(), toml::Value::Integer(steps)).unwrap();
    }
    recipe["model"].as_table_mut().unwrap().insert("image_side".into(), toml::Value::Integer(32));
    recipe["finetuning"].as_table_mut().unwrap().insert("steps".into(), toml::Value::Integer(2));
    std::fs::write(path, toml::to_string(&recipe).unwrap()).unwrap();
}

#[test]
fn recordings_without_actions_train_a_model_that_watches_and_does_not_plan() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    record(&at("desk"), 0);
    record(&at("calm"), 3);
    few_steps(&at("recipe.toml"));
    let train = ["train", "--data", "desk", "--recipe", "recipe.toml", "--out", "run"];
    refuse(folder.path(), &train, &["desk", "a column of actions", "--without-actions"]);
    let output = mindseye(folder.path(), &[&train[..], &["--without-actions"]].concat());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains("it can watch, not plan"), "{told}");
    let plan = ["plan", "--checkpoint", "run", "--see", "now.png", "--goal", "now.png"];
    let grey = Image::filled(ImageSize::square(32).unwrap(), [9; 3]);
    std::fs::write(at("now.png"), encode_png(&grey).unwrap()).unwrap();
    refuse(folder.path(), &plan, &["recordings with actions", "it can watch, not plan"]);
    // What is usual is measured on other recordings: one episode of a few seconds was held out.
    let watch = ["watch", "file:desk#episode=0,repeat=true", "--checkpoint", "run", "--seconds", "1.2"];
    std::fs::remove_file(at("run/surprise.json")).ok();
    refuse(folder.path(), &watch, &["surprise.json", "mindseye train surprise"]);
    let calibrated = succeed(folder.path(), &["train", "surprise", "--checkpoint", "run", "--data", "calm"]);
    assert!(calibrated.contains("surprise: band") && calibrated.contains("not trained on"), "{calibrated}");
    let lines = succeed(folder.path(), &[&watch[..], &["--json"]].concat());
    let ticks: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(ticks.iter().any(|tick| tick["state"] == "seen" && tick["score"].as_f64().is_some()), "{lines}");
    assert!(ticks.iter().all(|tick| tick["band"].as_f64().unwrap() > 0.0));
    // A band that everything exceeds: an event, its seconds, and the exit code that says so.
    let events = ["--band", "0.000001", "--events", "kept", "--before", "0.3", "--after", "0.2", "--exit-on-event"];
    let output = mindseye(folder.path(), &[&watch[..4], &["--seconds", "20"], &events].concat());
    assert_eq!(output.status.code(), Some(3), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(mindseye_episodes::open(&at("kept")).unwrap().len(), 1);
}

/// Symptom: on a full disk a watch with `--json --events` lost its events with exit code 0 and not a word.
/// Cause: what became of an event was a line for terminals, and the folder was opened at the first event.
/// Fix: a loss is said on stderr and in the JSON and ends in exit code 1; the folder is tried before watching.
#[test]
fn a_lost_event_is_said_on_stderr_and_in_the_json_and_fails_the_watch() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = assets().join("checkpoints/push_t").display().to_string();
    let watch = ["watch", "synthetic:", "--checkpoint", &checkpoint, "--band", "0.001", "--json", "--exit-on-event"];
    std::fs::write(folder.path().join("taken"), "no folder").unwrap();
    refuse(folder.path(), &[&watch[..], &["--events", "taken"]].concat(), &["taken"]);
    let kept = ["--events", "kept", "--before", "0.5", "--after", "1", "--seconds", "20"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_mindseye"));
    command.args(watch).args(kept).current_dir(folder.path()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    lines.next().unwrap(); // the folder has been tried, and the first event is seconds away from its end
    std::fs::write(folder.path().join("kept"), "in its place").unwrap();
    let told: Vec<serde_json::Value> = lines.map(|line| serde_json::from_str(&line).unwrap()).collect();
    let output = child.wait_with_output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(errors.contains("not kept") && errors.contains("error: kept: expected all events to be kept"), "{errors}");
    let warns = |line: &serde_json::Value| line["warning"].as_str().is_some_and(|text| text.contains("not kept"));
    assert!(told.iter().any(warns), "{told:?}");
}

/// Symptom: `watch --actions -` said nothing of lines that were no action, nor that its driver had hung up.
/// Cause: it asked the driver for its newest action alone.
/// Fix: both are said on stderr and in the JSON, as the number of refused lines is at the end.
#[test]
fn what_a_driver_says_wrongly_and_its_end_are_said() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = assets().join("checkpoints/push_t").display().to_string();
    let watch = ["watch", "synthetic:", "--checkpoint", &checkpoint, "--seconds", "0.5", "--json", "--actions", "-"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_mindseye"));
    command.args(watch).current_dir(folder.path()).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"left\n{\"action\": [0.1]}\n{\"action\": [0.1, 0.1]}\n").unwrap();
    let output = child.wait_with_output().unwrap();
    let (told, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{errors}");
    for part in ["a line was no action", "the driver has ended", "2 lines of the driver were no action"] {
        assert_eq!(errors.matches(part).count(), 1, "{errors}");
        assert!(told.lines().any(|line| line.contains("\"warning\"") && line.contains(part)), "{told}");
    }
}

/// Symptom: a watch of a film said `not seen: ... ended` for ever after its end.
/// Cause: a camera that has ended was looked at like one that may come back.
/// Fix: the watch ends with it, says so once, and exits with code 0.
#[test]
fn a_watch_ends_with_its_film() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = assets().join("checkpoints/push_t").display().to_string();
    let films = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../world_model/episodes/tests/fixtures/videos");
    let film = format!("file:{}", films.join("plain.mp4").display());
    let told = succeed(folder.path(), &["watch", &film, "--checkpoint", &checkpoint]);
    assert_eq!(told.matches("the end of").count(), 1, "{told}");
    assert!(told.lines().last().unwrap().contains("ticks:"), "{told}");
}
