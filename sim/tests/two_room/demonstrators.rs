//! What recorded episodes contain.

use mindseye_interface::Seed;
use mindseye_sim::demonstration::Timestep;
use mindseye_sim::{Factors, SceneOptions, demonstrate, demonstrator};

use super::{all_factors, world};

const EPISODES: usize = 150;
const STEPS: usize = 100;

fn episodes(policy: &str, factors: &[mindseye_sim::Factor]) -> Vec<Vec<Timestep>> {
    let options = SceneOptions { factors: Factors(factors.to_vec()), ..SceneOptions::with_side(16).unwrap() };
    let mut demonstrator = demonstrator("two_room", policy, &options).unwrap();
    let mut world = world(factors);
    let seeds = (0..EPISODES as u64).map(|index| Seed::new(21).index(index));
    seeds.map(|seed| demonstrate(&mut world, demonstrator.as_mut(), seed, STEPS, true).unwrap()).collect()
}

/// Share of episodes in which the agent is in both rooms.
fn crossing_share(episodes: &[Vec<Timestep>]) -> f64 {
    let crosses = |episode: &&Vec<Timestep>| {
        let right = episode.iter().filter(|timestep| timestep.state[0] > 0.5).count();
        0 < right && right < episode.len()
    };
    episodes.iter().filter(crosses).count() as f64 / episodes.len() as f64
}

/// Share of the cells of an 8x8 grid over the reachable floor in which the agent is at least `count` times.
fn coverage(episodes: &[Vec<Timestep>], count: usize) -> f64 {
    let mut seen = [0; 64];
    for timestep in episodes.iter().flatten() {
        let cell = |value: f64| (((value - 6.0 / 64.0) / (52.0 / 64.0) * 8.0) as usize).min(7);
        seen[cell(timestep.state[1]) * 8 + cell(timestep.state[0])] += 1;
    }
    seen.iter().filter(|&&times| times >= count).count() as f64 / 64.0
}

#[test]
fn most_walks_lead_through_the_door() {
    let share = crossing_share(&episodes("walker", &[]));
    assert!(share > 0.7, "{share}");
}

#[test]
fn the_mixture_crosses_often_and_leaves_no_part_of_the_floor_out() {
    let mixture = episodes("mixture", &[]);
    let (crossing, coverage) = (crossing_share(&mixture), coverage(&mixture, 20));
    assert!(crossing > 0.4, "{crossing}");
    assert!(coverage == 1.0, "{coverage}");
}

#[test]
fn explorers_press_against_walls_and_into_corners() {
    let explorers = episodes("explorer", &[]);
    let at_wall = |value: f64| !(6.1 / 64.0..57.9 / 64.0).contains(&value);
    let timesteps = || explorers.iter().flatten();
    let share = |count: usize| count as f64 / timesteps().count() as f64;
    let walls = share(timesteps().filter(|timestep| timestep.state.iter().any(|&value| at_wall(value))).count());
    let corners = share(timesteps().filter(|timestep| timestep.state.iter().all(|&value| at_wall(value))).count());
    assert!((0.1..0.8).contains(&walls) && corners > 0.01, "{walls} at walls, {corners} in corners");
}

#[test]
fn walkers_rest_and_walk_at_low_and_at_full_speed() {
    let walkers = episodes("walker", &[]);
    let strength =
        |timestep: &Timestep| timestep.action.values().iter().fold(0.0, |most: f32, value| most.max(value.abs()));
    let share = |range: std::ops::RangeInclusive<f32>| {
        let count = walkers.iter().flatten().filter(|timestep| range.contains(&strength(timestep))).count();
        count as f64 / (EPISODES * STEPS) as f64
    };
    for (what, range, least) in [("rests", 0.0..=0.0, 0.02), ("is slow", 0.05..=0.9, 0.2), ("is fast", 0.95..=1.0, 0.2)]
    {
        assert!(share(range.clone()) > least, "{what}: {}", share(range));
    }
}

#[test]
fn walkers_find_the_door_wherever_it_is() {
    let walkers = episodes("walker", &all_factors());
    let mut crossing = 0;
    for (index, episode) in walkers.iter().enumerate() {
        let options = Factors(all_factors());
        let layout = mindseye_sim::scenes::two_room::Layout::of_episode(Seed::new(21).index(index as u64), &options);
        let right = episode.iter().filter(|timestep| timestep.state[0] > layout.wall_x_m).count();
        crossing += u32::from(0 < right && right < episode.len());
    }
    let share = f64::from(crossing) / walkers.len() as f64;
    assert!(share > 0.6, "{share}");
}
