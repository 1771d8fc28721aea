//! Planners whose time is up.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{
    PointMass, SlowPointMass, WorldClock, choice_of, configurator, cost, directive, modules, observation, planners,
    task,
};
use mindseye_agent::actor::{Actor, Choice, Deadline, Fallback, Icem, IcemConfig, Imagination};
use mindseye_agent::configurator::PlannerConfig;
use mindseye_agent::perception::{Perception, ProprioceptivePerception};
use mindseye_agent::{Agent, Directive, Latent, Modules, Plan, Result, Task, TickReport};
use mindseye_interface::{Clock, ManualClock, Observation, Seed};

const GOAL: [f32; 2] = [0.7, -0.4];

/// What `actor` decides at the origin when it is too late for anything.
fn too_late(actor: &mut dyn Actor, proposals: Vec<Plan>) -> Choice {
    let (cost, start, directive) = (cost(), Latent::global(vec![0.0; 2]), directive(GOAL, 4));
    let clock = ManualClock::default();
    let imagination = Imagination::new(&PointMass, &cost, &start, &directive).with_proposals(proposals).unwrap();
    let late = Deadline { clock: &clock, at_secs: 0.0 };
    let choice = actor.act(&imagination, &mut Seed::new(0).rng(), &late).unwrap();
    assert_eq!(
        (imagination.predicted_states(), choice.energies.len()),
        (0, 0),
        "nothing is imagined after the deadline"
    );
    choice
}

#[test]
fn without_time_the_previous_plan_continues_then_the_policy_acts_then_it_holds_still() {
    let proposal = Plan::new(4, 10, vec![0.25; 40]).unwrap();
    for (name, mut actor) in planners() {
        let still = too_late(actor.as_mut(), vec![]);
        assert_eq!((still.fallback, still.plan), (Some(Fallback::HoldStill), Plan::zeros(4, 10)), "{name}");
        actor.reset();
        let proposed = too_late(actor.as_mut(), vec![proposal.clone()]);
        assert_eq!((proposed.fallback, &proposed.plan), (Some(Fallback::Policy), &proposal), "{name}");
        actor.reset();
        let (planned, _) = choice_of(actor.as_mut(), &PointMass, &directive(GOAL, 4), 0).unwrap();
        assert_eq!(planned.fallback, None, "{name}");
        let mut left = planned.plan;
        for _ in 0..3 {
            left = directive(GOAL, 4).shifted(&left, 5);
            let late = too_late(actor.as_mut(), vec![proposal.clone()]);
            assert_eq!((late.fallback, &late.plan), (Some(Fallback::PreviousPlan), &left), "{name}");
        }
        let late = too_late(actor.as_mut(), vec![proposal.clone()]);
        assert_eq!(late.fallback, Some(Fallback::Policy), "{name}: of four chunks nothing is left");
    }
}

/// A world of 20 µs a call and `secs_per_state`.
fn slow(secs_per_state: f64) -> SlowPointMass {
    SlowPointMass { secs_per_call: 2e-5, secs_per_state, ..SlowPointMass::default() }
}

/// What `actor` decides at the origin of `world` within `secs`, the predicted states, and how late it was, seconds.
fn decide(actor: &mut dyn Actor, world: &SlowPointMass, horizon: usize, secs: f64, seed: u64) -> (Choice, usize, f64) {
    let (cost, start, directive) = (cost(), Latent::global(vec![0.0; 2]), directive(GOAL, horizon));
    let imagination = Imagination::new(world, &cost, &start, &directive);
    let deadline = Deadline { clock: &world.clock, at_secs: world.clock.now_secs() + secs };
    let choice = actor.act(&imagination, &mut Seed::new(seed).rng(), &deadline).unwrap();
    (choice, imagination.predicted_states(), world.clock.now_secs() - deadline.at_secs)
}

