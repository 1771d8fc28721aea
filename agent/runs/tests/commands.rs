//! What people do to a run, and what they cannot do.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{advance, apart, digests, end, run};
use mindseye_agent::directive::{Mode, StateSource};
use mindseye_runs::{Command, InteractiveRun};

/// Runs two ticks, does `command`, and runs two more; undoes it, and checks that all is as if it had not been. What
/// the run was right after the command, and the digests without it.
fn done_and_undone(scene: &str, command: &Command) -> (InteractiveRun, Vec<String>) {
    let mut plain = run(scene);
    advance(&mut plain, 4);
    let mut disturbed = run(scene);
    advance(&mut disturbed, 2);
    disturbed.apply(command.clone()).unwrap();
    let records = advance(&mut disturbed, 2);
    assert_eq!(records[0].commands, std::slice::from_ref(command));
    assert!(records[1].commands.is_empty());
    let mut undone = run(scene);
    advance(&mut undone, 2);
    undone.apply(command.clone()).unwrap();
    advance(&mut undone, 2);
    assert_eq!(undone.undo().unwrap().as_ref(), Some(command));
    assert_eq!(undone.history().len(), 2);
    advance(&mut undone, 2);
    assert_eq!(digests(&undone), digests(&plain), "{command:?}");
    (disturbed, digests(&plain))
}

#[test]
fn wind_blows_the_robot_away_from_what_it_commands_until_it_is_undone() {
    let (blown, plain) = done_and_undone("two_room", &Command::SetWind { drift: vec![0.5, -0.5] });
    assert_eq!(digests(&blown)[..2], plain[..2]);
    assert_ne!(digests(&blown)[2], plain[2]);
    let record = &blown.history()[2];
    for (step, commanded) in record.steps.iter().zip(record.report.action_chunk.chunks_exact(2)) {
        let expected = [(commanded[0] + 0.5).clamp(-1.0, 1.0), (commanded[1] - 0.5).clamp(-1.0, 1.0)];
        assert_eq!(step.action, expected);
    }
}

#[test]
fn wind_ends_where_it_is_set_to_nothing() {
    let mut run = run("two_room");
    run.apply(Command::SetWind { drift: vec![0.5, 0.5] }).unwrap();
    advance(&mut run, 1);
    run.apply(Command::SetWind { drift: vec![0.0, 0.0] }).unwrap();
    let record = run.advance().unwrap();
    let executed: Vec<f32> = record.steps.iter().flat_map(|step| step.action.clone()).collect();
    assert_eq!(executed, record.report.action_chunk);
}

#[test]
fn a_world_that_is_moved_by_hand_surprises_the_agent_until_it_is_undone() {
    let start = run("push_t").advance().unwrap().state.clone();
    let mut moved = start.clone();
    moved[2] = 1.0 - moved[2]; // the block, to the other side of the floor, which is 1 m wide
    let (run, plain) = done_and_undone("push_t", &Command::MoveWorld { state: moved.clone() });
    let (before, after) = (&run.history()[1], &run.history()[2]);
    assert_ne!(digests(&run)[2], plain[2]);
    assert!((after.state[2] - moved[2]).abs() < 1e-6, "{:?}", after.state); // physics has 32 bits
    assert!(after.report.surprise > before.report.surprise.map(|surprise| 2.0 * surprise), "the agent sees it");
    let band = run.surprise_band().unwrap();
    assert!(after.surprise.unwrap() > band, "{:?} is within the band {band}", after.surprise);
}

#[test]
fn an_agent_whose_camera_is_hidden_acts_by_its_predictions_until_it_is_undone() {
    let (hidden, plain) = done_and_undone("two_room", &Command::HideCamera { hidden: true });
    let (seen, record) = (&hidden.history()[1], &hidden.history()[2]);
    assert_ne!(digests(&hidden)[2], plain[2]);
    assert!(seen.image.is_some() && !seen.camera_hidden && seen.report.state_source == StateSource::Observed);
    assert!(record.camera_hidden && record.image.is_none());
    assert!(record.steps.iter().all(|step| step.image.is_none()));
    assert_eq!((record.report.state_source, record.surprise), (StateSource::Imputed, None));
    assert_eq!(record.report.error, None);
}

