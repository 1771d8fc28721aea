//! Physical truths.

use mindseye_interface::{Environment, Seed, Simulator};
use mindseye_sim::Factor;
use rand::Rng;

use super::{action, after, all_factors, assert_near, position, world};

/// What contacts may leave of overlap or gap, metres: a hundredth of a pixel at 64 pixels.
const CONTACT_M: f64 = 0.0002;
/// Where the middle of the agent stops at the right and lower outer walls: 64 - 4 - 2 pixels.
const FAR_WALL_M: f64 = 58.0 / 64.0;

#[test]
fn the_disc_moves_at_exactly_the_commanded_speed() {
    let mut world = world(&[]);
    for (x, y) in [(1.0, 0.0), (0.0, -1.0), (0.5, 0.25), (-0.3, 0.7), (1.0, 1.0)] {
        world.set_state(&[0.7, 0.6]).unwrap();
        let got = after(&mut world, &action(x, y), 3);
        // Full speed is two pixels of 64 in a control step, along each axis.
        let moved = |part: f32| 3.0 * 2.0 / 64.0 * f64::from(part);
        assert_near(got, [0.7 + moved(x), 0.6 + moved(y)], 1e-6);
    }
}

#[test]
fn nothing_is_left_of_a_motion_when_the_action_is_zero() {
    let mut world = world(&[]);
    world.set_state(&[0.7, 0.6]).unwrap();
    let stopped = after(&mut world, &action(1.0, -0.4), 2);
    assert_eq!(after(&mut world, &action(0.0, 0.0), 50), stopped);
}

#[test]
fn walls_stop_the_disc_at_its_rim_and_let_it_go_again() {
    let mut world = world(&[]);
    for (push, axis, expected) in [
        (action(1.0, 0.0), 0, FAR_WALL_M),
        (action(0.0, 1.0), 1, FAR_WALL_M),
        (action(0.0, -1.0), 1, 6.0 / 64.0),
        (action(-1.0, 0.0), 0, (32.0 + 1.5 + 2.0) / 64.0),
    ] {
        world.set_state(&[0.7, 0.6]).unwrap();
        for _ in 0..30 {
            world.step_blind(&push).unwrap();
            let beyond = (position(&world)[axis] - 0.65) / (expected - 0.65) - 1.0;
            assert!(
                beyond * (expected - 0.65).abs() < CONTACT_M,
                "{:?} is in the wall at {expected}",
                position(&world)
            );
        }
        assert!((position(&world)[axis] - expected).abs() < CONTACT_M, "{:?}, expected {expected}", position(&world));
        let away = action(-push.values()[0], -push.values()[1]);
        let freed = (after(&mut world, &away, 1)[axis] - expected).abs();
        assert!((freed - 2.0 / 64.0).abs() < CONTACT_M, "moved {freed} m away from the wall");
    }
}

#[test]
fn the_disc_slides_along_a_wall_without_losing_speed() {
    let mut world = world(&[]);
    world.set_state(&[FAR_WALL_M, 0.3]).unwrap();
    let got = after(&mut world, &action(1.0, 1.0), 10);
    assert_near(got, [FAR_WALL_M, 0.3 + 10.0 * 2.0 / 64.0], 2.0 * CONTACT_M);
}

#[test]
fn the_disc_comes_to_rest_in_a_corner() {
    let mut world = world(&[]);
    world.set_state(&[0.7, 0.6]).unwrap();
    let corner = after(&mut world, &action(1.0, 1.0), 30);
    assert_near(corner, [FAR_WALL_M, FAR_WALL_M], 2.0 * CONTACT_M);
    assert_near(after(&mut world, &action(1.0, 1.0), 100), corner, CONTACT_M);
}

#[test]
fn no_push_gets_the_disc_into_a_wall() {
    for factors in [vec![], all_factors()] {
        let mut world = world(&factors);
        let mut rng = Seed::new(3).rng();
        for episode in 0..40 {
            world.reset(Seed::new(3).index(episode)).unwrap();
            let mut push = action(0.0, 0.0);
            for step in 0..500 {
                if step % 7 == 0 {
                    push = action(rng.random_range(-1.5..1.5), rng.random_range(-1.5..1.5)); // often at full speed
                }
                world.step_blind(&push).unwrap();
                let overlap_m = world.layout().overlap_m(position(&world));
                assert!(overlap_m < CONTACT_M, "{overlap_m} m in a wall at {:?}, step {step}", position(&world));
            }
        }
    }
}

#[test]
fn the_door_is_the_only_way() {
    let mut world = world(&[]);
    world.set_state(&[0.35, 14.0 / 64.0]).unwrap();
    assert_near(after(&mut world, &action(1.0, 0.0), 12), [0.35 + 12.0 * 2.0 / 64.0, 14.0 / 64.0], 1e-5);
    for y in [0.1, 0.4, 0.5, 0.9] {
        world.set_state(&[0.35, y]).unwrap();
        let got = after(&mut world, &action(1.0, 0.0), 100);
        assert_near(got, [(32.0 - 1.5 - 2.0) / 64.0, y], CONTACT_M);
    }
}

#[test]
fn friction_brakes_a_slide_along_a_wall() {
    let mut world = world(&[Factor::Friction]);
    let rough = (0..50).map(Seed::new).find(|&seed| {
        world.reset(seed).unwrap();
        world.layout().friction > 0.4
    });
    assert!(rough.is_some());
    world.set_state(&[FAR_WALL_M, 0.3]).unwrap();
    let slid = after(&mut world, &action(1.0, 0.5), 10)[1] - 0.3;
    let smooth = 10.0 * 1.0 / 64.0;
    assert!(slid < 0.9 * smooth, "slid {slid} m with friction {}, {smooth} m without", world.layout().friction);
}

#[test]
fn an_action_of_another_width_is_refused_and_nothing_moves() {
    use mindseye_interface::Action;
    let mut world = world(&[]);
    world.reset(Seed::new(0)).unwrap();
    let before = world.snapshot().unwrap();
    for width in [0, 1, 3] {
        let error = world.step(&Action::new(vec![1.0; width]).unwrap()).unwrap_err().to_string();
        assert!(
            error.contains("action") && error.contains("expected 2") && error.contains(&width.to_string()),
            "{error}"
        );
        assert_eq!(world.snapshot().unwrap(), before);
    }
}
