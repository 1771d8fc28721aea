//! The log of the plans that a search scored.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use crate::support::{ACTION_CHUNK, PointMass, agent, cost, directive, observation, planners};
use mindseye_agent::actor::{Actor, Choice, Deadline, Hold, Imagination};
use mindseye_agent::{Latent, Plan, Plans, TickReport};
use mindseye_interface::{ManualClock, Seed};

const GOAL: [f32; 2] = [0.7, -0.4];

/// What `actor` chooses where a search keeps `limit` candidates and a policy proposes `proposals`; and the energies of
/// these candidates, computed again.
fn choice(actor: &mut dyn Actor, limit: usize, proposals: Vec<Plan>) -> (Choice, Vec<f32>) {
    let (cost, start, clock, directive) =
        (cost(), Latent::global(vec![0.0, 0.0]), ManualClock::default(), directive(GOAL, 4));
    let imagination = Imagination::new(&PointMass, &cost, &start, &directive).with_candidates(limit);
    let imagination = imagination.with_proposals(proposals).unwrap();
    let deadline = Deadline { clock: &clock, at_secs: f64::INFINITY };
    let choice = actor.act(&imagination, &mut Seed::new(3).rng(), &deadline).unwrap();
    let energy = |(plan, _): &(Plan, f32)| imagination.energies(&Plans::from(plan)).unwrap()[0];
    let energies = choice.candidates.iter().map(energy).collect();
    (choice, energies)
}

#[test]
fn every_planner_lists_plans_with_their_energies_the_chosen_one_among_the_best() {
    for (name, mut actor) in planners() {
        let (choice, energies) = choice(actor.as_mut(), 100_000, Vec::new());
        let listed: Vec<f32> = choice.candidates.iter().map(|(_, energy)| *energy).collect();
        assert_eq!(listed, energies, "{name}");
        let best = listed.iter().copied().fold(f32::INFINITY, f32::min);
        assert_eq!(choice.energies.last(), Some(&best), "{name}: all plans are in a log that is large enough");
        assert!(choice.candidates.iter().any(|(plan, _)| *plan == choice.plan), "{name}");
    }
}

#[test]
fn a_limit_is_kept_and_early_and_late_plans_are_both_there() {
    for (name, mut actor) in planners() {
        let (all, _) = choice(actor.as_mut(), 100_000, Vec::new());
        actor = planners().into_iter().find(|(known, _)| *known == name).unwrap().1;
        let (few, _) = choice(actor.as_mut(), 16, Vec::new());
        assert!((8..=16).contains(&few.candidates.len()), "{name}: {}", few.candidates.len());
        assert_eq!(few.candidates[0], all.candidates[0], "{name}");
        // Elites are scored again in later rounds.
        let last = all.candidates.iter().rposition(|plan| Some(plan) == few.candidates.last()).unwrap();
        assert!(2 * last > all.candidates.len(), "{name}: the last is number {last} of {}", all.candidates.len());
    }
}

#[test]
fn what_is_chosen_does_not_depend_on_the_log() {
    for (index, (name, mut actor)) in planners().into_iter().enumerate() {
        let (without, _) = choice(actor.as_mut(), 0, Vec::new());
        assert_eq!((without.candidates.len(), without.candidates.capacity()), (0, 0), "{name}");
        let (with, _) = choice(planners().swap_remove(index).1.as_mut(), 8, Vec::new());
        assert_eq!(Choice { candidates: Vec::new(), ..with }, without, "{name}");
    }
}

#[test]
fn a_policys_proposals_are_listed() {
    for (name, mut actor) in planners() {
        let proposal = Plan::new(4, 2 * ACTION_CHUNK, [0.25, -0.125].repeat(4 * ACTION_CHUNK)).unwrap();
        let (choice, _) = choice(actor.as_mut(), 100_000, vec![proposal.clone()]);
        assert!(choice.candidates.iter().any(|(plan, _)| *plan == proposal), "{name}");
    }
}

#[test]
fn an_actor_that_imagines_nothing_lists_nothing() {
    assert!(choice(&mut Hold, 8, Vec::new()).0.candidates.is_empty());
}

/// Reports of four ticks at the origin, with `limit` candidates.
fn reports(limit: usize) -> Vec<TickReport> {
    let (mut agent, clock) = (agent(&[GOAL], Box::new(PointMass), 5), ManualClock::default());
    agent.keep_candidates(limit);
    (0..4).map(|_| agent.tick(&observation(Some([0.0, 0.0])), &clock)).collect()
}

#[test]
fn reports_of_an_agent_list_candidates_where_it_is_asked_to_and_are_equal_but_for_them() {
    let (without, with) = (reports(0), reports(12));
    assert!(without.iter().all(|report| report.candidates.is_empty()));
    assert!(with.iter().all(|report| (6..=12).contains(&report.candidates.len())));
    let stripped: Vec<TickReport> =
        with.into_iter().map(|report| TickReport { candidates: Vec::new(), ..report }).collect();
    assert_eq!(stripped, without);
}

#[test]
fn plans_are_imagined_from_the_newest_tick_as_the_search_imagined_them() {
    let (mut agent, clock) = (agent(&[GOAL], Box::new(PointMass), 5), ManualClock::default());
    let seen = observation(Some([0.1, 0.2]));
    let before = agent.tick(&seen, &clock);
    let report = agent.tick(&seen, &clock);
    let plan = Plans::from(&report.plan);
    assert_eq!(agent.imagine(&report, &seen, &plan, None).unwrap(), report.expected);
    assert_eq!(agent.imagine(&report, &seen, &plan, Some(&PointMass)).unwrap(), report.expected);
    assert_eq!(agent.imagine(&before, &seen, &plan, None).unwrap(), None, "not the newest");
}
