//! Two rooms and a door: the field's TwoRoom task (stable-worldmodel), with the image's side as 1 m.
//!
//! A disc moves over the floor by velocity commands; physics (contacts, sliding, blocking) is Rapier's. World
//! coordinates are those of the image: x to the right, y down, z into the floor; the origin is the image's top left
//! corner.

mod demonstrators;
mod layout;
mod physics;
mod routes;

use mindseye_interface::{Action, ActionSpace, Error, GoalCheck, Result, Seed};

pub use super::disc::{MODERATE_M, STRICT_M};
use super::{Scene, SceneParts, SceneSimulator, disc};
use crate::factors::{Factor, Factors, rotated};
use crate::figure::{Figure, Solid};
pub use layout::{Layout, Wall};
use physics::Physics;

/// Name of the scene.
pub const NAME: &str = "two_room";
/// The scene's entry.
pub(super) static SCENE: Scene = Scene {
    name: NAME,
    factors: &[
        Factor::AgentColor,
        Factor::WallColor,
        Factor::FloorColor,
        Factor::AgentRadius,
        Factor::AgentSpeed,
        Factor::DoorPosition,
        Factor::WallPosition,
        Factor::WallThickness,
        Factor::Friction,
        Factor::RotatedActions,
    ],
    demonstrators: &demonstrators::DEMONSTRATORS,
    build: |options| Box::new(TwoRoom::new(options)),
    figure: |seed, factors| Parts::figure(&Layout::of_episode(seed, factors)),
    hard_pair: Some(|factors, seed| Layout::of_episode(seed, factors).hard_pair(seed)),
    object_move: None,
};

/// Side of the floor, metres.
const SIDE_M: f64 = 1.0;
/// Duration of one control step, seconds.
const CONTROL_STEP_SECS: f64 = 0.1;
/// Walls and disc are this high, metres.
const HEIGHT_M: f32 = 0.06;

/// The simulator of the scene.
pub type TwoRoom = SceneSimulator<Parts>;

/// What the scene brings to its simulator.
pub enum Parts {}

impl SceneParts for Parts {
    const NAME: &'static str = NAME;
    const SIDE_M: f64 = SIDE_M;
    const CONTROL_STEP_SECS: f64 = CONTROL_STEP_SECS;
    const STATE_NAMES: &'static [&'static str] = &disc::STATE_NAMES;
    const PROPRIOCEPTION: usize = 2;

    type Layout = Layout;
    type Physics = Physics;

    fn layout(seed: Seed, factors: &Factors) -> Layout {
        Layout::of_episode(seed, factors)
    }

    fn action_space(layout: &Layout) -> ActionSpace {
        let speed = layout.agent_speed_m_per_s;
        ActionSpace {
            names: vec!["velocity_x".into(), "velocity_y".into()],
            units: vec!["m/s".into(); 2],
            low: vec![-speed; 2],
            high: vec![speed; 2],
            neutral: Vec::new(),
            max_step: Vec::new(),
        }
    }

    fn start(layout: &Layout, seed: Seed) -> Physics {
        Physics::new(layout, layout.start(seed))
    }

    fn state(physics: &Physics) -> Option<Vec<f64>> {
        physics.position().map(Vec::from)
    }

    fn at_state(layout: &Layout, _physics: &Physics, state: &[f64]) -> Result<Physics> {
        let overlap_m = |position| layout.overlap_m(position);
        let position = disc::position("two_room state", state, SIDE_M, layout.agent_radius_m, overlap_m)?;
        Ok(Physics::new(layout, position))
    }

    fn step(physics: &mut Physics, layout: &Layout, space: &ActionSpace, action: &Action) -> Result<()> {
        let velocity = space.denormalise(action)?;
        let &[velocity_x, velocity_y] = velocity.as_slice() else {
            return Err(Error::Length { operation: "two_room action", expected: 2, got: velocity.len() });
        };
        physics.step(rotated([velocity_x, velocity_y], layout.action_rotation_rad));
        Ok(())
    }

    fn figure(layout: &Layout) -> Figure {
        let walls = layout.walls().into_iter();
        let walls = walls.map(|wall| Solid::cuboid(wall.centre, wall.half_extents, layout.wall_rgb));
        Figure {
            side_m: SIDE_M,
            floor_z_m: HEIGHT_M / 2.0,
            floor_rgb: layout.floor_rgb,
            control_step_secs: CONTROL_STEP_SECS,
            state_names: Self::STATE_NAMES,
            fixed: walls.collect(),
            bodies: vec![disc::body(layout.agent_radius_m, HEIGHT_M, layout.agent_rgb)],
            poses: disc::poses,
        }
    }

    fn object(state: &[f64]) -> Option<[f64; 2]> {
        disc::object(state)
    }

    fn check_goal(physics: &Physics, goal: &[f64]) -> GoalCheck {
        disc::check_goal(physics.position(), goal)
    }

    fn goal_energy(layout: &Layout, _physics: &Physics, state: &[f64], goal: &[f64]) -> f64 {
        match (state, goal) {
            (&[x, y, ..], &[goal_x, goal_y, ..]) => layout.route_length_m([x, y], [goal_x, goal_y]),
            _ => f64::INFINITY,
        }
    }
}
