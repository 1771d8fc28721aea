//! States set by hand, goals, distances to them, and images.

use mindseye_interface::{Environment, Seed, Simulator};
use mindseye_sim::scenes::bridge::{MODERATE_M, STRICT_M};
use mindseye_sim::{SceneOptions, cross_pair, has_cross_pairs};

use super::{PIXEL_M, position, world};

#[test]
fn set_state_places_the_agent_exactly_and_refuses_impossible_states_by_name() {
    let mut world = world();
    world.reset(Seed::new(4)).unwrap();
    for state in [[0.3, 0.7], [0.5, 0.5], [0.5, 0.7], [0.5, 9.0 * PIXEL_M]] {
        world.set_state(&state).unwrap();
        assert_eq!(position(&world), state.map(|value| f64::from(value as f32)));
    }
    let before = world.snapshot().unwrap();
    let bad: [(&[f64], &str); 5] = [
        (&[0.3], "expected 2 values, got 1"),
        (&[f64::NAN, 0.3], "agent_x_m"),
        (&[0.3, 1.01], "agent_y_m"),
        (&[0.5, 0.3], "in no wall"),
        (&[0.63, 0.7], "in no wall"),
    ];
    for (state, named) in bad {
        let error = world.set_state(state).unwrap_err().to_string();
        assert!(error.contains(named), "{state:?}: {error}");
        assert_eq!(world.snapshot().unwrap(), before);
    }
}

#[test]
fn a_goal_is_reached_within_the_fields_distances() {
    let mut world = world();
    world.set_state(&[0.8, 0.6]).unwrap();
    for (distance, moderate, strict) in
        [(STRICT_M - 1e-4, true, true), (STRICT_M + 1e-4, true, false), (MODERATE_M + 1e-4, false, false)]
    {
        let check = world.check_goal(&[0.8, 0.6 + distance]);
        assert_eq!((check.moderate, check.strict), (moderate, strict), "at {distance} m");
    }
    assert!(!world.check_goal(&[]).moderate);
}

#[test]
fn hard_pairs_lie_on_both_sides_and_the_bridge_is_the_short_route() {
    assert!(has_cross_pairs("bridge"));
    let world = world();
    for seed in (0..200).map(Seed::new) {
        let (start, goal) = cross_pair("bridge", &SceneOptions::with_side(16).unwrap(), seed).unwrap();
        assert!(start[0] <= 20.0 * PIXEL_M && goal[0] >= 44.0 * PIXEL_M, "{start:?} {goal:?}");
        let route = world.goal_energy(&start, &goal);
        let round_m = |end: &[f64]| (end[0] - 0.5).hypot(end[1] - 12.0 * PIXEL_M); // about: by the middle of the ford
        assert!(route + 6.0 * PIXEL_M < round_m(&start) + round_m(&goal), "{start:?} {goal:?}: {route}");
    }
}

#[test]
fn routes_lead_round_walls_and_never_up_the_river() {
    let world = world();
    let energy = |start: [f64; 2], goal: [f64; 2]| world.goal_energy(&start, &goal);
    assert_eq!(energy([0.1, 0.1], [0.1, 0.1]), 0.0);
    assert!((energy([0.1, 0.2], [0.2, 0.8]) - 0.1f64.hypot(0.6)).abs() < 1e-12, "straight on land");
    let straight = (44.0 - 20.0) * PIXEL_M;
    assert!((energy([20.0 * PIXEL_M, 0.5], [44.0 * PIXEL_M, 0.5]) - straight).abs() < 1e-12, "over the bridge");
    let landed = [30.0 * PIXEL_M, 54.0 * PIXEL_M];
    let over = [32.0 * PIXEL_M, 33.0 * PIXEL_M];
    assert!(energy(over, landed) < 25.0 * PIXEL_M, "down the river");
    assert!(energy(landed, over) > 40.0 * PIXEL_M, "back round the left bank: {}", energy(landed, over));
    assert_eq!(energy([0.1, 0.1], [0.5, 0.3]), f64::INFINITY, "into the rock");
    assert_eq!(world.goal_energy(&[0.1, 0.1], &[]), f64::INFINITY);
}

#[test]
fn a_red_disc_a_wooden_bridge_and_a_blue_river_between_black_walls() {
    let mut world = mindseye_sim::make("bridge", &SceneOptions::with_side(64).unwrap()).unwrap();
    let image = world.set_state(&[12.0 * PIXEL_M, 48.0 * PIXEL_M]).unwrap().image().unwrap().clone();
    let (white, black, wood, water) = ([255; 3], [0; 3], [222, 184, 135], [130, 180, 255]);
    for (row, column, rgb) in [
        (48, 12, [255, 0, 0]),
        (40, 12, white),
        (2, 30, black),
        (20, 32, black),
        (32, 32, wood),
        (9, 32, water),
        (43, 32, water),
        (55, 23, water),
        (43, 23, black),
        (55, 40, black),
    ] {
        assert_eq!(image.rgb(row, column), rgb, "row {row}, column {column}");
    }
    let on_the_bridge = world.set_state(&[0.5, 0.5]).unwrap().image().unwrap().clone();
    assert_eq!(on_the_bridge.rgb(32, 32), [255, 0, 0], "the disc is above the bridge");
    assert_eq!(world.route(), Some("bridge"));
}
