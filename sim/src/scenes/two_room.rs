//! Two rooms and a door: the field's TwoRoom task (stable-worldmodel), with the picture's side as 1 m.
//!
//! A disc moves over the floor by velocity commands; physics (contacts, sliding, blocking) is Rapier's. World coordinates are
//! those of the picture: x to the right, y down, z into the floor; the origin is the picture's top left corner.

pub mod demonstrators;
mod layout;
mod physics;
mod ways;

use mindseye_interface::{
    Action, ActionSpace, Environment, Error, GoalCheck, Image, Observation, Result, Seed, Simulator, Snapshot, Step,
};
use nalgebra::{Isometry3, Translation3};

use super::SceneOptions;
use super::saved::{Saved, refuse};
use crate::camera::{Camera, Mesh, Projection, Rasteriser};
use crate::factors::{Factor, turned};
pub use layout::{Layout, Wall};
use physics::Physics;

/// Name of the scene.
pub const NAME: &str = "two_room";
/// Factors of variation that the scene knows.
pub const FACTORS: [Factor; 10] = [
    Factor::AgentColor,
    Factor::WallColor,
    Factor::FloorColor,
    Factor::AgentRadius,
    Factor::AgentSpeed,
    Factor::DoorPosition,
    Factor::WallPosition,
    Factor::WallThickness,
    Factor::Friction,
    Factor::TurnedAxes,
];
/// Side of the picture and of everything in it, metres.
pub const SIDE_M: f64 = 1.0;
/// Duration of one control step, seconds.
pub const CONTROL_STEP_SECS: f64 = 0.1;
/// Distance to the goal that counts as success: 16 of 224 pixels.
pub const MODERATE_M: f64 = 16.0 / 224.0;
/// Distance that counts as strict success.
pub const STRICT_M: f64 = MODERATE_M / 2.0;
/// How far a state may overlap a wall, metres: contacts and rounding leave less than that.
pub const OVERLAP_M: f64 = 0.001;

/// Walls and disc are this high, metres.
const HEIGHT_M: f32 = 0.06;
/// Sides of the drawn disc.
const DISC_SEGMENTS: usize = 32;

/// The scene.
pub struct TwoRoom {
    options: SceneOptions,
    action_space: ActionSpace,
    layout: Layout,
    physics: Physics,
    /// Built when the first picture of a layout is wanted.
    rasteriser: Option<Rasteriser>,
    disc: Mesh,
    tick: u64,
}

impl TwoRoom {
    /// The scene, in the episode of seed 0.
    ///
    /// # Errors
    /// None so far; scenes in general may not fit their options.
    pub fn new(options: &SceneOptions) -> Result<Self> {
        let layout = Layout::of_episode(Seed::new(0), &options.factors);
        Ok(Self {
            options: options.clone(),
            action_space: action_space(&layout),
            disc: disc(&layout),
            physics: Physics::new(&layout, layout.free_place(Seed::new(0))),
            layout,
            rasteriser: None,
            tick: 0,
        })
    }

    /// Walls, door, sizes and colours of this episode.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Takes over a layout; what was drawn of the last one is kept if they are equal.
    fn adopt(&mut self, layout: Layout) {
        if layout != self.layout {
            self.action_space = action_space(&layout);
            self.disc = disc(&layout);
            self.layout = layout;
            self.rasteriser = None;
        }
    }

    fn place(&self) -> [f64; 2] {
        // The agent is never removed, and `restore` takes no world without one.
        self.physics.place().unwrap_or([f64::NAN; 2])
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

/// The camera of the scene: straight above the middle of the floor, outside of everything, seeing all of it.
fn rasteriser(layout: &Layout, options: &SceneOptions) -> Rasteriser {
    let middle = (SIDE_M / 2.0) as f32;
    let camera = Camera {
        world_from_camera: Isometry3::translation(middle, middle, -1.0),
        projection: Projection::Orthographic { width_m: SIDE_M as f32 },
        size: options.image_size,
    };
    let walls = layout.walls().into_iter().flat_map(|wall| {
        let mesh = Mesh::cuboid(wall.half_extents, layout.wall_rgb);
        mesh.placed(&Isometry3::from(Translation3::from(wall.centre))).collect::<Vec<_>>()
    });
    Rasteriser::new(camera, layout.floor_rgb, walls)
}

impl Environment for TwoRoom {
    fn reset(&mut self, seed: Seed) -> Result<Observation> {
        self.adopt(Layout::of_episode(seed, &self.options.factors));
        self.physics = Physics::new(&self.layout, self.layout.free_place(seed));
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

    fn subject(&self) -> Option<[f64; 2]> {
        let state = self.state();
        Some([state[1] / SIDE_M, state[0] / SIDE_M]) // the camera sees all of the floor, from straight above
    }

    fn proprioception_names(&self) -> Vec<String> {
        self.state_names() // the body feels where it is
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
        if self.layout.overlap_m([x, y]) > OVERLAP_M {
            let expected = format!("a place where a disc of radius {} m is in no wall", self.layout.agent_radius_m);
            return Err(Error::field("state", expected, format!("({x}, {y})")));
        }
        self.physics = Physics::new(&self.layout, [x, y]);
        Ok(self.observe())
    }

    fn render(&mut self) -> Image {
        let place = self.place();
        let rasteriser = self.rasteriser.get_or_insert_with(|| rasteriser(&self.layout, &self.options));
        let pose = Isometry3::translation(place[0] as f32, place[1] as f32, 0.0);
        rasteriser.draw(self.disc.placed(&pose))
    }

    fn step_blind(&mut self, action: &Action) -> Result<()> {
        let velocity = self.action_space.denormalise(action)?;
        let &[velocity_x, velocity_y] = velocity.as_slice() else {
            return Err(Error::Length { operation: "two_room action", expected: 2, got: velocity.len() });
        };
        self.physics.step(turned([velocity_x, velocity_y], self.layout.agent_turn_rad));
        self.tick += 1;
        Ok(())
    }

    fn snapshot(&self) -> Result<Snapshot> {
        Saved { scene: NAME, tick: self.tick, layout: &self.layout, physics: &self.physics }.pack()
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let saved: Saved<&str, Layout, Physics> = Saved::unpack(snapshot, NAME)?;
        if !saved.physics.place().is_some_and(|place| place.iter().all(|value| value.is_finite())) {
            return refuse("expected an agent in a place, got none".into());
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

    fn check_goal(&self, goal: &[f64]) -> GoalCheck {
        let place = self.place();
        let distance = match goal {
            [x, y, ..] => (place[0] - x).hypot(place[1] - y),
            _ => f64::INFINITY,
        };
        GoalCheck { moderate: distance < MODERATE_M, strict: distance < STRICT_M, block: None, distance }
    }

    fn goal_energy(&self, state: &[f64], goal: &[f64]) -> f64 {
        match (state, goal) {
            (&[x, y, ..], &[goal_x, goal_y, ..]) => self.layout.way_length([x, y], [goal_x, goal_y]),
            _ => f64::INFINITY,
        }
    }
}
