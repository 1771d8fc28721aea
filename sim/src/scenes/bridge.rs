//! A river with a bridge and a ford: the short way is a risk.
//!
//! A disc moves over the floor by velocity commands, as in `two_room`. The bridge is short; whenever the disc passes its middle, a coin that
//! nobody sees decides whether it gets across or a gust blows it into the river, which carries it down to where the only way out is on the
//! left. The ford is a long way round, and nothing happens there. Pictures and true states show everything but the coins. World coordinates
//! are those of the picture: x to the right, y down, z into the floor; the origin is the picture's top left corner.

pub mod demonstrators;
mod layout;
mod physics;
mod ways;

use mindseye_interface::{
    Action, ActionSpace, Environment, Error, GoalCheck, Image, Observation, Result, Seed, Simulator, Snapshot, Step,
};
use nalgebra::{Isometry3, Translation3, Vector3};

use super::SceneOptions;
use super::saved::{Saved, refuse};
use crate::camera::{Camera, Mesh, Projection, Rasteriser};
use crate::factors::Factor;
use layout::{AGENT_RADIUS_M, Area, BRIDGE, Block, CALM, CURRENT, FORD, PIXEL_M, WALLS, wall};
pub use layout::{Layout, MIDDLE_X_M, cross_pair, free_place, overlap_m};
use physics::Physics;

/// Name of the scene.
pub const NAME: &str = "bridge";
/// Factors of variation that the scene knows.
pub const FACTORS: [Factor; 3] = [Factor::AgentColor, Factor::WallColor, Factor::FloorColor];
/// Side of the picture and of everything in it, metres.
pub const SIDE_M: f64 = 1.0;
/// Duration of one control step, seconds.
pub const CONTROL_STEP_SECS: f64 = 0.1;
/// Speed of the agent per axis at an action of 1, metres per second.
pub const AGENT_SPEED_M_PER_S: f64 = 2.0 * PIXEL_M / CONTROL_STEP_SECS;
/// Distance to the goal that counts as success: 16 of 224 pixels, as in `two_room`.
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
pub struct Bridge {
    options: SceneOptions,
    action_space: ActionSpace,
    layout: Layout,
    physics: Physics,
    /// Root of the coins of this episode.
    coins: Seed,
    /// Built when the first picture of a layout is wanted.
    rasteriser: Option<Rasteriser>,
    tick: u64,
}

/// The coins of the episode of `seed`.
fn coins(seed: Seed) -> Seed {
    seed.child("coins")
}

impl Bridge {
    /// The scene, in the episode of seed 0.
    ///
    /// # Errors
    /// None so far; scenes in general may not fit their options.
    pub fn new(options: &SceneOptions) -> Result<Self> {
        let seed = Seed::new(0);
        Ok(Self {
            options: options.clone(),
            action_space: ActionSpace {
                names: vec!["velocity_x".into(), "velocity_y".into()],
                units: vec!["m/s".into(); 2],
                low: vec![-AGENT_SPEED_M_PER_S; 2],
                high: vec![AGENT_SPEED_M_PER_S; 2],
            },
            layout: Layout::of_episode(seed, &options.factors),
            physics: Physics::new(free_place(seed), coins(seed)),
            coins: coins(seed),
            rasteriser: None,
            tick: 0,
        })
    }

