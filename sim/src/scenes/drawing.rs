//! The image of a scene: its figure, seen by the camera over it.

use mindseye_interface::{Image, ImageSize};
use nalgebra::Isometry3;

use super::overhead;
use crate::camera::{Mesh, Rasteriser};
use crate::figure::Figure;

/// What images of one episode are drawn with.
pub(super) struct Drawing {
    figure: Figure,
    rasteriser: Rasteriser,
    /// Triangles of every body's solids, and where the solids are in it.
    bodies: Vec<Vec<(Isometry3<f32>, Mesh)>>,
}

impl Drawing {
    /// Draws `figure` in images of `size`.
    pub fn new(figure: Figure, size: ImageSize) -> Self {
        let still = figure.fixed.iter().flat_map(|solid| {
            let mesh = solid.mesh();
            mesh.placed(&solid.body_from_solid).collect::<Vec<_>>()
        });
        let rasteriser = Rasteriser::new(overhead::camera(figure.side_m, size), figure.floor_rgb, still);
        let meshes = |body: &crate::figure::Body| {
            body.solids.iter().map(|solid| (solid.body_from_solid, solid.mesh())).collect()
        };
        Self { rasteriser, bodies: figure.bodies.iter().map(meshes).collect(), figure }
    }

    /// The image of `state [K]`; without the bodies where this is no state.
    pub fn draw(&mut self, state: &[f64]) -> Image {
        let Self { figure, rasteriser, bodies } = self;
        let poses = figure.poses(state);
        let placed: Vec<(Isometry3<f32>, &Mesh)> = poses
            .iter()
            .zip(bodies.iter())
            .flat_map(|(pose, solids)| solids.iter().map(move |(solid, mesh)| (pose * solid, mesh)))
            .collect();
        rasteriser.draw(placed.iter().flat_map(|(pose, mesh)| mesh.placed(pose)))
    }
}
