//! Pushes: start, direction and expected effect.

use std::f64::consts::{PI, TAU};

use mindseye_interface::Rng;
use nalgebra::{Isometry2, Point2, Rotation2, Vector2};
use rand::Rng as _;

use super::super::layout::BORDER_M;
use super::super::state::wrapped;
use super::super::{Difference, Layout, SIDE_M, State, UNIT_M};

/// Distance between pusher and block before a push begins, metres.
const STAND_OFF_M: f64 = 8.0 * UNIT_M;
/// Largest detour round the block to a push through a random point, radians.
const MAX_DETOUR_RAD: f64 = 2.2;
/// Pushes compared before one is chosen.
const CANDIDATES: usize = 60;
/// Lengths of pushes that are compared, metres.
const LENGTHS_M: [f64; 4] = [8.0 * UNIT_M, 20.0 * UNIT_M, 45.0 * UNIT_M, 90.0 * UNIT_M];
/// Largest angle between a push and the normal of its face, radians: steeper pushes slip off.
const MAX_SLANT_RAD: f64 = 0.4;

/// One straight push, fixed to the block: it turns with it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Push {
    /// Where the pusher starts, in the block's frame, metres.
    start: Point2<f64>,
    /// Where it goes, in the block's frame, a unit vector.
    direction: Vector2<f64>,
    /// Control steps at full speed, from the start.
    pub steps: usize,
}

impl Push {
    /// Where the pusher has to be, in the world.
    pub fn approach(&self, state: &State) -> Point2<f64> {
        state.block() * self.start
    }

    /// Where the pusher has to go, in the world.
    pub fn direction(&self, state: &State) -> Vector2<f64> {
        state.block() * self.direction
    }
}

fn between_walls(layout: &Layout, position: &Point2<f64>) -> bool {
    let reach = BORDER_M + layout.agent_radius_m;
    position.iter().all(|value| (reach..SIDE_M - reach).contains(value))
}

/// A point of the block, uniform over its area, in its own frame.
fn point_inside(layout: &Layout, rng: &mut Rng) -> Point2<f64> {
    let parts = layout.parts();
    let area = |index: usize| parts[index].half_extents.x * parts[index].half_extents.y;
    let mut draw = rng.random_range(0.0..(0..parts.len()).map(area).sum());
    let mut index = 0;
    while index + 1 < parts.len() && draw >= area(index) {
        draw -= area(index);
        index += 1;
    }
    let half = parts[index].half_extents;
    Point2::from(parts[index].centre)
        + Vector2::new(rng.random_range(-half.x..half.x), rng.random_range(-half.y..half.y))
}

/// A push through any point of the block, from any side but the far one.
pub(super) fn through_random_point(layout: &Layout, state: &State, rng: &mut Rng) -> Option<Push> {
    let here = state.block().inverse_transform_point(&state.agent());
    let here = here.y.atan2(here.x);
    for _ in 0..20 {
        let aim = point_inside(layout, rng);
        let from = Rotation2::new(here + rng.random_range(-MAX_DETOUR_RAD..MAX_DETOUR_RAD)) * Vector2::x();
        // From inside outwards until the pusher fits: the nearest position from which it can go through the point.
        let clearance = layout.agent_radius_m + STAND_OFF_M;
        let mut start = aim;
        while layout.surface_distance_m(&start) < clearance {
            start += from * (4.0 * UNIT_M);
        }
        if between_walls(layout, &(state.block() * start)) {
            let length_m = rng.random_range(20.0..200.0) * UNIT_M;
            let steps = (length_m / layout.agent_reach_m).ceil() as usize;
            return Some(Push { start, direction: -from, steps });
        }
    }
    None
}

/// A pose up to half a turn and a third of the side away.
pub(super) fn near_pose(layout: &Layout, pose: &Isometry2<f64>, rng: &mut Rng) -> Isometry2<f64> {
    for _ in 0..30 {
        let goal = layout.free_block(rng);
        let turned = pose.rotation.angle_to(&goal.rotation).abs();
        if (goal.translation.vector - pose.translation.vector).norm() < SIDE_M / 3.0 && turned < 0.75 * PI {
            return goal;
        }
    }
    layout.free_block(rng)
}

