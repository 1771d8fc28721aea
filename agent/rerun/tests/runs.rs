//! Recordings of runs and of evaluated pairs.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mindseye_agent::Task;
use mindseye_evaluation::{Episode, EpisodeResult, LearnedAgent, Perturbation};
use mindseye_interface::{Benchmark as _, GoalKind, PairSearch, Seed, StartGoal, config};
use mindseye_runs::{Command, Detail, InteractiveRun, RunSetup};
use mindseye_sim::{SceneBenchmark, SceneOptions, benchmark};

use crate::support::{documented, is_documented, program, read, succeed, text};

fn asset(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets").join(path)
}

fn world(scene: &str) -> SceneBenchmark {
    benchmark(scene, &SceneOptions::with_side(64).unwrap()).unwrap()
}

/// Pair number `index` of seed 0, as the program chooses it, and the protocol's budget.
fn pair(scene: &str, index: usize) -> (StartGoal, usize) {
    let world = world(scene);
    let goals = if world.has_hard_pairs() { GoalKind::Hard } else { GoalKind::Offset { goal_offset: 25 } };
    let pairs = world.start_goal_pairs(&PairSearch::new(goals, index + 1, 0)).unwrap();
    (pairs.into_iter().nth(index).unwrap(), goals.default_budget())
}

/// What the program runs unless told otherwise.
fn setup(scene: &str) -> RunSetup {
    let source = LearnedAgent::load(&asset("checkpoints").join(scene), scene).unwrap().source().clone();
    let task = config::load(&asset("tasks").join(scene).with_extension("toml")).unwrap();
    let benchmark = Arc::new(world(scene));
    RunSetup { benchmark, source, task, pair: pair(scene, 0).0, recorded: None, threads: 1, detail: Detail::NONE }
}

/// The evaluator's episode of that pair.
fn evaluated(scene: &str, index: usize) -> EpisodeResult {
    let (benchmark, (pair, budget_steps)) = (world(scene), pair(scene, index));
    let method = LearnedAgent::load(&asset("checkpoints").join(scene), scene).unwrap();
    let task: Task = config::load(&asset("tasks").join(scene).with_extension("toml")).unwrap();
    let episode = Episode {
        benchmark: &benchmark,
        method: &method,
        task: &task,
        pair: &pair,
        warmup: &[],
        budget_steps,
        seed: Seed::new(pair.seed).child("agent").index(pair.index as u64),
        threads: 1,
        real_time: false,
        stop_when_held: false,
        perturbation: Perturbation::default(),
        goal_change: None,
    };
    episode.run(&mut |_| Ok(())).unwrap()
}

#[test]
fn a_run_has_its_ticks_and_control_steps_on_one_timeline() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new/run.rrd");
    let said = succeed(&["run", "two_room", "--ticks", "3", "--candidates", "8", "--out", file.to_str().unwrap()]);
    assert!(said.contains("3 ticks in"), "{said}");
    let recordings = read(&file);
    let [recording] = recordings.as_slice() else { panic!("{} recordings", recordings.len()) };

    let mut run = InteractiveRun::new(setup("two_room")).unwrap();
    let records: Vec<_> = (0..3).map(|_| run.advance().unwrap()).collect();
    let steps: Vec<_> = records.iter().flat_map(|record| &record.steps).collect();
    assert!(steps.len() > 3);

    let distances: Vec<f64> = steps.iter().map(|step| step.distance).collect();
    assert_eq!(recording.scalars("goal/distance", "step"), distances, "the bits of the same run");
    let predicted: Vec<f64> = records.iter().map(|record| record.report.predicted_states as f64).collect();
    assert_eq!(recording.scalars("planning/predicted_states", "tick"), predicted);
    assert_eq!(recording.rows("goal/moderate"), steps.len());
    assert_eq!(recording.rows("action"), steps.len());
    assert_eq!(recording.rows("camera/image"), 3 + steps.len(), "what the agent saw, and every control step");
    assert_eq!(recording.rows("camera/goal"), 1, "it does not change");
    for of_ticks in ["planning/ms", "world/plans/best", "world/plans/candidates", "camera/plan", "latent/perceived"] {
        assert_eq!(recording.rows(of_ticks), 3, "{of_ticks}");
        assert_eq!(recording.timelines(of_ticks), BTreeSet::from(["step", "tick", "time"].map(String::from)));
    }
    assert!(recording.chunks_of("world/floor").all(|chunk| chunk.is_static()) && recording.rows("world/floor") == 1);
    let names: Vec<_> = std::fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap()).collect();
    assert_eq!(names.len(), 1, "no temporary file is left: {names:?}");
}

