//! A recording that is killed at any time keeps its finished episodes and can be continued; recorded in parts it is the
//! same.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mindseye_episodes::{EpisodeData, open};
use support::{json, succeed, tree};

const EPISODES: usize = 1500;
/// Longest mean time to the next kill.
const LONGEST: Duration = Duration::from_millis(300);

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

#[test]
fn a_killed_training_continues_from_its_last_saved_state_to_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let record = ["record", "--scene", "push_t", "--steps", "40", "--episodes", "10", "--seed", "3", "--out", "data"];
    succeed(folder.path(), &record);
    let checkpoint = support::assets().join("checkpoints/push_t");
    let common = ["train", "state-probe", "--scene", "push_t", "--checkpoint", checkpoint.to_str().unwrap()];
    let arguments = |out: &str| -> Vec<String> {
        let more = ["--data", "data", "--steps", "1200", "--out", out];
        common.iter().chain(&more).map(|&argument| argument.to_owned()).collect()
    };
    succeed(folder.path(), &with(&arguments("whole"), &[]));
    let state = folder.path().join("killed/state_probe.training.safetensors");
    let mut training = Command::new(env!("CARGO_BIN_EXE_mindseye"))
        .args(with(&arguments("killed"), &[]))
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while !state.exists() && training.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(2));
    }
    training.kill().unwrap(); // SIGKILL, after step 500, the first saved one
    training.wait().unwrap();
    assert!(state.exists(), "killed before the first state, or after the end: the test tests nothing");
    succeed(folder.path(), &with(&arguments("killed"), &["--resume"]));
    let bytes = |out: &str| std::fs::read(folder.path().join(out).join("state_probe.safetensors")).unwrap();
    assert!(bytes("whole") == bytes("killed"));
}
