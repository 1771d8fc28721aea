//! Walls, door, sizes and colours of one episode.

use mindseye_interface::{Rng, Seed};
use nalgebra::Vector3;
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::{HEIGHT_M, SIDE_M};
use crate::factors::{ACTION_ROTATION_RAD, Factor, Factors, colour, vivid_colour};

/// One 64th of the side: the field's geometry is given for images of 64 pixels.
const PIXEL_M: f64 = SIDE_M / 64.0;
/// Thickness of the outer walls, metres.
const BORDER_M: f64 = 4.0 * PIXEL_M;

/// A wall: a box in the world, metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wall {
    /// Middle of the box.
    pub centre: Vector3<f32>,
    /// Half its size along each axis.
    pub half_extents: Vector3<f32>,
}

/// Everything that is decided when an episode begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// Middle of the inner wall, metres from the left.
    pub wall_x_m: f64,
    /// Thickness of the inner wall, metres.
    pub wall_thickness_m: f64,
    /// Middle of the door, metres from the top.
    pub door_y_m: f64,
    /// Half the width of the door, metres.
    pub door_half_m: f64,
    /// Radius of the agent, metres.
    pub agent_radius_m: f64,
    /// Speed per axis at an action of 1, metres per second.
    pub agent_speed_m_per_s: f64,
    /// By how much actions are rotated, from x towards y, rad.
    pub action_rotation_rad: f64,
    /// Coulomb friction between agent and walls.
    pub friction: f64,
    /// Colour of the agent.
    pub agent_rgb: [u8; 3],
    /// Colour of all walls.
    pub wall_rgb: [u8; 3],
    /// Colour of the floor.
    pub floor_rgb: [u8; 3],
}

impl Default for Layout {
    /// The field's defaults: wall in the middle, door in its upper part, a red agent on white.
    fn default() -> Self {
        Self {
            wall_x_m: 32.0 * PIXEL_M,
            wall_thickness_m: 3.0 * PIXEL_M,
            door_y_m: 14.0 * PIXEL_M,
            door_half_m: 4.0 * PIXEL_M,
            agent_radius_m: 2.0 * PIXEL_M,
            agent_speed_m_per_s: 2.0 * PIXEL_M / super::CONTROL_STEP_SECS,
            action_rotation_rad: 0.0,
            friction: 0.0,
            agent_rgb: [255, 0, 0],
            wall_rgb: [0, 0, 0],
            floor_rgb: [255, 255, 255],
        }
    }
}

impl Layout {
    /// The layout of the episode of `seed`.
    pub fn of_episode(seed: Seed, factors: &Factors) -> Self {
        let mut layout = Self::default();
        factors.vary(seed, Factor::AgentColor, |rng| layout.agent_rgb = vivid_colour(rng));
        factors.vary(seed, Factor::WallColor, |rng| layout.wall_rgb = colour(rng, 0..=110));
        factors.vary(seed, Factor::FloorColor, |rng| layout.floor_rgb = colour(rng, 150..=255));
        factors.vary(seed, Factor::AgentRadius, |rng| layout.agent_radius_m = rng.random_range(1.5..2.6) * PIXEL_M);
        factors.vary(seed, Factor::AgentSpeed, |rng| layout.agent_speed_m_per_s *= rng.random_range(0.5..1.5));
        factors.vary(seed, Factor::DoorPosition, |rng| layout.door_y_m = rng.random_range(10.0..54.0) * PIXEL_M);
        factors.vary(seed, Factor::WallPosition, |rng| layout.wall_x_m = rng.random_range(22.0..42.0) * PIXEL_M);
        factors.vary(seed, Factor::WallThickness, |rng| layout.wall_thickness_m = rng.random_range(2.0..6.0) * PIXEL_M);
        factors.vary(seed, Factor::Friction, |rng| layout.friction = rng.random_range(0.0..0.8));
        factors.vary(seed, Factor::RotatedActions, |_| layout.action_rotation_rad = ACTION_ROTATION_RAD);
        layout
    }

