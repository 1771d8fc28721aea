//! Push-T: a round pusher brings a T-shaped block into a pose. The field's task (Chi et al. 2023, Diffusion Policy;
//! stable-worldmodel) with its geometry, colours and predicates, scaled so that the image's side of 512 units is 1 m.
//!
//! Pusher, block and walls are bodies in Rapier; the floor's friction is computed here. The pusher is
//! position-controlled: an action is the next target relative to where the pusher is. Unlike the field's environment
//! the control is stiff (the pusher has all but stopped when the next action comes, so that an image shows the whole
//! state) and a full action reaches 16 units, not 100. World coordinates are those of the image: x to the right, y
//! down, z into the floor; the origin is the top left corner.

mod demonstrators;
mod layout;
mod physics;
mod state;

use std::collections::BTreeMap;

use mindseye_interface::{Action, ActionSpace, Error, GoalCheck, Result, Seed};
use mindseye_interface::{StateDimension, StateSchema};
use nalgebra::{Isometry3, Translation3, UnitQuaternion, Vector3};

use super::{ObjectMove, Scene, SceneParts, SceneSimulator};
use crate::factors::{Factor, Factors};
use crate::figure::{Body, Figure, Solid};
pub use layout::{Layout, Part, Shape};
use physics::Physics;
pub use state::{Difference, State};

/// Name of the scene.
pub const NAME: &str = "push_t";
/// The scene's entry.
pub(super) static SCENE: Scene = Scene {
    name: NAME,
    factors: &[
        Factor::AgentColor,
        Factor::BlockColor,
        Factor::FloorColor,
        Factor::WallColor,
        Factor::AgentRadius,
        Factor::AgentSpeed,
        Factor::BlockShape,
        Factor::BlockSize,
        Factor::Friction,
        Factor::DoubledFriction,
        Factor::TripledFriction,
        Factor::DoubledMass,
        Factor::HalvedActionGain,
        Factor::RotatedActions,
        Factor::RecolouredFloor,
    ],
    demonstrators: &demonstrators::DEMONSTRATORS,
    build: |options| Box::new(PushT::new(options)),
    figure: |seed, factors| Parts::figure(&Layout::of_episode(seed, factors)),
    hard_pair: None,
    object_move: Some(object_move),
};

/// The field's unit of length: one 512th of the side, metres.
pub const UNIT_M: f64 = SIDE_M / 512.0;
/// Side of the floor, metres.
const SIDE_M: f64 = 1.0;
/// Duration of one control step, seconds.
const CONTROL_STEP_SECS: f64 = 0.1;
/// Distance and angle that count as success: the field's 20 units and 20 degrees.
const MODERATE: (f64, f64) = (20.0 * UNIT_M, std::f64::consts::PI / 9.0);
/// Distance and angle that count as strict success.
const STRICT: (f64, f64) = (10.0 * UNIT_M, std::f64::consts::PI / 18.0);
/// How far a state may have things overlap, metres: contacts leave less than that.
const MAX_OVERLAP_M: f64 = 2.0 * UNIT_M;
/// Bounds of an angle of a state, radians: any angle, but no number that has lost its precision.
const ANGLES_RAD: (f64, f64) = (-1e3, 1e3);

/// How much of a metre the pusher's metre counts in the oracle's energy.
const PUSHER_SHARE: f64 = 0.3;
/// Walls, block and pusher are this high, metres.
const HEIGHT_M: f32 = 0.06;

/// The simulator of the scene.
pub type PushT = SceneSimulator<Parts>;

/// What the scene brings to its simulator.
pub enum Parts {}

/// Where block and pusher are in `state [5]`.
fn poses(state: &[f64]) -> Vec<Isometry3<f32>> {
    let Some(state) = State::from_slice(state) else { return Vec::new() };
    let (agent, block) = (state.agent(), state.block());
    let block = Isometry3::from_parts(
        Translation3::new(block.translation.x as f32, block.translation.y as f32, 0.0),
        UnitQuaternion::from_axis_angle(&Vector3::z_axis(), block.rotation.angle() as f32),
    );
    vec![block, Isometry3::translation(agent.x as f32, agent.y as f32, 0.0)]
}

