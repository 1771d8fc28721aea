//! Runs of ticks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::support::{
    ACTION_CHUNK, NanPredictions, PointMass, Predicted, SPEED_M, agent, configurator, modules, observation, rolled_out,
    task,
};
use mindseye_agent::actor::{Actor, Hold, Icem, IcemConfig, RandomActions};
use mindseye_agent::configurator::SequenceConfigurator;
use mindseye_agent::directive::{Imputation, StateSource};
use mindseye_agent::memory::{Memory, Retrieval, RingMemory, Transition};
use mindseye_agent::world_model::{Context, Dynamics, WorldModel};
use mindseye_agent::{Agent, Latent, Modules, Plans, Rollouts, Task, TickReport};
use mindseye_interface::{Clock, ManualClock, Rng, Seed};

/// Runs `ticks` ticks from the origin; `observed` says in which ticks the place is observed. Reports and final place.
fn run(agent: &mut Agent, ticks: usize, observed: impl Fn(usize) -> bool) -> (Vec<TickReport>, [f32; 2]) {
    let (clock, mut place, mut reports) = (ManualClock::default(), [0.0f32; 2], Vec::new());
    for tick in 0..ticks {
        let report = agent.tick(&observation(observed(tick).then_some(place)), &clock);
        for action in report.action_chunk.chunks_exact(2) {
            place.iter_mut().zip(action).for_each(|(place, action)| *place += SPEED_M * action);
        }
        reports.push(report);
    }
    (reports, place)
}

fn distance(place: [f32; 2], goal: [f32; 2]) -> f32 {
    (place[0] - goal[0]).hypot(place[1] - goal[1])
}

#[test]
fn an_agent_reaches_its_goal_without_surprise_in_a_world_that_its_model_predicts() {
    let mut agent = agent(&[[1.0, -0.5]], Box::new(PointMass), 0);
    let (reports, place) = run(&mut agent, 8, |_| true);
    assert!(distance(place, [1.0, -0.5]) < 0.1, "{place:?}");
    assert_eq!(reports[0].surprise, None);
    assert!(reports[1..].iter().all(|report| report.surprise.unwrap() < 1e-9));
    assert!(
        reports.iter().all(|report| report.error.is_none() && !report.deadline_missed && report.predicted_states > 0)
    );
    assert!(reports[7].energies[0].1 < 0.1 * reports[0].energies[0].1, "{:?}", reports[7].energies);
    assert_eq!(agent.memory().len(), 8);
}

#[test]
fn two_runs_with_one_seed_are_equal_to_the_bit() {
    let run_of =
        |seed| run(&mut agent(&[[1.0, -0.5], [0.0, 0.0]], Box::new(PointMass), seed), 12, |tick| tick % 4 != 3);
    let (first, again, other) = (run_of(3), run_of(3), run_of(4));
    assert_eq!(first, again);
    assert_ne!(first.1, other.1);
}

#[test]
fn a_recorded_run_replays_from_its_observations() {
    let mut recorded = agent(&[[1.0, -0.5]], Box::new(PointMass), 7);
    let (reports, _) = run(&mut recorded, 6, |_| true);
    let places: Vec<[f32; 2]> =
        recorded.memory().recent(6).iter().rev().map(|m| [m.latent.values()[0], m.latent.values()[1]]).collect();
    let (mut replayed, clock) = (agent(&[[1.0, -0.5]], Box::new(PointMass), 7), ManualClock::default());
    let again: Vec<TickReport> = places.iter().map(|&place| replayed.tick(&observation(Some(place)), &clock)).collect();
    assert_eq!(reports, again);
}

#[test]
fn a_dropped_frame_is_filled_by_what_was_predicted() {
    let goal = [1.0, -0.5];
    let (reports, place) = run(&mut agent(&[goal], Box::new(PointMass), 0), 8, |tick| !(2..5).contains(&tick));
    assert!(reports.iter().all(|report| report.error.is_none()));
    assert_eq!((reports[2].surprise, reports[4].surprise), (None, None), "what is not observed cannot surprise");
    assert!(reports[5].surprise.unwrap() < 1e-9, "three predictions in a row still fit");
    assert!(distance(place, goal) < 0.1, "{place:?}");
}

/// The source and the error of the state in every tick of an agent whose task has the line `missing_frames` and that
/// observes `at(tick, place)`.
fn states(
    missing_frames: &str,
    ticks: usize,
    at: impl Fn(usize, [f32; 2]) -> Option<[f32; 2]>,
) -> Vec<(StateSource, f32)> {
    states_with(Imputation::Prediction, missing_frames, ticks, at)
}

