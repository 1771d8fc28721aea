//! The true state: five numbers.

use nalgebra::{Isometry2, Point2, Vector2};

/// Positions of pusher and block, and the block's angle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct State {
    /// Pusher, metres.
    agent: [f64; 2],
    /// Centre of mass of the block, metres.
    block: [f64; 2],
    /// Angle of the block, radians in (-π, π]; with 0 the T's stem points down in the image; larger angles are
    /// clockwise there.
    angle_rad: f64,
}

/// Names of the five numbers.
pub(super) const NAMES: [&str; 5] = ["agent_x_m", "agent_y_m", "block_x_m", "block_y_m", "block_angle_rad"];

impl State {
    /// The state with the pusher at a position and the block in a pose.
    pub fn new(agent: Point2<f64>, block: &Isometry2<f64>) -> Self {
        Self {
            agent: [agent.x, agent.y],
            block: [block.translation.x, block.translation.y],
            angle_rad: wrapped(block.rotation.angle()),
        }
    }

    /// From five numbers in the order of the scene's `state_names`; `None` for another count.
    pub fn from_slice(values: &[f64]) -> Option<Self> {
        let &[agent_x, agent_y, block_x, block_y, angle_rad] = values else { return None };
        Some(Self { agent: [agent_x, agent_y], block: [block_x, block_y], angle_rad: wrapped(angle_rad) })
    }

    /// The five numbers, in the same order.
    pub fn to_vec(self) -> Vec<f64> {
        vec![self.agent[0], self.agent[1], self.block[0], self.block[1], self.angle_rad]
    }

    /// Where the pusher is.
    pub fn agent(&self) -> Point2<f64> {
        Point2::from(self.agent)
    }

    /// Pose of the block: takes its own frame to the world.
    pub fn block(&self) -> Isometry2<f64> {
        Isometry2::new(Vector2::from(self.block), self.angle_rad)
    }
}

/// What separates two states.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    /// Distance between the pushers, metres.
    pub agent_m: f64,
    /// Distance between the blocks' centres of mass, metres.
    pub block_m: f64,
    /// Angle between the blocks, radians, 0 to π.
    pub angle_rad: f64,
}

impl Difference {
    /// What separates `one` from `other`.
    pub fn between(one: &State, other: &State) -> Self {
        let distance = |a: [f64; 2], b: [f64; 2]| (a[0] - b[0]).hypot(a[1] - b[1]);
        Self {
            agent_m: distance(one.agent, other.agent),
            block_m: distance(one.block, other.block),
            angle_rad: wrapped(one.angle_rad - other.angle_rad).abs(),
        }
    }

    /// One length of it all, metres: the root of the squares, a turn counting as far as it moves the block's material
    /// (root mean square: `gyration_m` times the angle).
    pub fn norm_m(&self, gyration_m: f64) -> f64 {
        self.agent_m.hypot(self.block_m).hypot(gyration_m * self.angle_rad)
    }
}

/// The same angle in (-π, π].
pub(super) fn wrapped(angle_rad: f64) -> f64 {
    let turns = (angle_rad / std::f64::consts::TAU - 0.5).ceil();
    angle_rad - turns * std::f64::consts::TAU
}