    /// The four outer walls and the two parts of the inner one.
    pub fn walls(&self) -> Vec<Wall> {
        let wall = |left: f64, right: f64, top: f64, bottom: f64| Wall {
            centre: Vector3::new((left + right) as f32 / 2.0, (top + bottom) as f32 / 2.0, 0.0),
            half_extents: Vector3::new((right - left) as f32 / 2.0, (bottom - top) as f32 / 2.0, HEIGHT_M / 2.0),
        };
        let half = self.wall_thickness_m / 2.0;
        let (left, right) = (self.wall_x_m - half, self.wall_x_m + half);
        vec![
            wall(0.0, SIDE_M, 0.0, BORDER_M),
            wall(0.0, SIDE_M, SIDE_M - BORDER_M, SIDE_M),
            wall(0.0, BORDER_M, BORDER_M, SIDE_M - BORDER_M),
            wall(SIDE_M - BORDER_M, SIDE_M, BORDER_M, SIDE_M - BORDER_M),
            wall(left, right, BORDER_M, self.door_y_m - self.door_half_m),
            wall(left, right, self.door_y_m + self.door_half_m, SIDE_M - BORDER_M),
        ]
    }

    /// How far the agent reaches into a wall when its middle is at `position`, metres; negative when it touches none.
    pub fn overlap_m(&self, position: [f64; 2]) -> f64 {
        let reaches = self.walls().into_iter().map(|wall| {
            let outside = |axis: usize| {
                let (centre, half) = (f64::from(wall.centre[axis]), f64::from(wall.half_extents[axis]));
                ((position[axis] - centre).abs() - half).max(0.0)
            };
            self.agent_radius_m - outside(0).hypot(outside(1))
        });
        reaches.fold(f64::NEG_INFINITY, f64::max)
    }

    /// Lowest and highest position of the agent's middle between the outer walls, metres (the same for both axes).
    pub fn floor(&self) -> (f64, f64) {
        (BORDER_M + self.agent_radius_m, SIDE_M - BORDER_M - self.agent_radius_m)
    }

    /// Where the agent's middle cannot be unless it is in the door: from and to, metres from the left.
    pub fn passage(&self) -> (f64, f64) {
        let reach = self.wall_thickness_m / 2.0 + self.agent_radius_m;
        (self.wall_x_m - reach, self.wall_x_m + reach)
    }

    /// How far from the middle of the door the agent's middle can pass, metres.
    pub fn door_clearance_m(&self) -> f64 {
        (self.door_half_m - self.agent_radius_m).max(0.0)
    }

    /// A position in the left (0) or right (1) room.
    pub(super) fn position_in_room(&self, room: usize, rng: &mut Rng) -> [f64; 2] {
        let ((low, high), (left, right)) = (self.floor(), self.passage());
        let x = if room == 0 { rng.random_range(low..left) } else { rng.random_range(right..high) };
        [x, rng.random_range(low..high)]
    }

    /// A room, with the probability of its share of the floor.
    pub(super) fn any_room(&self, rng: &mut Rng) -> usize {
        let ((low, high), (left, right)) = (self.floor(), self.passage());
        usize::from(rng.random_range(0.0..(left - low) + (high - right)) >= left - low)
    }

    /// The start of the episode of `seed`: any position in the rooms.
    pub(super) fn start(&self, seed: Seed) -> [f64; 2] {
        let mut rng = seed.child("start").rng();
        let room = self.any_room(&mut rng);
        self.position_in_room(room, &mut rng)
    }

    /// A start, and a goal in the other room.
    pub(super) fn hard_pair(&self, seed: Seed) -> (Vec<f64>, Vec<f64>) {
        let mut rng = seed.child("cross").rng();
        let room = self.any_room(&mut rng);
        let start = self.position_in_room(room, &mut rng);
        (start.to_vec(), self.position_in_room(1 - room, &mut rng).to_vec())
    }
}
