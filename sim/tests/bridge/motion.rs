//! Physical truths.

use mindseye_interface::{Environment, Seed, Simulator};
use mindseye_sim::scenes::bridge::overlap_m;
use rand::Rng;

use super::{PIXEL_M, action, after, assert_near, position, world};

/// What contacts may leave of overlap, metres: a hundredth of a pixel at 64 pixels.
const CONTACT_M: f64 = 0.0002;

#[test]
fn on_land_the_disc_moves_at_exactly_the_commanded_speed() {
    let mut world = world();
    for (x, y) in [(1.0, 0.0), (0.0, -1.0), (0.5, 0.25), (1.0, 1.0)] {
        world.set_state(&[0.12, 0.6]).unwrap();
        let moved = |part: f32| 3.0 * 2.0 * PIXEL_M * f64::from(part);
        assert_near(after(&mut world, &action(x, y), 3), [0.12 + moved(x), 0.6 + moved(y)], 1e-6);
        let stopped = position(&world);
        assert_eq!(after(&mut world, &action(0.0, 0.0), 20), stopped);
    }
}

#[test]
fn the_river_carries_the_disc_down_to_calm_water_with_a_way_out_on_the_left() {
    let mut world = world();
    world.set_state(&[32.0 * PIXEL_M, 38.0 * PIXEL_M]).unwrap();
    let carried = after(&mut world, &action(0.0, 0.0), 1);
    assert_near(carried, [32.0 * PIXEL_M, 41.0 * PIXEL_M], 1e-5);
    let landed = after(&mut world, &action(0.0, 0.0), 10);
    assert!((50.0 * PIXEL_M..52.0 * PIXEL_M).contains(&landed[1]), "{landed:?}");
    assert_eq!(after(&mut world, &action(0.0, 0.0), 10), landed, "the water there is calm");
    let stopped = after(&mut world, &action(1.0, 0.0), 20);
    assert!(stopped[0] < 37.01 * PIXEL_M, "through the right bank: {stopped:?}");
    after(&mut world, &action(0.0, 1.0), 3);
    assert!(after(&mut world, &action(-1.0, 0.0), 12)[0] < 20.0 * PIXEL_M, "no way out on the left");
}

#[test]
fn the_disc_cannot_move_up_the_river() {
    let mut world = world();
    let mut rng = Seed::new(1).rng();
    for _ in 0..30 {
        world.set_state(&[rng.random_range(27.5..36.5) * PIXEL_M, 53.0 * PIXEL_M]).unwrap();
        for _ in 0..100 {
            world.step_blind(&action(rng.random_range(-1.0..1.0), -1.0)).unwrap();
            assert!(
                position(&world)[0] < 26.0 * PIXEL_M || position(&world)[1] > 48.0 * PIXEL_M,
                "{:?}",
                position(&world)
            );
        }
    }
}

#[test]
fn no_push_and_no_gust_moves_the_disc_into_a_wall() {
    let mut world = world();
    let mut rng = Seed::new(3).rng();
    for episode in 0..60 {
        world.reset(Seed::new(3).index(episode)).unwrap();
        if episode % 2 == 0 {
            world.set_state(&[rng.random_range(24.0..40.0) * PIXEL_M, 32.0 * PIXEL_M]).unwrap(); // on the bridge
        }
        let mut push = action(0.0, 0.0);
        for step in 0..300 {
            if step % 5 == 0 {
                push = action(rng.random_range(-1.5..1.5), rng.random_range(-1.5..1.5)); // often at full speed
            }
            world.step_blind(&push).unwrap();
            let overlap_m = overlap_m(position(&world));
            assert!(overlap_m < CONTACT_M, "{overlap_m} m in a wall at {:?}, step {step}", position(&world));
        }
    }
}

#[test]
fn an_action_of_another_width_is_refused_and_nothing_moves() {
    use mindseye_interface::Action;
    let mut world = world();
    world.reset(Seed::new(0)).unwrap();
    let before = world.snapshot().unwrap();
    for width in [0, 1, 3] {
        let error = world.step(&Action::new(vec![1.0; width]).unwrap()).unwrap_err().to_string();
        assert!(error.contains("action") && error.contains("expected 2"), "{error}");
        assert_eq!(world.snapshot().unwrap(), before);
    }
}
