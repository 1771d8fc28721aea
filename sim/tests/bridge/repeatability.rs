//! Same seed, same bits; a restored world continues as if nothing had happened, hidden draws included.

use mindseye_interface::{Environment, Rng, Seed, Simulator, Snapshot};
use mindseye_sim::{SceneOptions, demonstrate, demonstrator};
use rand::Rng as _;

use super::{PIXEL_M, action, assert_near, position, world};

#[test]
fn the_same_seed_gives_the_same_states_actions_and_images() {
    let play = |seed, blind| {
        let mut demonstrator = demonstrator("bridge", "mixture", &SceneOptions::with_side(32).unwrap()).unwrap();
        demonstrate(&mut world(), demonstrator.as_mut(), Seed::new(seed), 100, blind).unwrap()
    };
    for seed in 0..4 {
        assert_eq!(play(seed, false), play(seed, false));
        let truths = |blind| play(seed, blind).into_iter().map(|timestep| (timestep.state, timestep.action));
        assert!(truths(true).eq(truths(false)), "a blind episode is the same episode");
    }
    assert_ne!(play(0, true), play(1, true));
}

/// To and fro over the middle of the bridge, past many hidden draws.
fn cross(world: &mut dyn Simulator, rng: &mut Rng, steps: usize) -> Vec<Vec<f64>> {
    let mut states = Vec::new();
    for step in 0..steps {
        if step % 20 == 0 {
            world.set_state(&[rng.random_range(30.0..34.0) * PIXEL_M, 32.0 * PIXEL_M]).unwrap();
        }
        world.step_blind(&action(rng.random_range(-1.5..1.5), rng.random_range(-0.5..0.5))).unwrap();
        states.push(world.state());
    }
    states
}

#[test]
fn a_restored_world_and_a_fork_continue_with_equal_bits() {
    let mut world = world();
    for episode in 0..20 {
        let mut rng = Seed::new(7).index(episode).rng();
        world.reset(Seed::new(episode)).unwrap();
        cross(&mut world, &mut rng, 9 + episode as usize);
        let saved = world.snapshot().unwrap();
        let mut fork = world.fork().unwrap();
        assert_eq!(fork.snapshot().unwrap(), saved);
        let play_on = |world: &mut dyn Simulator, rng: &mut Rng| -> Vec<Vec<f64>> {
            let push = |_| {
                world.step_blind(&action(rng.random_range(-1.5..1.5), rng.random_range(-0.5..0.5))).unwrap();
                world.state()
            };
            let states = (0..30).map(push).collect();
            [states, cross(world, rng, 100)].concat()
        };
        let expected = play_on(&mut world, &mut rng.clone());
        let (image, end) = (world.render(), world.snapshot().unwrap());
        assert_eq!(play_on(fork.as_mut(), &mut rng.clone()), expected);
        assert_eq!((fork.render(), fork.snapshot().unwrap()), (image, end));
        world.reset(Seed::new(episode + 1)).unwrap(); // other hidden draws in between
        world.restore(&saved).unwrap();
        assert_eq!(play_on(&mut world, &mut rng), expected);
    }
}

#[test]
fn damaged_and_foreign_snapshots_are_refused_and_change_nothing() {
    let mut world = world();
    world.reset(Seed::new(0)).unwrap();
    let good = world.snapshot().unwrap();
    let mut long = good.0.clone();
    long.push(0);
    let mut other = good.0.clone();
    other[1..7].copy_from_slice(b"tunnel");
    for bad in [vec![], good.0[..good.0.len() / 2].to_vec(), long, other] {
        let error = world.restore(&Snapshot(bad)).unwrap_err().to_string();
        assert!(error.starts_with("restore: expected"), "{error}");
        assert_eq!(world.snapshot().unwrap(), good);
    }
}

#[test]
fn golden_trajectories_are_those_of_the_recorded_data() {
    // If this fails, physics or demonstrators have changed: data sets and the checkpoints trained on them are of
    // another world. Say so in the change log, and copy the new numbers from the message.
    let mut world = world();
    for (policy, golden) in GOLDEN {
        let mut demonstrator = demonstrator("bridge", policy, &SceneOptions::with_side(32).unwrap()).unwrap();
        demonstrate(&mut world, demonstrator.as_mut(), Seed::new(11), 100, true).unwrap();
        assert_near(position(&world), golden, 1e-5);
    }
}

/// Where episode 11 of each policy ends, metres.
const GOLDEN: [(&str, [f64; 2]); 2] =
    [("walker", [0.228_049_7, 0.294_992_2]), ("explorer", [0.687_425_9, 0.261_347_1])];
