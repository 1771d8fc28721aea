//! From the scene's world to the window's.
//!
//! A scene has x to the right, y down in the camera's image and z into the floor, with the origin in a corner of the
//! floor. The window has x to the right, y up and z towards the viewer, with the origin in the middle of the floor.
//! Scenes are given in nalgebra; Bevy has another library of vectors: numbers cross the border one by one.

use bevy::prelude::{Quat, Transform, Vec3};
use nalgebra::Isometry3;

/// The window's coordinates of the scene on a floor.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Placement {
    /// Side of the floor, metres.
    pub side_m: f32,
    /// Where the floor lies in the scene, metres along its z.
    pub floor_z_m: f32,
}

impl Placement {
    /// The point of the window's world at scene coordinates, metres; the floor is at y = 0.
    pub fn point(&self, [x, y, z]: [f32; 3]) -> Vec3 {
        Vec3::new(x - self.side_m / 2.0, self.floor_z_m - z, y - self.side_m / 2.0)
    }

    /// Where in the scene (x, y, metres) a point of the window's floor is.
    pub fn scene_point(&self, point: Vec3) -> [f64; 2] {
        [f64::from(point.x + self.side_m / 2.0), f64::from(point.z + self.side_m / 2.0)]
    }

    /// The transform of something that the scene has in `world_from_body`.
    pub fn transform(&self, world_from_body: &Isometry3<f32>) -> Transform {
        let at = &world_from_body.translation;
        Transform::from_translation(self.point([at.x, at.y, at.z])).with_rotation(rotation(world_from_body))
    }

    /// The transform of something within a body.
    pub fn within(body_from_solid: &Isometry3<f32>) -> Transform {
        let at = &body_from_solid.translation;
        Transform::from_translation(Vec3::new(at.x, -at.z, at.y)).with_rotation(rotation(body_from_solid))
    }
}

/// The rotation, with its axis in the window's coordinates.
fn rotation(pose: &Isometry3<f32>) -> Quat {
    let quaternion = pose.rotation.quaternion();
    Quat::from_xyzw(quaternion.i, -quaternion.k, quaternion.j, quaternion.w)
}

#[cfg(test)]
mod tests {
    use super::*;
    use nalgebra::{Point3, UnitQuaternion, Vector3};

    const PLACEMENT: Placement = Placement { side_m: 1.0, floor_z_m: 0.03 };

    #[test]
    fn a_corner_of_a_turned_body_is_where_the_scene_has_it() {
        let axis = Vector3::new(0.2, -0.5, 0.9);
        let pose = Isometry3::from_parts(Vector3::new(0.3, 0.6, 0.1).into(), UnitQuaternion::new(axis));
        let part = Isometry3::from_parts(Vector3::new(0.05, -0.02, 0.01).into(), UnitQuaternion::new(-axis));
        let corner = Point3::new(0.1, 0.04, -0.02);
        let expected = pose * part * corner;
        let expected = PLACEMENT.point([expected.x, expected.y, expected.z]);
        let local = Vec3::new(corner.x, -corner.z, corner.y);
        let placed = PLACEMENT.transform(&pose) * Placement::within(&part);
        assert!(placed.transform_point(local).distance(expected) < 1e-6);
    }

    #[test]
    fn the_floor_is_at_zero_and_its_points_are_found_again() {
        let point = PLACEMENT.point([0.25, 0.75, 0.03]);
        assert_eq!(point, Vec3::new(-0.25, 0.0, 0.25));
        assert_eq!(PLACEMENT.scene_point(point), [0.25, 0.75]);
        assert!(PLACEMENT.point([0.5, 0.5, -0.03]).y > 0.0, "what stands on the floor is above it");
    }
}
