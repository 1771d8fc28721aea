//! A deterministic camera on the CPU: a small z-buffer rasteriser of coloured triangles.
//!
//! Frames follow the convention of computer vision: x to the right, y down, z forward, away from the camera.

mod mesh;
mod rasteriser;

use mindseye_interface::ImageSize;
use nalgebra::{Isometry3, Point3};

pub use mesh::{Mesh, Triangle, shade};
pub use rasteriser::Rasteriser;

/// How points in front of the camera become pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Projection {
    /// Parallel rays: the image shows `width_m` metres from its left to its right edge.
    Orthographic {
        /// Width of the visible area, metres.
        width_m: f32,
    },
    /// Rays through one point.
    Perspective {
        /// Horizontal angle of view, radians.
        angle_of_view: f32,
    },
}

/// Pose, projection and image size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Camera {
    /// Where the camera is: takes camera coordinates to world coordinates.
    pub world_from_camera: Isometry3<f32>,
    /// How it projects.
    pub projection: Projection,
    /// Pixels of its images.
    pub size: ImageSize,
}

/// Nearest distance that a camera draws, metres: anything nearer, or behind the camera, is cut off.
pub const NEAR_M: f32 = 0.01;

impl Camera {
    /// Pixel coordinates (column, row; pixel centres at halves) and depth in metres of a point in the world; `None` for
    /// a point nearer than [`NEAR_M`].
    pub fn project(&self, point: &Point3<f32>) -> Option<[f32; 3]> {
        let point = self.world_from_camera.inverse_transform_point(point);
        (point.z >= NEAR_M).then(|| self.project_from_camera(&point))
    }

    /// As [`Camera::project`], from camera coordinates at [`NEAR_M`] or farther.
    fn project_from_camera(&self, point: &Point3<f32>) -> [f32; 3] {
        let (width, height) = (self.size.width() as f32, self.size.height() as f32);
        let scale = match self.projection {
            Projection::Orthographic { width_m } => width / width_m,
            Projection::Perspective { angle_of_view } => width / (2.0 * (angle_of_view / 2.0).tan()) / point.z,
        };
        [width / 2.0 + point.x * scale, height / 2.0 + point.y * scale, point.z]
    }
}
