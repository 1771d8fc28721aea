//! Sizes, shapes and colours of one episode, and the plane geometry of the block.

use mindseye_interface::{Rng, Seed};
use nalgebra::{Isometry2, Point2, Vector2};
use rand::Rng as _;
use serde::{Deserialize, Serialize};

use super::{SIDE_M, State, UNIT_M};
use crate::factors::{ACTION_ROTATION_RAD, Factor, Factors, colour, vivid_colour};

/// Thickness of the walls, metres.
pub(super) const BORDER_M: f64 = 8.0 * UNIT_M;
/// Largest distance from the block's surface to the pusher's rim at the start of most episodes, metres.
const NEAR_START_M: f64 = 40.0 * UNIT_M;
/// Share of episodes that start with the pusher near the block.
const NEAR_START_SHARE: f64 = 0.7;

/// A rectangle of the block, in the block's frame, metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// Middle of the rectangle.
    pub centre: Vector2<f64>,
    /// Half its width and height.
    pub half_extents: Vector2<f64>,
}

/// Outline of the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Shape {
    /// The field's T.
    T,
    /// An L: the stem at one end of the bar.
    L,
    /// A bar and a bar across its middle.
    Cross,
    /// A bar alone.
    Bar,
}

impl Shape {
    const ALL: [Self; 4] = [Self::T, Self::L, Self::Cross, Self::Bar];

    /// Left, right, top and bottom of its rectangles, in units of a 512th of the side.
    fn rectangles(self) -> &'static [[f64; 4]] {
        match self {
            Self::T => &[[-60.0, 60.0, 0.0, 30.0], [-15.0, 15.0, 30.0, 120.0]],
            Self::L => &[[-60.0, 60.0, 0.0, 30.0], [-60.0, -30.0, 30.0, 120.0]],
            Self::Cross => &[[-60.0, 60.0, 45.0, 75.0], [-15.0, 15.0, 0.0, 45.0], [-15.0, 15.0, 75.0, 120.0]],
            Self::Bar => &[[-60.0, 60.0, 0.0, 30.0]],
        }
    }
}

/// Everything that is decided when an episode begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Layout {
    /// Outline of the block.
    pub shape: Shape,
    /// Size of the block, 1 for the field's.
    pub block_scale: f64,
    /// Radius of the pusher, metres.
    pub agent_radius_m: f64,
    /// How far away the pusher's target is at an action of 1, along each axis, metres.
    pub agent_reach_m: f64,
    /// Coulomb friction between block and floor.
    pub friction: f64,
    /// Mass of the pusher, kg: heavier than the block, as an arm is.
    pub agent_kg: f64,
    /// By how much actions are rotated, from x towards y, rad.
    pub action_rotation_rad: f64,
    /// Colour of the pusher.
    pub agent_rgb: [u8; 3],
    /// Colour of the block.
    pub block_rgb: [u8; 3],
    /// Colour of the floor.
    pub floor_rgb: [u8; 3],
    /// Colour of the walls.
    pub wall_rgb: [u8; 3],
}

/// The floor's other colour: a light sand.
const RECOLOURED_RGB: [u8; 3] = [235, 215, 180];

impl Default for Layout {
    /// The field's defaults: a grey T and a blue pusher on white.
    fn default() -> Self {
        Self {
            shape: Shape::T,
            block_scale: 1.0,
            agent_radius_m: 15.0 * UNIT_M,
            agent_reach_m: 16.0 * UNIT_M,
            friction: 0.4,
            agent_kg: 1.0,
            action_rotation_rad: 0.0,
            agent_rgb: [65, 105, 225],
            block_rgb: [119, 136, 153],
            floor_rgb: [255, 255, 255],
            wall_rgb: [40, 40, 40],
        }
    }
}

impl Layout {
    /// The layout of the episode of `seed`.
    pub fn of_episode(seed: Seed, factors: &Factors) -> Self {
        let mut layout = Self::default();
        factors.vary(seed, Factor::AgentColor, |rng| layout.agent_rgb = vivid_colour(rng));
        factors.vary(seed, Factor::BlockColor, |rng| layout.block_rgb = colour(rng, 40..=200));
        factors.vary(seed, Factor::FloorColor, |rng| layout.floor_rgb = colour(rng, 210..=255));
        factors.vary(seed, Factor::WallColor, |rng| layout.wall_rgb = colour(rng, 0..=110));
        factors.vary(seed, Factor::AgentRadius, |rng| layout.agent_radius_m *= rng.random_range(0.7..1.4));
        factors.vary(seed, Factor::AgentSpeed, |rng| layout.agent_reach_m *= rng.random_range(0.5..1.25));
        factors.vary(seed, Factor::BlockShape, |rng| layout.shape = Shape::ALL[rng.random_range(0..Shape::ALL.len())]);
        factors.vary(seed, Factor::BlockSize, |rng| layout.block_scale = rng.random_range(0.8..1.25));
        factors.vary(seed, Factor::Friction, |rng| layout.friction = rng.random_range(0.2..0.8));
        factors.vary(seed, Factor::DoubledFriction, |_| layout.friction *= 2.0);
        factors.vary(seed, Factor::TripledFriction, |_| layout.friction *= 3.0);
        factors.vary(seed, Factor::DoubledMass, |_| layout.agent_kg *= 2.0);
        factors.vary(seed, Factor::HalvedActionGain, |_| layout.agent_reach_m *= 0.5);
        factors.vary(seed, Factor::RotatedActions, |_| layout.action_rotation_rad = ACTION_ROTATION_RAD);
        factors.vary(seed, Factor::RecolouredFloor, |_| layout.floor_rgb = RECOLOURED_RGB);
        layout
    }

