//! Hands in the scene: a person drags the goal, or the bodies themselves.

use bevy::prelude::*;
use mindseye_runs::Command;

use crate::dragging::{Drag, Dragging, Held};
use crate::session::{Cursor, Session};
use crate::stage::{SceneCamera, Stage};

/// How far from a body's origin a person may take hold of it, metres.
const REACH_M: f64 = 0.09;
/// Name of the robot among the bodies.
const ROBOT: &str = "agent";
/// Radians a body is turned per pixel, with Shift held.
const RAD_PER_PIXEL: f64 = 0.012;

/// What the pointer does over the scene, in points of the window; filled in by the panels, which know what they leave
/// free.
#[derive(Resource, Debug, Clone, Default, PartialEq)]
pub struct ScenePointer {
    /// Left, top, width and height of the part of the window where the scene is.
    pub area: [f32; 4],
    /// Where the main button went down in this frame.
    pub pressed: Option<[f32; 2]>,
    /// Where the pointer is while the button is held.
    pub held: Option<[f32; 2]>,
    /// How it has moved since the last frame, while the button is held.
    pub moved: [f32; 2],
    /// Whether the button was let go in this frame.
    pub released: bool,
    /// Whether Shift is held.
    pub turns: bool,
    /// How the pointer has moved since the last frame with the right button held.
    pub orbit: [f32; 2],
    /// The same with the middle button held.
    pub pan: [f32; 2],
    /// How far the wheel was turned over the scene, points; more is nearer.
    pub zoom: f32,
}

/// Places of a body's position and angle in the state whose dimensions have these `names`.
fn places(names: &[&str], body: &str) -> Option<([usize; 2], Option<usize>)> {
    let place = |ending: &str| names.iter().position(|name| name.strip_prefix(body) == Some(ending));
    Some(([place("_x_m")?, place("_y_m")?], place("_angle_rad")))
}

/// What a person who presses at `at` (metres) takes hold of: the nearest body of the goal or of the world within reach;
/// the world's where both are equally near.
fn taken(session: &Session, at: [f64; 2]) -> Option<Drag> {
    let record = session.shown()?;
    let world = session.shown_state().map(|state| (Held::World, state));
    let goal = record.goal_state.as_deref().map(|state| (Held::Goal, state));
    let mut nearest: Option<(f64, Drag)> = None;
    for (held, state) in world.into_iter().chain(goal) {
        for body in &session.figure.bodies {
            let Some((position, angle)) = places(session.figure.state_names, body.name) else { continue };
            let offset_m = [state[position[0]] - at[0], state[position[1]] - at[1]];
            let distance = offset_m[0].hypot(offset_m[1]);
            if distance < REACH_M && nearest.as_ref().is_none_or(|(known, _)| distance < *known - 1e-6) {
                let carried = if held == Held::Goal { carried(session, body.name) } else { Vec::new() };
                let state = state.to_vec();
                nearest = Some((distance, Drag { held, state, position, angle, carried, offset_m, moved: false }));
            }
        }
    }
    nearest.map(|(_, drag)| drag)
}

/// Places of the bodies that a goal's body takes along: the robot's place belongs to that of an object, not the other
/// way round.
fn carried(session: &Session, body: &str) -> Vec<[usize; 2]> {
    let others = session.figure.bodies.iter().filter(|other| body != ROBOT && other.name != body);
    others.filter_map(|other| Some(places(session.figure.state_names, other.name)?.0)).collect()
}

/// Follows the pointer; what was made by hand becomes a command when the button is let go.
pub fn drag(
    pointer: Res<ScenePointer>,
    stage: Res<Stage>,
    camera: Single<(&Camera, &GlobalTransform), With<SceneCamera>>,
    mut session: ResMut<Session>,
    mut dragging: ResMut<Dragging>,
) {
    let (camera, transform) = *camera;
    let on_floor = |[x, y]: [f32; 2]| -> Option<[f64; 2]> {
        let ray = camera.viewport_to_world(transform, Vec2::new(x, y)).ok()?;
        let distance = -ray.origin.y / ray.direction.y;
        let hit = ray.origin + ray.direction * distance;
        (distance > 0.0 && hit.is_finite()).then(|| stage.placement.scene_point(hit))
    };
    // The past cannot be changed: whoever looks at it goes back to it first.
    let is_live = session.cursor == Cursor::Live;
    if let Some(at) = pointer.pressed.filter(|_| is_live).and_then(on_floor) {
        dragging.0 = taken(&session, at);
    }
    if let (Some(drag), Some(at)) = (dragging.0.as_mut(), pointer.held.and_then(on_floor)) {
        if pointer.moved != [0.0, 0.0] {
            drag.moved = true;
        }
        match drag.angle.filter(|_| pointer.turns) {
            Some(angle) => {
                drag.state[angle] += f64::from(pointer.moved[0]) * RAD_PER_PIXEL;
                // From here on the body stays under the pointer where it is now.
                drag.offset_m = [drag.state[drag.position[0]] - at[0], drag.state[drag.position[1]] - at[1]];
            }
            None => {
                for axis in 0..2 {
                    let to = at[axis] + drag.offset_m[axis];
                    let by = to - drag.state[drag.position[axis]];
                    drag.state[drag.position[axis]] = to;
                    drag.carried.iter().for_each(|body| drag.state[body[axis]] += by);
                }
            }
        }
    }
    if pointer.released
        && let Some(Drag { held, state, moved: true, .. }) = dragging.0.take()
    {
        session.command(match held {
            Held::Goal => Command::SetGoal { state },
            Held::World => Command::MoveWorld { state },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_moved_by_its_own_dimensions_of_the_state() {
        let names = ["agent_x_m", "agent_y_m", "block_x_m", "block_y_m", "block_angle_rad"];
        assert_eq!(places(&names, "block"), Some(([2, 3], Some(4))));
        assert_eq!(places(&names, "agent"), Some(([0, 1], None)));
        assert_eq!(places(&names, "blo"), None);
    }
}
