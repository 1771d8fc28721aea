//! What recorded episodes contain.

use mindseye_interface::{Environment, Seed, Simulator};
use mindseye_sim::{SceneOptions, demonstrator};

use super::world;

const EPISODES: u64 = 150;
const STEPS: usize = 100;

/// Of every episode of `policy` and every control step: where the agent is, and the route it is on.
fn episodes(policy: &str) -> Vec<Vec<([f64; 2], Option<&'static str>)>> {
    let mut demonstrator = demonstrator("bridge", policy, &SceneOptions::with_side(16).unwrap()).unwrap();
    let mut world = world();
    let mut episode = |seed: Seed| {
        world.reset(seed).unwrap();
        demonstrator.begin(seed);
        let step = |_| {
            world.step_blind(&demonstrator.act(&world.state())).unwrap();
            (super::position(&world), world.route())
        };
        (0..STEPS).map(step).collect()
    };
    (0..EPISODES).map(|index| episode(Seed::new(21).index(index))).collect()
}

#[test]
fn the_mixture_takes_both_routes_and_has_both_outcomes() {
    let mixture = episodes("mixture");
    let share = |route: &str| {
        mixture.iter().filter(|episode| episode.iter().any(|(_, on)| *on == Some(route))).count() as f64
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
        if let Some(first) = episode[..STEPS / 2].iter().position(|(_, route)| *route == Some("river")) {
            fell += 1;
            out += usize::from(episode[first..].iter().any(|(_, route)| route.is_none()));
        }
    }
    assert!(fell > 20 && out * 10 >= fell * 9, "{out} of {fell} came out");
}

#[test]
fn the_mixture_covers_all_of_the_land() {
    let mut seen = [[0; 8]; 2];
    for (position, route) in episodes("mixture").into_iter().flatten() {
        if route.is_none() {
            let row = (((position[1] - 6.0 / 64.0) / (52.0 / 64.0) * 8.0) as usize).min(7);
            seen[usize::from(position[0] > 0.5)][row] += 1;
        }
    }
    assert!(seen.iter().flatten().all(|&times| times >= 50), "{seen:?}");
}

#[test]
fn actions_within_a_chunk_do_not_depend_on_the_hidden_draw() {
    // The same episode with other hidden draws: actions are the same for five control steps after a passage, whatever
    // it brings.
    let options = SceneOptions::with_side(16).unwrap();
    let play = |seed: Seed, hidden: u64| {
        let mut world = world();
        let mut demonstrator = demonstrator("bridge", "walker", &options).unwrap();
        world.reset(seed).unwrap();
        world.resample_hidden(Seed::new(hidden));
        demonstrator.begin(seed);
        let step = |_| {
            let (action, before) = (demonstrator.act(&world.state()), super::position(&world));
            world.step_blind(&action).unwrap();
            (action, before, super::position(&world))
        };
        (0..STEPS).map(step).collect::<Vec<_>>()
    };
    let mut compared = 0;
    for seed in (0..100).map(|index| Seed::new(5).index(index)) {
        let some = play(seed, 0);
        for other in (1..4).map(|hidden| play(seed, hidden)) {
            let Some(parted) = (0..STEPS).find(|&step| some[step].2 != other[step].2) else { continue };
            // A draw at the very end of a control step shows in the next.
            let (before, after) = (some[parted.saturating_sub(1)].1, some[parted].2);
            assert!((before[0] < 0.5) != (after[0] < 0.5), "they part where nothing is drawn: {before:?}, {after:?}");
            let end = (parted + 5).min(STEPS);
            for step in parted..end {
                assert_eq!(some[step].0, other[step].0, "{} control steps after the passage", step - parted);
            }
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
}
