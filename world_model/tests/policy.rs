//! A policy learns to do at once what a search would find.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use mindseye_interface::Seed;
use mindseye_world_model::policy::{Judged, PolicyConfig, Situations, Teacher, train_policy};
use mindseye_world_model::{Error, Part, Policy, Result};
use rand::Rng;

const CONFIG: PolicyConfig = PolicyConfig { latent_width: 3, horizon_blocks: 2, block_width: 4, hidden: 32, layers: 1 };

/// States and goals within a square; the third number says nothing.
fn draw(_policy: &Policy, count: usize, seed: Seed) -> Result<Situations> {
    let mut rng = seed.rng();
    let mut values = || (0..3 * count).map(|_| rng.random_range(-1.0..1.0)).collect();
    Ok(Situations { states: values(), goals: values() })
}

/// Where four control steps of two actions lead, 0.5 each, squared distance from the goal; and its slopes.
fn judge(state: &[f32], goal: &[f32], plan: &[f32]) -> Result<Judged> {
    let off: [f32; 2] =
        std::array::from_fn(|axis| state[axis] - goal[axis] + 0.5 * plan.iter().skip(axis).step_by(2).sum::<f32>());
    let slopes = (0..plan.len()).map(|value| 2.0 * 0.5 * off[value % 2]).collect();
    Ok((off[0] * off[0] + off[1] * off[1], slopes))
}

#[test]
fn its_plans_lead_to_the_goal_whatever_the_number_of_threads() {
    let teacher = Teacher { draw: &draw, judge: &judge };
    let learn = |threads| train_policy(CONFIG, &teacher, 300, Seed::new(1), threads, |_, _| true).unwrap().unwrap();
    let (policy, energy) = learn(1);
    assert!(energy < 0.1, "{energy}"); // 1.3 for doing nothing
    let (state, goal) = ([0.2, -0.4, 0.9], [-0.1, 0.5, 0.3]);
    let plan = policy.plan(&state, &goal).unwrap();
    assert!(judge(&state, &goal, &plan).unwrap().0 < 0.1, "{plan:?}");
    assert!(plan.len() == 8 && plan.iter().all(|value| value.abs() <= 1.0));
    assert_eq!(learn(2).0.plan(&state, &goal).unwrap(), plan, "equal bits");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("policy.safetensors");
    policy.save(&path).unwrap();
    assert_eq!(Policy::load(&path).unwrap().plan(&state, &goal).unwrap(), plan);
    assert!(policy.plan(&state[1..], &goal).unwrap_err().to_string().contains("latents of 3"));
}

#[test]
fn a_teacher_that_knows_nothing_ends_the_lesson() {
    let lost = |_: &[f32], _: &[f32], plan: &[f32]| Ok((f32::NAN, vec![0.0; plan.len()]));
    let teacher = Teacher { draw: &draw, judge: &lost };
    let learnt = train_policy(CONFIG, &teacher, 5, Seed::new(1), 1, |_, _| true).map(drop);
    assert!(matches!(learnt, Err(Error::Diverged { .. })));
    let teacher = Teacher { draw: &draw, judge: &judge };
    assert!(train_policy(CONFIG, &teacher, 5, Seed::new(1), 1, |step, _| step < 3).unwrap().is_none(), "stopped");
}
