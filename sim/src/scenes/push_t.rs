//! Push-T: a round pusher brings a T-shaped block into a pose. The field's task (Chi et al. 2023, Diffusion Policy; stable-worldmodel)
//! with its geometry, colours and predicates, scaled so that the picture's side of 512 units is 1 m.
//!
//! Pusher, block and walls are bodies in Rapier; the floor's friction is worked out here. The pusher is position-controlled: an
//! action is the next target relative to where the pusher is. Unlike the field's environment the control is stiff (the pusher has
//! all but stopped when the next action comes, so that a picture shows the whole state) and a full action reaches 16 units, not 100.
//! World coordinates are those of the picture: x to the right, y down, z into the floor; the origin is the top left corner.

pub mod demonstrators;
mod layout;
mod physics;
mod state;

use mindseye_interface::{
    Action, ActionSpace, BlockMove, Environment, Error, GoalCheck, Image, Observation, Result, Seed, Simulator,
    Snapshot, Step,
};
use nalgebra::{Isometry3, Point2, Translation3, UnitQuaternion, Vector3};

use super::SceneOptions;
use super::saved::{Saved, refuse};
use crate::camera::{Camera, Mesh, Projection, Rasteriser};
use crate::factors::Factor;
pub use demonstrators::POLICIES;
pub use layout::{Layout, Part, Shape};
use physics::Physics;
pub use state::{Difference, State};

/// Name of the scene.
pub const NAME: &str = "push_t";
/// Factors of variation that the scene knows.
pub const FACTORS: [Factor; 14] = [
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
    Factor::DoubledMass,
    Factor::HalvedReach,
    Factor::TurnedAxes,
    Factor::TintedFloor,
];
/// Side of the picture and of everything in it, metres.
pub const SIDE_M: f64 = 1.0;
/// The field's unit of length: one 512th of the side, metres.
pub const UNIT_M: f64 = SIDE_M / 512.0;
/// Duration of one control step, seconds.
pub const CONTROL_STEP_SECS: f64 = 0.1;
/// Distance and angle that count as success: the field's 20 units and 20 degrees.
pub const MODERATE: (f64, f64) = (20.0 * UNIT_M, std::f64::consts::PI / 9.0);
/// Distance and angle that count as strict success.
pub const STRICT: (f64, f64) = (10.0 * UNIT_M, std::f64::consts::PI / 18.0);
/// How far a state may have things overlap, metres: contacts leave less than that.
pub const OVERLAP_M: f64 = 2.0 * UNIT_M;

/// How much of a metre the pusher's metre counts in the oracle's energy.
const PUSHER_SHARE: f64 = 0.3;
/// Walls, block and pusher are this high, metres.
const HEIGHT_M: f32 = 0.06;
/// Sides of the drawn pusher.
const PUSHER_SEGMENTS: usize = 32;

/// The scene.
pub struct PushT {
    options: SceneOptions,
    action_space: ActionSpace,
    layout: Layout,
    gyration_m: f64,
    physics: Physics,
    pictures: Option<Pictures>,
    tick: u64,
}

/// What is drawn; built when the first picture of a layout is wanted.
struct Pictures {
    rasteriser: Rasteriser,
    pusher: Mesh,
    parts: Vec<(Isometry3<f32>, Mesh)>,
}

impl PushT {
    /// The scene, in the episode of seed 0.
    ///
    /// # Errors
    /// None so far; scenes in general may not fit their options.
    pub fn new(options: &SceneOptions) -> Result<Self> {
        let layout = Layout::of_episode(Seed::new(0), &options.factors);
        Ok(Self {
            options: options.clone(),
            action_space: action_space(&layout),
            physics: Physics::new(&layout, &layout.start(Seed::new(0))),
            gyration_m: layout.gyration_m(),
            layout,
            pictures: None,
            tick: 0,
        })
    }

    /// Sizes, shapes and colours of this episode.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Takes over a layout; what was drawn of the last one is kept if they are equal.
    fn adopt(&mut self, layout: Layout) {
        if layout != self.layout {
            self.action_space = action_space(&layout);
            self.gyration_m = layout.gyration_m();
            self.layout = layout;
            self.pictures = None;
        }
    }