    /// Takes over a layout; what was drawn of the last one is kept if they are equal.
    fn adopt(&mut self, layout: Layout) {
        if layout != self.layout {
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

/// The camera of the scene: straight above the middle of the floor, outside of everything, seeing all of it.
fn rasteriser(layout: &Layout, options: &SceneOptions) -> Rasteriser {
    let middle = (SIDE_M / 2.0) as f32;
    let camera = Camera {
        world_from_camera: Isometry3::translation(middle, middle, -1.0),
        projection: Projection::Orthographic { width_m: SIDE_M as f32 },
        size: options.image_size,
    };
    let draw = |Block { centre, half_extents }: Block, rgb: [u8; 3]| {
        Mesh::cuboid(half_extents, rgb).placed(&Isometry3::from(Translation3::from(centre))).collect::<Vec<_>>()
    };
    // What the disc moves over lies as deep as its lower side.
    let flat = |area: Area| {
        let Block { centre, half_extents } = wall(area);
        let half_extents = Vector3::new(half_extents.x, half_extents.y, HEIGHT_M / 100.0);
        Block { centre: centre + Vector3::z() * HEIGHT_M / 2.0, half_extents }
    };
    let walls = WALLS.into_iter().flat_map(|area| draw(wall(area), layout.wall_rgb));
    let water = [FORD, CURRENT, CALM].into_iter().flat_map(|area| draw(flat(area), layout.water_rgb));
    Rasteriser::new(camera, layout.floor_rgb, walls.chain(water).chain(draw(flat(BRIDGE), layout.bridge_rgb)))
}

impl Environment for Bridge {
    fn reset(&mut self, seed: Seed) -> Result<Observation> {
        self.adopt(Layout::of_episode(seed, &self.options.factors));
        self.coins = coins(seed);
        self.physics = Physics::new(free_place(seed), self.coins);
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

impl Simulator for Bridge {
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
            return Err(Error::Length { operation: "bridge state", expected: 2, got: state.len() });
        };
        for (name, value) in [("state.agent_x_m", x), ("state.agent_y_m", y)] {
            if !(0.0..=SIDE_M).contains(&value) {
                return Err(Error::field(name, format!("0 to {SIDE_M} m"), value));
            }
        }
        if overlap_m([x, y]) > OVERLAP_M {
            let expected = format!("a place where a disc of radius {AGENT_RADIUS_M} m is in no wall");
            return Err(Error::field("state", expected, format!("({x}, {y})")));
        }
        self.physics = Physics::new([x, y], self.coins);
        Ok(self.observe())
    }

    fn render(&mut self) -> Image {
        let place = self.place();
        let rasteriser = self.rasteriser.get_or_insert_with(|| rasteriser(&self.layout, &self.options));
        let disc = Mesh::cylinder(AGENT_RADIUS_M as f32, HEIGHT_M / 2.0, DISC_SEGMENTS, self.layout.agent_rgb);
        rasteriser.draw(disc.placed(&Isometry3::translation(place[0] as f32, place[1] as f32, 0.0)))
    }

    fn step_blind(&mut self, action: &Action) -> Result<()> {
        let velocity = self.action_space.denormalise(action)?;
        let &[velocity_x, velocity_y] = velocity.as_slice() else {
            return Err(Error::Length { operation: "bridge action", expected: 2, got: velocity.len() });
        };
        self.physics.step([velocity_x, velocity_y]);
        self.tick += 1;
        Ok(())
    }

    fn snapshot(&self) -> Result<Snapshot> {
        let physics = (&self.physics, self.coins);
        Saved { scene: NAME, tick: self.tick, layout: &self.layout, physics: &physics }.pack()
    }

    fn restore(&mut self, snapshot: &Snapshot) -> Result<()> {
        let saved: Saved<&str, Layout, (Physics, Seed)> = Saved::unpack(snapshot, NAME)?;
        let (physics, coins) = saved.physics;
        if !physics.place().is_some_and(|place| place.iter().all(|value| value.is_finite())) {
            return refuse("expected an agent in a place, got none".into());
        }
        self.adopt(saved.layout);
        (self.tick, self.physics, self.coins) = (saved.tick, physics, coins);
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
            (&[x, y, ..], &[goal_x, goal_y, ..]) => {
                ways::way([x, y], [goal_x, goal_y], 0.0, None).map_or(f64::INFINITY, |(length, _)| length)
            }
            _ => f64::INFINITY,
        }
    }

    fn way(&self) -> Option<&'static str> {
        ways::way_at(self.place())
    }

    fn redraw_hidden(&mut self, seed: Seed) {
        self.coins = coins(seed);
        self.physics.toss_anew(self.coins);
    }
}
