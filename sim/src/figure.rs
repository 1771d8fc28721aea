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
}

impl Figure {
    /// Where the bodies are in `state [K]`, `world_from_body` in the order of [`Figure::bodies`]; nothing where this is
    /// no state of the scene. Bodies may be in each other or outside: a prediction need not be possible.
    pub fn poses(&self, state: &[f64]) -> Vec<Isometry3<f32>> {
        (self.poses)(state)
    }
}