#[test]
fn a_camera_that_is_uncovered_shows_the_world_as_it_is_now() {
    let mut run = run("two_room");
    advance(&mut run, 1);
    run.apply(Command::HideCamera { hidden: true }).unwrap();
    advance(&mut run, 2);
    run.apply(Command::HideCamera { hidden: false }).unwrap();
    let shown = run.advance().unwrap().image.clone();
    let mut always = crate::support::run("two_room");
    advance(&mut always, 1);
    let state = run.history()[3].state.clone();
    always.apply(Command::MoveWorld { state }).unwrap();
    assert_eq!(shown, always.advance().unwrap().image);
}

#[test]
fn another_goal_is_pursued_from_the_next_tick_on() {
    let mut run = run("two_room");
    advance(&mut run, 2);
    let (now, first_goal) = (end(&run), run.history()[1].goal_state.clone().unwrap());
    let goal = vec![now[0], now[1] + 0.2 * -now[1].signum()];
    run.apply(Command::SetGoal { state: goal.clone() }).unwrap();
    advance(&mut run, 8);
    let record = &run.history()[2];
    assert_eq!(record.goal_state.as_ref(), Some(&goal));
    assert_ne!(record.goal_image, run.history()[1].goal_image);
    assert_ne!(record.goal_latent, run.history()[1].goal_latent);
    assert!(apart(&end(&run), &goal) < 0.5 * apart(&now, &goal), "from {now:?} to {:?}, not {goal:?}", end(&run));
    assert_eq!(run.undo().unwrap(), Some(Command::SetGoal { state: goal }));
    assert_eq!(run.advance().unwrap().goal_state, Some(first_goal));
}

#[test]
fn the_goal_is_what_the_camera_shows_where_a_person_says_so() {
    let mut run = run("two_room");
    advance(&mut run, 2);
    let here = end(&run);
    run.apply(Command::GoalIsNow {}).unwrap();
    let record = run.advance().unwrap();
    assert_eq!((record.goal_state.as_ref(), &record.goal_image), (Some(&here), &record.image));
    advance(&mut run, 3);
    assert!(apart(&end(&run), &here) < 0.1, "it stays: {:?}, not {here:?}", end(&run));
    run.apply(Command::HideCamera { hidden: true }).unwrap();
    let error = run.apply(Command::GoalIsNow {}).unwrap_err().to_string();
    assert_eq!(error, "goal: expected an image, got a hidden camera");
}

#[test]
fn changes_of_the_planner_make_a_new_agent_with_the_same_goal_and_weights() {
    let mut run = run("two_room");
    advance(&mut run, 2);
    run.apply(Command::SetWeight { name: "effort".into(), weight: 0.75 }).unwrap();
    advance(&mut run, 1);
    let goal = run.history()[2].goal_latent.clone();
    run.apply(Command::SetHorizon { chunks: 3 }).unwrap();
    run.apply(Command::SetPlanner { kind: "mppi".into() }).unwrap();
    run.apply(Command::SetReplanEvery { steps: 2 }).unwrap();
    let record = run.advance().unwrap();
    assert_eq!((record.tick, record.report.tick, record.steps.len()), (3, 0, 2), "its ticks begin anew");
    assert_eq!(record.report.plan.horizon(), 3);
    assert_eq!(record.report.directive.weight("effort"), Some(0.75));
    assert_eq!(record.report.surprise, None, "its memory begins anew");
    assert_eq!(record.goal_latent, goal);
    run.apply(Command::SetMode { mode: "mode_1".into() }).unwrap();
    let record = run.advance().unwrap();
    assert_eq!((record.report.mode, record.report.predicted_states), (Mode::Mode1, 0));
    assert_eq!(record.report.error, None);
}

#[test]
fn the_changed_agents_of_a_run_make_choices_of_their_own() {
    let horizon = Command::SetHorizon { chunks: 8 }; // as it was
    let changed = |times: usize| {
        let mut run = run("two_room");
        (0..times).for_each(|_| run.apply(horizon.clone()).unwrap());
        run.advance().unwrap().report.plan.clone()
    };
    assert_eq!(changed(1), changed(1));
    assert!(changed(0) != changed(1) && changed(1) != changed(2));
}

