//! A robot that is a disc on the floor: its state is where its middle is.

use std::collections::BTreeMap;

use mindseye_interface::{Error, GoalCheck, Result};
use nalgebra::Isometry3;

use crate::figure::{Body, Solid};

/// Names of the state's dimensions.
pub(super) const STATE_NAMES: [&str; 2] = ["agent_x_m", "agent_y_m"];
/// Distance to the goal that counts as success: 16 of 224 pixels, as in the field's TwoRoom.
pub const MODERATE_M: f64 = 16.0 / 224.0;
/// Distance that counts as strict success.
pub const STRICT_M: f64 = MODERATE_M / 2.0;
/// How far a state may overlap a wall, metres: contacts and rounding leave less than that.
const MAX_OVERLAP_M: f64 = 0.001;

/// The position in `state`, if it is one on a floor of side `side_m` where a disc of `radius_m` fits.
///
/// # Errors
/// [`Error::Length`] with `operation` unless there are two numbers, [`Error::Field`] for a position outside the floor
/// or in a wall.
pub(super) fn position(
    operation: &'static str,
    state: &[f64],
    side_m: f64,
    radius_m: f64,
    overlap_m: impl Fn([f64; 2]) -> f64,
) -> Result<[f64; 2]> {
    let &[x, y] = state else {
        return Err(Error::Length { operation, expected: STATE_NAMES.len(), got: state.len() });
    };
    for (name, value) in STATE_NAMES.iter().zip([x, y]) {
        if !(0.0..=side_m).contains(&value) {
            return Err(Error::field(format!("state.{name}"), format!("0 to {side_m} m"), value));
        }
    }
    if overlap_m([x, y]) > MAX_OVERLAP_M {
        let expected = format!("a position where a disc of radius {radius_m} m is in no wall");
        return Err(Error::field("state", expected, format!("({x}, {y})")));
    }
    Ok([x, y])
}

/// The predicate of a disc at `position` (`None` in a damaged world) that should be at `goal [2]`.
pub(super) fn check_goal(position: Option<[f64; 2]>, goal: &[f64]) -> GoalCheck {
    let distance = match (position, goal) {
        (Some(position), [x, y, ..]) => (position[0] - x).hypot(position[1] - y),
        _ => f64::INFINITY,
    };
    GoalCheck { moderate: distance < MODERATE_M, strict: distance < STRICT_M, distance, metrics: BTreeMap::new() }
}

/// The disc, as high as `height_m`.
pub(super) fn body(radius_m: f64, height_m: f32, rgb: [u8; 3]) -> Body {
    Body { name: "agent", solids: vec![Solid::cylinder(radius_m as f32, height_m / 2.0, rgb)] }
}

/// Where the disc is in `state [2]`.
pub(super) fn poses(state: &[f64]) -> Vec<Isometry3<f32>> {
    match state {
        &[x, y] => vec![Isometry3::translation(x as f32, y as f32, 0.0)],
        _ => Vec::new(),
    }
}

/// The middle of the disc in `state`.
pub(super) fn object(state: &[f64]) -> Option<[f64; 2]> {
    match state {
        &[x, y, ..] => Some([x, y]),
        _ => None,
    }
}
