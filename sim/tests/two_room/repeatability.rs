//! Same seed, same bits; a restored world continues as if nothing had happened.

use mindseye_interface::{Environment, Rng, Seed, Simulator, Snapshot};
use mindseye_sim::{SceneOptions, demonstrate, demonstrator};
use rand::Rng as _;

use super::{action, all_factors, assert_near, position, world, world_with_side};

fn options(factors: &[mindseye_sim::Factor]) -> SceneOptions {
    SceneOptions { factors: mindseye_sim::Factors(factors.to_vec()), ..SceneOptions::with_side(32).unwrap() }
}

#[test]
fn the_same_seed_gives_the_same_states_actions_and_images() {
    for factors in [vec![], all_factors()] {
        let play = |seed| {
            let mut demonstrator = demonstrator("two_room", "mixture", &options(&factors)).unwrap();
            demonstrate(&mut world_with_side(32, &factors), demonstrator.as_mut(), Seed::new(seed), 60, false).unwrap()
        };
        for seed in 0..4 {
            assert_eq!(play(seed), play(seed));
        }
        assert_ne!(play(0), play(1));
    }
}

#[test]
fn a_reset_forgets_all_that_happened_before() {
    let factors = all_factors();
    let mut used = world_with_side(32, &factors);
    let mut demonstrator = demonstrator("two_room", "mixture", &options(&factors)).unwrap();
    demonstrate(&mut used, demonstrator.as_mut(), Seed::new(8), 50, false).unwrap();
    let mut play = |world| demonstrate(world, demonstrator.as_mut(), Seed::new(9), 50, false).unwrap();
    assert_eq!(play(&mut used), play(&mut world_with_side(32, &factors)));
}

#[test]
fn a_blind_episode_has_the_same_states_and_actions_and_no_images() {
    let mut world = world(&[]);
    let mut demonstrator = demonstrator("two_room", "mixture", &options(&[])).unwrap();
    let mut play = |blind| demonstrate(&mut world, demonstrator.as_mut(), Seed::new(1), 80, blind).unwrap();
    let (rendered, blind) = (play(false), play(true));
    assert!(rendered.iter().all(|timestep| timestep.observation.as_ref().unwrap().image().is_some()));
    assert!(blind.iter().all(|timestep| timestep.observation.is_none()));
    let truths = |timesteps: &[mindseye_sim::demonstration::Timestep]| {
        timesteps.iter().map(|timestep| (timestep.state.clone(), timestep.action.clone())).collect::<Vec<_>>()
    };
    assert_eq!(truths(&rendered), truths(&blind));
}

#[test]
fn an_observation_belongs_to_its_timestep() {
    let mut world = world(&[]);
    assert_eq!(world.reset(Seed::new(1)).unwrap().tick, 0);
    for tick in 1..5 {
        let observation = world.step(&action(0.5, -0.5)).unwrap().observation;
        let state: Vec<f32> = world.state().iter().map(|value| *value as f32).collect();
        assert_eq!((observation.tick, &observation.proprioception), (tick, &state));
        assert!((observation.time_secs - 0.1 * tick as f64).abs() < 1e-12);
        assert_eq!(observation.image().unwrap().clone(), world.render());
    }
}

/// Full pushes that change every few steps, so that contacts come and go.
fn push(world: &mut dyn Simulator, rng: &mut Rng, steps: usize) -> Vec<Vec<f64>> {
    let mut states = Vec::new();
    let mut push = action(0.0, 0.0);
    for step in 0..steps {
        if step % 5 == 0 {
            push = action(rng.random_range(-2.0..2.0), rng.random_range(-2.0..2.0));
        }
        world.step_blind(&push).unwrap();
        states.push(world.state());
    }
    states
}

#[test]
fn a_restored_world_and_a_fork_continue_with_equal_bits() {
    for factors in [vec![], all_factors()] {
        let mut world = world(&factors);
        for episode in 0..20 {
            let mut rng = Seed::new(7).index(episode).rng();
            world.reset(Seed::new(episode)).unwrap();
            push(&mut world, &mut rng, 40);
            let saved = world.snapshot().unwrap();
            let mut fork = world.fork().unwrap();
            assert_eq!(fork.snapshot().unwrap(), saved);
            let expected = push(&mut world, &mut rng.clone(), 200);
            let (image, end) = (world.render(), world.snapshot().unwrap());
            assert_eq!(push(fork.as_mut(), &mut rng.clone(), 200), expected);
            assert_eq!((fork.render(), fork.snapshot().unwrap()), (image, end));
            world.reset(Seed::new(episode + 1)).unwrap(); // another layout in between
            world.restore(&saved).unwrap();
            assert_eq!(push(&mut world, &mut rng, 200), expected);
        }
    }
}

#[test]
fn damaged_and_foreign_snapshots_are_refused_and_change_nothing() {
    let mut world = world(&[]);
    world.reset(Seed::new(0)).unwrap();
    let good = world.snapshot().unwrap();
    let mut long = good.0.clone();
    long.push(0);
    let mut other = good.0.clone();
    other[1..9].copy_from_slice(b"one_room");
    let cut = good.0[..good.0.len() / 2].to_vec();
    for bad in [vec![], cut, long, other] {
        let error = world.restore(&Snapshot(bad)).unwrap_err().to_string();
        assert!(error.starts_with("restore: expected"), "{error}");
        assert_eq!(world.snapshot().unwrap(), good);
    }
}

#[test]
fn golden_trajectories_are_those_of_the_recorded_data() {
    // If this fails, physics or demonstrators have changed: data sets and the checkpoints trained on them are of
    // another world. Say so in the change log, and copy the new numbers from the message.
    let mut world = world(&[]);
    for (policy, golden) in GOLDEN {
        let mut demonstrator = demonstrator("two_room", policy, &options(&[])).unwrap();
        demonstrate(&mut world, demonstrator.as_mut(), Seed::new(11), 100, true).unwrap();
        assert_near(position(&world), golden, 1e-5);
    }
}

/// Where episode 11 of each policy ends, metres.
const GOLDEN: [(&str, [f64; 2]); 2] =
    [("walker", [0.328_649_9, 0.620_064_4]), ("explorer", [0.211_672_2, 0.876_054_2])];
