//! A policy learns to do at once what a search would find.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use mindseye_interface::Seed;
use mindseye_world_model::policy::{Judged, PolicyConfig, Situations, Teacher, train_policy};
use mindseye_world_model::{Error, Part, Policy, Result};
use rand::Rng;

const CONFIG: PolicyConfig =
    PolicyConfig { latent_width: 3, horizon_blocks: 2, block_width: 4, hidden: 32, layers: 1, guesses: 1 };
const FLOOR: f32 = 0.05;

/// States and goals within a square; the third number says nothing.
fn draw(_policy: &Policy, count: usize, seed: Seed) -> Result<Situations> {
    let mut rng = seed.rng();
    let mut values = || (0..3 * count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Ok(Situations { states: values(), goals: values() })
}

/// How far four control steps of two actions, 0.5 each, lead from a goal.
fn off(state: &[f32], goal: &[f32], plan: &[f32]) -> [f32; 2] {
    std::array::from_fn(|axis| state[axis] - goal[axis] + 0.5 * plan.iter().skip(axis).step_by(2).sum::<f32>())
}

/// Every situation with its plan.
fn by_situation<'a>(
    situations: &'a Situations,
    plans: &'a [f32],
) -> impl Iterator<Item = (&'a [f32], &'a [f32], &'a [f32])> {
    let states = situations.states.chunks_exact(3).zip(situations.goals.chunks_exact(3));
    states.zip(plans.chunks_exact(8)).map(|((state, goal), plan)| (state, goal, plan))
}

/// The squared distance from the goal, and its slopes.
fn judge(situations: &Situations, plans: &[f32]) -> Result<Judged> {
    let (mut energies, mut slopes) = (Vec::new(), Vec::new());
    for (state, goal, plan) in by_situation(situations, plans) {
        let off = off(state, goal, plan);
        energies.push(off[0] * off[0] + off[1] * off[1]);
        slopes.extend((0..plan.len()).map(|value| 2.0 * 0.5 * off[value % 2]));
    }
    Ok((energies, slopes))
}

/// Half a unit to either side of the goal are as good: the squared error of the squared distance along the first axis. Far off its slope leads to
/// the nearer one.
fn either_side(situations: &Situations, plans: &[f32]) -> Result<Judged> {
    let (mut energies, mut slopes) = (Vec::new(), Vec::new());
    for (state, goal, plan) in by_situation(situations, plans) {
        let off = off(state, goal, plan);
        let error = off[0] * off[0] - 0.25;
        energies.push(error * error + off[1] * off[1]);
        slopes.extend((0..plan.len()).map(|value| if value % 2 == 0 { 2.0 * error * off[0] } else { off[1] }));
    }
    Ok((energies, slopes))
}

#[test]
fn its_plans_lead_to_the_goal_whatever_the_number_of_threads() {
    let teacher = Teacher { draw: &draw, judge: &judge, floor: FLOOR };
    let learn = |threads| train_policy(CONFIG, &teacher, 300, Seed::new(1), threads, |_, _| true).unwrap().unwrap();
    let (policy, energy) = learn(1);
    assert!(energy < 0.1, "{energy}"); // 1.3 for doing nothing
    let (state, goal) = ([0.2, -0.4, 0.9], [-0.1, 0.5, 0.3]);
    let guesses = policy.guesses(&state, &goal).unwrap();
    assert!(guesses.len() == 1 && guesses[0].len() == 1, "one situation, one guess");
    let plan = &guesses[0][0];
    let off = off(&state, &goal, plan);
    assert!(off[0] * off[0] + off[1] * off[1] < 0.1, "{plan:?}");
    assert!(plan.len() == 8 && plan.iter().all(|value| value.abs() <= 1.0));
    assert_eq!(learn(2).0.guesses(&state, &goal).unwrap(), guesses, "equal bits");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.safetensors");
    policy.save(&path).unwrap();
    assert_eq!(Policy::load(&path).unwrap().guesses(&state, &goal).unwrap(), guesses);
    assert!(policy.guesses(&state[1..], &goal).unwrap_err().to_string().contains("latents of 3"));
}

#[test]
fn it_knows_which_of_its_guesses_is_best() {
    let teacher = Teacher { draw: &draw, judge: &either_side, floor: FLOOR };
    let learn = |guesses| {
        let config = PolicyConfig { guesses, ..CONFIG };
        train_policy(config, &teacher, 400, Seed::new(1), 2, |_, _| true).unwrap().unwrap()
    };
    let (policy, energy) = learn(3);
    assert!(energy < learn(1).1, "the best of three is better than one: {energy}");
    let situations = draw(&policy, 300, Seed::new(5)).unwrap();
    let guesses = policy.guesses(&situations.states, &situations.goals).unwrap();
    let energies: Vec<Vec<f32>> = (0..3)
        .map(|guess| either_side(&situations, &guesses.iter().flat_map(|all| all[guess].clone()).collect::<Vec<_>>()))
        .map(|judged| judged.unwrap().0)
        .collect();
    let mean = |guess: usize| energies[guess].iter().sum::<f32>() / 300.0;
    assert!(mean(0) < mean(1) && mean(1) < mean(2), "{} {} {}", mean(0), mean(1), mean(2));
    let best: f32 = (0..300).map(|at| energies.iter().map(|of| of[at]).fold(f32::INFINITY, f32::min)).sum();
    assert!(mean(0) < 2.0 * best / 300.0 + 0.01, "{} against {}", mean(0), best / 300.0);
}

#[test]
fn a_teacher_that_knows_nothing_ends_the_lesson() {
    let lost = |situations: &Situations, plans: &[f32]| {
        let (mut energies, slopes) = judge(situations, plans)?;
        energies[7] = f32::NAN;
        Ok((energies, slopes))
    };
    let config = PolicyConfig { guesses: 2, ..CONFIG };
    let teacher = Teacher { draw: &draw, judge: &lost, floor: FLOOR };
    let learnt = train_policy(config.clone(), &teacher, 5, Seed::new(1), 1, |_, _| true).map(drop);
    assert!(matches!(learnt, Err(Error::Diverged { .. })));
    let teacher = Teacher { draw: &draw, judge: &judge, floor: FLOOR };
    assert!(train_policy(config, &teacher, 5, Seed::new(1), 1, |step, _| step < 3).unwrap().is_none(), "stopped");
}
