//! A recording that is killed at any time keeps its finished episodes and can be continued; recorded in parts it is the
//! same.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mindseye_episodes::{EpisodeData, open};
use support::{end, json, short_recipe, start, succeed, tree, wait_until};

const EPISODES: usize = 1500;
/// Longest mean time to the next kill: on a busy machine a recorder takes a while to begin where there are many files.
const LONGEST: Duration = Duration::from_secs(3);

fn arguments(out: &str, episodes: usize) -> Vec<String> {
    let steps = "--scene two_room --steps 6 --image-side 16 --episodes-per-file 3 --threads 2 --seed 5";
    let mut arguments =
        vec!["record".to_owned(), "--out".into(), out.into(), "--episodes".into(), episodes.to_string()];
    arguments.extend(steps.split(' ').map(String::from));
    arguments
}

fn with<'a>(arguments: &'a [String], more: &[&'a str]) -> Vec<&'a str> {
    arguments.iter().map(String::as_str).chain(more.iter().copied()).collect()
}

fn episodes(path: &Path) -> Vec<EpisodeData> {
    let source = open(path).unwrap();
    (0..source.len()).map(|index| source.read_episode(index).unwrap()).collect()
}

#[test]
fn a_recording_killed_a_hundred_times_loses_no_finished_episode() {
    let folder = tempfile::tempdir().unwrap();
    let (killed, whole) = (arguments("killed", EPISODES), arguments("whole", EPISODES));
    // How long it takes here until the first file is written.
    let started = Instant::now();
    succeed(folder.path(), &with(&arguments("first", 3), &[]));
    let mut patience = started.elapsed();
    let (mut before, mut grown) = (0, 0);
    for attempt in 0..100u32 {
        let mut recorder = Command::new(env!("CARGO_BIN_EXE_mindseye"))
            .args(with(&killed, &["--append"]))
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // From before the first file until several are written, in an order without a pattern, however fast the machine
        // is just now.
        std::thread::sleep(patience * (1 + attempt * 37 % 101) / 50);
        recorder.kill().unwrap(); // SIGKILL
        recorder.wait().unwrap();
        if !folder.path().join("killed/meta/info.json").exists() {
            patience = patience.mul_f64(1.2).min(LONGEST);
            continue; // killed before it had begun
        }
        let report = json(folder.path(), &["data", "validate", "killed", "--json"]);
        let there = report["episodes"].as_u64().unwrap();
        assert!(report["broken"].as_array().unwrap().is_empty(), "{report}");
        assert!(there >= before, "episodes were lost: {before}, then {there}");
        grown += u32::from(there > before);
        let factor = if there > before { 0.8 } else { 1.2 };
        patience = patience.mul_f64(factor).min(LONGEST);
        before = there;
    }
    assert!(grown >= 10, "killed so early that nothing was recorded: the test tests nothing ({grown})");
    succeed(folder.path(), &with(&killed, &["--append"]));
    succeed(folder.path(), &with(&whole, &[]));
    let (killed, whole) = (episodes(&folder.path().join("killed")), episodes(&folder.path().join("whole")));
    assert_eq!(killed.len(), EPISODES);
    assert!(killed == whole, "the same episodes as without interruption");
}

#[test]
fn parts_of_a_recording_merge_to_the_bytes_of_one() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &with(&arguments("whole", 20), &[]));
    let parts = ["first", "second", "third"];
    for (number, part) in parts.into_iter().enumerate() {
        let shard = format!("{}/3", number + 1);
        succeed(folder.path(), &with(&arguments(part, 20), &["--shard", &shard]));
    }
    let merge = |parts: &[&str], out: &str| {
        let rest = ["--out", out, "--episodes-per-file", "3"];
        succeed(folder.path(), &[&["data", "merge"], parts, &rest].concat());
    };
    merge(&parts, "merged");
    assert!(tree(&folder.path().join("merged")) == tree(&folder.path().join("whole")));
    // In another order they are the same episodes, and the data set says which of the seed's they are.
    merge(&["third", "first"], "others");
    let sidecar = open(&folder.path().join("others")).unwrap().sidecar().unwrap().clone();
    let begins: Vec<_> = sidecar.recordings.iter().map(|part| (part.first_episode, part.first_of_seed)).collect();
    assert_eq!(begins, [(0, Some(13)), (7, Some(0))]);
    let refused = support::mindseye(folder.path(), &with(&arguments("none", 20), &["--shard", "4/3"]));
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("--shard") && said.contains("number/of"), "{said}");
}

/// A training verb that a test interrupts.
struct Training {
    /// The words after `train`, apart from data and folders.
    words: &'static [&'static str],
    /// The file whose first line says that it is under way.
    metrics: &'static str,
    /// The file that it makes.
    made: &'static str,
}

