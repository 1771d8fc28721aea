//! The two-room scene from outside: what a user of the simulator may rely on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod demonstrators;
mod factors;
mod images;
mod motion;
mod repeatability;
mod states_and_goals;

use mindseye_interface::{Action, Simulator};
use mindseye_sim::scenes::two_room::TwoRoom;
use mindseye_sim::{Factor, Factors, SceneOptions, scene};

/// A world with small images.
fn world(factors: &[Factor]) -> TwoRoom {
    world_with_side(16, factors)
}

fn world_with_side(side: usize, factors: &[Factor]) -> TwoRoom {
    let mut options = SceneOptions::with_side(side).unwrap();
    options.factors = Factors(factors.to_vec());
    TwoRoom::new(&options)
}

fn all_factors() -> Vec<Factor> {
    scene("two_room").unwrap().factors.iter().copied().filter(|factor| !factor.is_fixed()).collect()
}

fn action(x: f32, y: f32) -> Action {
    Action::new(vec![x, y]).unwrap()
}

/// The state after `steps` control steps of one action.
fn after(world: &mut dyn Simulator, action: &Action, steps: usize) -> [f64; 2] {
    (0..steps).for_each(|_| world.step_blind(action).unwrap());
    position(world)
}

fn position(world: &dyn Simulator) -> [f64; 2] {
    world.state().try_into().unwrap()
}

fn assert_near(got: [f64; 2], expected: [f64; 2], tolerance_m: f64) {
    let distance = (got[0] - expected[0]).hypot(got[1] - expected[1]);
    assert!(distance <= tolerance_m, "expected {expected:?} within {tolerance_m} m, got {got:?}");
}
