//! Acting at once or after planning, and the choice between the two.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{
    ACTION_CHUNK, PointMass, Predicted, SlowPointMass, configurator, cost, directive, task, transition,
};
use mindseye_agent::actor::{Actor, Deadline, Icem, IcemConfig, Imagination, ModeSelector};
use mindseye_agent::configurator::Confidence;
use mindseye_agent::directive::{Mode, ModeOrder, ModeReason};
use mindseye_agent::memory::{Memory, RingMemory, Transition};
use mindseye_agent::world_model::{Context, Dynamics};
use mindseye_agent::{Directive, Latent, Plan, Plans, Rollouts};
use mindseye_interface::{Clock, ManualClock, Seed};

const GOAL: [f32; 2] = [1.0, -0.5];

/// Counts its rollouts.
#[derive(Debug)]
struct Counting(AtomicUsize);

impl Dynamics for Counting {
    fn rollout(&self, context: &Context<'_>, plans: &Plans) -> Predicted<Rollouts> {
        self.0.fetch_add(1, Ordering::Relaxed);
        PointMass.rollout(context, plans)
    }
}

/// The plan of moving at `action` all the time.
fn always(action: [f32; 2]) -> Plan {
    Plan::new(4, 2 * ACTION_CHUNK, action.repeat(4 * ACTION_CHUNK)).unwrap()
}

fn ordered(mode: ModeOrder) -> Directive {
    Directive { mode, ..directive(GOAL, 4) }
}

fn mode_selector() -> ModeSelector {
    ModeSelector::new(Box::new(Icem::new(IcemConfig { iterations: 4, ..IcemConfig::default() })))
}

/// What `actor` decides at `place` with `proposals`, and how many rollouts there were.
fn decide(
    actor: &mut ModeSelector,
    mode: ModeOrder,
    place: [f32; 2],
    proposals: Vec<Plan>,
    (clock, at_secs): (&ManualClock, f64),
) -> ((Mode, ModeReason), Plan, usize) {
    let (world, cost, directive) = (Counting(AtomicUsize::new(0)), cost(), ordered(mode));
    let start = Latent::global(place.to_vec());
    let imagination = Imagination::new(&world, &cost, &start, &directive).with_proposals(proposals).unwrap();
    let choice = actor.act(&imagination, &mut Seed::new(0).rng(), &Deadline { clock, at_secs }).unwrap();
    ((choice.mode, choice.reason), choice.plan, world.0.load(Ordering::Relaxed))
}

const TASK: fn(Mode) -> ModeOrder = |mode| ModeOrder::Use(mode, ModeReason::Task);
const COMPARE: ModeOrder = ModeOrder::Compare { margin: 0.01 };

#[test]
fn mode_1_imagines_nothing_and_mode_2_does() {
    let clock = ManualClock::default();
    let proposal = always([0.3, 0.1]);
    let forever = (&clock, f64::INFINITY);
    let (mode, plan, calls) =
        decide(&mut mode_selector(), TASK(Mode::Mode1), [0.0; 2], vec![proposal.clone()], forever);
    assert_eq!((mode, calls), ((Mode::Mode1, ModeReason::Task), 0));
    assert_eq!(plan, proposal);
    let (mode, plan, calls) =
        decide(&mut mode_selector(), TASK(Mode::Mode2), [0.0; 2], vec![proposal.clone()], forever);
    assert!(mode == (Mode::Mode2, ModeReason::Task) && calls > 1 && plan != proposal);
}

#[test]
fn a_policy_acts_while_its_plan_is_as_good_as_the_rest_of_the_previous_plan() {
    let (clock, mut actor) = (ManualClock::default(), mode_selector());
    let forever = (&clock, f64::INFINITY);
    let straight = || always([0.5, -0.25]); // arrives after four chunks
    let (mode, first, _) = decide(&mut actor, COMPARE, [0.0; 2], vec![straight()], forever);
    assert_eq!(mode, (Mode::Mode2, ModeReason::NoPreviousPlan), "there is no previous plan in the first tick");
    let ahead: Vec<f32> = first.first_chunk().chunks(2).fold(vec![0.0; 2], |place, action| {
        vec![place[0] + crate::support::SPEED_M * action[0], place[1] + crate::support::SPEED_M * action[1]]
    });
    let there = [ahead[0], ahead[1]];
    let rest = directive(GOAL, 4).shifted(&first, ACTION_CHUNK);
    let (mode, plan, calls) = decide(&mut actor, COMPARE, there, vec![rest.clone()], forever);
    assert_eq!(
        (mode, calls),
        ((Mode::Mode1, ModeReason::PolicyGoodEnough), 1),
        "as good as the rest of the previous plan"
    );
    assert_eq!(plan, rest);
    let (mode, _, calls) = decide(&mut actor, COMPARE, there, vec![always([-1.0, 1.0])], forever);
    assert!(mode == (Mode::Mode2, ModeReason::PolicyNotGoodEnough) && calls > 1, "the other way");
    let nan = Plan::new(4, 10, vec![f32::NAN; 40]).unwrap();
    let (mode, plan, _) = decide(&mut actor, COMPARE, [f32::NAN; 2], vec![nan], (&clock, -1.0));
    assert_eq!(mode, (Mode::Mode1, ModeReason::NoTime));
    assert!(plan.values().iter().all(|value| value.is_finite()));
    actor.reset();
    let (mode, ..) = decide(&mut actor, COMPARE, there, vec![straight()], forever);
    assert_eq!(mode.1, ModeReason::NoPreviousPlan, "a reset drops the previous plan");
    assert_eq!(decide(&mut actor, COMPARE, there, Vec::new(), forever).0, (Mode::Mode2, ModeReason::NoProposal));
}

