//! Runs as files.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::support::{advance, digests, pair, run, setup, source, world};
use mindseye_agent::Task;
use mindseye_runs::{Command, Detail, Error, InteractiveRun, RunSetup, SavedRun};

/// A run of five ticks with commands, the last one before a tick that has not been; saved in `folder`.
fn saved(folder: &Path) -> (InteractiveRun, PathBuf) {
    let mut run = run("two_room");
    let third = run.advance().unwrap().state.iter().map(|value| value / 3.0).collect();
    run.apply(Command::SetGoal { state: third }).unwrap();
    advance(&mut run, 2);
    run.apply(Command::SetPlanner { kind: "icem".into() }).unwrap();
    run.apply(Command::SetWeight { name: "effort".into(), weight: 0.1 }).unwrap();
    advance(&mut run, 2);
    run.apply(Command::SetWind { drift: vec![0.1, -0.3] }).unwrap();
    let path = folder.join("runs/one.json");
    run.save(&path).unwrap();
    (run, path)
}

/// The setup that a saved run asks for.
fn found(saved: &SavedRun) -> RunSetup {
    saved.setup(Arc::new(world(&saved.scene)), source(&saved.scene), 1, Detail::NONE)
}

#[test]
fn a_loaded_run_has_the_ticks_of_the_saved_one_and_goes_on_like_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut run, path) = saved(folder.path());
    let mut loaded = InteractiveRun::load(&path, &mut |saved| Ok(found(saved))).unwrap();
    assert_eq!(digests(&loaded), digests(&run));
    assert_eq!(loaded.commands(), run.commands());
    advance(&mut run, 2);
    advance(&mut loaded, 2);
    assert_eq!(digests(&loaded), digests(&run), "and with the command before the next tick");
    assert_eq!(loaded.undo().unwrap(), run.undo().unwrap());
}

#[test]
fn another_model_scene_task_or_pair_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let (_, path) = saved(folder.path());
    let refused = |change: &dyn Fn(RunSetup) -> RunSetup| {
        let loaded = InteractiveRun::load(&path, &mut |saved| Ok(change(found(saved))));
        loaded.err().unwrap().to_string()
    };
    let error = refused(&|setup| RunSetup { source: source("push_t"), ..setup });
    let fingerprint = source("push_t").fingerprint().unwrap().to_owned();
    assert!(error.starts_with("the run's model: expected ") && error.ends_with(&fingerprint), "{error}");
    let error = refused(&|setup| RunSetup { benchmark: Arc::new(world("push_t")), ..setup });
    assert_eq!(error, "the run's scene: expected two_room, got push_t");
    let error = refused(&|setup| RunSetup { task: Task { horizon_chunks: 2, ..setup.task.clone() }, ..setup });
    assert_eq!(error, "the run's task: expected two_room as saved, got another");
    let error = refused(&|setup| RunSetup { pair: pair("two_room", 1), ..setup });
    assert_eq!(error, "the run's pair: expected number 0 of seed 7 as saved, got another");
}

#[test]
fn the_first_tick_with_other_bits_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (run, path) = saved(folder.path());
    let mut changed = run.saved();
    changed.commands[1].command = Command::SetPlanner { kind: "mppi".into() };
    std::fs::write(&path, serde_json::to_vec(&changed).unwrap()).unwrap();
    let error = InteractiveRun::load(&path, &mut |saved| Ok(found(saved))).err().unwrap();
    assert!(matches!(error, Error::Diverged { tick: 3, .. }), "{error}");
    assert!(error.to_string().contains(&changed.digests[3]), "{error}");
}

#[test]
fn broken_files_are_refused_by_their_field() {
    let folder = tempfile::tempdir().unwrap();
    let (run, path) = saved(folder.path());
    let refused = |change: &dyn Fn(&mut SavedRun)| {
        let mut changed = run.saved();
        change(&mut changed);
        std::fs::write(&path, serde_json::to_vec(&changed).unwrap()).unwrap();
        SavedRun::load(&path).err().unwrap().to_string()
    };
    assert!(refused(&|run| run.format = 2).contains("format: expected 1, got 2"));
    assert!(refused(&|run| run.ticks = 4).contains("digests: expected 4, got 5"));
    assert!(refused(&|run| run.commands.reverse()).contains("commands: expected ticks from 0 to 5 in their order"));
    assert!(refused(&|run| run.commands[3].tick = 6).contains("commands: expected ticks"));
    std::fs::write(&path, "{\"format\": 1").unwrap();
    assert!(SavedRun::load(&path).err().unwrap().to_string().contains("one.json: EOF"));
}

#[test]
fn a_pair_without_its_metrics_makes_the_same_run() {
    let setup = setup("push_t");
    assert!(!setup.pair.metrics.is_empty());
    let mut run = InteractiveRun::new(setup).unwrap();
    advance(&mut run, 1);
    let saved = run.saved();
    let mut again = InteractiveRun::new(found(&saved)).unwrap();
    assert!(again.setup().pair.metrics.is_empty());
    advance(&mut again, 1);
    assert_eq!(digests(&again), saved.digests);
}
