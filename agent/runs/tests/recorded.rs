//! Runs that do what was recorded.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::Arc;

use crate::support::{advance, digests, run, setup, source, world};
use mindseye_episodes::EpisodeData;
use mindseye_evaluation::collection::scripted_episode;
use mindseye_interface::{Benchmark as _, Seed, StartGoal};
use mindseye_runs::{Command, Detail, InteractiveRun, RecordedActions, RunSetup, SavedRun};

/// Control steps of the recording.
const STEPS: usize = 18;

/// An episode of push_t by the demonstrators, and the run that does it again: towards its end, with 17 actions.
fn recorded() -> (EpisodeData, RunSetup) {
    let (benchmark, seed) = (world("push_t"), Seed::new(3));
    let scripts = benchmark.scripts("mixture").unwrap();
    let (mut scene, mut script) = (benchmark.environment().unwrap(), scripts.script().unwrap());
    let episode = scripted_episode(scene.as_mut(), script.as_mut(), seed, STEPS).unwrap();
    scene.reset(seed).unwrap();
    let goal = episode.states[STEPS - 1].iter().map(|value| f64::from(*value)).collect();
    let first = setup("push_t");
    let pair = StartGoal { episode: seed, start: scene.state(), goal, ..first.pair };
    let actions = episode.actions[..STEPS - 1].to_vec();
    let recorded = Some(Arc::new(RecordedActions { name: "episode 0 of a test".into(), actions }));
    (episode, RunSetup { pair, recorded, ..first })
}

#[test]
fn what_was_recorded_is_done_again_and_the_agent_plans_beside_it_and_acts_when_it_ends() {
    let (episode, setup) = recorded();
    let mut run = InteractiveRun::new(setup).unwrap();
    assert_eq!(
        (run.title().as_str(), run.first_settings().follows_recording),
        ("push_t, episode 0 of a test", Some(true))
    );
    let ticks = advance(&mut run, 5); // of five control steps each
    let steps: Vec<_> = ticks.iter().flat_map(|tick| &tick.steps).collect();
    for (index, step) in steps.iter().take(STEPS - 1).enumerate() {
        assert_eq!(step.action, episode.actions[index]);
        let recorded = step.state.iter().zip(&episode.states[index + 1]);
        assert!(
            recorded.clone().all(|(ours, recorded)| (*ours as f32 - recorded).abs() < 1e-5),
            "{index}: {recorded:?}"
        );
    }
    assert!(steps[STEPS - 2].strict, "the end of the recording is the goal");
    let followed: Vec<(bool, usize)> = ticks.iter().map(|tick| (tick.followed_recording, tick.steps.len())).collect();
    assert_eq!(followed, [(true, 5), (true, 5), (true, 5), (true, 2), (false, 5)], "17 actions, then the agent's");
    assert_eq!(ticks[4].steps[0].action, ticks[4].report.action_chunk[..2]);
    assert!(ticks.iter().all(|tick| tick.report.error.is_none() && tick.report.predicted_states > 0));
    assert_ne!(ticks[0].steps[0].action, ticks[0].report.action_chunk[..2], "the agent's own plan is another");
    // What the agent expects of an observation follows from what was executed, not from what it planned.
    let surprise: Vec<f64> = ticks[1..4].iter().map(|tick| tick.surprise.unwrap()).collect();
    assert!(surprise.iter().all(|score| *score < 1.5), "{surprise:?}");
}

#[test]
fn a_person_lets_the_agent_act_takes_that_back_and_keeps_the_run() {
    let (_, setup) = recorded();
    let mut run = InteractiveRun::new(setup.clone()).unwrap();
    run.advance().unwrap();
    run.apply(Command::FollowRecording { follow: false }).unwrap();
    let acted = run.advance().unwrap();
    assert!(!acted.followed_recording);
    assert_eq!(acted.steps[0].action, acted.report.action_chunk[..2]);
    let settings = run.first_settings().after(run.history(), &[]);
    assert_eq!(settings.follows_recording, Some(false));
    run.apply(Command::FollowRecording { follow: true }).unwrap();
    let again = run.advance().unwrap();
    assert_eq!(again.steps[0].action, setup.recorded.as_ref().unwrap().actions[10], "that of the run's control step");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.json");
    run.save(&path).unwrap();
    let found = |saved: &SavedRun| saved.setup(Arc::new(world("push_t")), source("push_t"), 1, Detail::NONE);
    let loaded = InteractiveRun::load(&path, &mut |saved| Ok(found(saved))).unwrap();
    assert_eq!((digests(&loaded), loaded.title()), (digests(&run), run.title()));
    let other = |saved: &SavedRun| RunSetup { recorded: None, ..found(saved) };
    let error = InteractiveRun::load(&path, &mut |saved| Ok(other(saved))).err().unwrap().to_string();
    assert_eq!(error, "the run's recorded actions: expected episode 0 of a test, got others: none");

    run.undo().unwrap();
    run.undo().unwrap();
    assert!(run.advance().unwrap().followed_recording, "as before the first command");
}

#[test]
fn a_run_of_its_own_has_nothing_to_follow() {
    let mut run = run("two_room");
    assert_eq!(run.first_settings().follows_recording, None);
    let error = run.apply(Command::FollowRecording { follow: true }).unwrap_err().to_string();
    assert_eq!(error, "following a recording: expected a run of a recorded episode, got another");
}

/// Symptom: a saved run with other actions opened, and ended at the first tick that met them.
#[test]
fn actions_that_the_world_cannot_do_are_refused_at_once() {
    let (_, setup) = recorded();
    let refused = |name: &str, change: &dyn Fn(&mut Vec<Vec<f32>>)| {
        let mut actions = setup.recorded.as_ref().unwrap().actions.clone();
        change(&mut actions);
        let recorded = Some(Arc::new(RecordedActions { name: name.into(), actions }));
        InteractiveRun::new(RunSetup { recorded, ..setup.clone() }).err().unwrap().to_string()
    };
    let expected = "recorded.actions[5]: expected 2 numbers from -1 to 1, got ";
    assert_eq!(refused("a", &|actions| actions[5] = vec![0.1]), format!("{expected}[0.1]"));
    assert!(refused("a", &|actions| actions[5][1] = 1.5).ends_with(", 1.5]"));
    assert!(refused("a", &|actions| actions[5][0] = f32::NAN).starts_with(expected));
    assert_eq!(refused("a", &Vec::clear), "recorded.actions: expected one or more, got none");
    assert_eq!(refused(&"a".repeat(201), &|_| ()), "recorded.name: expected up to 200 characters, got 201");
}
