//! The verdict on a model: recordings that are as they should be, and those that are not, are told apart.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

#[path = "../../plots/tests/support/html.rs"]
mod html;
mod support;

use std::path::Path;

use mindseye_episodes::{DatasetSpec, DatasetWriter, EpisodeData, ImageStorage, WriteMode, open};
use serde_json::Value;
use support::{assets, json, mindseye, succeed};

/// Writes the episodes of `from` to `to`, changed.
fn changed(from: &Path, to: &Path, change: impl Fn(usize, &mut EpisodeData, &[EpisodeData])) {
    let source = open(from).unwrap();
    let episodes: Vec<EpisodeData> = (0..source.len()).map(|index| source.read_episode(index).unwrap()).collect();
    let shape = source.shape();
    let spec = DatasetSpec {
        frames_per_second: 10,
        camera: "top".into(),
        more_cameras: Vec::new(),
        image_size: shape.image_size,
        image_storage: ImageStorage::Png,
        proprioception_names: source.proprioception_names(),
        state_names: (0..shape.state).map(|index| format!("state_{index}")).collect(),
        action_names: source.action_names(),
        task: "changed".into(),
        robot: None,
        episodes_per_file: 50,
        sidecar: source.sidecar().cloned(),
    };
    let mut writer = DatasetWriter::create(to, spec, WriteMode::Error).unwrap();
    for (index, episode) in episodes.iter().enumerate() {
        let mut episode = episode.clone();
        change(index, &mut episode, &episodes);
        writer.add_episode(&episode).unwrap();
    }
    writer.finish().unwrap();
}

/// The verdict on the shipped model of push_t.
fn verdict(folder: &Path, data: &str) -> Value {
    let checkpoint = assets().join("checkpoints/push_t");
    let arguments = ["inspect", checkpoint.to_str().unwrap(), "--data", data, "--plans", "40", "--json"];
    json(folder, &arguments)["on_data"]["verdict"].clone()
}

fn number(verdict: &Value, path: &str) -> f64 {
    verdict.pointer(path).and_then(Value::as_f64).unwrap_or_else(|| panic!("{path}: {verdict}"))
}

/// Symptom: a model of shuffled actions, of a frozen camera, of images that lag or of another robot got the same two
/// numbers as a good one.
/// Cause: only the error of predictions was measured, and nothing was concluded from it.
/// Fix: a verdict by whether images change, are known, in step with the actions, and explained by them.
#[test]
fn recordings_of_every_kind_are_told_apart_in_a_word_and_by_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let record = ["record", "--scene", "push_t", "--episodes", "30", "--steps", "45", "--seed", "77", "--out", "good"];
    succeed(folder.path(), &record);
    succeed(folder.path(), &["record", "--episodes", "15", "--steps", "45", "--seed", "77", "--out", "rooms"]);
    changed(&at("good"), &at("shuffled"), |index, episode, all| {
        episode.actions.clone_from(&all[(index + 7) % all.len()].actions);
    });
    changed(&at("good"), &at("frozen"), |_, episode, _| {
        let first = episode.frames[0].clone();
        episode.frames.iter_mut().for_each(|frame| frame.clone_from(&first));
    });
    changed(&at("good"), &at("late"), |_, episode, _| {
        let frames = episode.frames.clone();
        for (index, frame) in episode.frames.iter_mut().enumerate() {
            frame.clone_from(&frames[index.saturating_sub(2)]);
        }
    });
    let good = verdict(folder.path(), "good");
    assert_eq!(good["class"], "plans", "{good}");
    assert!(number(&good, "/prediction/1/ratio/value") < 0.3 && number(&good, "/actions/shuffled/low") > 2.0, "{good}");
    assert!(number(&good, "/planning/agreement/low") > 0.5 && number(&good, "/planning/planned_end/value") < 0.6);
    assert_eq!(number(&good, "/actions/best_lag"), 0.0);
    let shuffled = verdict(folder.path(), "shuffled");
    assert_eq!(shuffled["class"], "actions_ignored", "{shuffled}");
    assert!(number(&shuffled, "/actions/shuffled/value") < 1.1);
    let frozen = verdict(folder.path(), "frozen");
    assert_eq!(frozen["class"], "still", "{frozen}");
    assert_eq!(number(&frozen, "/latents/still_images"), 1.0);
    let late = verdict(folder.path(), "late");
    assert_eq!(late["class"], "out_of_step", "{late}");
    assert_eq!(number(&late, "/actions/best_lag"), -2.0, "{late}");
    let rooms = verdict(folder.path(), "rooms");
    assert_eq!(rooms["class"], "foreign", "{rooms}");
    assert!(rooms["words"].as_str().unwrap().contains("two_room"), "{rooms}");
}

