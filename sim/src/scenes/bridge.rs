//! A river with a bridge and a ford: the short route is a risk.
//!
//! A disc moves over the floor by velocity commands, as in `two_room`. The bridge is short; whenever the disc passes
//! its middle, a hidden random draw decides whether it gets across or a gust blows it into the river, which carries it
//! down to where the only way out is on the left. The ford is a long way round, and nothing happens there. Images and
//! true states show everything but the hidden draws. World coordinates are those of the image: x to the right, y down,
//! z into the floor; the origin is the image's top left corner.

mod demonstrators;
mod layout;
mod physics;
mod routes;

use mindseye_interface::{Action, ActionSpace, Error, GoalCheck, Result, Seed};
use nalgebra::Vector3;

pub use super::disc::{MODERATE_M, STRICT_M};
use super::{Scene, SceneParts, SceneSimulator, disc};
use crate::factors::{Factor, Factors};
use crate::figure::{Figure, Solid};
pub use layout::overlap_m;
use layout::{AGENT_RADIUS_M, Area, BRIDGE, CALM, CURRENT, Cuboid, FORD, Layout, PIXEL_M, WALLS};
use physics::Physics;

/// Name of the scene.
const NAME: &str = "bridge";
/// The scene's entry.
pub(super) static SCENE: Scene = Scene {
    name: NAME,
    factors: &[Factor::AgentColor, Factor::WallColor, Factor::FloorColor],
    demonstrators: &demonstrators::DEMONSTRATORS,
    build: |options| Box::new(Bridge::new(options)),
    figure: |seed, factors| Parts::figure(&Layout::of_episode(seed, factors)),
    hard_pair: Some(|_, seed| layout::hard_pair(seed)),
    object_move: None,
};

/// Side of the floor, metres.
const SIDE_M: f64 = 1.0;
/// Duration of one control step, seconds.
const CONTROL_STEP_SECS: f64 = 0.1;
/// Speed of the agent per axis at an action of 1, metres per second.
const AGENT_SPEED_M_PER_S: f64 = 2.0 * PIXEL_M / CONTROL_STEP_SECS;
/// Walls and disc are this high, metres.
const HEIGHT_M: f32 = 0.06;

/// The simulator of the scene.
pub type Bridge = SceneSimulator<Parts>;

/// What the scene brings to its simulator.
pub enum Parts {}

/// Root of the hidden draws of the episode of `seed`.
fn hidden(seed: Seed) -> Seed {
    seed.child("coins")
}

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

    fn action_space(_layout: &Layout) -> ActionSpace {
        ActionSpace {
            names: vec!["velocity_x".into(), "velocity_y".into()],
            units: vec!["m/s".into(); 2],
            low: vec![-AGENT_SPEED_M_PER_S; 2],
            high: vec![AGENT_SPEED_M_PER_S; 2],
            neutral: Vec::new(),
            max_step: Vec::new(),
        }
    }

    fn start(_layout: &Layout, seed: Seed) -> Physics {
        Physics::new(layout::start(seed), hidden(seed))
    }

    fn state(physics: &Physics) -> Option<Vec<f64>> {
        physics.position().map(Vec::from)
    }

    fn at_state(_layout: &Layout, physics: &Physics, state: &[f64]) -> Result<Physics> {
        let position = disc::position("bridge state", state, SIDE_M, AGENT_RADIUS_M, overlap_m)?;
        Ok(Physics::new(position, physics.hidden()))
    }

    fn step(physics: &mut Physics, _layout: &Layout, space: &ActionSpace, action: &Action) -> Result<()> {
        let velocity = space.denormalise(action)?;
        let &[velocity_x, velocity_y] = velocity.as_slice() else {
            return Err(Error::Length { operation: "bridge action", expected: 2, got: velocity.len() });
        };
        physics.step([velocity_x, velocity_y]);
        Ok(())
    }

    fn figure(layout: &Layout) -> Figure {
        let solid = |Cuboid { centre, half_extents }: Cuboid, rgb: [u8; 3]| Solid::cuboid(centre, half_extents, rgb);
        // What the disc moves over lies as deep as its lower side.
        let flat = |area: Area| {
            let Cuboid { centre, half_extents } = layout::wall(area);
            let half_extents = Vector3::new(half_extents.x, half_extents.y, HEIGHT_M / 100.0);
            Cuboid { centre: centre + Vector3::z() * HEIGHT_M / 2.0, half_extents }
        };
        let walls = WALLS.into_iter().map(|area| solid(layout::wall(area), layout.wall_rgb));
        let water = [FORD, CURRENT, CALM].into_iter().map(|area| solid(flat(area), layout.water_rgb));
        Figure {
            side_m: SIDE_M,
            floor_z_m: HEIGHT_M / 2.0,
            floor_rgb: layout.floor_rgb,
            control_step_secs: CONTROL_STEP_SECS,
            state_names: Self::STATE_NAMES,
            fixed: walls.chain(water).chain([solid(flat(BRIDGE), layout.bridge_rgb)]).collect(),
            bodies: vec![disc::body(AGENT_RADIUS_M, HEIGHT_M, layout.agent_rgb)],
            poses: disc::poses,
        }
    }

    fn object(state: &[f64]) -> Option<[f64; 2]> {
        disc::object(state)
    }

    fn check_goal(physics: &Physics, goal: &[f64]) -> GoalCheck {
        disc::check_goal(physics.position(), goal)
    }

    fn goal_energy(_layout: &Layout, _physics: &Physics, state: &[f64], goal: &[f64]) -> f64 {
        match (state, goal) {
            (&[x, y, ..], &[goal_x, goal_y, ..]) => {
                let route = routes::shortest([x, y], [goal_x, goal_y], 0.0, None);
                route.map_or(f64::INFINITY, |route| route.length_m)
            }
            _ => f64::INFINITY,
        }
    }

    fn route(physics: &Physics) -> Option<&'static str> {
        physics.position().and_then(routes::name_at)
    }

    fn resample_hidden(physics: &mut Physics, seed: Seed) {
        physics.resample(hidden(seed));
    }
}
