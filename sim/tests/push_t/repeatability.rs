//! Same seed, same bits; a restored world continues as if nothing had happened.

use mindseye_interface::{Environment, Seed, Simulator, Snapshot};
use mindseye_sim::{demonstrate, demonstrator};

use super::{all_factors, now, options, world, world_with_side};

#[test]
fn the_same_seed_gives_the_same_states_actions_and_images() {
    for factors in [vec![], all_factors()] {
        let play = |seed| {
            let mut demonstrator = demonstrator("push_t", "mixture", &options(32, &factors)).unwrap();
            demonstrate(&mut world_with_side(32, &factors), demonstrator.as_mut(), Seed::new(seed), 60, false).unwrap()
        };
        for seed in 0..4 {
            assert_eq!(play(seed), play(seed));
        }
        assert_ne!(play(0), play(1));
    }
}

#[test]
fn a_restored_world_and_a_fork_continue_with_equal_bits() {
    for factors in [vec![], all_factors()] {
        let mut world = world(&factors);
        let mut pusher = demonstrator("push_t", "mixture", &options(16, &factors)).unwrap();
        for episode in (0..10).map(Seed::new) {
            // Saved in the middle of a push, contacts and velocities included.
            let actions: Vec<_> = demonstrate(&mut world, pusher.as_mut(), episode, 80, true)
                .unwrap()
                .into_iter()
                .map(|timestep| timestep.action)
                .collect();
            world.reset(episode).unwrap();
            actions[..40].iter().for_each(|action| world.step_blind(action).unwrap());
            let saved = world.snapshot().unwrap();
            let mut fork = world.fork().unwrap();
            let play = |world: &mut dyn Simulator| -> Vec<Vec<f64>> {
                actions[40..]
                    .iter()
                    .map(|action| {
                        world.step_blind(action).unwrap();
                        world.state()
                    })
                    .collect()
            };
            let expected = play(&mut world);
            assert_eq!(play(fork.as_mut()), expected);
            assert_eq!(fork.render(), world.render());
            world.reset(Seed::new(1000)).unwrap(); // another layout in between
            world.restore(&saved).unwrap();
            assert_eq!(play(&mut world), expected);
        }
    }
}

#[test]
fn damaged_and_foreign_snapshots_are_refused_and_change_nothing() {
    let mut world = world(&[]);
    let good = world.snapshot().unwrap();
    let other = mindseye_sim::make("two_room", &options(16, &[])).unwrap().snapshot().unwrap();
    let cut = Snapshot(good.0[..good.0.len() / 2].to_vec());
    for bad in [Snapshot(vec![]), cut, other] {
        let error = world.restore(&bad).unwrap_err().to_string();
        assert!(error.starts_with("restore: expected"), "{error}");
        assert_eq!(world.snapshot().unwrap(), good);
    }
}

#[test]
fn golden_trajectories_are_those_of_the_recorded_data() {
    // If this fails, physics or demonstrators have changed: data sets and the checkpoints trained on them are of
    // another world. Say so in the change log, and copy the new numbers from the message.
    let mut world = world(&[]);
    let mut ends = Vec::new();
    for (policy, _) in GOLDEN {
        let mut demonstrator = demonstrator("push_t", policy, &options(16, &[])).unwrap();
        demonstrate(&mut world, demonstrator.as_mut(), Seed::new(11), 60, true).unwrap();
        ends.push((policy, now(&world)));
    }
    let near = |(got, golden): (&f64, &f64)| (got - golden).abs() < 1e-3;
    let same = ends.iter().zip(GOLDEN).all(|(end, (_, golden))| end.1.iter().zip(&golden).all(near));
    assert!(same, "{ends:?}");
}

/// Where episode 11 of each policy ends: positions in the field's units, angle in degrees.
const GOLDEN: [(&str, [f64; 5]); 3] = [
    ("random_point", [197.638_55, 366.545_837, 249.672_47, 357.593_689, 122.728_846]),
    ("goal_pose", [193.191_632, 347.397_552, 225.598_297, 286.876_892, 80.484_906]),
    ("explorer", [316.957_001, 369.793_915, 234.498_81, 433.625_763, 138.105_513]),
];
