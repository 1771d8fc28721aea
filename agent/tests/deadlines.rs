//! Planners whose time is up.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

mod support;

use mindseye_agent::actor::{Actor, Choice, Deadline, Fallback, Icem, IcemConfig, Imagination};
use mindseye_agent::{Latent, Plan};
use mindseye_interface::{ManualClock, Seed};
use support::{PointMass, choice_of, cost, directive, planners};

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

#[test]
fn a_deadline_between_rounds_ends_the_search_with_the_best_so_far() {
    // Every reading of the clock takes a second: one before and one after each round of 16 plans, so that a third
    // round, which begins at 4 and can be expected to take one as the others did, would be late.
    let (cost, start, directive) = (cost(), Latent::global(vec![0.0; 2]), directive(GOAL, 4));
    let clock = ManualClock::ticking(1.0);
    let imagination = Imagination::new(&PointMass, &cost, &start, &directive);
    let deadline = Deadline { clock: &clock, at_secs: 4.5 };
    let mut actor = Icem::new(IcemConfig { samples: 16, elites: 4, ..IcemConfig::cem() });
    let choice = actor.act(&imagination, &mut Seed::new(0).rng(), &deadline).unwrap();
    assert_eq!((choice.energies.len(), imagination.predicted_states(), choice.fallback), (2, 2 * 16 * 4, None));
}

#[test]
fn a_deadline_within_a_round_keeps_what_was_scored() {
    let (cost, start, directive) = (cost(), Latent::global(vec![0.0; 2]), directive(GOAL, 4));
    let clock = ManualClock::ticking(1.0);
    let imagination = Imagination::new(&PointMass, &cost, &start, &directive);
    let deadline = Deadline { clock: &clock, at_secs: 4.5 };
    let shooting = |samples| IcemConfig { samples, elites: 1, iterations: 1, ..IcemConfig::default() };
    let mut actor = Icem::new(shooting(10_000));
    let choice = actor.act(&imagination, &mut Seed::new(0).rng(), &deadline).unwrap();
    let scored = imagination.predicted_states() / 4;
    assert!((2..10_000).contains(&scored), "{scored} plans");
    let mut few = Icem::new(shooting(scored));
    assert_eq!(choice.plan, choice_of(&mut few, &PointMass, &directive, 0).unwrap().0.plan);
}
