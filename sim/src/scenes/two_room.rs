//! Two rooms and a door: the field's TwoRoom task (stable-worldmodel), with the picture's side as 1 m.
//!
//! A disc moves over the floor by velocity commands; physics (contacts, sliding, blocking) is Rapier's. World coordinates are
//! those of the picture: x to the right, y down, z into the floor; the origin is the picture's top left corner.

pub mod demonstrators;
mod layout;

use mindseye_interface::{
    Action, ActionSpace, Environment, Error, GoalCheck, Image, Observation, Result, Seed, Simulator, Snapshot, Step,
};
use nalgebra::{Isometry3, Translation3, Vector3};
use rapier3d::prelude::{
    ColliderBuilder, LockedAxes, PhysicsWorld, RigidBodyBuilder, RigidBodyHandle, Vector as RapierVector,
};

use super::SceneOptions;
use crate::camera::{Camera, Mesh, Projection, Rasteriser};
pub use layout::Layout;

/// Name of the scene.
pub const NAME: &str = "two_room";
/// Side of the picture and of everything in it, metres.
pub const SIDE_M: f64 = 1.0;
/// Duration of one control step, seconds.
pub const CONTROL_STEP_SECS: f64 = 0.1;
/// Distance to the goal that counts as success: 16 of 224 pixels.
pub const MODERATE_M: f64 = 16.0 / 224.0;
/// Distance that counts as strict success.
pub const STRICT_M: f64 = MODERATE_M / 2.0;

/// Physics steps per control step: at full speed the disc moves a quarter of its diameter in one.
const PHYSICS_STEPS: usize = 2;
/// Walls and disc are this high, metres.
const HEIGHT_M: f32 = 0.06;
/// Sides of the drawn disc.
const DISC_SEGMENTS: usize = 32;

/// The scene.
pub struct TwoRoom {
    options: SceneOptions,
    action_space: ActionSpace,
    layout: Layout,
    world: PhysicsWorld,
    agent: RigidBodyHandle,
    /// Built when the first picture of a layout is wanted: blind rollouts never pay for it.
    rasteriser: Option<Rasteriser>,
    disc: Mesh,
    tick: u64,
}

impl TwoRoom {
    /// The scene, in the episode of seed 0.
    ///
    /// # Errors
    /// When the simulation cannot be set up.
    pub fn new(options: &SceneOptions) -> Result<Self> {
        let layout = Layout::of_episode(Seed::new(0), &options.factors);
        let (world, agent) = build(&layout, layout.free_place(Seed::new(0)));
        Ok(Self {
            options: options.clone(),
            action_space: action_space(&layout),
            disc: disc(&layout),
            layout,
            world,
            agent,
            rasteriser: None,
            tick: 0,
        })
    }

    /// Walls, door, sizes and colours of this episode.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    fn place(&self) -> [f64; 2] {
        let place = self.world.bodies[self.agent].translation();
        [f64::from(place.x), f64::from(place.y)]
    }

    fn observe(&mut self) -> Observation {
        Observation {
            image: Some(self.render()),
            proprioception: self.place().map(|value| value as f32).to_vec(),
            tick: self.tick,
            time_secs: self.tick as f64 * CONTROL_STEP_SECS,
        }
    }
}

/// The physics of a layout, with the agent at rest in `place`.
fn build(layout: &Layout, place: [f64; 2]) -> (PhysicsWorld, RigidBodyHandle) {
    let mut world = PhysicsWorld::new();
    world.gravity = RapierVector::ZERO;
    world.integration_parameters.dt = (CONTROL_STEP_SECS / PHYSICS_STEPS as f64) as f32;
    for wall in layout.walls() {
        let half = wall.half_extents;
        let collider = ColliderBuilder::cuboid(half.x, half.y, half.z)
            .translation(RapierVector::new(wall.centre.x, wall.centre.y, wall.centre.z))
            .friction(layout.friction as f32)
            .restitution(0.0);
        world.insert_collider(collider, None);
    }
    let body = RigidBodyBuilder::dynamic()
        .translation(RapierVector::new(place[0] as f32, place[1] as f32, 0.0))
        .locked_axes(LockedAxes::ROTATION_LOCKED | LockedAxes::TRANSLATION_LOCKED_Z)
        .can_sleep(false)
        .ccd_enabled(true);
    let collider =
        ColliderBuilder::ball(layout.agent_radius_m as f32).friction(layout.friction as f32).restitution(0.0);
    let (agent, _) = world.insert(body, collider);
    (world, agent)
}

fn action_space(layout: &Layout) -> ActionSpace {
    let speed = layout.agent_speed_m_per_s;
    ActionSpace {
        names: vec!["velocity_x".into(), "velocity_y".into()],
        units: vec!["m/s".into(); 2],
        low: vec![-speed; 2],
        high: vec![speed; 2],
    }
}