#[test]
fn whatever_the_samples_and_the_horizon_there_is_a_searched_plan_by_the_deadline() {
    // Symptom: 20 ms given, 10^5 samples took 417 ms and a horizon of 1000 chunks 2.2 s, every tick, without a plan.
    // Cause: all samples were drawn before the first look at the clock, and the first group of 32 was always begun.
    // Fix: groups are drawn as they are scored, and begun only if they can be expected to end in time.
    for kind in ["icem", "cem", "mppi", "predictive_sampling", "gradient", "hybrid"] {
        let planner: PlannerConfig = mindseye_interface::config::parse(&format!("kind = \"{kind}\"")).unwrap();
        for samples in [2, 1000, 100_000] {
            for horizon in [1, 4, 500] {
                let (mut actor, world) = (planner.with_samples(samples).build(), slow(1e-5));
                for tick in 0..4 {
                    let (choice, _, late) = decide(actor.as_mut(), &world, horizon, 0.02, tick);
                    let what = format!("{kind}, {samples} samples, {horizon} chunks, tick {tick}");
                    assert!(late <= 0.0, "{what}: {late} s late");
                    assert_eq!(choice.fallback, None, "{what}");
                }
            }
        }
    }
}

#[test]
fn where_no_plan_fits_a_tick_ends_in_time_without_one() {
    // One plan takes 50 ms (gradients 150 ms), its first chunk 50 µs.
    for (name, mut actor) in planners() {
        let world = slow(5e-5);
        for tick in 0..20 {
            let (choice, states, late) = decide(actor.as_mut(), &world, 1000, 0.02, tick);
            assert!(late <= 0.0, "{name}, tick {tick}: {late} s late");
            assert_eq!((choice.fallback.is_some(), states), (true, 0), "{name}, tick {tick}");
        }
        let (choice, _, late) = decide(actor.as_mut(), &world, 1000, 1.0, 0);
        assert!(choice.fallback.is_none() && late <= 0.0, "{name}: with more time it plans");
    }
}

#[test]
fn one_hiccup_does_not_keep_a_planner_from_searching() {
    for (name, mut actor) in planners() {
        let world = slow(1e-5);
        for tick in 0..20 {
            if tick == 0 || tick == 7 {
                world.hiccup_nanos.store(100_000_000, std::sync::atomic::Ordering::Relaxed);
            }
            let (choice, _, late) = decide(actor.as_mut(), &world, 4, 0.02, tick);
            let is_calm = tick != 0 && tick != 7;
            assert_eq!(late <= 0.0, is_calm, "{name}, tick {tick}: {late} s late");
            assert!(choice.fallback.is_none() || !is_calm, "{name}, tick {tick}");
        }
    }
}

#[test]
fn imagining_that_turns_out_slow_is_cancelled_at_the_deadline() {
    // Symptom: on a busy machine a plan of 200 chunks, begun because it had fitted before, ended up to 5 ms late in one
    // tick of five. Cause: a group that was begun was rolled out to its end. Fix: dynamics ask between chunks.
    for (name, mut actor) in planners() {
        let world = slow(1e-5);
        for tick in 0..10 {
            decide(actor.as_mut(), &world, 200, 0.02, tick);
        }
        world.slowness.store(50, std::sync::atomic::Ordering::Relaxed);
        for tick in 10..20 {
            let (choice, _, late) = decide(actor.as_mut(), &world, 200, 0.02, tick);
            // 500 µs a chunk of one plan; the passes of gradients are three, of 16 plans side by side.
            assert!(late <= 0.025, "{name}, tick {tick}: {late} s late");
            assert!(choice.fallback.is_some(), "{name}, tick {tick}: a plan takes 100 ms");
        }
        world.slowness.store(1, std::sync::atomic::Ordering::Relaxed);
        let found = (20..120).filter(|&tick| decide(actor.as_mut(), &world, 200, 0.02, tick).0.fallback.is_none());
        assert!(found.count() > 30, "{name}: it searches again when there is time");
    }
}

#[test]
fn a_deadline_between_rounds_ends_the_search_with_the_best_so_far() {
    // A round of 16 plans takes 0.66 ms or a little more: there is time for some of the thirty.
    let world = slow(1e-5);
    let mut actor = Icem::new(IcemConfig { samples: 16, elites: 4, ..IcemConfig::cem() });
    decide(&mut actor, &world, 4, 1.0, 0);
    actor.reset();
    let (choice, states, late) = decide(&mut actor, &world, 4, 0.005, 0);
    assert!((3..10).contains(&choice.energies.len()) && choice.fallback.is_none(), "{:?}", choice.energies);
    assert!((3 * 16 * 4..10 * 16 * 4).contains(&states) && late <= 0.0, "{states} states, {late} s late");
}