#[test]
fn where_no_time_is_left_the_policy_acts() {
    let (clock, mut actor) = (ManualClock::ticking(1.0), mode_selector());
    let proposals = || vec![always([0.5, -0.25])];
    let (mode, ..) = decide(&mut actor, COMPARE, [0.0; 2], proposals(), (&clock, 1e9));
    assert_eq!(mode.0, Mode::Mode2, "enough time");
    let ((mode, reason), _, calls) = decide(&mut actor, COMPARE, [0.0; 2], proposals(), (&clock, 0.0));
    assert_eq!((mode, reason, calls), (Mode::Mode1, ModeReason::NoTime, 0));
}

#[test]
fn a_search_that_the_deadline_cut_does_not_end_planning_for_good() {
    // Symptom: in the mode auto all ticks after the first were the policy's. Cause: a search takes the time that it is
    // given, and the longest of all was asked for before the next. Fix: what counts is how long comparing takes.
    let world = SlowPointMass { secs_per_call: 1e-4, secs_per_state: 1e-4, ..SlowPointMass::default() };
    let (cost, start, directive) = (cost(), Latent::global(vec![0.0; 2]), ordered(COMPARE));
    let mut actor = ModeSelector::new(Box::new(Icem::new(IcemConfig { samples: 1000, ..IcemConfig::default() })));
    for tick in 0..10 {
        let away = vec![always([-1.0, 1.0])];
        let imagination = Imagination::new(&world, &cost, &start, &directive).with_proposals(away).unwrap();
        let deadline = Deadline { clock: &world.clock, at_secs: world.clock.now_secs() + 0.02 };
        let choice = actor.act(&imagination, &mut Seed::new(tick).rng(), &deadline).unwrap();
        assert_eq!((choice.mode, choice.fallback), (Mode::Mode2, None), "tick {tick}: {:?}", choice.reason);
        assert!(world.clock.now_secs() <= deadline.at_secs, "tick {tick}");
    }
}

#[test]
fn the_configurator_orders_planning_after_a_surprise() {
    let surprised = |surprise: Option<f32>, ticks: u64| {
        let mut memory = RingMemory::new(100);
        for tick in 0..ticks {
            let surprise = if tick == 3 { surprise } else { Some(0.01) };
            memory.remember(Transition { surprise, ..transition(tick, [0.0; 2], 0, 5.0) });
        }
        configurator(
            &task("mode = { kind = \"auto\", surprise_below = 0.1, surprise_ticks = 2, margin = 0.5 }"),
            &[GOAL],
        )
        .configure(&memory)
        .mode
    };
    let compare = ModeOrder::Compare { margin: 0.5 };
    assert_eq!(surprised(None, 0), compare);
    assert_eq!(surprised(Some(0.05), 4), compare);
    let plan = ModeOrder::Use(Mode::Mode2, ModeReason::Surprised);
    assert_eq!(surprised(Some(0.2), 4), plan);
    assert_eq!(surprised(Some(f32::NAN), 5), plan, "a surprise of NaN");
    assert_eq!(surprised(Some(0.2), 6), compare, "two calm ticks later");
    let order = |mode: &str| configurator(&task(mode), &[GOAL]).configure(&RingMemory::new(1)).mode;
    assert_eq!(order("mode = { kind = \"mode_1\" }"), TASK(Mode::Mode1));
    assert_eq!(order(""), TASK(Mode::Mode2));
    assert_eq!(order("mode = { kind = \"auto\" }"), ModeOrder::Compare { margin: Confidence::default().margin });
}
