//! Whole lives of ticks.

mod support;

use mindseye_agent::perception::Sight;
use mindseye_agent::{Agent, TickReport};
use mindseye_interface::{ManualClock, Seed};
use support::{NanWorldModel, PointMass, SPEED_M, agent, configurator, modules, observation, task};

/// Lives `ticks` ticks from the origin; `seen` says in which ticks there is something to perceive. Reports and final place.
fn live(agent: &mut Agent, ticks: usize, seen: impl Fn(usize) -> bool) -> (Vec<TickReport>, [f32; 2]) {
    let (clock, mut place, mut reports) = (ManualClock::default(), [0.0f32; 2], Vec::new());
    for tick in 0..ticks {
        let report = agent.tick(&observation(seen(tick).then_some(place)), &clock);
        for action in report.block.chunks_exact(2) {
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
fn an_agent_goes_to_its_goal_and_is_never_surprised_in_a_world_it_knows() {
    let mut agent = agent(&[[1.0, -0.5]], Box::new(PointMass), 0);
    let (reports, place) = live(&mut agent, 8, |_| true);
    assert!(distance(place, [1.0, -0.5]) < 0.1, "{place:?}");
    assert_eq!(reports[0].surprise, None);
    assert!(reports[1..].iter().all(|report| report.surprise.unwrap() < 1e-9));
    assert!(
        reports.iter().all(|report| report.error.is_none() && !report.deadline_missed && report.predictor_rows > 0)
    );
    assert!(reports[7].energies[0].1 < 0.1 * reports[0].energies[0].1, "{:?}", reports[7].energies);
    assert_eq!(agent.memory().len(), 8);
}

#[test]
fn two_lives_with_one_seed_are_equal_to_the_bit() {
    let life = |seed| live(&mut agent(&[[1.0, -0.5], [0.0, 0.0]], Box::new(PointMass), seed), 12, |tick| tick % 4 != 3);
    let (first, again, other) = (life(3), life(3), life(4));
    assert_eq!(first, again);
    assert_ne!(first.1, other.1);
}

#[test]
fn a_recorded_life_replays_from_its_observations() {
    let mut lived = agent(&[[1.0, -0.5]], Box::new(PointMass), 7);
    let (reports, _) = live(&mut lived, 6, |_| true);
    let places: Vec<[f32; 2]> =
        lived.memory().recent(6).iter().rev().map(|m| [m.latent.values()[0], m.latent.values()[1]]).collect();
    let (mut replayed, clock) = (agent(&[[1.0, -0.5]], Box::new(PointMass), 7), ManualClock::default());
    let again: Vec<TickReport> = places.iter().map(|&place| replayed.tick(&observation(Some(place)), &clock)).collect();
    assert_eq!(reports, again);
}

#[test]
fn a_dropped_frame_is_filled_by_what_was_predicted() {
    let goal = [1.0, -0.5];
    let (reports, place) = live(&mut agent(&[goal], Box::new(PointMass), 0), 8, |tick| !(2..5).contains(&tick));
    assert!(reports.iter().all(|report| report.error.is_none()));
    assert_eq!((reports[2].surprise, reports[4].surprise), (None, None), "what is not seen cannot surprise");
    assert!(reports[5].surprise.unwrap() < 1e-9, "three predictions in a row still fit");
    assert!(distance(place, goal) < 0.1, "{place:?}");
}

/// An agent with `completion` (a line of a task), and what it takes for its state in every tick of a life in which its eye shows `seen(tick, place)`.
fn believe(completion: &str, ticks: usize, seen: impl Fn(usize, [f32; 2]) -> Option<[f32; 2]>) -> Vec<(Sight, f32)> {
    let goal = [1.0, -0.5];
    let mut modules = modules(&[goal], Box::new(PointMass));
    modules.configurator = configurator(&task(completion), &[goal]);
    let (mut agent, clock, mut place) = (Agent::new(modules, Seed::new(0)), ManualClock::default(), [0.0f32; 2]);
    let mut believed = Vec::new();
    for tick in 0..ticks {
        let report = agent.tick(&observation(seen(tick, place)), &clock);
        let state = agent.memory().recent(1)[0].latent.values().to_vec();
        believed.push((report.sight, distance([state[0], state[1]], place)));
        for action in report.block.chunks_exact(2) {
            place.iter_mut().zip(action).for_each(|(place, action)| *place += SPEED_M * action);
        }
    }
    believed
}

#[test]
fn a_view_that_cannot_be_true_is_not_believed_until_it_stays() {
    let elsewhere = |from: usize, until: usize| {
        move |tick: usize, place: [f32; 2]| Some(if (from..until).contains(&tick) { [5.0, 5.0] } else { place })
    };
    let doubting = "completion = { doubt_above = 0.01, patience_ticks = 3 }";
    let believed = believe(doubting, 8, elsewhere(2, 4));
    assert!(believed[2..4].iter().all(|(sight, off)| *sight == Sight::Doubted && *off < 1e-4), "{believed:?}");
    assert!(believed[4..].iter().all(|(sight, off)| *sight == Sight::Seen && *off < 1e-4), "{believed:?}");
    let believed = believe(doubting, 8, elsewhere(2, 8));
    let sights: Vec<Sight> = believed.iter().map(|(sight, _)| *sight).collect();
    assert_eq!(
        sights[2..6],
        [Sight::Doubted, Sight::Doubted, Sight::Doubted, Sight::Seen],
        "then the world is another"
    );
    let believed = believe("", 4, elsewhere(2, 4));
    assert!(believed[2].0 == Sight::Seen && believed[2].1 > 1.0, "without doubt every view is believed: {believed:?}");
}

#[test]
fn without_completion_a_dropped_frame_leaves_what_was_seen_last() {
    let dropped = |tick: usize, place| (!(1..3).contains(&tick)).then_some(place);
    let with = believe("", 4, dropped);
    let without = believe("completion = { predict = false }", 4, dropped);
    assert_eq!((with[1].0, without[1].0), (Sight::Dropped, Sight::Dropped));
    assert!(with[1].1 < 1e-4 && without[1].1 > 0.2, "{with:?} {without:?}");
    assert!(without[3].1 < 1e-4);
}

#[test]
fn an_agent_that_has_never_seen_anything_holds_still_and_says_why() {
    let mut agent = agent(&[[1.0, -0.5]], Box::new(PointMass), 0);
    let clock = ManualClock::default();
    let report = agent.tick(&observation(None), &clock);
    assert_eq!(report.block, [0.0; 10]);
    assert!(report.error.unwrap().contains("got neither"));
    let report = agent.tick(&observation(Some([0.0; 2])), &clock);
    assert!(report.error.is_none(), "it goes on when it sees again");
}

#[test]
fn an_agent_whose_world_model_has_lost_its_mind_holds_still() {
    let (reports, place) = live(&mut agent(&[[1.0, -0.5]], Box::new(NanWorldModel), 0), 3, |_| true);
    assert_eq!(place, [0.0; 2]);
    assert!(reports.iter().all(|report| report.error.as_ref().unwrap().contains("finite energy")));
}

#[test]
fn a_sense_that_is_not_a_number_stops_the_body() {
    let report = agent(&[[1.0, -0.5]], Box::new(PointMass), 0)
        .tick(&observation(Some([f32::NAN, 0.0])), &ManualClock::default());
    assert_eq!(report.block, [0.0; 10]);
    assert!(report.error.unwrap().contains("not finite"));
}

#[test]
fn sub_goals_are_pursued_one_after_the_other() {
    let goals = [[0.6, 0.0], [0.6, 0.6], [0.0, 0.0]];
    let (reports, place) = live(&mut agent(&goals, Box::new(PointMass), 0), 14, |_| true);
    let pursued: Vec<usize> = reports.iter().map(|report| report.directive.sub_goal).collect();
    assert!(pursued.windows(2).all(|pair| pair[0] <= pair[1]) && pursued.contains(&1), "{pursued:?}");
    assert_eq!(pursued[13], 2, "{pursued:?}");
    assert!(distance(place, goals[2]) < 0.15, "{place:?}");
}

#[test]
fn a_tick_that_starts_too_late_still_gives_a_legal_block() {
    let mut agent = agent(&[[1.0, -0.5]], Box::new(PointMass), 0);
    let report = agent.tick(&observation(Some([0.0; 2])), &ManualClock::ticking(100.0));
    assert!(report.deadline_missed && report.error.is_none());
    assert_eq!((report.block.len(), report.predictor_rows), (10, 0));
}