#[test]
fn a_deadline_within_a_round_keeps_what_was_scored() {
    let world = slow(1e-5);
    let shooting = |samples| IcemConfig { samples, elites: 1, iterations: 1, ..IcemConfig::default() };
    let (choice, states, _) = decide(&mut Icem::new(shooting(10_000)), &world, 4, 0.02, 0);
    let scored = states / 4;
    assert!((100..10_000).contains(&scored), "{scored} plans");
    let few = choice_of(&mut Icem::new(shooting(scored)), &PointMass, &directive(GOAL, 4), 0).unwrap().0;
    assert_eq!(choice.plan, few.plan);
}

#[test]
fn the_size_of_groups_does_not_change_a_plan() {
    // Without a deadline groups of 349 plans, with one of up to 32.
    let still = slow(0.0);
    for kind in ["icem", "mppi", "predictive_sampling", "gradient", "hybrid"] {
        let planner: PlannerConfig = mindseye_interface::config::parse(&format!("kind = \"{kind}\"")).unwrap();
        let planner = planner.scaled_to(1500);
        let still = SlowPointMass { secs_per_call: 0.0, ..still.clone() };
        let plan = |secs| decide(planner.build().as_mut(), &still, 1000, secs, 3).0.plan;
        assert_eq!(plan(f64::INFINITY), plan(1e6), "{kind}");
    }
}

/// Proprioception that takes time.
struct SlowPerception(WorldClock, f64);

impl Perception for SlowPerception {
    fn perceive(&self, observation: &Observation, directive: &Directive) -> Result<Option<Latent>> {
        self.0.advance(self.1);
        ProprioceptivePerception.perceive(observation, directive)
    }

    fn encode_goal(&self, goal: &Observation) -> Result<Option<Latent>> {
        ProprioceptivePerception.encode_goal(goal)
    }
}

/// Ticks of 20 ms of an agent in `world`.
fn ticks(world: &SlowPointMass, perceiving_secs: f64, horizon: usize, count: usize) -> Vec<TickReport> {
    let task = Task { budget_ms: 20.0, horizon_chunks: horizon, ..task("") };
    let modules = Modules {
        configurator: configurator(&task, &[GOAL]),
        perception: Box::new(SlowPerception(world.clock.clone(), perceiving_secs)),
        ..modules(&[GOAL], Box::new(world.clone()))
    };
    let mut agent = Agent::new(modules, Seed::new(0));
    (0..count).map(|_| agent.tick(&observation(Some([0.0; 2])), &world.clock)).collect()
}

#[test]
fn the_deadline_is_that_of_the_whole_tick_perception_and_the_expected_outcome_included() {
    for report in ticks(&slow(1e-5), 0.005, 4, 10) {
        assert!(!report.deadline_missed && report.planning_ms > 5.0, "{} ms", report.planning_ms);
        assert_eq!((report.fallback, report.error), (None, None));
    }
    // No plan of 1000 chunks fits; what is executed instead is not rolled out to its end either.
    for report in ticks(&slow(5e-5), 0.005, 1000, 10) {
        assert!(!report.deadline_missed, "{} ms", report.planning_ms);
        assert!(report.fallback.is_some() && report.expected.is_none_or(|expected| expected.horizon() == 1));
    }
}

#[test]
fn lateness_and_the_fallback_are_both_reported() {
    // Symptom: with too little time a tick was late, and reported no fallback. Cause: the first group of plans was
    // always begun. Fix: it is not begun after the deadline.
    for report in ticks(&slow(1e-5), 0.03, 4, 3) {
        assert!(report.deadline_missed && report.fallback.is_some(), "{:?}", report.fallback);
        assert!(report.planning_ms < 31.0, "{} ms: nothing more is begun", report.planning_ms);
    }
}
