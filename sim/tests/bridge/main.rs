//! The bridge scene from outside: what a user of the simulator may rely on.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod demonstrators;
mod hidden_gusts;
mod motion;
mod repeatability;
mod states_and_goals;

use mindseye_interface::{Action, Simulator};
use mindseye_sim::SceneOptions;
use mindseye_sim::scenes::bridge::Bridge;

/// One 64th of the side, metres.
const PIXEL_M: f64 = 1.0 / 64.0;
/// The left end of the bridge, in its middle.
const LEFT_END: [f64; 2] = [20.0 * PIXEL_M, 32.0 * PIXEL_M];

/// A world with small images.
fn world() -> Bridge {
    Bridge::new(&SceneOptions::with_side(32).unwrap())
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
