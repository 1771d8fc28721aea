//! Where everything is, and the colours of one episode.

use mindseye_interface::{Rng, Seed};
use nalgebra::Vector3;
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::{HEIGHT_M, SIDE_M};
use crate::factors::{Factor, Factors, colour, vivid_colour};

/// One 64th of the side.
pub(super) const PIXEL_M: f64 = SIDE_M / 64.0;
/// Radius of the agent, metres.
pub(super) const AGENT_RADIUS_M: f64 = 2.0 * PIXEL_M;
/// Middle of the river, metres from the left: where the hidden draw decides about a gust.
pub(super) const MIDDLE_X_M: f64 = 32.0 * PIXEL_M;

/// A rectangle on the floor, metres: `[left, top, right, bottom]`.
pub(super) type Area = [f64; 4];

const fn pixels(left: f64, top: f64, right: f64, bottom: f64) -> Area {
    [left * PIXEL_M, top * PIXEL_M, right * PIXEL_M, bottom * PIXEL_M]
}

/// What no disc gets into: the border, the rock from which the river springs, and the river's banks. The left bank ends
/// where the river is calm again.
pub(super) const WALLS: [Area; 7] = [
    pixels(0.0, 0.0, 64.0, 4.0),
    pixels(0.0, 60.0, 64.0, 64.0),
    pixels(0.0, 4.0, 4.0, 60.0),
    pixels(60.0, 4.0, 64.0, 60.0),
    pixels(22.0, 14.0, 42.0, 28.0),
    pixels(22.0, 36.0, 25.0, 50.0),
    pixels(39.0, 36.0, 42.0, 60.0),
];
/// The wide route, above the rock.
pub(super) const FORD: Area = pixels(22.0, 4.0, 42.0, 14.0);
/// The short route, below the rock; its lower side is open to the river.
pub(super) const BRIDGE: Area = pixels(22.0, 28.0, 42.0, 36.0);
/// Where the river carries away what is in it.
pub(super) const CURRENT: Area = pixels(25.0, 36.0, 39.0, 50.0);
/// Where the river is calm, with a way out on the left.
pub(super) const CALM: Area = pixels(22.0, 50.0, 39.0, 60.0);

/// Whether the middle of something is in an area.
pub(super) fn is_in([left, top, right, bottom]: Area, [x, y]: [f64; 2]) -> bool {
    (left..right).contains(&x) && (top..bottom).contains(&y)
}

/// A box in the world, metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Cuboid {
    /// Middle of the box.
    pub centre: Vector3<f32>,
    /// Half its size along each axis.
    pub half_extents: Vector3<f32>,
}

/// The box that stands on an area.
pub(super) fn wall([left, top, right, bottom]: Area) -> Cuboid {
    Cuboid {
        centre: Vector3::new((left + right) as f32 / 2.0, (top + bottom) as f32 / 2.0, 0.0),
        half_extents: Vector3::new((right - left) as f32 / 2.0, (bottom - top) as f32 / 2.0, HEIGHT_M / 2.0),
    }
}

/// Everything that is decided when an episode begins, except for the hidden draws.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// Colour of the agent.
    pub agent_rgb: [u8; 3],
    /// Colour of walls, rock and banks.
    pub wall_rgb: [u8; 3],
    /// Colour of the floor.
    pub floor_rgb: [u8; 3],
    /// Colour of the water.
    pub water_rgb: [u8; 3],
    /// Colour of the bridge.
    pub bridge_rgb: [u8; 3],
}

impl Default for Layout {
    /// A red agent on white, black rock, blue water and a wooden bridge.
    fn default() -> Self {
        Self {
            agent_rgb: [255, 0, 0],
            wall_rgb: [0, 0, 0],
            floor_rgb: [255, 255, 255],
            water_rgb: [130, 180, 255],
            bridge_rgb: [222, 184, 135],
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
        layout
    }
}

/// How far the agent reaches into a wall when its middle is at `position`, metres; negative when it touches none.
pub fn overlap_m(position: [f64; 2]) -> f64 {
    let reach = |[left, top, right, bottom]: Area| {
        let outside = |low: f64, high: f64, value: f64| (low - value).max(value - high).max(0.0);
        AGENT_RADIUS_M - outside(left, right, position[0]).hypot(outside(top, bottom, position[1]))
    };
    WALLS.into_iter().map(reach).fold(f64::NEG_INFINITY, f64::max)
}

/// Lowest and highest position of the agent's middle between the outer walls, metres (the same for both axes).
const FLOOR: (f64, f64) = (6.0 * PIXEL_M, 58.0 * PIXEL_M);
/// Right end of the left land and left end of the right land, for the agent's middle, metres.
const SHORES: (f64, f64) = (20.0 * PIXEL_M, 44.0 * PIXEL_M);
/// How far from the river hard pairs lie at most, metres.
const NEAR_THE_SHORE_M: f64 = 10.0 * PIXEL_M;
/// Heights from which the bridge is clearly nearer than the ford, metres from the top.
const NEAR_THE_BRIDGE: std::ops::Range<f64> = 26.0 * PIXEL_M..34.0 * PIXEL_M;

/// Any position of the agent's middle on the left (0) or right (1) land.
pub(super) fn any_position(side: usize, rng: &mut Rng) -> [f64; 2] {
    let x = if side == 0 { rng.random_range(FLOOR.0..SHORES.0) } else { rng.random_range(SHORES.1..FLOOR.1) };
    [x, rng.random_range(FLOOR.0..FLOOR.1)]
}

/// The start of the episode of `seed`: any position on land.
pub(super) fn start(seed: Seed) -> [f64; 2] {
    let mut rng = seed.child("start").rng();
    let side = rng.random_range(0..2);
    any_position(side, &mut rng)
}

/// A start on the left and a goal on the right, both near the bridge.
pub(super) fn hard_pair(seed: Seed) -> (Vec<f64>, Vec<f64>) {
    let mut rng = seed.child("cross").rng();
    let mut height = || rng.random_range(NEAR_THE_BRIDGE);
    let heights = [height(), height()];
    let mut away_m = || rng.random_range(0.0..NEAR_THE_SHORE_M);
    (vec![SHORES.0 - away_m(), heights[0]], vec![SHORES.1 + away_m(), heights[1]])
}
