//! Coloured triangles.

use nalgebra::{Isometry3, Point3, Vector3};

/// A triangle in the world, of one shaded colour.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Triangle {
    /// Corners, metres.
    pub corners: [Point3<f32>; 3],
    /// Colour, RGB.
    pub rgb: [u8; 3],
}

/// A shape of one colour, in its own frame, metres.
#[derive(Debug, Clone, PartialEq)]
pub struct Mesh {
    corners: Vec<[Point3<f32>; 3]>,
    rgb: [u8; 3],
}

/// Direction towards the light in world coordinates (z points down): from above, a little from the left and the back.
const LIGHT: Vector3<f32> = Vector3::new(-0.3, -0.4, -0.866);
/// Share of the light that every face gets, however it is turned.
const AMBIENT: f32 = 0.45;

/// Shaded colour of a face: Lambert's law, both sides of a face alike. Faces turned up get the full light, so that
/// flat scenes show their colours unchanged. The length of `normal` does not matter; a face without one stays
/// dark.
pub fn shade(rgb: [u8; 3], normal: &Vector3<f32>) -> [u8; 3] {
    let towards_light = normal.dot(&LIGHT).abs() / normal.norm().max(f32::MIN_POSITIVE) / -LIGHT.z;
    let light = (AMBIENT + (1.0 - AMBIENT) * towards_light).min(1.0);
    rgb.map(|channel| (f32::from(channel) * light).round() as u8)
}

impl Mesh {
    /// A box with the given half extents.
    pub fn cuboid(half_extents: Vector3<f32>, rgb: [u8; 3]) -> Self {
        let corner = |bits: usize| {
            let side = |axis: usize| {
                if bits >> axis & 1 == 1 { half_extents[axis] } else { -half_extents[axis] }
            };
            Point3::new(side(0), side(1), side(2))
        };
        let mut corners = Vec::with_capacity(12);
        for axis in 0..3 {
            let (next, last) = (1 << ((axis + 1) % 3), 1 << ((axis + 2) % 3));
            for base in [0, 1 << axis] {
                let face = [base, base | next, base | next | last, base | last].map(corner);
                corners.push([face[0], face[1], face[2]]);
                corners.push([face[0], face[2], face[3]]);
            }
        }
        Self { corners, rgb }
    }

    /// A cylinder along z with `segments` sides.
    pub fn cylinder(radius: f32, half_height: f32, segments: usize, rgb: [u8; 3]) -> Self {
        let rim = |index: usize, z: f32| {
            let angle = std::f32::consts::TAU * (index % segments) as f32 / segments as f32;
            Point3::new(radius * angle.cos(), radius * angle.sin(), z)
        };
        let mut corners = Vec::with_capacity(4 * segments);
        for index in 0..segments {
            for z in [-half_height, half_height] {
                corners.push([Point3::new(0.0, 0.0, z), rim(index, z), rim(index + 1, z)]);
            }
            let (low, high) = (-half_height, half_height);
            corners.push([rim(index, low), rim(index + 1, low), rim(index + 1, high)]);
            corners.push([rim(index, low), rim(index + 1, high), rim(index, high)]);
        }
        Self { corners, rgb }
    }

    /// A ball of `rings` rings of twice as many faces.
    pub fn ball(radius: f32, rings: usize, rgb: [u8; 3]) -> Self {
        let point = |ring: usize, side: usize| {
            let (polar, around) = (ring as f32 / rings as f32, (side % (2 * rings)) as f32 / rings as f32);
            let (sin, cos) = (std::f32::consts::PI * polar).sin_cos();
            let (y, x) = (std::f32::consts::PI * around).sin_cos();
            Point3::new(radius * sin * x, radius * sin * y, radius * cos)
        };
        let mut corners = Vec::with_capacity(4 * rings * rings);
        for ring in 0..rings {
            for side in 0..2 * rings {
                let face = [(ring, side), (ring + 1, side), (ring + 1, side + 1), (ring, side + 1)];
                let face = face.map(|(ring, side)| point(ring, side));
                // At the poles two corners are the same, and one triangle is enough.
                if ring + 1 < rings {
                    corners.push([face[0], face[1], face[2]]);
                }
                if ring > 0 {
                    corners.push([face[0], face[2], face[3]]);
                }
            }
        }
        Self { corners, rgb }
    }

    /// The triangles of the mesh placed in the world, shaded by Lambert's law (both sides of a face alike).
    pub fn placed(&self, world_from_mesh: &Isometry3<f32>) -> impl Iterator<Item = Triangle> + '_ {
        let pose = *world_from_mesh;
        self.corners.iter().map(move |corners| {
            let corners = corners.map(|corner| pose * corner);
            let normal = (corners[1] - corners[0]).cross(&(corners[2] - corners[0]));
            Triangle { corners, rgb: shade(self.rgb, &normal) }
        })
    }
}
