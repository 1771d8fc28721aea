//! The push-T scene from outside: what a user of the simulator may rely on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod demonstrators;
mod factors;
mod images;
mod motion;
mod repeatability;
mod states_and_goals;

use mindseye_interface::{Action, Simulator};
use mindseye_sim::scenes::push_t::{PushT, State, UNIT_M};
use mindseye_sim::{Factor, Factors, SceneOptions, scene};

/// A world with small images.
fn world(factors: &[Factor]) -> PushT {
    world_with_side(16, factors)
}

fn world_with_side(side: usize, factors: &[Factor]) -> PushT {
    PushT::new(&options(side, factors))
}

fn options(side: usize, factors: &[Factor]) -> SceneOptions {
    SceneOptions { factors: Factors(factors.to_vec()), ..SceneOptions::with_side(side).unwrap() }
}

/// All that vary.
fn all_factors() -> Vec<Factor> {
    scene("push_t").unwrap().factors.iter().copied().filter(|factor| !factor.is_fixed()).collect()
}

fn action(x: f32, y: f32) -> Action {
    Action::new(vec![x, y]).unwrap()
}

/// A state from positions in the field's units (512ths of the side) and an angle in degrees.
fn state(agent: [f64; 2], block: [f64; 2], degrees: f64) -> Vec<f64> {
    let [agent_x, agent_y] = agent.map(|value| value * UNIT_M);
    let [block_x, block_y] = block.map(|value| value * UNIT_M);
    vec![agent_x, agent_y, block_x, block_y, degrees.to_radians()]
}

/// The state after `steps` control steps of one action, positions in the field's units, angle in degrees.
fn after(world: &mut PushT, action: &Action, steps: usize) -> [f64; 5] {
    (0..steps).for_each(|_| world.step_blind(action).unwrap());
    now(world)
}

fn now(world: &PushT) -> [f64; 5] {
    let state: [f64; 5] = world.state().try_into().unwrap();
    let [agent_x, agent_y, block_x, block_y, angle] = state;
    [agent_x / UNIT_M, agent_y / UNIT_M, block_x / UNIT_M, block_y / UNIT_M, angle.to_degrees()]
}

/// How far things overlap, in the field's units.
fn overlap(world: &PushT) -> f64 {
    world.layout().overlap_m(&State::from_slice(&world.state()).unwrap()) / UNIT_M
}