    /// The rectangles of the block in its own frame, whose origin is its centre of mass.
    pub fn parts(&self) -> Vec<Part> {
        let unit = self.block_scale * UNIT_M;
        let mut parts: Vec<Part> = self
            .shape
            .rectangles()
            .iter()
            .map(|[left, right, top, bottom]| Part {
                centre: Vector2::new(left + right, top + bottom) * (unit / 2.0),
                half_extents: Vector2::new(right - left, bottom - top) * (unit / 2.0),
            })
            .collect();
        let area: f64 = parts.iter().map(Part::area_m2).sum();
        let middle = parts.iter().map(|part| part.centre * (part.area_m2() / area)).sum::<Vector2<f64>>();
        parts.iter_mut().for_each(|part| part.centre -= middle);
        parts
    }

    /// Radius of gyration of the block about its centre of mass, metres: what turns an angle into a length.
    pub fn gyration_m(&self) -> f64 {
        let parts = self.parts();
        let area: f64 = parts.iter().map(Part::area_m2).sum();
        let square = |part: &Part| part.half_extents.norm_squared() / 3.0 + part.centre.norm_squared();
        parts.iter().map(|part| part.area_m2() / area * square(part)).sum::<f64>().sqrt()
    }

    /// Distance from the block's centre of mass to its farthest corner, metres.
    pub fn extent_m(&self) -> f64 {
        self.corners().map(|corner| corner.coords.norm()).fold(0.0, f64::max)
    }

    /// Corners of the block's rectangles in the block's frame, metres.
    fn corners(&self) -> impl Iterator<Item = Point2<f64>> {
        self.parts().into_iter().flat_map(|Part { centre, half_extents: half }| {
            [(-1.0, -1.0), (-1.0, 1.0), (1.0, -1.0), (1.0, 1.0)]
                .map(|(x, y)| Point2::from(centre + Vector2::new(x * half.x, y * half.y)))
        })
    }

    /// Distance from `point` in the block's frame to the block's surface, metres; not positive inside.
    pub fn surface_distance_m(&self, point: &Point2<f64>) -> f64 {
        self.parts().iter().map(|part| part.distance_m(point)).fold(f64::INFINITY, f64::min)
    }

    /// How far `state` reaches into what it must not touch, metres: the pusher into walls and block, the block into
    /// walls.
    pub fn overlap_m(&self, state: &State) -> f64 {
        let beyond_walls = |point: &Point2<f64>, radius: f64| {
            let reach = |value: f64| (BORDER_M + radius - value).max(value - (SIDE_M - BORDER_M - radius));
            reach(point.x).max(reach(point.y))
        };
        let pose = state.block();
        let block = self.corners().map(|corner| beyond_walls(&(pose * corner), 0.0)).fold(f64::NEG_INFINITY, f64::max);
        let touching = self.agent_radius_m - self.surface_distance_m(&pose.inverse_transform_point(&state.agent()));
        block.max(touching).max(beyond_walls(&state.agent(), self.agent_radius_m))
    }

    /// A pose of the block, uniform over all that are clear of the walls, at any angle.
    pub(super) fn free_block(&self, rng: &mut Rng) -> Isometry2<f64> {
        let clear = |pose: &Isometry2<f64>| {
            let (low, high) = (BORDER_M + UNIT_M, SIDE_M - BORDER_M - UNIT_M);
            self.corners().all(|corner| (pose * corner).iter().all(|value| (low..high).contains(value)))
        };
        loop {
            let pose = Isometry2::new(
                Vector2::new(rng.random_range(0.0..SIDE_M), rng.random_range(0.0..SIDE_M)),
                rng.random_range(-std::f64::consts::PI..std::f64::consts::PI),
            );
            if clear(&pose) {
                return pose; // about every second draw
            }
        }
    }

    /// The start of the episode of `seed`: any pose of the block, the pusher near it or anywhere.
    pub(super) fn start(&self, seed: Seed) -> State {
        let mut rng = seed.child("start").rng();
        let block = self.free_block(&mut rng);
        let near = rng.random_bool(NEAR_START_SHARE);
        loop {
            let (low, high) = (BORDER_M + self.agent_radius_m, SIDE_M - BORDER_M - self.agent_radius_m);
            let agent = Point2::new(rng.random_range(low..high), rng.random_range(low..high));
            let gap = self.surface_distance_m(&block.inverse_transform_point(&agent)) - self.agent_radius_m;
            if gap > UNIT_M && (!near || gap < NEAR_START_M) {
                return State::new(agent, &block);
            }
        }
    }
}

impl Part {
    fn area_m2(&self) -> f64 {
        4.0 * self.half_extents.x * self.half_extents.y
    }

    /// Signed distance from `point` to the rectangle's outline, metres.
    fn distance_m(&self, point: &Point2<f64>) -> f64 {
        let outside = (point.coords - self.centre).abs() - self.half_extents;
        outside.sup(&Vector2::zeros()).norm() + outside.x.max(outside.y).min(0.0)
    }
}
