//! States that can be set, and the task's predicate.

use mindseye_interface::{Environment, Seed, Simulator};

use super::{all_factors, overlap, state, world};

#[test]
fn episodes_begin_clear_of_everything_in_any_pose() {
    for factors in [vec![], all_factors()] {
        let mut world = world(&factors);
        let mut quadrants = [0; 4];
        for seed in (0..400).map(Seed::new) {
            world.reset(seed).unwrap();
            assert!(overlap(&world) < 0.0);
            let angle = world.state()[4];
            quadrants[((angle + std::f64::consts::PI) / std::f64::consts::FRAC_PI_2) as usize % 4] += 1;
            let set = world.state();
            world.set_state(&set).unwrap();
            assert!(world.state().iter().zip(&set).all(|(now, then)| (now - then).abs() < 1e-6));
        }
        assert!(quadrants.iter().all(|&count| count > 60), "{quadrants:?}");
    }
}

#[test]
fn impossible_states_are_refused_with_a_reason() {
    let mut world = world(&[]);
    let start = world.state();
    let good = state([100.0, 100.0], [256.0, 256.0], 0.0);
    for (bad, words) in [
        (state([256.0, 256.0], [256.0, 256.0], 0.0), "overlap"),
        (state([4.0, 100.0], [256.0, 256.0], 0.0), "overlap"),
        (state([100.0, 100.0], [40.0, 256.0], 0.0), "overlap"),
        (state([100.0, 600.0], [256.0, 256.0], 0.0), "agent_y_m"),
        (vec![0.2, 0.2, f64::NAN, 0.5, 0.0], "block_x_m"),
        (vec![0.2, 0.2, 0.5, 0.5, f64::INFINITY], "block_angle_rad"),
        (good[..4].to_vec(), "expected 5"),
    ] {
        let error = world.set_state(&bad).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(world.state(), start);
    }
    world.set_state(&good).unwrap();
}

#[test]
fn the_predicate_is_that_of_the_field() {
    let mut world = world(&[]);
    let goal = state([100.0, 100.0], [256.0, 256.0], 170.0);
    for (agent, block, degrees, moderate, of_block, strict) in [
        ([100.0, 100.0], [256.0, 256.0], 170.0, true, true, true),
        ([119.0, 100.0], [256.0, 256.0], 170.0, true, true, true),
        ([121.0, 100.0], [256.0, 256.0], 170.0, false, true, true),
        ([115.0, 100.0], [256.0, 271.0], 170.0, false, true, false), // the norm over both
        ([112.0, 100.0], [256.0, 268.0], 170.0, true, true, false),
        ([100.0, 100.0], [256.0, 256.0], -171.0, true, true, false), // 19 degrees, across the seam
        ([100.0, 100.0], [256.0, 256.0], -169.0, false, false, false),
        ([100.0, 100.0], [256.0, 265.0], 179.0, true, true, true),
        ([100.0, 100.0], [256.0, 267.0], 170.0, true, true, false),
        ([100.0, 100.0], [277.0, 256.0], 170.0, false, false, false),
    ] {
        world.set_state(&state(agent, block, degrees)).unwrap();
        let check = world.check_goal(&goal);
        assert_eq!(
            (check.moderate, check.metrics["block"] == 1.0, check.strict),
            (moderate, of_block, strict),
            "{agent:?} {block:?}"
        );
    }
}

#[test]
fn the_energy_is_zero_at_the_goal_only_and_puts_the_block_first() {
    let world = world(&[]);
    let goal = state([100.0, 100.0], [256.0, 256.0], 30.0);
    let energy = |agent, block, degrees| world.goal_energy(&state(agent, block, degrees), &goal);
    assert_eq!(world.goal_energy(&goal, &goal), 0.0);
    let pusher_away = energy([200.0, 100.0], [256.0, 256.0], 30.0);
    let block_away = energy([100.0, 100.0], [356.0, 256.0], 30.0);
    let turned = energy([100.0, 100.0], [256.0, 256.0], 90.0);
    assert!(pusher_away > 0.0 && block_away > 2.0 * pusher_away && turned > 0.0);
    assert!(energy([100.0, 100.0], [256.0, 256.0], 60.0) < turned);
    // With the block astray the pusher has to get there.
    assert!(energy([300.0, 256.0], [356.0, 256.0], 30.0) < block_away);
    assert_eq!(world.goal_energy(&goal[..3], &goal), f64::INFINITY);
}
