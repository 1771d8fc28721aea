//! What is seen: a floor, screens, a wall or a table, and one object, from the side.
//!
//! World coordinates: x to the right, y towards the spectator, z down; the object moves where y is 0, and the floor is
//! at z = 0.

use mindseye_interface::{Image, ImageSize};
use nalgebra::{Isometry3, Matrix3, Rotation3, Translation3, UnitQuaternion, Vector3};

use crate::camera::{Camera, Mesh, Projection, Rasteriser, Triangle};

/// Half of what is visible where the object moves, metres from the middle.
pub(super) const HALF_WIDTH_M: f32 = 1.0;
/// Screens stand so far in front of the object's path, metres.
pub(super) const SCREEN_Y_M: f32 = 0.35;
/// Height of screens, metres.
pub(super) const SCREEN_HEIGHT_M: f32 = 0.62;
/// Half depth of walls and tables, metres.
const HALF_DEPTH_M: f32 = 0.25;
/// Half thickness of screens, metres.
const HALF_THICKNESS_M: f32 = 0.01;
/// The camera's distance from the path, metres, its height, and how far it looks down, radians.
const DISTANCE_M: f32 = 2.5;
const CAMERA_HEIGHT_M: f32 = 0.75;
const PITCH_RAD: f32 = 0.1;
/// Rings and sides of a drawn ball.
const BALL_RINGS: usize = 8;

/// Shape of an object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Shape {
    Ball { radius_m: f32 },
    Cube { half_m: f32 },
}

/// An object where it is in one image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Seen {
    pub shape: Shape,
    pub rgb: [u8; 3],
    pub pose: Isometry3<f32>,
}

/// A box that stands in the scene all the time: middle and half extents, metres.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Block {
    pub centre: Vector3<f32>,
    pub half: Vector3<f32>,
}

impl Block {
    /// A screen from `left` to `right`.
    pub fn screen(left: f32, right: f32) -> Self {
        let half = Vector3::new((right - left) / 2.0, HALF_THICKNESS_M, SCREEN_HEIGHT_M / 2.0);
        Self { centre: Vector3::new((left + right) / 2.0, SCREEN_Y_M, -half.z), half }
    }

    /// A box on the floor from `left` to `right`, across the path.
    pub fn standing(left: f32, right: f32, height_m: f32) -> Self {
        let half = Vector3::new((right - left) / 2.0, HALF_DEPTH_M, height_m / 2.0);
        Self { centre: Vector3::new((left + right) / 2.0, 0.0, -half.z), half }
    }
}

/// Colours that all clips of a set share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub wall_rgb: [u8; 3],
    pub floor_rgb: [u8; 3],
    pub screen_rgb: [u8; 3],
    pub block_rgb: [u8; 3],
    /// Whether left and right are exchanged.
    pub mirrored: bool,
}

/// What a clip shows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Scenario {
    pub screens: Vec<Block>,
    pub blocks: Vec<Block>,
    /// The object in each image; `None` where there is none.
    pub object: Vec<Option<Seen>>,
}

/// A camera in front of what does not move.
pub(super) struct Stage {
    rasteriser: Rasteriser,
    mirrored: bool,
}

impl Stage {
    pub fn new(look: &Look, scenario: &Scenario, size: ImageSize) -> Self {
        let floor = Block { centre: Vector3::new(0.0, 0.0, 0.05), half: Vector3::new(6.0, 3.0, 0.05) };
        let mut still = placed(&floor, look.floor_rgb);
        scenario.screens.iter().for_each(|screen| still.extend(placed(screen, look.screen_rgb)));
        scenario.blocks.iter().for_each(|block| still.extend(placed(block, look.block_rgb)));
        Self { rasteriser: Rasteriser::new(camera(size), look.wall_rgb, still), mirrored: look.mirrored }
    }

    /// The images of a scenario.
    pub fn film(mut self, scenario: &Scenario) -> Vec<Image> {
        let mut images = Vec::with_capacity(scenario.object.len());
        for object in &scenario.object {
            let image = self.rasteriser.draw(object.iter().flat_map(triangles));
            images.push(if self.mirrored { mirrored(&image) } else { image });
        }
        images
    }
}

fn camera(size: ImageSize) -> Camera {
    let (sin, cos) = PITCH_RAD.sin_cos();
    // Columns: where the camera's right, down and forward are in the world.
    let axes = Matrix3::new(1.0, 0.0, 0.0, 0.0, sin, -cos, 0.0, cos, sin);
    let rotation = UnitQuaternion::from_rotation_matrix(&Rotation3::from_matrix_unchecked(axes));
    let place = Translation3::new(0.0, DISTANCE_M, -CAMERA_HEIGHT_M);
    let angle_of_view = 2.0 * (HALF_WIDTH_M / DISTANCE_M).atan();
    Camera {
        world_from_camera: Isometry3::from_parts(place, rotation),
        projection: Projection::Perspective { angle_of_view },
        size,
    }
}

fn placed(block: &Block, rgb: [u8; 3]) -> Vec<Triangle> {
    Mesh::cuboid(block.half, rgb).placed(&Isometry3::from(Translation3::from(block.centre))).collect()
}

fn triangles(seen: &Seen) -> Vec<Triangle> {
    let mesh = match seen.shape {
        Shape::Ball { radius_m } => Mesh::ball(radius_m, BALL_RINGS, seen.rgb),
        Shape::Cube { half_m } => Mesh::cuboid(Vector3::repeat(half_m), seen.rgb),
    };
    mesh.placed(&seen.pose).collect()
}

fn mirrored(image: &Image) -> Image {
    let (mut turned, width) = (image.clone(), image.size().width());
    for (row, from) in turned.pixels_mut().chunks_exact_mut(3 * width).zip(image.pixels().chunks_exact(3 * width)) {
        for (pixel, from) in row.chunks_exact_mut(3).zip(from.chunks_exact(3).rev()) {
            pixel.copy_from_slice(from);
        }
    }
    turned
}
