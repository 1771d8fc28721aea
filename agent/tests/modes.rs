//! Acting at once, or after thinking, and who decides which.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use mindseye_agent::actor::{Actor, Arbiter, Deadline, Icem, IcemConfig, Imagination};
use mindseye_agent::configurator::{Confidence, Mode, ModeOrder, ModeReason};
use mindseye_agent::memory::{Memory, Moment, RingMemory};
use mindseye_agent::world_model::WorldModel;
use mindseye_agent::{Directive, Latent, Plan, Plans, Result, Rollouts};
use mindseye_interface::{ManualClock, Seed};
use support::{ACTION_BLOCK, PointMass, configurator, cost, directive, moment, task};

const GOAL: [f32; 2] = [1.0, -0.5];

/// Counts how often it is asked.
struct Counting(AtomicUsize);

impl WorldModel for Counting {
    fn imagine(&self, start: &Latent, plans: &Plans) -> Result<Rollouts> {
        self.0.fetch_add(1, Ordering::Relaxed);
        PointMass.imagine(start, plans)
    }
}

/// The plan of going at `action` for ever.
fn always(action: [f32; 2]) -> Plan {
    Plan::new(4, 2 * ACTION_BLOCK, action.repeat(4 * ACTION_BLOCK)).unwrap()
}

fn ordered(mode: ModeOrder) -> Directive {
    Directive { mode, ..directive(GOAL, 4) }
}

fn arbiter() -> Arbiter {
    Arbiter::new(Box::new(Icem::new(IcemConfig { iterations: 4, ..IcemConfig::default() })))
}

/// What `actor` decides at `place` with `proposals`, and how often the world model was asked.
fn decide(
    actor: &mut Arbiter,
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
const WEIGH: ModeOrder = ModeOrder::Weigh { slack: 0.01 };

#[test]
fn mode_1_asks_the_world_model_nothing_and_mode_2_does() {
    let clock = ManualClock::default();
    let proposal = always([0.3, 0.1]);
    let forever = (&clock, f64::INFINITY);
    let (mode, plan, calls) = decide(&mut arbiter(), TASK(Mode::Mode1), [0.0; 2], vec![proposal.clone()], forever);
    assert_eq!((mode, calls), ((Mode::Mode1, ModeReason::Task), 0));
    assert_eq!(plan, proposal);
    let (mode, plan, calls) = decide(&mut arbiter(), TASK(Mode::Mode2), [0.0; 2], vec![proposal.clone()], forever);
    assert!(mode == (Mode::Mode2, ModeReason::Task) && calls > 1 && plan != proposal);
}

#[test]
fn a_policy_is_trusted_while_it_keeps_what_the_last_plan_promised() {
    let (clock, mut actor) = (ManualClock::default(), arbiter());
    let forever = (&clock, f64::INFINITY);
    let straight = || always([0.5, -0.25]); // arrives after four blocks
    let (mode, first, _) = decide(&mut actor, WEIGH, [0.0; 2], vec![straight()], forever);
    assert_eq!(mode, (Mode::Mode2, ModeReason::NoPromise), "nothing was promised before the first tick");
    let ahead: Vec<f32> = first.first_block().chunks(2).fold(vec![0.0; 2], |place, action| {
        vec![place[0] + support::SPEED_M * action[0], place[1] + support::SPEED_M * action[1]]
    });
    let there = [ahead[0], ahead[1]];
    let rest = first.shifted();
    let (mode, plan, calls) = decide(&mut actor, WEIGH, there, vec![rest.clone()], forever);
    assert_eq!((mode, calls), ((Mode::Mode1, ModeReason::PromiseKept), 1), "as good as the rest of the last plan");
    assert_eq!(plan, rest);
    let (mode, _, calls) = decide(&mut actor, WEIGH, there, vec![always([-1.0, 1.0])], forever);
    assert!(mode == (Mode::Mode2, ModeReason::PromiseBroken) && calls > 1, "the other way");
    let nan = Plan::new(4, 10, vec![f32::NAN; 40]).unwrap();
    let (mode, plan, _) = decide(&mut actor, WEIGH, [f32::NAN; 2], vec![nan], (&clock, -1.0));
    assert_eq!(mode, (Mode::Mode1, ModeReason::NoTime));
    assert!(plan.values().iter().all(|value| value.is_finite()));
    actor.reset();
    let (mode, ..) = decide(&mut actor, WEIGH, there, vec![straight()], forever);
    assert_eq!(mode.1, ModeReason::NoPromise, "a reset forgets the promise");
    assert_eq!(decide(&mut actor, WEIGH, there, Vec::new(), forever).0, (Mode::Mode2, ModeReason::NoProposal));
}

#[test]
fn where_there_is_less_time_than_planning_took_the_policy_acts() {
    let (clock, mut actor) = (ManualClock::ticking(1.0), arbiter());
    let proposals = || vec![always([0.5, -0.25])];
    let (mode, ..) = decide(&mut actor, WEIGH, [0.0; 2], proposals(), (&clock, 1e9));
    assert_eq!(mode.0, Mode::Mode2, "enough time, and now it is known how much it takes");
    let ((mode, reason), _, calls) = decide(&mut actor, WEIGH, [0.0; 2], proposals(), (&clock, 0.0));
    assert_eq!((mode, reason, calls), (Mode::Mode1, ModeReason::NoTime, 0));
}

#[test]
fn the_configurator_orders_thinking_after_a_surprise() {
    let surprised = |surprise: Option<f32>, ticks: u64| {
        let mut memory = RingMemory::new(100);
        for tick in 0..ticks {
            let surprise = if tick == 3 { surprise } else { Some(0.01) };
            memory.remember(Moment { surprise, ..moment(tick, [0.0; 2], 0, 5.0) });
        }
        configurator(&task("mode = { kind = \"auto\", calm_below = 0.1, calm_ticks = 2, slack = 0.5 }"), &[GOAL])
            .configure(&memory)
            .mode
    };
    let weigh = ModeOrder::Weigh { slack: 0.5 };
    assert_eq!(surprised(None, 0), weigh);
    assert_eq!(surprised(Some(0.05), 4), weigh);
    let think = ModeOrder::Use(Mode::Mode2, ModeReason::Surprised);
    assert_eq!(surprised(Some(0.2), 4), think);
    assert_eq!(surprised(Some(f32::NAN), 5), think, "a surprise that is no number");
    assert_eq!(surprised(Some(0.2), 6), weigh, "two calm ticks later");
    let order = |mode: &str| configurator(&task(mode), &[GOAL]).configure(&RingMemory::new(1)).mode;
    assert_eq!(order("mode = { kind = \"mode_1\" }"), TASK(Mode::Mode1));
    assert_eq!(order(""), TASK(Mode::Mode2));
    assert_eq!(order("mode = { kind = \"auto\" }"), ModeOrder::Weigh { slack: Confidence::default().slack });
}