fn disc(layout: &Layout) -> Mesh {
    Mesh::cylinder(layout.agent_radius_m as f32, HEIGHT_M / 2.0, DISC_SEGMENTS, layout.agent_rgb)
}

impl Environment for TwoRoom {
    fn reset(&mut self, seed: Seed) -> Result<Observation> {
        let layout = Layout::of_episode(seed, &self.options.factors);
        (self.world, self.agent) = build(&layout, layout.free_place(seed));
        if layout != self.layout {
            self.action_space = action_space(&layout);
            self.disc = disc(&layout);
            self.layout = layout;
            self.rasteriser = None;
        }
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

impl Simulator for TwoRoom {
    fn scene(&self) -> &str {
        NAME
    }

    fn state(&self) -> Vec<f64> {
        self.place().to_vec()
    }

    fn state_names(&self) -> Vec<String> {
        vec!["agent_x_m".into(), "agent_y_m".into()]
    }

    fn set_state(&mut self, state: &[f64]) -> Result<Observation> {
        let &[x, y] = state else {
            return Err(Error::Length { operation: "two_room state", expected: 2, got: state.len() });
        };
        for (name, value) in [("state.agent_x_m", x), ("state.agent_y_m", y)] {
            if !(0.0..=SIDE_M).contains(&value) {
                return Err(Error::field(name, format!("0 to {SIDE_M} m"), value));
            }
        }
        (self.world, self.agent) = build(&self.layout, [x, y]);
        Ok(self.observe())
    }

    fn render(&mut self) -> Image {
        let place = self.place();
        let (layout, size) = (&self.layout, self.options.image_size);
        let rasteriser = self.rasteriser.get_or_insert_with(|| {
            // Straight above the middle of the floor, outside of everything.
            let middle = (SIDE_M / 2.0) as f32;
            let camera = Camera {
                world_from_camera: Isometry3::translation(middle, middle, -1.0),
                projection: Projection::Orthographic { width_m: SIDE_M as f32 },
                size,
            };
            let still = layout.walls().into_iter().flat_map(|wall| {
                let mesh = Mesh::cuboid(wall.half_extents, layout.wall_rgb);
                mesh.placed(&Isometry3::from(Translation3::from(wall.centre))).collect::<Vec<_>>()
            });
            Rasteriser::new(camera, layout.floor_rgb, still)
        });
        let pose = Isometry3::translation(place[0] as f32, place[1] as f32, 0.0);
        rasteriser.draw(self.disc.placed(&pose))
    }

    fn step_blind(&mut self, action: &Action) -> Result<()> {
        let velocity = self.action_space.denormalise(action)?;
        for _ in 0..PHYSICS_STEPS {
            let body = &mut self.world.bodies[self.agent];
            body.set_linvel(RapierVector::new(velocity[0] as f32, velocity[1] as f32, 0.0), true);
            self.world.step();
        }
        self.tick += 1;
        Ok(())
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let saved = (self.tick, self.agent, &self.layout, &self.world);
        let bytes = postcard::to_stdvec(&saved);
        bytes.map(Snapshot).map_err(|error| Error::Environment { operation: "snapshot", reason: error.to_string() })
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let restored = postcard::from_bytes::<(u64, RigidBodyHandle, Layout, PhysicsWorld)>(&snapshot.0);
        let (tick, agent, layout, world) =
            restored.map_err(|error| Error::Environment { operation: "restore", reason: error.to_string() })?;
        if layout != self.layout {
            self.action_space = action_space(&layout);
            self.disc = disc(&layout);
            self.layout = layout;
            self.rasteriser = None;
        }
        (self.tick, self.agent, self.world) = (tick, agent, world);
        Ok(())
    }

    fn fork(&self) -> Result<Box<dyn Simulator>> {
        let mut other = Self::new(&self.options)?;
        other.restore(&self.snapshot()?)?;
        Ok(Box::new(other))
    }

    fn check_goal(&self, goal: &[f64]) -> GoalCheck {
        let place = self.place();
        let distance = match goal {
            [x, y, ..] => (place[0] - x).hypot(place[1] - y),
            _ => f64::INFINITY,
        };
        GoalCheck { moderate: distance < MODERATE_M, strict: distance < STRICT_M, distance }
    }

    fn goal_energy(&self, goal: &[f64]) -> f64 {
        match goal {
            &[x, y, ..] => self.layout.way_length(self.place(), [x, y]),
            _ => f64::INFINITY,
        }
    }
}

/// A wall: a box in the world, metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wall {
    /// Middle of the box.
    pub centre: Vector3<f32>,
    /// Half its size along each axis.
    pub half_extents: Vector3<f32>,
}
