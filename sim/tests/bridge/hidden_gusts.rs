//! The hidden draws that decide about gusts.

use mindseye_interface::{Environment, Seed, Simulator};

use super::{LEFT_END, PIXEL_M, action, after, world};

/// Control steps from the left end of the bridge to just before its middle, at full speed.
const TO_THE_MIDDLE: usize = 5;
/// Control steps of a crossing from end to end.
const ACROSS: usize = 12;

#[test]
fn one_crossing_in_two_ends_in_the_river_and_worlds_look_alike_until_then() {
    let mut world = world();
    world.reset(Seed::new(0)).unwrap();
    let mut before = None;
    let (mut across, mut blown) = (0, 0);
    for seed in 0..200 {
        world.resample_hidden(Seed::new(seed));
        world.set_state(&LEFT_END).unwrap();
        (0..TO_THE_MIDDLE).for_each(|_| world.step_blind(&action(1.0, 0.0)).unwrap());
        let observed = (world.render(), world.state());
        assert_eq!(*before.get_or_insert_with(|| observed.clone()), observed, "the hidden draw of seed {seed} shows");
        let [x, y] = after(&mut world, &action(1.0, 0.0), ACROSS - TO_THE_MIDDLE);
        if world.route() == Some("river") {
            assert!(y > 44.0 * PIXEL_M, "the river has not carried it far: {y}");
            blown += 1;
        } else {
            assert!(x >= 44.0 * PIXEL_M - 1e-4, "neither across nor in the river: ({x}, {y})");
            across += 1;
        }
    }
    assert!(across + blown == 200 && (80..=120).contains(&across), "{across} across, {blown} blown off");
}

#[test]
fn a_gust_carries_the_disc_off_the_bridge_within_an_action_chunk() {
    for push in [action(1.0, -1.0), action(-1.0, 0.0), action(0.0, -1.0), action(0.0, 0.0)] {
        let mut world = world();
        let gusty = (0..50).find(|&seed| {
            world.resample_hidden(Seed::new(seed));
            world.set_state(&[31.5 * PIXEL_M, 32.0 * PIXEL_M]).unwrap();
            after(&mut world, &action(0.5, 0.0), 1);
            after(&mut world, &push, 5);
            world.route() == Some("river")
        });
        assert!(gusty.is_some(), "no gust in 50 crossings, pushing {push:?}");
        let [_, later] = after(&mut world, &action(0.0, -1.0), 30);
        assert!(later > 48.0 * PIXEL_M, "the river has not carried it down: {later}");
    }
}

#[test]
fn resampling_hidden_draws_changes_the_future_only() {
    let mut world = world();
    world.reset(Seed::new(5)).unwrap();
    world.set_state(&LEFT_END).unwrap();
    let before = (world.render(), world.state());
    let outcomes: Vec<bool> = (0..20)
        .map(|seed| {
            let saved = world.snapshot().unwrap();
            world.resample_hidden(Seed::new(seed));
            assert_eq!((world.render(), world.state()), before);
            after(&mut world, &action(1.0, 0.0), ACROSS);
            let across = world.route() != Some("river");
            world.restore(&saved).unwrap();
            across
        })
        .collect();
    assert!(outcomes.contains(&true) && outcomes.contains(&false), "{outcomes:?}");
}

#[test]
fn every_passage_has_a_hidden_draw_that_follows_from_the_episode() {
    let mut world = world();
    let outcomes = |world: &mut dyn Simulator, seed: u64| -> Vec<bool> {
        world.reset(Seed::new(seed)).unwrap();
        world.set_state(&[31.0 * PIXEL_M, 32.0 * PIXEL_M]).unwrap();
        let mut outcomes = Vec::new();
        for passage in 0..20 {
            after(world, &action(if passage % 2 == 0 { 1.0 } else { -1.0 }, 0.0), 1);
            outcomes.push(world.route() == Some("bridge") && after(world, &action(0.0, 0.0), 1)[1] < 33.0 * PIXEL_M);
            if outcomes.last() == Some(&false) {
                break;
            }
        }
        outcomes
    };
    let all: Vec<Vec<bool>> = (0..64).map(|seed| outcomes(&mut world, seed)).collect();
    assert_eq!(all, (0..64).map(|seed| outcomes(&mut world, seed)).collect::<Vec<_>>());
    let longest = all.iter().map(Vec::len).max();
    assert!(longest > Some(3), "the same draw for all passages of an episode: {longest:?}");
    let at_once = all.iter().filter(|outcomes| outcomes.len() == 1).count();
    assert!((16..=48).contains(&at_once), "{at_once} of 64 blown off at the first passage");
}

#[test]
fn the_ford_has_no_hidden_draws() {
    let mut world = world();
    for seed in 0..50 {
        world.reset(Seed::new(seed)).unwrap();
        world.set_state(&[20.0 * PIXEL_M, 9.0 * PIXEL_M]).unwrap();
        let [x, y] = after(&mut world, &action(1.0, 0.0), ACROSS);
        assert!((x - 44.0 * PIXEL_M).abs() < 1e-5 && (y - 9.0 * PIXEL_M).abs() < 1e-5, "({x}, {y})");
    }
}