/// The same with another imputation.
fn states_with(
    imputation: Imputation,
    missing_frames: &str,
    ticks: usize,
    at: impl Fn(usize, [f32; 2]) -> Option<[f32; 2]>,
) -> Vec<(StateSource, f32)> {
    let goal = [1.0, -0.5];
    let mut modules = modules(&[goal], Box::new(PointMass));
    let goals = vec![Latent::global(goal.to_vec())];
    let configurator = SequenceConfigurator::new(&task(missing_frames), goals, ACTION_CHUNK, 2);
    modules.configurator = Box::new(configurator.unwrap_or_else(|error| panic!("{error}")).imputing(imputation));
    let (mut agent, clock, mut place) = (Agent::new(modules, Seed::new(0)), ManualClock::default(), [0.0f32; 2]);
    let mut states = Vec::new();
    for tick in 0..ticks {
        let report = agent.tick(&observation(at(tick, place)), &clock);
        let state = agent.memory().recent(1)[0].latent.values().to_vec();
        states.push((report.state_source, distance([state[0], state[1]], place)));
        for action in report.action_chunk.chunks_exact(2) {
            place.iter_mut().zip(action).for_each(|(place, action)| *place += SPEED_M * action);
        }
    }
    states
}

#[test]
fn an_implausible_observation_is_rejected_until_it_persists() {
    let elsewhere = |from: usize, until: usize| {
        move |tick: usize, place: [f32; 2]| Some(if (from..until).contains(&tick) { [5.0, 5.0] } else { place })
    };
    let gated = "missing_frames = { innovation_gate = 0.01, patience_ticks = 3 }";
    let states = self::states(gated, 8, elsewhere(2, 4));
    assert!(
        states[2..4].iter().all(|(state_source, off)| *state_source == StateSource::Rejected && *off < 1e-4),
        "{states:?}"
    );
    assert!(
        states[4..].iter().all(|(state_source, off)| *state_source == StateSource::Observed && *off < 1e-4),
        "{states:?}"
    );
    let states = self::states(gated, 8, elsewhere(2, 8));
    let sources: Vec<StateSource> = states.iter().map(|(state_source, _)| *state_source).collect();
    assert_eq!(
        sources[2..6],
        [StateSource::Rejected, StateSource::Rejected, StateSource::Rejected, StateSource::Observed],
        "then the world has changed"
    );
    let states = self::states("", 4, elsewhere(2, 4));
    assert!(
        states[2].0 == StateSource::Observed && states[2].1 > 1.0,
        "without a gate every observation is accepted: {states:?}"
    );
}

#[test]
fn imputing_the_last_observed_state_is_worse_than_imputing_the_prediction() {
    let dropped = |tick: usize, place| (!(1..3).contains(&tick)).then_some(place);
    let with = states_with(Imputation::Prediction, "", 4, dropped);
    let without = states_with(Imputation::LastObserved, "", 4, dropped);
    assert_eq!((with[1].0, without[1].0), (StateSource::Imputed, StateSource::Imputed));
    assert!(with[1].1 < 1e-4 && without[1].1 > 0.2, "{with:?} {without:?}");
    assert!(without[3].1 < 1e-4);
}

#[test]
fn without_any_observation_an_agent_holds_still_and_reports_why() {
    let mut agent = agent(&[[1.0, -0.5]], Box::new(PointMass), 0);
    let clock = ManualClock::default();
    let report = agent.tick(&observation(None), &clock);
    assert_eq!(report.action_chunk, [0.0; 10]);
    assert!(report.error.unwrap().contains("got neither"));
    let report = agent.tick(&observation(Some([0.0; 2])), &clock);
    assert!(report.error.is_none(), "it acts once it observes");
}

#[test]
fn an_agent_whose_world_model_predicts_nan_holds_still() {
    let (reports, place) = run(&mut agent(&[[1.0, -0.5]], Box::new(NanPredictions), 0), 3, |_| true);
    assert_eq!(place, [0.0; 2]);
    assert!(reports.iter().all(|report| report.error.as_ref().unwrap().contains("finite energy")));
}

#[test]
fn a_proprioception_of_nan_holds_the_body_still() {
    let report = agent(&[[1.0, -0.5]], Box::new(PointMass), 0)
        .tick(&observation(Some([f32::NAN, 0.0])), &ManualClock::default());
    assert_eq!(report.action_chunk, [0.0; 10]);
    assert!(report.error.unwrap().contains("not finite"));
}