const TRAININGS: [Training; 7] = [
    Training { words: &["--recipe", "recipe.toml"], metrics: "metrics.jsonl", made: "model.safetensors" },
    Training {
        words: &["decoder", "--scene", "two_room", "--checkpoint", "model", "--steps", "120"],
        metrics: "decoder.metrics.jsonl",
        made: "decoder.safetensors",
    },
    Training {
        words: &["state-probe", "--scene", "two_room", "--checkpoint", "model", "--steps", "1200"],
        metrics: "state_probe.metrics.jsonl",
        made: "state_probe.safetensors",
    },
    Training {
        words: &["ensemble", "--scene", "two_room", "--checkpoint", "model", "--steps", "120"],
        metrics: "ensemble.metrics.jsonl",
        made: "ensemble.safetensors",
    },
    Training {
        words: &["stochastic", "--scene", "two_room", "--checkpoint", "model", "--steps", "150"],
        metrics: "stochastic.metrics.jsonl",
        made: "stochastic.safetensors",
    },
    Training {
        words: &["policy", "--scene", "two_room", "--checkpoint", "model", "--steps", "120"],
        metrics: "policy.metrics.jsonl",
        made: "policy.safetensors",
    },
    Training {
        words: &["critic", "--scene", "two_room", "--checkpoint", "with_policy", "--targets", "2000", "--steps", "600"],
        metrics: "critic.metrics.jsonl",
        made: "critic.safetensors",
    },
];

#[test]
fn every_training_that_is_interrupted_and_killed_goes_on_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    succeed(folder, &["record", "--steps", "40", "--episodes", "10", "--seed", "3", "--out", "data"]);
    short_recipe(&folder.join("recipe.toml"));
    for Training { words, metrics, made } in TRAININGS {
        let run = |out: &str, more: &[&str]| -> Vec<String> {
            let rest = ["--data", "data", "--out", out].into_iter().chain(more.iter().copied());
            ["train"].into_iter().chain(words.iter().copied()).chain(rest).map(str::to_owned).collect()
        };
        // The first run makes the model that the others are trained on, the sixth the policy that the critic is of.
        let whole = match words[0] {
            "--recipe" => "model",
            "policy" => "with_policy",
            other => other,
        };
        succeed(folder, &with(&run(whole, &[]), &[]));
        let log = folder.join("stopped").join(metrics);
        let lines = || std::fs::read_to_string(&log).map_or(0, |text| text.lines().count());
        let mut child = start(folder, &with(&run("stopped", &[]), &[]));
        let is_under_way = wait_until(&mut child, || lines() > 0);
        let status = end(child, "INT");
        assert!(is_under_way && status.code() == Some(130), "{words:?}: {status}");
        assert!(!folder.join("stopped").join(made).exists(), "{words:?} ended before it was stopped");
        // Killed at once, or after some steps more.
        let reached = lines();
        for wait in [false, true] {
            let mut child = start(folder, &with(&run("stopped", &["--resume"]), &[]));
            assert!(!wait || wait_until(&mut child, || lines() > reached), "{words:?} ended before it was killed");
            end(child, "KILL");
        }
        succeed(folder, &with(&run("stopped", &["--resume"]), &[]));
        let bytes = |out: &str| std::fs::read(folder.join(out).join(made)).unwrap();
        assert!(bytes(whole) == bytes("stopped"), "{words:?}");
        std::fs::remove_dir_all(folder.join("stopped")).unwrap();
    }
}

