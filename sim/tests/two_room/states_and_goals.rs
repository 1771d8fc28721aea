//! States set by hand, goals, and distances to them.

use mindseye_interface::{Environment, Seed, Simulator};
use mindseye_sim::scenes::two_room::{MODERATE_M, STRICT_M};
use mindseye_sim::{SCENES, SceneOptions, cross_pair, demonstrator, make};

use super::{action, all_factors, position, world};

#[test]
fn unknown_names_are_refused_with_the_known_ones() {
    let options = SceneOptions::with_side(16).unwrap();
    let error = make("three_room", &options).err().unwrap().to_string();
    assert!(error.contains("three_room") && SCENES.iter().all(|scene| error.contains(scene)), "{error}");
    let error = demonstrator("two_room", "dancer", &options).err().unwrap().to_string();
    assert!(error.contains("dancer") && error.contains("walker"), "{error}");
    let error = "agent_colour".parse::<mindseye_sim::Factor>().unwrap_err().to_string();
    assert!(error.contains("agent_colour") && error.contains("agent_color"), "{error}");
}

#[test]
fn set_state_places_the_agent_exactly_and_at_rest() {
    let mut world = world(&[]);
    world.reset(Seed::new(4)).unwrap();
    world.step(&action(1.0, 1.0)).unwrap();
    for state in [[0.3, 0.7], [0.703_125, 0.123_456], [58.0 / 64.0, 58.0 / 64.0], [0.5, 14.0 / 64.0]] {
        let observation = world.set_state(&state).unwrap();
        assert_eq!(position(&world), state.map(|value| f64::from(value as f32)));
        assert_eq!(observation.proprioception, state.map(|value| value as f32));
        world.step(&action(0.0, 0.0)).unwrap();
        assert_eq!(position(&world), state.map(|value| f64::from(value as f32)));
    }
}

#[test]
fn impossible_states_are_refused_by_name_and_change_nothing() {
    let mut world = world(&[]);
    world.reset(Seed::new(4)).unwrap();
    let before = world.snapshot().unwrap();
    let bad: [(&[f64], &str); 8] = [
        (&[], "expected 2 values, got 0"),
        (&[0.3], "expected 2 values, got 1"),
        (&[0.3, 0.3, 0.3], "expected 2 values, got 3"),
        (&[f64::NAN, 0.3], "agent_x_m"),
        (&[0.3, f64::INFINITY], "agent_y_m"),
        (&[0.3, -0.01], "agent_y_m"),
        (&[0.5, 0.7], "in no wall"),
        (&[0.3, 0.08], "in no wall"),
    ];
    for (state, named) in bad {
        let error = world.set_state(state).unwrap_err().to_string();
        assert!(error.contains(named), "{state:?}: {error}");
        assert_eq!(world.snapshot().unwrap(), before);
    }
}

#[test]
fn every_reachable_state_can_be_set_again() {
    for factors in [vec![], all_factors()] {
        let mut world = world(&factors);
        for episode in 0..20 {
            world.reset(Seed::new(episode)).unwrap();
            for _ in 0..40 {
                world.step_blind(&action(-1.0, if episode % 2 == 0 { 1.0 } else { -1.0 })).unwrap();
                let state = world.state();
                world.set_state(&state).unwrap();
            }
        }
    }
}

#[test]
fn episodes_start_at_free_positions_in_both_rooms() {
    for factors in [vec![], all_factors()] {
        let mut world = world(&factors);
        let mut left = 0;
        for seed in (0..200).map(Seed::new) {
            world.reset(seed).unwrap();
            assert!(world.layout().overlap_m(position(&world)) <= 1e-6, "{:?}", position(&world));
            left += usize::from(position(&world)[0] < world.layout().wall_x_m);
        }
        assert!((60..140).contains(&left), "{left} of 200 start in the left room");
    }
}

#[test]
fn a_goal_is_reached_within_the_fields_distances() {
    let mut world = world(&[]);
    world.set_state(&[0.7, 0.6]).unwrap();
    for (distance, moderate, strict) in [
        (0.0, true, true),
        (STRICT_M - 1e-4, true, true),
        (STRICT_M + 1e-4, true, false),
        (MODERATE_M - 1e-4, true, false),
        (MODERATE_M + 1e-4, false, false),
    ] {
        let check = world.check_goal(&[0.7, 0.6 + distance]);
        assert_eq!((check.moderate, check.strict), (moderate, strict), "at {distance} m");
        assert!((check.distance - distance).abs() < 1e-6);
    }
    assert!(!world.check_goal(&[]).moderate);
}

