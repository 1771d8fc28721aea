//! A run is a function of its setup and of the commands by tick.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{advance, checkpoint_folder, digests, pair, run, setup, task, world};
use mindseye_agent::TickReport;
use mindseye_evaluation::{Episode, LearnedAgent, Method, Perturbation};
use mindseye_interface::Seed;
use mindseye_runs::{Command, Detail, Error, InteractiveRun, RunSetup};

/// Reports of the evaluator's episode of pair `index`, and its last distance to the goal.
fn evaluated(scene: &str, index: usize, ticks: usize) -> (Vec<TickReport>, f64) {
    let (benchmark, task, pair) = (world(scene), task(scene), pair(scene, index));
    let method = LearnedAgent::load(&checkpoint_folder(scene), scene).unwrap();
    let episode = Episode {
        benchmark: &benchmark,
        method: &method,
        task: &task,
        pair: &pair,
        warmup: &[],
        budget_steps: ticks * method.action_chunk(),
        seed: Seed::new(pair.seed).child("agent").index(pair.index as u64),
        threads: 1,
        real_time: false,
        stop_when_held: false,
        perturbation: Perturbation::default(),
        goal_change: None,
    };
    let mut reports = Vec::new();
    let result = episode.run(&mut |view| {
        reports.push(view.report.clone());
        Ok(())
    });
    (reports, result.unwrap().final_distance)
}

#[test]
fn without_commands_a_run_is_the_evaluators_episode_of_its_pair() {
    for (scene, index, ticks) in [("two_room", 1, 10), ("push_t", 1, 10)] {
        let (reports, distance) = evaluated(scene, index, ticks);
        let setup = RunSetup { pair: pair(scene, index), detail: Detail::default(), ..setup(scene) };
        let mut run = InteractiveRun::new(setup).unwrap();
        let records = advance(&mut run, ticks);
        for (record, report) in records.iter().zip(&reports) {
            let executed: Vec<f32> = record.steps.iter().flat_map(|step| step.action.clone()).collect();
            assert_eq!(executed, report.action_chunk, "{scene}, tick {}", record.tick);
            assert_eq!(record.report.plan, report.plan, "{scene}, tick {}", record.tick);
            assert_eq!(record.report.energies, report.energies, "{scene}, tick {}", record.tick);
        }
        assert_eq!((records.len(), reports.len()), (ticks, ticks));
        assert_eq!(records[ticks - 1].steps.last().unwrap().distance, distance, "{scene}");
    }
}

/// A run of seven ticks into which a person reaches.
fn disturbed(threads: usize, detail: Detail) -> InteractiveRun {
    let mut run = InteractiveRun::new(RunSetup { threads, detail, ..setup("two_room") }).unwrap();
    advance(&mut run, 2);
    run.apply(Command::SetWeight { name: "effort".into(), weight: 0.5 }).unwrap();
    run.apply(Command::SetWind { drift: vec![0.3, -0.2] }).unwrap();
    advance(&mut run, 2);
    run.apply(Command::SetPlanner { kind: "icem".into() }).unwrap();
    run.apply(Command::HideCamera { hidden: true }).unwrap();
    advance(&mut run, 1);
    run.apply(Command::HideCamera { hidden: false }).unwrap();
    advance(&mut run, 2);
    run
}

#[test]
fn threads_and_what_is_recorded_for_display_change_no_bit() {
    let (first, again) = (disturbed(1, Detail::NONE), disturbed(2, Detail::default()));
    assert_eq!(digests(&first), digests(&again));
}

#[test]
fn going_back_and_on_again_gives_the_same_bits() {
    let mut run = disturbed(1, Detail::NONE);
    let before = digests(&run);
    let commands = run.commands().to_vec();
    for tick in [5u64, 4, 2, 0] {
        let mut seen = Vec::new();
        run.go_back_to(tick, &mut |done| seen.push(done)).unwrap();
        assert_eq!(seen, (1..=tick).collect::<Vec<_>>());
        assert_eq!(digests(&run), before[..tick as usize]);
        // What came right before the tick stays; of what came later nothing does.
        let kept: Vec<_> = commands.iter().filter(|(before, _)| *before <= tick).cloned().collect();
        assert_eq!(run.commands(), kept);
        assert_eq!(run.advance().unwrap().digest(), before[tick as usize], "tick {tick}");
    }
    let mut other = run_to(1);
    other.apply(Command::SetWind { drift: vec![0.3, 0.0] }).unwrap();
    advance(&mut other, 1);
    assert_ne!(digests(&other)[1], before[1], "another command, other bits");
}

fn run_to(ticks: usize) -> InteractiveRun {
    let mut run = run("two_room");
    advance(&mut run, ticks);
    run
}

#[test]
fn a_tick_that_has_not_been_is_nothing_to_go_back_to() {
    let mut run = run_to(2);
    let error = run.go_back_to(3, &mut |_| ()).unwrap_err();
    assert!(matches!(error, Error::Value { .. }));
    assert_eq!(error.to_string(), "going back: expected a tick from 0 to 2, got 3");
    assert_eq!(run.history().len(), 2);
    run.go_back_to(2, &mut |_| ()).unwrap();
    assert_eq!(run.history().len(), 2, "the next tick is where the run is already");
}
