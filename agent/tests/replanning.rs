//! Agents that replan before their chunk has been executed whole.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{ACTION_CHUNK, PointMass, SPEED_M, modules, observation};
use mindseye_agent::directive::StateSource;
use mindseye_agent::memory::{Arrival, AssociativeMemory, SoftMemoryConfig};
use mindseye_agent::{Agent, Modules, TickReport};
use mindseye_interface::{ManualClock, Seed};

const GOAL: [f32; 2] = [1.0, -0.5];

/// Reports of `ticks` ticks of which `every` control steps are executed, with observations dropped in ticks of
/// `dropped`; and the final place.
fn run(agent: &mut Agent, ticks: usize, every: usize, dropped: &[usize]) -> (Vec<TickReport>, [f32; 2]) {
    let (clock, mut place, mut reports) = (ManualClock::default(), [0.0f32; 2], Vec::new());
    for tick in 0..ticks {
        let report = agent.tick(&observation((!dropped.contains(&tick)).then_some(place)), &clock);
        for action in report.action_chunk.chunks_exact(2).take(every) {
            place.iter_mut().zip(action).for_each(|(place, action)| *place += SPEED_M * action);
        }
        agent.report_executed(every);
        reports.push(report);
    }
    (reports, place)
}

fn agent() -> Agent {
    let memory = AssociativeMemory::new(100, SoftMemoryConfig::default()).unwrap();
    Agent::new(Modules { memory: Box::new(memory), ..modules(&[GOAL], Box::new(PointMass)) }, Seed::new(0))
}

fn distance(place: [f32; 2]) -> f32 {
    (place[0] - GOAL[0]).hypot(place[1] - GOAL[1])
}

#[test]
fn reporting_a_whole_chunk_is_the_default() {
    let mut plain = agent();
    let (clock, mut place, mut reports) = (ManualClock::default(), [0.0f32; 2], Vec::new());
    for _ in 0..5 {
        let report = plain.tick(&observation(Some(place)), &clock);
        for action in report.action_chunk.chunks_exact(2) {
            place.iter_mut().zip(action).for_each(|(place, action)| *place += SPEED_M * action);
        }
        reports.push(report);
    }
    assert_eq!(run(&mut agent(), 5, ACTION_CHUNK, &[]), (reports, place));
}

#[test]
fn an_agent_that_replans_every_step_is_surprised_by_nothing_that_follows_from_its_actions() {
    let mut agent = agent();
    let (reports, place) = run(&mut agent, 40, 1, &[]);
    assert!(distance(place) < 0.1, "{place:?}");
    assert!(reports.iter().all(|report| report.error.is_none()));
    assert!(reports[..5].iter().all(|report| report.surprise.is_none()), "one chunk ago there was no tick yet");
    assert!(reports[5..].iter().all(|report| report.surprise.unwrap() < 1e-9), "{:?}", reports[6].surprise);
    assert!(reports[1..].iter().all(|report| report.directive.executed_steps == 1));
    let learnable = agent.memory().transitions(100);
    assert!(!learnable.states.is_empty(), "transitions of whole chunks are learned from");
    for ((state, chunk), next) in
        learnable.states.chunks(2).zip(learnable.chunks.chunks(10)).zip(learnable.next.chunks(2))
    {
        let x = state[0] + SPEED_M * chunk.iter().step_by(2).sum::<f32>();
        assert!((x - next[0]).abs() < 1e-4, "the actions that were executed led from state to next");
    }
}

#[test]
fn a_step_count_that_does_not_divide_the_chunk_compares_nothing() {
    let mut agent = agent();
    let (reports, place) = run(&mut agent, 12, 3, &[]);
    assert!(distance(place) < 0.1, "{place:?}");
    assert!(reports.iter().all(|report| report.surprise.is_none() && report.error.is_none()));
    assert_eq!(agent.memory().transitions(100).states.len(), 0);
    assert_eq!(agent.memory().recent(1)[0].arrival, Arrival::WithinChunk);
}

#[test]
fn a_dropped_frame_within_a_chunk_is_imputed_by_the_prediction_where_there_is_one() {
    let (reports, _) = run(&mut agent(), 12, 1, &[2, 8]);
    assert_eq!((reports[2].state_source, reports[8].state_source), (StateSource::Imputed, StateSource::Imputed));
    assert!(reports[3].error.is_none() && reports[2].error.is_none(), "before the first chunk ends: the newest state");
    // In tick 8 the state is predicted from tick 3 and the five actions since: the state of tick 13 - 5 is right.
    let (reports, place) = run(&mut agent(), 40, 1, &[8, 9, 10]);
    assert!(reports[13..].iter().all(|report| report.surprise.unwrap() < 1e-9), "predictions of imputed states fit");
    assert!(distance(place) < 0.1, "{place:?}");
}

#[test]
fn the_previous_plan_moves_on_by_the_steps_that_were_executed() {
    let mut agent = agent();
    let report = agent.tick(&observation(Some([0.0; 2])), &ManualClock::default());
    agent.report_executed(2);
    let late = agent.tick(&observation(Some([0.0; 2])), &ManualClock::ticking(1e7));
    assert_eq!(late.plan.values()[..36], report.plan.values()[4..]);
    assert_eq!(late.plan.values()[36..], [0.0; 4]);
}