#[test]
fn an_interrupted_study_says_what_is_done_and_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let evaluate =
        |out: &str| ["evaluate", "--episodes", "60", "--seeds", "1", "--threads", "2", "--out", out].map(String::from);
    let journal = folder.join("stopped/episodes.journal");
    let mut child = start(folder, &with(&evaluate("stopped"), &[]));
    assert!(wait_until(&mut child, || journal.metadata().is_ok_and(|file| file.len() > 10_000)));
    assert_eq!(end(child, "INT").code(), Some(130));
    assert!(!folder.join("stopped/evaluation.json").exists());
    let kept = journal.metadata().unwrap().len();
    // Killed, too: what was finished is there.
    let mut child = start(folder, &with(&evaluate("stopped"), &[]));
    assert!(wait_until(&mut child, || journal.metadata().is_ok_and(|file| file.len() > kept + 5_000)));
    end(child, "KILL");
    let output = support::mindseye(folder, &with(&evaluate("stopped"), &[]));
    assert!(output.status.success() && String::from_utf8_lossy(&output.stderr).contains("going on"));
    succeed(folder, &with(&evaluate("whole"), &[]));
    let report = |out: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(folder.join(out).join("evaluation.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let (stopped, whole) = (report("stopped"), report("whole"));
    for field in ["results", "moderate", "strict", "baselines", "surprise", "predicted_states_per_episode"] {
        assert_eq!(stopped[field], whole[field], "{field}");
    }
    let sheet = |out: &str| std::fs::read(folder.join(out).join("sheet.png")).unwrap();
    assert!(sheet("stopped") == sheet("whole") && !journal.exists());
}

/// Symptom: Ctrl-C in `evaluate branches` lost every episode. Cause: it kept none. Fix: as in `evaluate` they are kept
/// in a journal, here in the user's cache.
#[cfg(unix)]
#[test]
fn an_interrupted_search_for_branches_goes_on_from_there() {
    let folder = tempfile::tempdir().unwrap();
    let command = |cache: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_mindseye"));
        let arguments = "evaluate branches --scene bridge --episodes 16 --seed 3 --threads 2 --json";
        command.args(arguments.split(' ')).current_dir(folder.path());
        command.env("XDG_CACHE_HOME", folder.path().join(cache));
        command
    };
    let kept = || {
        let journals = std::fs::read_dir(folder.path().join("stopped/mindseye/evaluations"));
        journals.into_iter().flatten().flatten().map(|journal| journal.metadata().unwrap().len()).sum::<u64>()
    };
    let mut child = command("stopped").stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert!(wait_until(&mut child, || kept() > 1000));
    assert_eq!(end(child, "INT").code(), Some(130));
    assert!(kept() > 1000);
    let stopped = command("stopped").output().unwrap();
    assert!(String::from_utf8_lossy(&stopped.stderr).contains("going on"), "{stopped:?}");
    assert_eq!(kept(), 0, "the journal goes with the report");
    assert_eq!(stopped.stdout, command("whole").output().unwrap().stdout);
}

/// The names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Symptom: a conversion that was killed or stopped by Ctrl-C left a data set of fewer episodes that read as whole, and
/// the command given again was refused. Cause: it was written in its place, file by file, without a handler. Fix: it is
/// written beside its place, and renamed when it is whole.
#[cfg(unix)]
#[test]
fn a_conversion_that_is_killed_or_stopped_leaves_no_data_set_and_can_be_given_again() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &with(&arguments("data", 120), &[]));
    let convert = ["data", "convert", "data", "--episodes-per-file", "6", "--out", "out"];
    let started = Instant::now();
    succeed(folder.path(), &convert);
    let (time, whole) = (started.elapsed(), tree(&folder.path().join("out")));
    let mut interrupted = 0;
    for (attempt, signal) in ["KILL", "INT", "KILL", "TERM"].into_iter().enumerate() {
        std::fs::remove_dir_all(folder.path().join("out")).unwrap();
        let converter = Command::new(env!("CARGO_BIN_EXE_mindseye"))
            .args(convert)
            .current_dir(folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::thread::sleep(time * (1 + attempt as u32 * 3 % 4) / 6);
        let sent = Command::new("kill").args([format!("-{signal}"), converter.id().to_string()]).status().unwrap();
        let ended = converter.wait_with_output().unwrap();
        if sent.success() && !ended.status.success() {
            interrupted += 1;
            assert!(!folder.path().join("out").exists(), "{signal}: something is there");
            let said = String::from_utf8_lossy(&ended.stderr).into_owned();
            assert!(signal == "KILL" || said.contains("out: stopped; nothing was written"), "{signal}: {said}");
            succeed(folder.path(), &convert);
        }
        assert!(tree(&folder.path().join("out")) == whole);
        assert_eq!(names(folder.path()), ["data", "out"], "{signal}: what it left is removed");
    }
    assert!(interrupted >= 2, "too late each time: the test tests nothing ({interrupted})");
}

/// Symptom: two recordings with one --out broke the data set. Fix: the second is refused; see also the writer's test.
#[test]
fn a_second_recording_to_one_folder_is_refused_by_the_name_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let mut first = Command::new(env!("CARGO_BIN_EXE_mindseye"))
        .args(with(&arguments("data", 1_000_000), &["--append"]))
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    let described = folder.path().join("data/meta/info.json");
    while !described.exists() && started.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = support::mindseye(folder.path(), &with(&arguments("data", 9), &["--append"]));
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    let expected = format!("error: data: is being written by process {} (mindseye record, since ", first.id());
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!second.status.success() && said.starts_with(&expected) && said.lines().count() == 1, "{said}");
    let report = json(folder.path(), &["data", "validate", "data", "--json"]);
    assert!(report["broken"].as_array().unwrap().is_empty(), "{report}");
}