/// How far the block has to go from `start [5]` to `goal [5]`; `None` where these are not states.
fn object_move(start: &[f64], goal: &[f64]) -> Option<ObjectMove> {
    let away = Difference::between(&State::from_slice(start)?, &State::from_slice(goal)?);
    let needed = away.block_m >= MODERATE.0 || away.angle_rad >= MODERATE.1;
    let metrics = BTreeMap::from([
        ("block_distance_m", away.block_m),
        ("block_rotation_rad", away.angle_rad),
        ("block_needed", f64::from(u8::from(needed))),
    ]);
    Some(ObjectMove { needed, metrics })
}

/// Refuses values that no state of the world has, by name.
fn require_in_bounds(values: &[f64]) -> Result<()> {
    let schema = StateSchema(state::NAMES.map(StateDimension::named).to_vec());
    for (dimension, value) in schema.0.iter().zip(values) {
        let (low, high) = if dimension.is_angle() { ANGLES_RAD } else { (0.0, SIDE_M) };
        if !(low..=high).contains(value) {
            let StateDimension { name, unit, .. } = dimension;
            return Err(Error::field(format!("state.{name}"), format!("{low} to {high} {unit}"), value));
        }
    }
    Ok(())
}

impl SceneParts for Parts {
    const NAME: &'static str = NAME;
    const SIDE_M: f64 = SIDE_M;
    const CONTROL_STEP_SECS: f64 = CONTROL_STEP_SECS;
    const STATE_NAMES: &'static [&'static str] = &state::NAMES;
    const PROPRIOCEPTION: usize = 2;

    type Layout = Layout;
    type Physics = Physics;

    fn layout(seed: Seed, factors: &Factors) -> Layout {
        Layout::of_episode(seed, factors)
    }

    fn action_space(layout: &Layout) -> ActionSpace {
        let reach = layout.agent_reach_m;
        ActionSpace {
            names: vec!["target_x".into(), "target_y".into()],
            units: vec!["m".into(); 2],
            low: vec![-reach; 2],
            high: vec![reach; 2],
            neutral: Vec::new(),
            max_step: Vec::new(),
        }
    }

    fn start(layout: &Layout, seed: Seed) -> Physics {
        Physics::new(layout, &layout.start(seed))
    }

    fn state(physics: &Physics) -> Option<Vec<f64>> {
        physics.state().map(State::to_vec)
    }

    fn at_state(layout: &Layout, _physics: &Physics, values: &[f64]) -> Result<Physics> {
        require_in_bounds(values)?;
        let Some(state) = State::from_slice(values) else {
            return Err(Error::Length { operation: "push_t state", expected: state::NAMES.len(), got: values.len() });
        };
        let overlap_m = layout.overlap_m(&state);
        if overlap_m > MAX_OVERLAP_M {
            let got = format!("{values:?}, {overlap_m:.4} m in each other");
            return Err(Error::field("state", "pusher, block and walls that do not overlap", got));
        }
        Ok(Physics::new(layout, &state))
    }

    fn step(physics: &mut Physics, _layout: &Layout, _space: &ActionSpace, action: &Action) -> Result<()> {
        let &[x, y] = action.values() else {
            return Err(Error::Length { operation: "push_t action", expected: 2, got: action.values().len() });
        };
        physics.step([f64::from(x), f64::from(y)]);
        Ok(())
    }

    fn figure(layout: &Layout) -> Figure {
        let half_height = HEIGHT_M / 2.0;
        let walls = physics::walls().into_iter().map(|(x, y, half_x, half_y)| {
            let half_extents = Vector3::new(half_x as f32, half_y as f32, half_height);
            Solid::cuboid(Vector3::new(x as f32, y as f32, 0.0), half_extents, layout.wall_rgb)
        });
        let part = |part: Part| {
            let (centre, half) = (part.centre.cast::<f32>(), part.half_extents.cast::<f32>());
            let half_extents = Vector3::new(half.x, half.y, half_height);
            Solid::cuboid(Vector3::new(centre.x, centre.y, 0.0), half_extents, layout.block_rgb)
        };
        let pusher = Solid::cylinder(layout.agent_radius_m as f32, half_height, layout.agent_rgb);
        Figure {
            side_m: SIDE_M,
            floor_z_m: half_height,
            floor_rgb: layout.floor_rgb,
            control_step_secs: CONTROL_STEP_SECS,
            state_names: Self::STATE_NAMES,
            fixed: walls.collect(),
            bodies: vec![
                Body { name: "block", solids: layout.parts().into_iter().map(part).collect() },
                Body { name: "agent", solids: vec![pusher] },
            ],
            poses,
        }
    }

    fn object(state: &[f64]) -> Option<[f64; 2]> {
        let position = State::from_slice(state)?.block().translation;
        Some([position.x, position.y])
    }

    /// The field's predicate: pusher and block (the norm over both) and the block's angle. `block` leaves the pusher
    /// out; strict is half of `block`'s bounds. The distance is that of [`Difference::norm_m`].
    fn check_goal(physics: &Physics, goal: &[f64]) -> GoalCheck {
        let (Some(state), Some(goal)) = (physics.state(), State::from_slice(goal)) else {
            let metrics = BTreeMap::from([("block", 0.0)]);
            return GoalCheck { moderate: false, strict: false, distance: f64::INFINITY, metrics };
        };
        let away = Difference::between(&state, &goal);
        let turned_within = |bound: f64| away.angle_rad < bound;
        let block = away.block_m < MODERATE.0 && turned_within(MODERATE.1);
        GoalCheck {
            moderate: away.agent_m.hypot(away.block_m) < MODERATE.0 && turned_within(MODERATE.1),
            strict: away.block_m < STRICT.0 && turned_within(STRICT.1),
            distance: away.norm_m(physics.gyration_m()),
            metrics: BTreeMap::from([("block", f64::from(u8::from(block)))]),
        }
    }

    fn goal_energy(layout: &Layout, physics: &Physics, state: &[f64], goal: &[f64]) -> f64 {
        match (State::from_slice(state), State::from_slice(goal)) {
            (Some(state), Some(goal)) => {
                let away = Difference::between(&state, &goal);
                let block = Difference { agent_m: 0.0, ..away }.norm_m(physics.gyration_m());
                // The pusher's own goal counts as far as the block is at its goal; before that, the pusher has to get
                // to the block to do anything at all.
                let gap = layout.surface_distance_m(&state.block().inverse_transform_point(&state.agent()));
                let astray = block / (block + MODERATE.0);
                block.hypot(PUSHER_SHARE * (astray * gap.max(0.0) + (1.0 - astray) * away.agent_m))
            }
            _ => f64::INFINITY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_goal_asks_for_the_block_to_move_by_the_predicate() {
        let pixel = SIDE_M / 512.0;
        let asked = |block: [f64; 2], degrees: f64| {
            let start = [100.0 * pixel, 100.0 * pixel, 256.0 * pixel, 256.0 * pixel, 0.0];
            let goal = [400.0 * pixel, 100.0 * pixel, block[0] * pixel, block[1] * pixel, degrees.to_radians()];
            object_move(&start, &goal).unwrap()
        };
        assert!(!asked([256.0, 270.0], 15.0).needed);
        assert!(asked([256.0, 280.0], 0.0).needed && asked([256.0, 256.0], -25.0).needed);
        let far = asked([356.0, 256.0], 90.0).metrics;
        assert!((far["block_distance_m"] - 100.0 * pixel).abs() < 1e-9);
        assert!((far["block_rotation_rad"].to_degrees() - 90.0).abs() < 1e-9);
        assert_eq!(far["block_needed"], 1.0);
        assert!(object_move(&[0.0], &[0.0]).is_none());
    }
}