fn straight(a: [f64; 2], b: [f64; 2]) -> f64 {
    (a[0] - b[0]).hypot(a[1] - b[1])
}

#[test]
fn the_route_within_one_room_is_straight() {
    let world = world(&[]);
    for (start, goal) in [([0.1, 0.1], [0.4, 0.9]), ([0.6, 0.9], [0.9, 0.1]), ([0.3, 0.3], [0.3, 0.3])] {
        assert_eq!(world.goal_energy(&start, &goal), straight(start, goal));
    }
    assert_eq!(world.goal_energy(&[0.1, 0.1], &[]), f64::INFINITY);
}

#[test]
fn the_route_between_rooms_leads_through_the_door() {
    let world = world(&[]);
    let door = [0.5, 14.0 / 64.0];
    // In line with the door: straight through it.
    assert!((world.goal_energy(&[0.2, door[1]], &[0.8, door[1]]) - 0.6).abs() < 1e-12);
    // From below to below: around the two lower corners of the door, which the disc's middle rounds at its radius.
    let (start, goal) = ([0.2, 0.9], [0.8, 0.9]);
    let (radius, half_wall, sill) = (2.0 / 64.0, 1.5 / 64.0, 18.0 / 64.0);
    let corner = [0.5 - half_wall, sill];
    let reach = straight(start, corner);
    let tangent = (reach * reach - radius * radius).sqrt();
    let towards = (start[1] - corner[1]).atan2(corner[0] - start[0]);
    let arc = towards + (radius / reach).asin(); // from the tangent's direction to the horizontal
    let expected = 2.0 * (tangent + radius * arc + half_wall);
    let got = world.goal_energy(&start, &goal);
    assert!((0.0..2e-3 * radius).contains(&(expected - got)), "{got}, expected {expected}");
}

#[test]
fn routes_are_symmetric_and_never_shorter_than_straight() {
    let mut world = world(&all_factors());
    for seed in (0..200).map(Seed::new) {
        world.reset(seed).unwrap();
        let options =
            SceneOptions { factors: mindseye_sim::Factors(all_factors()), ..SceneOptions::with_side(16).unwrap() };
        let (start, goal) = cross_pair("two_room", &options, seed).unwrap();
        let route = world.goal_energy(&start, &goal);
        assert!((route - world.goal_energy(&goal, &start)).abs() < 1e-12);
        let (start, goal): ([f64; 2], [f64; 2]) = (start.try_into().unwrap(), goal.try_into().unwrap());
        assert!(route >= straight(start, goal) - 1e-12);
        let door = [world.layout().wall_x_m, world.layout().door_y_m];
        assert!(route <= straight(start, door) + straight(door, goal) + 4.0 * world.layout().agent_radius_m);
        let wall = world.layout().wall_x_m;
        assert!((start[0] < wall) != (goal[0] < wall), "a hard pair lies in different rooms");
    }
}

#[test]
fn descending_the_energy_leads_to_goals_in_the_other_room() {
    // Descending the energy step by step, the disc reaches goals in the other room: the energy leads through the door.
    let mut world = world(&[]);
    for seed in (0..10).map(Seed::new) {
        let (start, goal) = cross_pair("two_room", &SceneOptions::with_side(16).unwrap(), seed).unwrap();
        world.set_state(&start).unwrap();
        for _ in 0..120 {
            let saved = world.snapshot().unwrap();
            let best = (0..32).map(|turn| {
                let angle = std::f32::consts::TAU * turn as f32 / 32.0;
                let push = action(angle.cos(), angle.sin());
                world.restore(&saved).unwrap();
                world.step_blind(&push).unwrap();
                (world.goal_energy(&world.state(), &goal), push)
            });
            let (_, push) = best.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap();
            world.restore(&saved).unwrap();
            world.step_blind(&push).unwrap();
        }
        assert!(world.check_goal(&goal).strict, "from {start:?} to {goal:?} it came to {:?}", position(&world));
    }
}
