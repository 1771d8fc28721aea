//! `mindseye serve` and `mindseye act` as programs that talk to each other.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

use support::{end, refuse, succeed};

const CHECKPOINT: [&str; 2] = ["--checkpoint", "assets/checkpoints/push_t"];

/// `mindseye serve` with `arguments`, its log, and its address.
fn serve(folder: &Path, arguments: &[&str]) -> (Child, BufReader<ChildStderr>, String) {
    let arguments = [&["serve", "--port", "0"], arguments].concat();
    let mut command = Command::new(env!("CARGO_BIN_EXE_mindseye"));
    let mut child = command.args(arguments).current_dir(folder).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    log.read_line(&mut line).unwrap();
    let address = line.split_whitespace().find(|word| word.starts_with("ws://"));
    let address = address.unwrap_or_else(|| panic!("{line}")).to_owned();
    (child, log, address)
}

fn act<'a>(body: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["act"], &CHECKPOINT[..], &["--body", body, "--hz", "10"], more].concat()
}

#[test]
fn an_agent_drives_a_served_scene_and_both_end_in_order() {
    let folder = tempfile::tempdir().unwrap();
    succeed(folder.path(), &["cameras", "sim:push_t#name=goal", "--seconds", "0.3", "--snapshot", "."]);
    let (server, mut log, body) = serve(folder.path(), &["--scene", "push_t"]);
    let goal = ["--goal", "goal.png", "--reset", "1", "--max-planning-ms", "60000", "--json"];
    let report = succeed(folder.path(), &act(&body, &[&goal[..], &["--steps", "10"]].concat()));
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (report["steps"].as_u64(), report["ticks"].as_u64(), &report["holds"]),
        (Some(10), Some(2), &serde_json::json!([]))
    );
    assert!(report["capture_to_action_ms"]["p50"].as_f64().unwrap() > 0.0, "{report}");
    // With the goal that is shown to the cameras it waits for words.
    let live = act(&body, &["--goal", "live", "--steps", "5", "--max-planning-ms", "60000"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_mindseye"));
    let piped = command.args(&live).current_dir(folder.path()).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut agent = piped.stdout(Stdio::piped()).spawn().unwrap();
    let mut told = BufReader::new(agent.stderr.take().unwrap()).lines();
    assert!(told.next().unwrap().unwrap().contains("HELD: there is no goal yet"));
    let mut words = agent.stdin.take().unwrap();
    words.write_all(b"jump\ngoal\nresume\n").unwrap();
    assert!(told.next().unwrap().unwrap().contains("expected one of resume"));
    let mut printed = String::new();
    agent.stdout.take().unwrap().read_to_string(&mut printed).unwrap();
    assert!(agent.wait().unwrap().success() && printed.starts_with("5 control steps, 1 plans"), "{printed}");
    // Nobody can say resume where stdin is closed: the reason ends the run.
    let alone = Command::new(env!("CARGO_BIN_EXE_mindseye")).args(&live).stdin(Stdio::null()).output().unwrap();
    let error = String::from_utf8_lossy(&alone.stderr);
    assert!(!alone.status.success() && error.contains("error: held still: there is no goal yet"), "{error}");
    assert!(end(server, "INT").success());
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(rest.contains("connected") && rest.contains("left"), "{rest}");
    refuse(folder.path(), &act(&body, &["--goal", "goal.png"]), &[&body]);
}

#[test]
fn what_makes_no_sense_is_refused_before_anything_is_served() {
    let folder = tempfile::tempdir().unwrap();
    refuse(folder.path(), &["serve", "--checkpoint", "nowhere"], &["nowhere"]);
    refuse(folder.path(), &["serve", "--scene", "moon"], &["moon", "push_t"]);
    let everyone = [&["serve"], &CHECKPOINT[..], &["--host", "0.0.0.0"]].concat();
    refuse(folder.path(), &everyone, &["--host", "--token-file"]);
    std::fs::write(folder.path().join("short"), "abc\n").unwrap();
    refuse(folder.path(), &[&everyone[..], &["--token-file", "short"]].concat(), &["short", "at least 8"]);
    refuse(folder.path(), &act("http://127.0.0.1:1", &["--goal", "goal.png"]), &["ws://HOST:PORT"]);
    let (server, _log, policy) = serve(folder.path(), &CHECKPOINT);
    refuse(folder.path(), &act(&policy, &["--goal", "goal.png"]), &["expected a body"]);
    end(server, "INT");
}