#[test]
fn sub_goals_are_pursued_one_after_the_other() {
    let goals = [[0.6, 0.0], [0.6, 0.6], [0.0, 0.0]];
    let (reports, place) = run(&mut agent(&goals, Box::new(PointMass), 0), 14, |_| true);
    let pursued: Vec<usize> = reports.iter().map(|report| report.directive.sub_goal).collect();
    assert!(pursued.windows(2).all(|pair| pair[0] <= pair[1]) && pursued.contains(&1), "{pursued:?}");
    assert_eq!(pursued[13], 2, "{pursued:?}");
    assert!(distance(place, goals[2]) < 0.15, "{place:?}");
}

#[test]
fn a_tick_that_starts_too_late_still_gives_a_legal_chunk() {
    let mut agent = agent(&[[1.0, -0.5]], Box::new(PointMass), 0);
    let report = agent.tick(&observation(Some([0.0; 2])), &ManualClock::ticking(100.0));
    assert!(report.deadline_missed && report.error.is_none());
    assert_eq!((report.action_chunk.len(), report.predicted_states), (10, 0));
}

/// A point mass that counts its rollouts.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Dynamics for Counted {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Predicted<Rollouts> {
        self.0.fetch_add(1, Ordering::Relaxed);
        PointMass.rollout(context, plans)
    }
}

impl WorldModel for Counted {}

#[test]
fn the_report_reuses_the_rollout_of_the_search_and_baselines_predict_nothing() {
    let calls_of = |actor: Box<dyn Actor>| {
        let calls = Arc::new(AtomicUsize::new(0));
        let configurator = configurator(&Task { budget_ms: f64::INFINITY, ..task("") }, &[[1.0, -0.5]]);
        let world = Box::new(Counted(calls.clone()));
        let modules = Modules { actor, configurator, ..modules(&[[1.0, -0.5]], world) };
        let report = Agent::new(modules, Seed::new(0)).tick(&observation(Some([0.0; 2])), &ManualClock::default());
        (calls.load(Ordering::Relaxed), report)
    };
    let config = IcemConfig { samples: 32, iterations: 4, ..IcemConfig::default() };
    let (calls, report) = calls_of(Box::new(Icem::new(config)));
    let expected = rolled_out(&[0.0; 2], &Plans::from(&report.plan));
    assert_eq!((calls, report.expected), (4, Some(expected)), "one rollout a round, and no other");
    for baseline in [Box::new(RandomActions) as Box<dyn Actor>, Box::new(Hold)] {
        let (calls, report) = calls_of(baseline);
        assert_eq!((calls, report.expected, report.error), (0, None, None));
    }
}

/// A clock that others move.
#[derive(Clone, Default)]
struct SharedClock(Arc<Mutex<f64>>);

impl SharedClock {
    fn advance(&self, by_secs: f64) {
        self.0.lock().map(|mut secs| *secs += by_secs).ok();
    }
}

impl Clock for SharedClock {
    fn now_secs(&self) -> f64 {
        self.0.lock().map_or(f64::NAN, |secs| *secs)
    }
}

/// A memory that takes a second to remember and a second to retrieve.
struct SlowMemory(RingMemory, SharedClock);

impl Memory for SlowMemory {
    fn remember(&mut self, transition: Transition) {
        self.1.advance(1.0);
        self.0.remember(transition);
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn recent(&self, count: usize) -> Vec<&Transition> {
        self.0.recent(count)
    }

    fn at(&self, tick: u64) -> Option<&Transition> {
        self.0.at(tick)
    }

    fn nearest(&self, latent: &Latent, count: usize) -> Vec<&Transition> {
        self.0.nearest(latent, count)
    }

    fn sample(&self, count: usize, rng: &mut Rng) -> Vec<&Transition> {
        self.0.sample(count, rng)
    }

    fn retrieve(&self, _latent: &Latent, _chunk: &[f32]) -> Option<Retrieval> {
        self.1.advance(1.0);
        None
    }
}

#[test]
fn planning_time_ends_when_the_chunk_is_returned() {
    let clock = SharedClock::default();
    let memory = Box::new(SlowMemory(RingMemory::new(10), clock.clone()));
    let modules = Modules { memory, ..modules(&[[1.0, -0.5]], Box::new(PointMass)) };
    let report = Agent::new(modules, Seed::new(0)).tick(&observation(Some([0.0; 2])), &clock);
    assert!((report.planning_ms - 2000.0).abs() < 1e-6, "remembering and retrieving count: {}", report.planning_ms);
    assert!(report.deadline_missed, "of a budget of one second");
}