/// Symptom: the docs' own measurement of a model was on its training episodes, and did not say so; nothing was drawn
/// without a decoder.
/// Cause: a checkpoint did not know its episodes, and `inspect` split what it got by itself.
/// Fix: fingerprints of the episodes in `config.json`; held-out ones are judged, or it is said that there are none.
#[test]
fn a_run_ends_in_a_verdict_on_held_out_episodes_and_inspect_knows_them_again() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &["record", "--episodes", "12", "--steps", "40", "--out", "data"]);
    support::short_recipe(&folder.path().join("recipe.toml"));
    let train =
        ["train", "--data", "data", "--recipe", "recipe.toml", "--decoder-steps", "0", "--out", "run", "--json"];
    let trained = json(folder.path(), &train);
    let judged = &trained["verdict"]["judged"];
    assert_eq!(
        (judged["familiar"].as_str(), judged["trained_on"].as_u64()),
        (Some("not_trained"), Some(11)),
        "{judged}"
    );
    assert!(number(&trained["verdict"], "/overfitting/gap/value") > 0.0);
    assert!(folder.path().join("run/verdict.json").exists() && folder.path().join("run/imagination.png").exists());
    let page = html::read(&folder.path().join("run/report.html"));
    let config = std::fs::read(folder.path().join("run/config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    for value in html::values(&config["recipe"]) {
        assert!(page.text.contains(&value), "{value} of the recipe in {}", page.text);
    }
    let words = trained["verdict"]["words"].as_str().unwrap();
    for text in
        [words, "Losses on training windows", "Held-out prediction errors", "imagined, start", "--decoder-steps 0"]
    {
        assert!(page.text.contains(text), "{text} in {}", page.text);
    }
    assert!(page.images.len() > 10, "{} images", page.images.len());
    let again =
        json(folder.path(), &["inspect", "run", "--data", "data", "--plans", "20", "--out", "images", "--json"]);
    assert_eq!(again["on_data"]["verdict"]["judged"], *judged, "the same episodes, told by their fingerprints");
    assert!(folder.path().join("images/imagination.png").exists(), "without a decoder");
    changed(&folder.path().join("data"), &folder.path().join("copy"), |_, _, _| ());
    let printed = succeed(folder.path(), &["inspect", "run", "--data", "copy", "--plans", "20"]);
    assert!(printed.contains("11 of them trained on, 1 held out"), "{printed}");
    assert!(printed.contains("verdict: ") && printed.contains("Judged on 1 episode that it was not"), "{printed}");
}

#[test]
fn a_policy_and_a_state_probe_can_be_trained_on_recordings_without_a_task_or_a_true_state() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &["record", "--episodes", "12", "--steps", "40", "--out", "ours"]);
    succeed(folder.path(), &["data", "convert", "ours", "--out", "arm"]);
    std::fs::remove_file(folder.path().join("arm/meta/mindseye.json")).unwrap();
    std::fs::write(folder.path().join("mapping.toml"), "state = []\n").unwrap();
    support::short_recipe(&folder.path().join("recipe.toml"));
    let train =
        ["train", "--data", "arm", "--mapping", "mapping.toml", "--recipe", "recipe.toml", "--quick", "--out", "run"];
    let output = mindseye(folder.path(), &train);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && errors.contains("quick: a part of the recipe's steps"), "{errors}");
    let head = |name: &str, out: &str| {
        let arguments = ["train", name, "--scene", "recorded", "--checkpoint", "run", "--data", "arm", "--mapping"];
        succeed(folder.path(), &[&arguments[..], &["mapping.toml", "--steps", "4", "--out", out]].concat())
    };
    head("policy", "policy");
    head("ensemble", "ensemble");
    assert!(head("state-probe", "probe").contains("agent_x_m"), "proprioception by its names");
}
