//! What the scripted pushers do.

use mindseye_interface::Seed;
use mindseye_sim::scenes::push_t::{Difference, State};
use mindseye_sim::{demonstrate, demonstrator, scene};

use super::{options, world};

/// True states of `episodes` episodes.
fn play(policy: &str, episodes: u64, steps: usize) -> Vec<Vec<State>> {
    let mut demonstrator = demonstrator("push_t", policy, &options(16, &[])).unwrap();
    let mut world = world(&[]);
    (0..episodes)
        .map(|seed| {
            let timesteps = demonstrate(&mut world, demonstrator.as_mut(), Seed::new(seed), steps, true).unwrap();
            timesteps.iter().map(|timestep| State::from_slice(&timestep.state).unwrap()).collect()
        })
        .collect()
}

/// Share of control steps in which the block moves, and mean rotation over 25 of them, degrees.
fn activity(episodes: &[Vec<State>]) -> (f64, f64) {
    let steps: Vec<f64> = episodes
        .iter()
        .flat_map(|states| states.windows(2))
        .map(|pair| f64::from(u8::from(Difference::between(&pair[0], &pair[1]).block_m > 1e-3)))
        .collect();
    let turns: Vec<f64> = episodes
        .iter()
        .flat_map(|states| states.windows(26))
        .map(|states| Difference::between(&states[0], &states[25]).angle_rad.to_degrees())
        .collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    (mean(&steps), mean(&turns))
}

#[test]
fn pushers_push_and_turn_the_block() {
    for policy in ["random_point", "goal_pose", "mixture"] {
        let (moving, turn) = activity(&play(policy, 60, 100));
        assert!(moving > 0.2, "{policy} moves the block in {moving} of all steps");
        assert!(turn > 12.0, "{policy} turns the block by {turn} degrees in 25 steps");
    }
    let (moving, turn) = activity(&play("random_contact", 60, 100));
    assert!(
        moving > 0.3 && turn > 12.0,
        "random contact moves the block in {moving} of all steps and turns it by {turn}"
    );
    let (moving, _) = activity(&play("explorer", 60, 100));
    assert!(moving > 0.01, "the explorer bumps into the block: {moving}");
}

#[test]
fn variable_speed_has_rests_and_slow_phases() {
    let mut variable_speed = demonstrator("push_t", "variable_speed", &options(16, &[])).unwrap();
    let mut world = world(&[]);
    let sizes: Vec<f32> = (0..60)
        .flat_map(|seed| demonstrate(&mut world, variable_speed.as_mut(), Seed::new(seed), 60, true).unwrap())
        .map(|timestep| timestep.action.values().iter().fold(0.0f32, |most, value| most.max(value.abs())))
        .collect();
    let share = |low: f32, high: f32| {
        sizes.iter().filter(|&&size| (low..=high).contains(&size)).count() as f64 / sizes.len() as f64
    };
    assert!((0.2..0.4).contains(&share(0.0, 0.0)), "at rest in {}", share(0.0, 0.0));
    assert!(share(1e-3, 0.3) > 0.2, "slow in {}", share(1e-3, 0.3));
    assert!(share(0.7, 1.0) > 0.2, "at full strength in {}", share(0.7, 1.0));
    let (moving, _) = activity(&play("variable_speed", 60, 100));
    assert!(moving > 0.1, "moves the block in {moving} of all steps");
}

#[test]
fn poses_cover_the_floor_and_the_circle() {
    let episodes = play("mixture", 200, 60);
    let mut places = [[0; 3]; 3];
    let mut angles = [0; 12];
    for state in episodes.iter().flatten() {
        let block = state.block();
        let cell = |value: f64| ((value * 3.0) as usize).min(2);
        places[cell(block.translation.y)][cell(block.translation.x)] += 1;
        angles[((block.rotation.angle() / std::f64::consts::TAU + 0.5) * 12.0) as usize % 12] += 1;
    }
    let total: usize = angles.iter().sum();
    assert!(angles.iter().all(|&count| count > total / 30), "{angles:?}");
    assert!(places.iter().flatten().all(|&count| count > total / 60), "{places:?}");
}

#[test]
fn unknown_policies_are_refused_with_a_list() {
    let error = demonstrator("push_t", "dancer", &options(16, &[])).err().unwrap().to_string();
    let known = scene("push_t").unwrap().demonstrators;
    assert!(known.iter().all(|known| error.contains(known.name)), "{error}");
}

#[test]
fn demonstrators_are_found_by_their_former_names() {
    let first = |policy: &str| {
        let mut demonstrator = demonstrator("push_t", policy, &options(16, &[])).unwrap();
        demonstrate(&mut world(&[]), demonstrator.as_mut(), Seed::new(3), 40, true).unwrap()
    };
    for (former, name) in [
        ("through", "random_point"),
        ("poser", "goal_pose"),
        ("paced", "variable_speed"),
        ("prodder", "random_contact"),
    ] {
        assert_eq!(first(former), first(name));
    }
}