#[test]
fn refused_commands_say_what_was_expected_and_change_nothing() {
    let (mut plain, mut refusing) = (run("two_room"), run("two_room"));
    advance(&mut plain, 4);
    advance(&mut refusing, 2);
    let refused = [
        (Command::SetWeight { name: "beauty".into(), weight: 1.0 }, "goal_distance"),
        (Command::SetWeight { name: "effort".into(), weight: f32::NAN }, "a finite number"),
        (Command::SetGoal { state: vec![1.0] }, "2 finite numbers (agent_x_m, agent_y_m), got [1.0]"),
        (Command::SetGoal { state: vec![90.0, 0.0] }, "expected"),
        (Command::MoveWorld { state: vec![0.0, f64::NAN] }, "2 finite numbers"),
        (Command::MoveWorld { state: vec![0.0, -70.0] }, "expected"),
        (Command::SetHorizon { chunks: 0 }, "horizon_chunks: expected 1 to 100, got 0"),
        (Command::SetHorizon { chunks: 101 }, "horizon_chunks: expected 1 to 100, got 101"),
        (Command::SetPlanner { kind: "oracle".into() }, "planner: expected icem, cem, mppi"),
        (Command::SetMode { mode: "mode_3".into() }, "mode: expected mode_1, mode_2, auto, got mode_3"),
        (Command::SetReplanEvery { steps: 0 }, "replan_every: expected 1 to"),
        (Command::SetReplanEvery { steps: 99 }, "replan_every: expected 1 to 5"),
        (Command::SetWind { drift: vec![0.1] }, "wind: expected 2 finite numbers, got [0.1]"),
        (Command::SetWind { drift: vec![0.1, f32::INFINITY] }, "wind: expected 2 finite numbers"),
    ];
    for (command, expected) in refused {
        let error = refusing.apply(command.clone()).unwrap_err().to_string();
        assert!(error.contains(expected), "{command:?}: {error}");
        assert!(refusing.commands().is_empty());
    }
    let records = advance(&mut refusing, 2);
    assert!(records[0].commands.is_empty());
    assert_eq!(digests(&refusing), digests(&plain));
    assert_eq!(refusing.undo().unwrap(), None, "there is nothing to undo");
}

#[test]
fn undoing_takes_back_one_command_after_the_other_the_newest_first() {
    let mut run = run("two_room");
    advance(&mut run, 1);
    run.apply(Command::SetWind { drift: vec![0.5, 0.0] }).unwrap();
    run.apply(Command::HideCamera { hidden: true }).unwrap();
    advance(&mut run, 1);
    run.apply(Command::HideCamera { hidden: false }).unwrap(); // before a tick that has not been
    assert_eq!(run.undo().unwrap(), Some(Command::HideCamera { hidden: false }));
    assert_eq!(run.history().len(), 2);
    assert!(run.advance().unwrap().camera_hidden);
    assert_eq!(run.undo().unwrap(), Some(Command::HideCamera { hidden: true }));
    assert_eq!(run.history().len(), 1);
    let record = run.advance().unwrap();
    assert!(!record.camera_hidden && record.commands.len() == 1, "the wind is still there");
    assert_eq!(run.undo().unwrap(), Some(Command::SetWind { drift: vec![0.5, 0.0] }));
    assert_eq!(run.undo().unwrap(), None);
}

#[test]
fn commands_are_plain_json() {
    let text = r#"{"command":"set_wind","drift":[0.5,-0.25]}"#;
    let command: Command = serde_json::from_str(text).unwrap();
    assert_eq!(command, Command::SetWind { drift: vec![0.5, -0.25] });
    assert_eq!(serde_json::to_string(&command).unwrap(), text);
    assert_eq!(serde_json::to_string(&Command::GoalIsNow {}).unwrap(), r#"{"command":"goal_is_now"}"#);
    for more in [r#"{"command":"set_horizon","chunks":3,"more":1}"#, r#"{"command":"goal_is_now","more":1}"#] {
        assert!(serde_json::from_str::<Command>(more).is_err(), "{more}");
    }
}
