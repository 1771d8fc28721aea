//! One episode: when it succeeds, when it ends, and what is counted.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{Behaviour, CHUNK, Event, FakeMethod, LineBenchmark, pair, task};
use mindseye_evaluation::{Episode, EpisodeResult, GoalChange, HOLD_STEPS, Perturbation};
use mindseye_interface::{Seed, StartGoal};

/// Runs `method` on `pair`, as `change` makes the episode.
fn run(method: &FakeMethod, pair: &StartGoal, change: impl FnOnce(&mut Episode<'_>)) -> EpisodeResult {
    run_after(&[], method, pair, change)
}

/// The same after the pairs of `warmup`.
fn run_after(
    warmup: &[StartGoal],
    method: &FakeMethod,
    pair: &StartGoal,
    change: impl FnOnce(&mut Episode<'_>),
) -> EpisodeResult {
    let benchmark = LineBenchmark { goals: vec![1.0], has_hard_pairs: false };
    let task = task("");
    let mut episode = Episode {
        benchmark: &benchmark,
        method,
        task: &task,
        pair,
        warmup,
        budget_steps: 20,
        seed: Seed::new(0),
        threads: 1,
        real_time: false,
        stop_when_held: false,
        perturbation: Perturbation::default(),
        goal_change: None,
    };
    change(&mut episode);
    episode.run(&mut |_| Ok(())).unwrap()
}

fn seeker() -> FakeMethod {
    FakeMethod::new("seeker", Behaviour::Seek)
}

#[test]
fn success_comes_at_the_first_step_within_the_moderate_predicate() {
    // A tenth of a metre per step, moderate within 0.15 m of 1 m: after the 9th step.
    let result = run(&seeker(), &pair(0, 0, &[1.0]), |_| ());
    assert_eq!((result.first_success_step, result.strict, result.steps), (Some(9), true, 20));
    assert!(result.final_distance < 1e-9);
    assert_eq!((result.planning_ms.len(), result.predicted_states), (20 / CHUNK, 10 * 20 / CHUNK));
}

#[test]
fn a_goal_that_is_passed_by_counts_as_moderate_and_not_as_strict() {
    let result = run(&FakeMethod::new("right", Behaviour::Constant(1.0)), &pair(0, 0, &[1.0]), |_| ());
    assert_eq!((result.first_success_step, result.strict), (Some(9), false));
    assert!((result.final_distance - 1.0).abs() < 1e-9);
}

#[test]
fn strict_success_has_to_hold_over_the_last_steps() {
    // Strict from step 10 on: five steps are 10 to 14.
    for (budget_steps, strict) in [(9 + HOLD_STEPS, true), (8 + HOLD_STEPS, false)] {
        let result = run(&seeker(), &pair(0, 0, &[1.0]), |episode| episode.budget_steps = budget_steps);
        assert_eq!((result.steps, result.strict), (budget_steps, strict), "{budget_steps}");
    }
}

#[test]
fn the_budget_cuts_the_last_chunk_short() {
    let result = run(&seeker(), &pair(0, 0, &[1.0]), |episode| episode.budget_steps = 7);
    assert_eq!((result.steps, result.planning_ms.len(), result.first_success_step), (7, 2, None));
    assert!((result.final_distance - 0.3).abs() < 1e-9);
}

#[test]
fn an_episode_that_may_stop_ends_with_the_chunk_after_which_the_goal_has_been_held() {
    let result = run(&seeker(), &pair(0, 0, &[1.0]), |episode| {
        (episode.stop_when_held, episode.budget_steps) = (true, 100);
    });
    // Held since step 10, so for five steps after step 14; the chunk ends at 15.
    assert_eq!((result.steps, result.strict), (15, true));
}

#[test]
fn further_predicates_count_if_they_hold_once_and_measures_with_a_unit_are_no_predicates() {
    let result = run(&seeker(), &pair(0, 0, &[1.0]), |episode| episode.budget_steps = 7);
    assert_eq!(result.reached, [("near".to_owned(), true)].into());
    let result = run(&seeker(), &pair(0, 0, &[1.0]), |episode| episode.budget_steps = 6);
    assert_eq!(result.reached, [("near".to_owned(), false)].into());
}

#[test]
fn goals_of_a_sequence_have_to_be_reached_in_their_order() {
    // The method goes to the first goal only: at 0.5 m, it is also at the last goal, but never at the second.
    let result = run(&seeker(), &pair(0, 0, &[0.5, -0.5, 0.5]), |episode| episode.budget_steps = 40);
    assert_eq!((result.first_success_step, result.strict), (None, false));
    assert!((result.final_distance - 1.0).abs() < 1e-9, "the distance is that of the second goal");
    // Moving right passes 0.2 m, 0.6 m and 1 m one after the other: within 0.15 m of the last at step 9.
    let right = FakeMethod::new("right", Behaviour::Constant(1.0));
    assert_eq!(run(&right, &pair(0, 0, &[0.2, 0.6, 1.0]), |_| ()).first_success_step, Some(9));
}

#[test]
fn a_goal_change_forgets_the_success_before_it() {
    let (method, start) = (seeker(), pair(0, 0, &[0.5]));
    let change = |after_steps| Some(GoalChange { after_steps, goal: vec![-0.5] });
    let result = run(&method, &start, |episode| {
        (episode.budget_steps, episode.goal_change) = (40, change(10));
    });
    // At 0.5 m until step 10, then 1 m to the left: within 0.15 m after nine more steps.
    assert_eq!((result.first_success_step, result.strict), (Some(19), true));
    let expected = [Event::Begin { goal: 0.5 }, Event::SetGoals(-0.5)];
    assert_eq!(method.events(), expected);
    // A goal that is held already does not end the episode before the change.
    let result = run(&seeker(), &start, |episode| {
        (episode.budget_steps, episode.goal_change, episode.stop_when_held) = (60, change(20), true);
    });
    assert_eq!((result.first_success_step, result.steps), (Some(29), 35));
}

#[test]
fn ticks_with_an_error_are_counted_and_the_first_text_is_kept() {
    let failing = FakeMethod::new("failing", Behaviour::FailEverySecondTick);
    let result = run(&failing, &pair(0, 0, &[1.0]), |_| ());
    assert_eq!((result.error_ticks, result.error.as_deref()), (2, Some("tick 2 failed")));
    assert!(result.final_distance < 1e-9, "two chunks of movement, two of rest");
}

#[test]
fn every_frame_but_the_first_can_be_dropped() {
    let perturbation = Perturbation { drop_frames: 1.0, occlude_steps: 0 };
    let result = run(&seeker(), &pair(0, 0, &[1.0]), |episode| episode.perturbation = perturbation);
    assert_eq!((result.missing_frames, result.planning_ms.len()), (3, 4));
}

#[test]
fn warm_up_episodes_come_first_and_leave_no_trace_in_the_result() {
    let method = seeker();
    let warmup = [pair(0, 0, &[0.3]), pair(0, 1, &[-0.3])];
    let start = pair(0, 0, &[1.0]);
    let result = run_after(&warmup, &method, &start, |_| ());
    assert_eq!((result.first_success_step, result.planning_ms.len()), (Some(9), 4));
    let expected = [
        Event::Begin { goal: 1.0 },
        Event::SetGoals(0.3),
        Event::StartEpisode,
        Event::SetGoals(-0.3),
        Event::StartEpisode,
        Event::SetGoals(1.0),
    ];
    assert_eq!(method.events(), expected);
}

#[test]
fn routes_are_listed_in_the_order_in_which_they_were_taken() {
    let result = run(&seeker(), &pair(0, 0, &[0.3]), |episode| {
        episode.goal_change = Some(GoalChange { after_steps: 5, goal: vec![-0.5] });
    });
    assert_eq!(result.routes, ["right", "left"]);
}