#[test]
fn the_guide_lists_every_entity_of_runs() {
    let folder = tempfile::tempdir().unwrap();
    let (listed, mut found) = (documented("Entities of a run"), BTreeSet::new());
    // The second task has a critic.
    for (scene, task, ticks) in
        [("two_room", "two_room", "3"), ("push_t", "push_t_critic", "2"), ("bridge", "bridge", "2")]
    {
        let file = folder.path().join(format!("{scene}.rrd"));
        let task = asset("tasks").join(task).with_extension("toml");
        let [file_path, task] = [&file, &task].map(|path| path.to_str().unwrap());
        succeed(&["run", scene, "--task", task, "--ticks", ticks, "--candidates", "6", "--out", file_path]);
        found.append(&mut read(&file)[0].entities());
    }
    assert!(found.len() > 30, "{found:?}");
    let missing: Vec<_> = found.iter().filter(|path| !is_documented(path, &listed)).collect();
    assert!(missing.is_empty(), "the guide lacks {missing:?}");
    let shown = |known: &&String| found.iter().any(|path| is_documented(path, &BTreeSet::from([(*known).clone()])));
    let unused: Vec<_> = listed.iter().filter(|known| !shown(known)).collect();
    assert_eq!(unused, ["world/fixed/cylinders"], "what is fixed in the scenes of today is boxes");
}

#[test]
fn a_saved_run_is_recorded_with_what_a_person_did() {
    let folder = tempfile::tempdir().unwrap();
    let [saved, file] = ["saved.run.json", "saved.rrd"].map(|name| folder.path().join(name));
    let mut run = InteractiveRun::new(setup("two_room")).unwrap();
    let seen = run.advance().unwrap();
    run.apply(Command::HideCamera { hidden: true }).unwrap();
    run.advance().unwrap();
    run.save(&saved).unwrap();
    succeed(&["run", "--load", saved.to_str().unwrap(), "--out", file.to_str().unwrap()]);
    let recording = &read(&file)[0];
    assert_eq!(recording.rows("planning/ms"), 2, "no tick is added");
    let log = recording.log();
    assert_eq!(log.len(), 3, "{log:?}");
    assert_eq!(log[1], r#"command: {"command":"hide_camera","hidden":true}"#);
    // What the first tick saw, its control steps, and that nothing is seen any more.
    assert_eq!(recording.rows("camera/image"), 1 + seen.steps.len() + 1);
}

#[test]
fn pairs_of_an_evaluation_are_recordings_of_their_own_with_the_evaluators_results() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("evaluation.rrd");
    let words = ["evaluate", "two_room", "--pair", "1", "--episodes", "2", "--candidates", "4"];
    let said = succeed(&[&words[..], &["--out", file.to_str().unwrap()]].concat());
    let recordings = read(&file);
    assert_eq!(recordings.len(), 2);
    for (recording, index) in recordings.iter().zip([1, 2]) {
        let result = evaluated("two_room", index);
        let moderate = match result.first_success_step {
            Some(step) => format!("moderate at step {step}"),
            None => format!("not reached in {} steps", result.steps),
        };
        let strict = if result.strict { "strict" } else { "not strict" };
        let line = format!("two_room, seed 0, pair {index}: {moderate}, {strict}");
        assert!(said.lines().any(|said| said == line), "expected {line}, got {said}");
        let distances = recording.scalars("goal/distance", "step");
        assert_eq!(distances.len(), result.steps);
        assert_eq!(distances.last(), Some(&result.final_distance));
    }
    assert!(said.lines().last().unwrap().contains("of 2 moderate"), "{said}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_what_there_is_as_a_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("stopped.rrd");
    let words = ["run", "two_room", "--ticks", "1000", "--speed", "0.01", "--out", file.to_str().unwrap()];
    let child = program(&words).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).spawn();
    let child = child.unwrap();
    // The first tick is done at once, the second one a long time later.
    let begun = Instant::now();
    let has_begun = || {
        let entries = std::fs::read_dir(folder.path()).unwrap();
        entries.map(|entry| entry.unwrap().metadata().unwrap().len()).any(|bytes| bytes > 20_000)
    };
    while !has_begun() {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing is written");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(!file.exists(), "it has a temporary name until it is whole");
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert!(text(&output.stderr).starts_with("stopped: 1 ticks are whole in "), "{}", text(&output.stderr));
    assert_eq!(read(&file)[0].rows("planning/ms"), 1);
}
