//! What a scene looks like: solids that stay and bodies that move. Its camera draws them, and so can other renderers.

use nalgebra::{Isometry3, Vector3};

use crate::camera::Mesh;

/// Sides of a cylinder that is drawn as triangles.
const CYLINDER_SEGMENTS: usize = 32;

/// The shape of a solid, about its own origin.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SolidShape {
    /// A box.
    Cuboid {
        /// Half its size along each axis, metres.
        half_extents: Vector3<f32>,
    },
    /// A cylinder along z.
    Cylinder {
        /// Radius, metres.
        radius_m: f32,
        /// Half its length, metres.
        half_height_m: f32,
    },
}

/// A shape of one colour.
#[derive(Debug, Clone, PartialEq)]
pub struct Solid {
    /// The shape.
    pub shape: SolidShape,
    /// Colour, RGB.
    pub rgb: [u8; 3],
    /// Where it is in its body; in the world, where it belongs to none.
    pub body_from_solid: Isometry3<f32>,
}

/// Solids that move together.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// Its name, for example `block`: dimensions of the state that begin with it are about it.
    pub name: &'static str,
    /// What it consists of.
    pub solids: Vec<Solid>,
}

/// What one episode of a scene looks like. World coordinates are those of the camera's image: x to the right, y down, z
/// into the floor, metres; the origin is the floor's top left corner.
#[derive(Debug, Clone)]
pub struct Figure {
    /// Side of the square floor, metres.
    pub side_m: f64,
    /// Where the floor lies: what stands on it reaches down to this z, metres.
    pub floor_z_m: f32,
    /// Colour of the floor, RGB.
    pub floor_rgb: [u8; 3],
    /// Duration of one control step, seconds.
    pub control_step_secs: f64,
    /// Names of the dimensions of the true state, `[K]`.
    pub state_names: &'static [&'static str],
    /// What never moves.
    pub fixed: Vec<Solid>,
    /// What moves.
    pub bodies: Vec<Body>,
    pub(crate) poses: fn(&[f64]) -> Vec<Isometry3<f32>>,
}

impl Solid {
    /// A box, its middle at `centre` of the body, metres.
    pub fn cuboid(centre: Vector3<f32>, half_extents: Vector3<f32>, rgb: [u8; 3]) -> Self {
        let body_from_solid = Isometry3::translation(centre.x, centre.y, centre.z);
        Self { shape: SolidShape::Cuboid { half_extents }, rgb, body_from_solid }
    }

    /// An upright cylinder in the middle of the body.
    pub fn cylinder(radius_m: f32, half_height_m: f32, rgb: [u8; 3]) -> Self {
        Self { shape: SolidShape::Cylinder { radius_m, half_height_m }, rgb, body_from_solid: Isometry3::identity() }
    }

    /// Its triangles, about its own origin.
    pub fn mesh(&self) -> Mesh {
        match self.shape {
            SolidShape::Cuboid { half_extents } => Mesh::cuboid(half_extents, self.rgb),
            SolidShape::Cylinder { radius_m, half_height_m } => {
                Mesh::cylinder(radius_m, half_height_m, CYLINDER_SEGMENTS, self.rgb)
            }
        }
    }

    /// Its outline as it is seen from above, in the coordinates of its body, metres: the corners of a convex polygon.
    pub fn outline(&self) -> Vec<[f32; 2]> {
        let corners: Vec<Vector3<f32>> = match self.shape {
            SolidShape::Cuboid { half_extents } => {
                let sign = |index: usize, axis: usize| if index >> axis & 1 == 0 { -1.0 } else { 1.0 };
                let corner = |index| Vector3::from_fn(|axis, _| sign(index, axis) * half_extents[axis]);
                (0..8).map(corner).collect()
            }
            SolidShape::Cylinder { radius_m, half_height_m } => {
                let angle = |index: usize| std::f32::consts::TAU * index as f32 / CYLINDER_SEGMENTS as f32;
                let rim = |index| Vector3::new(radius_m * angle(index).cos(), radius_m * angle(index).sin(), 0.0);
                let ends = |point: Vector3<f32>| [-half_height_m, half_height_m].map(|z| point + Vector3::z() * z);
                (0..CYLINDER_SEGMENTS).flat_map(|index| ends(rim(index))).collect()
            }
        };
        convex_hull(corners.iter().map(|corner| {
            let placed = self.body_from_solid * nalgebra::Point3::from(*corner);
            [placed.x, placed.y]
        }))
    }
}

/// The corners of the smallest convex polygon round `points`, one after the other (Andrew's monotone chain).
fn convex_hull(points: impl Iterator<Item = [f32; 2]>) -> Vec<[f32; 2]> {
    let mut points: Vec<[f32; 2]> = points.collect();
    points.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    points.dedup();
    let turns_left = |a: [f32; 2], b: [f32; 2], c: [f32; 2]| {
        (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]) > f32::EPSILON * (c[0] - a[0]).abs()
    };
    let half = |points: &mut dyn Iterator<Item = [f32; 2]>| {
        let mut chain: Vec<[f32; 2]> = Vec::new();
        for point in points {
            while let [.., a, b] = chain[..]
                && !turns_left(a, b, point)
            {
                chain.pop();
            }
            chain.push(point);
        }
        chain.pop(); // the other half begins there
        chain
    };
    let mut hull = half(&mut points.iter().copied());
    hull.extend(half(&mut points.iter().rev().copied()));
    hull
}

impl Figure {
    /// Where the bodies are in `state [K]`, `world_from_body` in the order of [`Figure::bodies`]; nothing where this is
    /// no state of the scene. Bodies may be in each other or outside: a prediction need not be possible.
    pub fn poses(&self, state: &[f64]) -> Vec<Isometry3<f32>> {
        (self.poses)(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solid_from_above_is_its_rectangle_or_circle_where_it_is_in_its_body() {
        let mut solid = Solid::cuboid(Vector3::new(1.0, 2.0, 0.5), Vector3::new(0.5, 0.25, 3.0), [0; 3]);
        assert_eq!(solid.outline(), [[0.5, 1.75], [1.5, 1.75], [1.5, 2.25], [0.5, 2.25]]);
        let lying = nalgebra::UnitQuaternion::from_axis_angle(&Vector3::y_axis(), std::f32::consts::FRAC_PI_2);
        solid.body_from_solid = Isometry3::from_parts(Vector3::zeros().into(), lying);
        let widest = solid.outline().iter().map(|corner| corner[0]).fold(0.0, f32::max);
        assert!((widest - 3.0).abs() < 1e-5, "its height lies along x");
        let circle = Solid::cylinder(0.1, 0.5, [0; 3]).outline();
        assert!(circle.len() >= CYLINDER_SEGMENTS - 2, "{}", circle.len());
        assert!(circle.iter().all(|[x, y]| (x.hypot(*y) - 0.1).abs() < 1e-6));
    }
}
