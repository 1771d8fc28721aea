//! The oracle of the rasteriser: one ray per sample into Rapier's query pipeline, shaded by the same law.

use mindseye_interface::Image;
use mindseye_sim::camera::{Camera, Projection, shade};
use nalgebra::{Point3, Vector3};
use rapier3d::prelude::{ColliderHandle, PhysicsWorld, QueryFilter, Ray, Vector};

/// The camera's image of `world`, with `samples` x `samples` rays a pixel.
pub fn cast(
    camera: &Camera,
    world: &PhysicsWorld,
    rgb: impl Fn(ColliderHandle) -> [u8; 3],
    background: [u8; 3],
    samples: usize,
) -> Image {
    let mut image = Image::filled(camera.size, background);
    let (height, width) = (camera.size.height(), camera.size.width());
    let centre = |index: usize| (index as f32 + 0.5) / samples as f32;
    for pixel in 0..height * width {
        let mut sums = [0u32; 3];
        for sample in 0..samples * samples {
            let column = (pixel % width) as f32 + centre(sample % samples);
            let row = (pixel / width) as f32 + centre(sample / samples);
            let seen = world.cast_ray_and_get_normal(&ray(camera, column, row), 100.0, true, QueryFilter::default());
            let colour = seen.map_or(background, |(handle, hit)| {
                shade(rgb(handle), &Vector3::new(hit.normal.x, hit.normal.y, hit.normal.z))
            });
            sums.iter_mut().zip(colour).for_each(|(sum, channel)| *sum += u32::from(channel));
        }
        let count = (samples * samples) as u32;
        let mean = sums.map(|sum| ((sum + count / 2) / count) as u8);
        image.pixels_mut()[pixel * 3..pixel * 3 + 3].copy_from_slice(&mean);
    }
    image
}

fn ray(camera: &Camera, column: f32, row: f32) -> Ray {
    let (width, height) = (camera.size.width() as f32, camera.size.height() as f32);
    let (right, down) = (column - width / 2.0, row - height / 2.0);
    let (origin, direction) = match camera.projection {
        Projection::Orthographic { width_m } => {
            (Point3::new(right * width_m / width, down * width_m / width, 0.0), Vector3::z())
        }
        Projection::Perspective { angle_of_view } => {
            let focal = width / (2.0 * (angle_of_view / 2.0).tan());
            (Point3::origin(), Vector3::new(right / focal, down / focal, 1.0))
        }
    };
    let (origin, direction) = (camera.world_from_camera * origin, camera.world_from_camera * direction);
    Ray::new(Vector::new(origin.x, origin.y, origin.z), Vector::new(direction.x, direction.y, direction.z))
}
