//! Physical truths. Lengths in the field's units: 512ths of the side.

use mindseye_interface::{Environment, Seed, Simulator};
use mindseye_sim::Factor;
use rand::Rng;

use super::{action, after, all_factors, now, overlap, state, world};

/// What contacts may leave of overlap: a tenth of the pusher's radius, a fifth of a pixel at 64 pixels.
const CONTACT: f64 = 1.5;
/// The T with its stem down, in the middle; the upper edge of its bar is 41 above its centre of mass.
const MIDDLE: [f64; 2] = [256.0, 256.0];

#[test]
fn bodies_at_rest_stay_at_rest() {
    for seed in (0..20).map(Seed::new) {
        let mut world = world(&[]);
        world.reset(seed).unwrap();
        let start = world.state();
        after(&mut world, &action(0.0, 0.0), 100);
        // The angle is turned into a quaternion and back, in single precision, 500 times.
        assert!(world.state().iter().zip(start).all(|(now, then)| (now - then).abs() < 1e-7));
    }
}

#[test]
fn the_pusher_reaches_its_target_within_a_control_step_or_two() {
    let mut world = world(&[]);
    for (x, y) in [(1.0, 0.0), (0.0, -1.0), (0.5, 0.25), (-0.3, 0.7)] {
        world.set_state(&state([100.0, 100.0], [350.0, 350.0], 0.0)).unwrap();
        let first = after(&mut world, &action(x, y), 1);
        let moved = (first[0] - 100.0).hypot(first[1] - 100.0);
        let reach = 16.0 * f64::from(x.hypot(y));
        assert!(moved > 0.75 * reach && moved < reach, "moved {moved} of {reach}");
        let rest = after(&mut world, &action(0.0, 0.0), 10);
        let drift = (rest[0] - first[0]).hypot(rest[1] - first[1]);
        assert!(drift < 0.05 * reach, "drifted {drift}");
        assert_eq!(&rest[2..], &[350.0, 350.0, 0.0].map(|value: f64| value));
    }
}

#[test]
fn a_push_through_the_middle_moves_the_block_straight() {
    let mut world = world(&[]);
    world.set_state(&state([256.0, 190.0], MIDDLE, 0.0)).unwrap();
    let got = after(&mut world, &action(0.0, 0.5), 12);
    assert!((got[2] - 256.0).abs() < 1.0 && got[4].abs() < 1.0, "{got:?}");
    assert!(got[3] > 256.0 + 40.0, "{got:?}");
    // Pushed, not thrown: the pusher is still at the bar.
    assert!((got[3] - 41.0 - got[1] - 15.0).abs() < 3.0, "{got:?}");
}

#[test]
fn a_push_at_the_end_of_the_bar_turns_the_block() {
    for (side, sign) in [(48.0, 1.0), (-48.0, -1.0)] {
        let mut world = world(&[]);
        world.set_state(&state([256.0 + side, 195.0], MIDDLE, 0.0)).unwrap();
        let got = after(&mut world, &action(0.0, 0.5), 10);
        assert!(sign * got[4] > 15.0, "pushed at {side}: {got:?}");
    }
}

#[test]
fn friction_at_the_contact_takes_the_block_along_sideways() {
    let mut world = world(&[]);
    world.set_state(&state([256.0, 198.0], MIDDLE, 0.0)).unwrap();
    let got = after(&mut world, &action(0.2, 0.8), 8);
    assert!(got[2] > 256.5, "a face without friction is only pushed along its normal: {got:?}");
}

#[test]
fn momentum_dies_out() {
    let mut world = world(&[]);
    world.set_state(&state([256.0, 190.0], MIDDLE, 0.0)).unwrap();
    after(&mut world, &action(0.3, 1.0), 8);
    after(&mut world, &action(0.0, -1.0), 1);
    let left = after(&mut world, &action(0.0, 0.0), 3);
    let later = after(&mut world, &action(0.0, 0.0), 50);
    assert_eq!(later[2..], left[2..], "the block slides on after 0.4 s");
    assert!((later[0] - left[0]).hypot(later[1] - left[1]) < 0.5);
    let start = world.state();
    after(&mut world, &action(0.0, 0.0), 50);
    assert!(world.state().iter().zip(start).all(|(now, then)| (now - then).abs() < 1e-6));
}

#[test]
fn a_rougher_floor_stops_the_block_sooner() {
    let mut world = world(&[Factor::Friction]);
    let mut slid = |wanted: std::ops::Range<f64>| {
        let found = (0..200).map(Seed::new).find(|&seed| {
            world.reset(seed).unwrap();
            wanted.contains(&world.layout().friction)
        });
        assert!(found.is_some());
        world.set_state(&state([256.0, 190.0], MIDDLE, 0.0)).unwrap();
        let pushed = after(&mut world, &action(0.0, 1.0), 6)[3];
        after(&mut world, &action(0.0, -1.0), 4)[3] - pushed
    };
    let (smooth, rough) = (slid(0.2..0.25), slid(0.75..0.8));
    assert!(smooth > 1.5 * rough && rough >= 0.0, "{smooth} on a smooth floor, {rough} on a rough one");
}

#[test]
fn bodies_do_not_overlap_at_full_speed() {
    for factors in [vec![], all_factors()] {
        let mut world = world(&factors);
        let mut rng = Seed::new(3).rng();
        let (mut moved, mut worst) = (0, 0.0f64);
        for episode in 0..40 {
            world.reset(Seed::new(3).index(episode)).unwrap();
            let before = now(&world);
            let mut push = action(0.0, 0.0);
            for step in 0..300 {
                if step % 7 == 0 {
                    // Towards the block more often than not, mostly at full speed.
                    let [agent_x, agent_y, block_x, block_y, _] = now(&world);
                    let (x, y) = (block_x - agent_x, block_y - agent_y);
                    let noise = |rng: &mut mindseye_interface::Rng| rng.random_range(-1.2..1.2);
                    let far = x.hypot(y);
                    push = action((x / far) as f32 + noise(&mut rng), (y / far) as f32 + noise(&mut rng));
                }
                world.step_blind(&push).unwrap();
                worst = worst.max(overlap(&world));
            }
            moved += usize::from((now(&world)[2] - before[2]).hypot(now(&world)[3] - before[3]) > 20.0);
        }
        assert!(worst < CONTACT, "{worst} in each other");
        assert!(moved > 30, "the block was pushed in {moved} episodes");
    }
}

#[test]
fn a_block_pinned_to_the_wall_holds_the_pusher() {
    let mut world = world(&[]);
    world.set_state(&state([256.0, 300.0], [256.0, 420.0], 180.0)).unwrap();
    let pinned = after(&mut world, &action(0.0, 1.0), 60);
    let later = after(&mut world, &action(0.0, 1.0), 100);
    assert!(overlap(&world) < CONTACT, "{} in each other", overlap(&world));
    assert!((later[1] - pinned[1]).abs() < 2.0 && later[1] < 420.0, "{pinned:?} {later:?}");
}

#[test]
fn an_action_of_another_width_is_refused_and_nothing_moves() {
    let mut world = world(&[]);
    let start = world.state();
    let error = world.step_blind(&mindseye_interface::Action::zeros(3)).unwrap_err().to_string();
    assert!(error.contains("push_t action") && error.contains('3'), "{error}");
    assert_eq!(world.state(), start);
}