    /// Where everything is.
    pub fn now(&self) -> State {
        // Pusher and block are never removed, and `restore` takes no world without them.
        self.physics.state().unwrap_or(State::new(Point2::new(f64::NAN, f64::NAN), &nalgebra::Isometry2::identity()))
    }

    fn observe(&mut self) -> Observation {
        let agent = self.now().agent();
        Observation {
            image: Some(self.render()),
            proprioception: vec![agent.x as f32, agent.y as f32],
            tick: self.tick,
            time_secs: self.tick as f64 * CONTROL_STEP_SECS,
        }
    }
}

fn action_space(layout: &Layout) -> ActionSpace {
    let reach = layout.agent_reach_m;
    ActionSpace {
        names: vec!["target_x".into(), "target_y".into()],
        units: vec!["m".into(); 2],
        low: vec![-reach; 2],
        high: vec![reach; 2],
    }
}

/// The camera of the scene: straight above the middle of the floor, seeing all of it.
fn pictures(layout: &Layout, options: &SceneOptions) -> Pictures {
    let middle = (SIDE_M / 2.0) as f32;
    let camera = Camera {
        world_from_camera: Isometry3::translation(middle, middle, -1.0),
        projection: Projection::Orthographic { width_m: SIDE_M as f32 },
        size: options.image_size,
    };
    let half_height = HEIGHT_M / 2.0;
    let walls = physics::walls().into_iter().flat_map(|(x, y, half_x, half_y)| {
        let mesh = Mesh::cuboid(Vector3::new(half_x as f32, half_y as f32, half_height), layout.wall_rgb);
        mesh.placed(&Isometry3::translation(x as f32, y as f32, 0.0)).collect::<Vec<_>>()
    });
    let part = |part: Part| {
        let (centre, half) = (part.centre.cast::<f32>(), part.half_extents.cast::<f32>());
        let mesh = Mesh::cuboid(Vector3::new(half.x, half.y, half_height), layout.block_rgb);
        (Isometry3::translation(centre.x, centre.y, 0.0), mesh)
    };
    Pictures {
        rasteriser: Rasteriser::new(camera, layout.floor_rgb, walls),
        pusher: Mesh::cylinder(layout.agent_radius_m as f32, half_height, PUSHER_SEGMENTS, layout.agent_rgb),
        parts: layout.parts().into_iter().map(part).collect(),
    }
}

impl Environment for PushT {
    fn reset(&mut self, seed: Seed) -> Result<Observation> {
        self.adopt(Layout::of_episode(seed, &self.options.factors));
        self.physics = Physics::new(&self.layout, &self.layout.start(seed));
        self.tick = 0;
        Ok(self.observe())
    }

    fn step(&mut self, action: &Action) -> Result<Step> {
        self.step_blind(action)?;
        Ok(Step { observation: self.observe(), terminated: false })
    }

    fn action_space(&self) -> &ActionSpace {
        &self.action_space
    }

    fn control_step_secs(&self) -> f64 {
        CONTROL_STEP_SECS
    }
}

impl Simulator for PushT {
    fn scene(&self) -> &str {
        NAME
    }

    fn state(&self) -> Vec<f64> {
        self.now().to_vec()
    }

    fn state_names(&self) -> Vec<String> {
        state::NAMES.map(str::to_owned).to_vec()
    }

    fn subject(&self) -> Option<[f64; 2]> {
        let state = self.state();
        Some([state[3] / SIDE_M, state[2] / SIDE_M]) // the camera sees all of the floor, from straight above
    }

    fn proprioception_names(&self) -> Vec<String> {
        vec![state::NAMES[0].into(), state::NAMES[1].into()] // the body feels where it is
    }

    fn set_state(&mut self, state: &[f64]) -> Result<Observation> {
        for (name, value) in state::NAMES.iter().zip(state) {
            let (low, high) = if name.ends_with("_m") { (0.0, SIDE_M) } else { (-1e3, 1e3) };
            if !(low..=high).contains(value) {
                let unit = if name.ends_with("_m") { "m" } else { "rad" };
                return Err(Error::field(format!("state.{name}"), format!("{low} to {high} {unit}"), value));
            }
        }
        let Some(wanted) = State::from_slice(state) else {
            return Err(Error::Length { operation: "push_t state", expected: state::NAMES.len(), got: state.len() });
        };
        let overlap_m = self.layout.overlap_m(&wanted);
        if overlap_m > OVERLAP_M {
            let got = format!("{state:?}, {overlap_m:.4} m in each other");
            return Err(Error::field("state", "pusher, block and walls that do not overlap", got));
        }
        self.physics = Physics::new(&self.layout, &wanted);
        Ok(self.observe())
    }

