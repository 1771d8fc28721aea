//! What people meet first: help, completions, the manual, closed pipes, assets from any folder.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use support::{assets, json, mindseye, refuse, succeed};

/// The verbs of the program, read off its help.
fn verbs(folder: &Path) -> Vec<String> {
    let help = succeed(folder, &["--help"]);
    let commands = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let lines = commands.take_while(|line| !line.is_empty());
    let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    names.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help").map(str::to_owned).collect()
}

#[test]
fn the_help_of_every_verb_has_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let verbs = verbs(folder.path());
    assert!(verbs.len() >= 10 && verbs.contains(&"completions".to_owned()), "{verbs:?}");
    for verb in verbs {
        let help = succeed(folder.path(), &[&verb, "--help"]);
        assert!(help.contains("Example"), "{verb}: {help}");
        assert!(help.contains(&format!("mindseye {verb}")), "{verb}: {help}");
    }
}

#[test]
fn each_measurement_of_bench_has_its_own_options_only() {
    let folder = tempfile::tempdir().unwrap();
    let options = |measurement: &str| succeed(folder.path(), &["bench", measurement, "--help"]);
    for (measurement, has, has_not) in [
        ("sim", "--scene", "--threads"),
        ("train", "--threads", "--batch"),
        ("plan", "--deadline-ms", "--out"),
        ("scaling", "--out", "--deadline-ms"),
        ("encode", "--batch", "--threads"),
        ("data", "--data", "--batch"),
    ] {
        let help = options(measurement);
        assert!(help.contains(has) && !help.contains(has_not) && help.contains("Example"), "{measurement}: {help}");
    }
    for work in ["plan", "train", "encode"] {
        succeed(folder.path(), &["bench", "lewm", work, "--help"]);
    }
}

#[test]
fn cameras_are_measured_and_what_is_none_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let uris = ["synthetic:#fps=50,width=32,height=24,name=a", "sim:two_room#name=b", "file:clip.mp4#name=c"];
    let arguments = [&["cameras"], &uris[..], &["--seconds", "0.3", "--snapshot", "images", "--json"]].concat();
    let output = mindseye(folder.path(), &arguments);
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let (errors, is_ok) = (String::from_utf8_lossy(&output.stderr), output.status.success());
    assert!(!is_ok && errors.contains("got none of c"), "a camera without an image is an error: {errors}");
    let states: Vec<&str> = (0..3).filter_map(|camera| report["cameras"][camera]["status"]["state"].as_str()).collect();
    assert_eq!(states, ["live", "live", "lost"], "{report}");
    assert_eq!((&report["cameras"][0]["size"][0], report["cameras"][1]["size"][0].as_u64()), (&32.into(), Some(64)));
    assert!(folder.path().join("images/a.png").is_file() && folder.path().join("images/b.png").is_file());
    refuse(folder.path(), &["cameras", "ftp:x"], &["ftp:", "synthetic:"]);
    refuse(folder.path(), &["cameras", "sim:moon"], &["moon", "two_room"]);
    succeed(folder.path(), &["cameras"]); // a list, or that there is none
}

#[test]
fn a_measurement_is_one_json_document_with_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let report = json(folder.path(), &["bench", "encode", "--rounds", "1", "--json"]);
    assert_eq!((report["bench"].as_str(), report["batch"].as_u64()), (Some("encode"), Some(1)));
    assert!(report["ms"]["p50"].as_f64() > Some(0.0), "{report}");
    refuse(folder.path(), &["bench", "encode", "--batch", "0"], &["--batch"]);
}

#[test]
fn every_shell_gets_completions_for_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = succeed(folder.path(), &["completions", shell]);
        for word in ["mindseye", "evaluate", "switch-after", "completions"] {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    assert!(!mindseye(folder.path(), &["completions", "tcsh"]).status.success());
}