/// The push that brings the block nearest to `goal` by a quasi-static estimate; `None` if none brings it nearer.
pub(super) fn towards(layout: &Layout, state: &State, goal: &Isometry2<f64>, rng: &mut Rng) -> Option<Push> {
    let gyration_m = layout.gyration_m();
    let goal = State::new(state.agent(), goal);
    let error = |pose: &Isometry2<f64>| Difference::between(&State::new(state.agent(), pose), &goal).norm_m(gyration_m);
    let mut best = (error(&state.block()) - 2.0 * UNIT_M, None);
    for _ in 0..CANDIDATES {
        let Some((start, contact, normal)) = contact_position(layout, rng) else { continue };
        let direction = Rotation2::new(rng.random_range(-MAX_SLANT_RAD..MAX_SLANT_RAD)) * normal;
        let start = start - direction * STAND_OFF_M;
        if !between_walls(layout, &(state.block() * start)) {
            continue;
        }
        for length_m in LENGTHS_M {
            let pose = state.block() * moved(&contact, &direction, length_m, gyration_m);
            let left = error(&pose);
            if left < best.0 {
                let steps = ((length_m + STAND_OFF_M) / layout.agent_reach_m).ceil() as usize;
                best = (left, Some(Push { start, direction, steps }));
            }
        }
    }
    best.1
}

/// A position in which the pusher touches the block: its middle, the point of contact, and the direction into the
/// block, all in the block's frame.
fn contact_position(layout: &Layout, rng: &mut Rng) -> Option<(Point2<f64>, Point2<f64>, Vector2<f64>)> {
    let aim = point_inside(layout, rng);
    let from = Rotation2::new(rng.random_range(0.0..TAU)) * Vector2::x();
    let mut position = aim;
    while layout.surface_distance_m(&position) < layout.agent_radius_m {
        position += from * UNIT_M;
    }
    let gradient = |step: Vector2<f64>| {
        layout.surface_distance_m(&(position + step)) - layout.surface_distance_m(&(position - step))
    };
    let small = 0.1 * UNIT_M;
    let outwards = Vector2::new(gradient(Vector2::new(small, 0.0)), gradient(Vector2::new(0.0, small)));
    let normal = -outwards.try_normalize(1e-12)?;
    Some((position, position + normal * layout.agent_radius_m, normal))
}

/// Where a push by `length_m` at `contact` moves the block, in its own frame: sliding and turning in the proportion
/// that an ellipsoidal limit surface gives (Lynch and Mason 1996), small steps at a time.
fn moved(contact: &Point2<f64>, direction: &Vector2<f64>, length_m: f64, gyration_m: f64) -> Isometry2<f64> {
    let lever = contact.coords.perp(direction) / gyration_m.powi(2);
    // The point of contact moves along the push by 1 + lever x arm for every unit that the middle moves.
    let advance = length_m / (1.0 + lever * contact.coords.perp(direction));
    Isometry2::new(direction * advance, lever * advance)
}

/// The next point to head for towards `position`, round the block where it is in between.
pub(super) fn detour(layout: &Layout, state: &State, position: Point2<f64>) -> Point2<f64> {
    let pose = state.block();
    let (from, to) = (pose.inverse_transform_point(&state.agent()), pose.inverse_transform_point(&position));
    let clearance = layout.agent_radius_m + UNIT_M;
    let free = (1..=16).all(|part| {
        let share = f64::from(part) / 16.0;
        let distance = layout.surface_distance_m(&(from + (to - from) * share));
        distance > clearance.min(layout.surface_distance_m(&from) + share * STAND_OFF_M)
    });
    if free {
        return position;
    }
    // Along a circle round the block, the shorter way.
    let radius = layout.extent_m() + layout.agent_radius_m + 2.0 * UNIT_M;
    let (here, there) = (from.y.atan2(from.x), to.y.atan2(to.x));
    let turn = wrapped(there - here);
    let next = here + turn.signum() * turn.abs().min(layout.agent_reach_m * 1.5 / radius);
    let next = pose * Point2::new(radius * next.cos(), radius * next.sin());
    let reach = BORDER_M + layout.agent_radius_m;
    next.map(|value| value.clamp(reach, SIDE_M - reach))
}