    fn render(&mut self) -> Image {
        let now = self.now();
        let Pictures { rasteriser, pusher, parts } =
            self.pictures.get_or_insert_with(|| pictures(&self.layout, &self.options));
        let agent = Isometry3::translation(now.agent().x as f32, now.agent().y as f32, 0.0);
        let pose = now.block();
        let block = Isometry3::from_parts(
            Translation3::new(pose.translation.x as f32, pose.translation.y as f32, 0.0),
            UnitQuaternion::from_axis_angle(&Vector3::z_axis(), pose.rotation.angle() as f32),
        );
        let placed: Vec<(Isometry3<f32>, &Mesh)> = parts.iter().map(|(part, mesh)| (block * part, mesh)).collect();
        let block = placed.iter().flat_map(|(pose, mesh)| mesh.placed(pose));
        rasteriser.draw(block.chain(pusher.placed(&agent)))
    }

    fn step_blind(&mut self, action: &Action) -> Result<()> {
        let &[x, y] = action.values() else {
            return Err(Error::Length { operation: "push_t action", expected: 2, got: action.values().len() });
        };
        self.physics.step([f64::from(x), f64::from(y)]);
        self.tick += 1;
        Ok(())
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Saved { scene: NAME, tick: self.tick, layout: &self.layout, physics: &self.physics }.pack()
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let saved: Saved<&str, Layout, Physics> = Saved::unpack(snapshot, NAME)?;
        if !saved.physics.state().is_some_and(|state| state.to_vec().iter().all(|value| value.is_finite())) {
            return refuse("expected a pusher and a block in their places, got none".into());
        }
        self.adopt(saved.layout);
        (self.tick, self.physics) = (saved.tick, saved.physics);
        Ok(())
    }

    fn fork(&self) -> Result<Box<dyn Simulator>> {
        let mut other = Self::new(&self.options)?;
        other.restore(&self.snapshot()?)?;
        Ok(Box::new(other))
    }

    /// The field's predicate: pusher and block (the norm over both) and the block's angle. `block` leaves the pusher out; strict is
    /// half of `block`'s bounds. The distance is that of [`Difference::norm_m`].
    fn check_goal(&self, goal: &[f64]) -> GoalCheck {
        let Some(goal) = State::from_slice(goal) else {
            return GoalCheck { moderate: false, strict: false, block: Some(false), distance: f64::INFINITY };
        };
        let away = Difference::between(&self.now(), &goal);
        let turned_within = |bound: f64| away.angle_rad < bound;
        GoalCheck {
            moderate: away.agent_m.hypot(away.block_m) < MODERATE.0 && turned_within(MODERATE.1),
            block: Some(away.block_m < MODERATE.0 && turned_within(MODERATE.1)),
            strict: away.block_m < STRICT.0 && turned_within(STRICT.1),
            distance: away.norm_m(self.gyration_m),
        }
    }

    fn goal_energy(&self, state: &[f64], goal: &[f64]) -> f64 {
        match (State::from_slice(state), State::from_slice(goal)) {
            (Some(state), Some(goal)) => {
                let away = Difference::between(&state, &goal);
                let block = Difference { agent_m: 0.0, ..away }.norm_m(self.gyration_m);
                // The pusher's own goal counts as far as the block is where it should be; before that, the pusher has to get to the
                // block to do anything at all.
                let gap = self.layout.surface_distance_m(&state.block().inverse_transform_point(&state.agent()));
                let astray = block / (block + MODERATE.0);
                block.hypot(PUSHER_SHARE * (astray * gap.max(0.0) + (1.0 - astray) * away.agent_m))
            }
            _ => f64::INFINITY,
        }
    }

    fn block_move(&self, start: &[f64], goal: &[f64]) -> Option<BlockMove> {
        let away = Difference::between(&State::from_slice(start)?, &State::from_slice(goal)?);
        let needed = away.block_m >= MODERATE.0 || away.angle_rad >= MODERATE.1;
        Some(BlockMove { distance_m: away.block_m, rotation_rad: away.angle_rad, needed })
    }
}