#[test]
fn the_manual_has_a_page_for_the_program_and_for_every_verb() {
    let folder = tempfile::tempdir().unwrap();
    assert!(succeed(folder.path(), &["man"]).contains(".TH mindseye 1"));
    succeed(folder.path(), &["man", "--out", "man1"]);
    for page in ["mindseye", "mindseye-demo", "mindseye-bench", "mindseye-bench-plan"] {
        let text = std::fs::read_to_string(folder.path().join(format!("man1/{page}.1"))).unwrap();
        let title = page.replace('-', "");
        assert!(text.replace(['-', '\\'], "").contains(&format!(".TH {title} 1")), "{page}: {text}");
    }
}

#[test]
fn a_demo_without_a_scene_writes_into_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let report = json(folder.path(), &["demo", "--episodes", "1", "--out", "films", "--json"]);
    assert_eq!(report.as_array().unwrap().len(), 2);
    for scene in ["two_room", "push_t"] {
        assert!(folder.path().join(format!("films/mindseye_demo_{scene}.gif")).is_file(), "{scene}");
    }
    succeed(folder.path(), &["demo", "--episodes", "1", "--out", "one.gif"]);
    assert!(folder.path().join("one.gif").is_file());
}

#[test]
fn a_closed_pipe_ends_the_program_quietly() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_mindseye"))
        .args(["demo", "two_room", "--episodes", "2"])
        .current_dir(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap(); // and the pipe is closed
    let output = child.wait_with_output().unwrap();
    assert!(first.starts_with("two_room"), "{first}");
    assert!(output.status.success(), "{:?}", output.status);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn assets_are_found_from_any_folder_and_a_named_folder_comes_first() {
    let folder = tempfile::tempdir().unwrap();
    let from_here = succeed(folder.path(), &["inspect", "assets/checkpoints/two_room"]);
    assert!(from_here.contains("scene two_room"), "{from_here}");
    let named = folder.path().join("named");
    std::fs::create_dir_all(named.join("tasks")).unwrap();
    let task = std::fs::read_to_string(assets().join("tasks/two_room.toml")).unwrap();
    std::fs::write(named.join("tasks/two_room.toml"), task.replace("horizon_chunks", "horizon_chunk")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_mindseye"))
        .args(["demo", "two_room", "--episodes", "1"])
        .env("MINDSEYE_ASSETS", &named)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("named/tasks/two_room.toml") && error.contains("horizon_chunk"), "{error}");
    refuse(folder.path(), &["demo", "kitchen"], &["kitchen"]);
}

#[test]
fn an_unfinished_run_is_named_as_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("run")).unwrap();
    std::fs::write(folder.path().join("run/state.safetensors"), "").unwrap();
    refuse(folder.path(), &["inspect", "run"], &["run", "not finished", "--resume"]);
}

/// Symptom: `data validate DATA > /dev/full` ended in a panic, and a training whose stderr was full was aborted in the
/// middle. Cause: `println!` and `eprintln!` panic. Fix: `streams.rs`.
#[test]
#[cfg(target_os = "linux")]
fn a_full_stdout_is_one_line_of_error_and_a_full_stderr_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let full = || Stdio::from(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let run = |arguments: &[&str], stdout: Stdio, stderr: Stdio| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_mindseye"));
        let program = program.args(arguments).current_dir(folder.path()).stdout(stdout).stderr(stderr);
        program.spawn().unwrap().wait_with_output().unwrap()
    };
    let record = ["record", "--episodes", "8", "--steps", "40", "--out", "data"];
    assert!(run(&record, Stdio::null(), full()).status.success());
    for arguments in [&["data", "validate", "data"][..], &["inspect", "assets/checkpoints/two_room", "--json"]] {
        let output = run(arguments, full(), Stdio::piped());
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!((output.status.code(), errors.lines().count()), (Some(1), 1), "{arguments:?}: {errors}");
        assert!(errors.starts_with("error: writing to stdout"), "{errors}");
    }
    support::short_recipe(&folder.path().join("recipe.toml"));
    let train = ["train", "--data", "data", "--out", "run", "--recipe", "recipe.toml"];
    assert_eq!(run(&train, full(), full()).status.code(), Some(1), "its report could not be printed");
    assert!(
        folder.path().join("run/model.safetensors").exists() && folder.path().join("run/decoder.safetensors").exists()
    );
}
