//! What recorded episodes contain.

use mindseye_interface::{Environment, Seed, Simulator};
use mindseye_sim::{SceneOptions, demonstrator};

use super::world;

const EPISODES: u64 = 150;
const STEPS: usize = 100;

/// Of every episode of `policy` and every control step: where the agent is, and the way it is on.
fn episodes(policy: &str) -> Vec<Vec<([f64; 2], Option<&'static str>)>> {
    let mut demonstrator = demonstrator("bridge", policy, &SceneOptions::with_side(16).unwrap()).unwrap();
    let mut world = world();
    let mut episode = |seed: Seed| {
        world.reset(seed).unwrap();
        demonstrator.begin(seed);
        let step = |_| {
            world.step_blind(&demonstrator.act(&world.state())).unwrap();
            (super::place(&world), world.way())
        };
        (0..STEPS).map(step).collect()
    };
    (0..EPISODES).map(|index| episode(Seed::new(21).index(index))).collect()
}

#[test]
fn the_mixture_takes_both_ways_and_meets_both_fates() {
    let mixture = episodes("mixture");
    let share = |way: &str| {
        mixture.iter().filter(|episode| episode.iter().any(|(_, on)| *on == Some(way))).count() as f64
            / mixture.len() as f64
    };
    assert!(share("bridge") > 0.5, "{} on the bridge", share("bridge"));
    assert!(share("river") > 0.2, "{} in the river", share("river"));
    assert!(share("ford") > 0.2, "{} in the ford", share("ford"));
    let crossed = |episode: &&Vec<([f64; 2], Option<&str>)>| {
        episode
            .windows(2)
            .any(|pair| pair[0].0[0] < 42.0 / 64.0 && pair[1].0[0] >= 42.0 / 64.0 && pair[0].1 == Some("bridge"))
    };
    let across = mixture.iter().filter(crossed).count() as f64 / mixture.len() as f64;
    assert!(across > 0.15, "{across} got over the bridge to the right");
}

#[test]
fn walkers_find_out_of_the_river() {
    let walkers = episodes("walker");
    let (mut fell, mut out) = (0, 0);
    for episode in &walkers {
        if let Some(first) = episode[..STEPS / 2].iter().position(|(_, way)| *way == Some("river")) {
            fell += 1;
            out += usize::from(episode[first..].iter().any(|(_, way)| way.is_none()));
        }
    }
    assert!(fell > 20 && out * 10 >= fell * 9, "{out} of {fell} came out");
}

#[test]
fn no_part_of_the_land_is_left_out() {
    let mut seen = [[0; 8]; 2];
    for (place, way) in episodes("mixture").into_iter().flatten() {
        if way.is_none() {
            let row = (((place[1] - 6.0 / 64.0) / (52.0 / 64.0) * 8.0) as usize).min(7);
            seen[usize::from(place[0] > 0.5)][row] += 1;
        }
    }
    assert!(seen.iter().flatten().all(|&times| times >= 50), "{seen:?}");
}

#[test]
fn what_a_walker_does_within_a_block_does_not_tell_how_the_coin_fell() {
    // The same episode with other coins: actions are the same for five control steps after a passage, whatever it brings.
    let options = SceneOptions::with_side(16).unwrap();
    let play = |seed: Seed, coins: u64| {
        let mut world = world();
        let mut demonstrator = demonstrator("bridge", "walker", &options).unwrap();
        world.reset(seed).unwrap();
        world.redraw_hidden(Seed::new(coins));
        demonstrator.begin(seed);
        let step = |_| {
            let (action, before) = (demonstrator.act(&world.state()), super::place(&world));
            world.step_blind(&action).unwrap();
            (action, before, super::place(&world))
        };
        (0..STEPS).map(step).collect::<Vec<_>>()
    };
    let mut compared = 0;
    for seed in (0..100).map(|index| Seed::new(5).index(index)) {
        let some = play(seed, 0);
        for other in (1..4).map(|coins| play(seed, coins)) {
            let Some(parted) = (0..STEPS).find(|&step| some[step].2 != other[step].2) else { continue };
            // A coin that is tossed at the very end of a control step shows in the next.
            let (before, after) = (some[parted.saturating_sub(1)].1, some[parted].2);
            assert!((before[0] < 0.5) != (after[0] < 0.5), "they part where no coin is tossed: {before:?}, {after:?}");
            let end = (parted + 5).min(STEPS);
            for step in parted..end {
                assert_eq!(some[step].0, other[step].0, "{} control steps after the passage", step - parted);
            }
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
}
