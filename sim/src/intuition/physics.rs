//! The physics of a scenario: one object among boxes, in Rapier.

use nalgebra::{Isometry3, Quaternion, Translation3, UnitQuaternion};
use rapier3d::prelude::{
    ColliderBuilder, IntegrationParameters, LockedAxes, PhysicsWorld, RigidBodyBuilder, RigidBodyHandle, Vector,
};

use super::stage::{Block, Shape};
use super::{FRAME_SECS, FRAMES};

/// Physics steps per image.
const STEPS: usize = 8;
/// Acceleration downwards, m/s²: less than on Earth, so that a fall takes several images.
pub(super) const GRAVITY: f32 = 1.55;
/// Size of the objects, metres; Rapier scales its tolerances by it.
const TYPICAL_SIZE_M: f32 = 0.3;

/// How an object starts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Launch {
    pub shape: Shape,
    /// Where its middle is, x and height, metres.
    pub from_m: [f32; 2],
    /// Velocity to the right and up, m/s.
    pub velocity: [f32; 2],
}

/// A change of the laws: from an image on, so much gravity instead of [`GRAVITY`].
pub(super) type NewGravity = Option<(usize, f32)>;

/// The poses of an object that is launched among `blocks` (its floor is always there), one per image.
pub(super) fn poses(launch: &Launch, blocks: &[Block], new_gravity: NewGravity) -> Vec<Isometry3<f32>> {
    let mut world = PhysicsWorld::new();
    world.gravity = Vector::new(0.0, 0.0, GRAVITY);
    world.integration_parameters = IntegrationParameters {
        dt: (FRAME_SECS / STEPS as f64) as f32,
        length_unit: TYPICAL_SIZE_M,
        ..IntegrationParameters::default()
    };
    let floor = Block { centre: [0.0, 0.0, 0.5].into(), half: [20.0, 3.0, 0.5].into() };
    for block in blocks.iter().chain([&floor]) {
        let collider = ColliderBuilder::cuboid(block.half.x, block.half.y, block.half.z)
            .translation(Vector::new(block.centre.x, block.centre.y, block.centre.z))
            .friction(0.0)
            .restitution(0.6);
        world.insert_collider(collider, None);
    }
    let (collider, locked) = match launch.shape {
        Shape::Ball { radius_m } => (ColliderBuilder::ball(radius_m), LockedAxes::empty()),
        // It may tip over an edge, and turn to no side.
        Shape::Cube { half_m } => (
            ColliderBuilder::cuboid(half_m, half_m, half_m),
            LockedAxes::ROTATION_LOCKED_X | LockedAxes::ROTATION_LOCKED_Z,
        ),
    };
    let body = RigidBodyBuilder::dynamic()
        .translation(Vector::new(launch.from_m[0], 0.0, -launch.from_m[1]))
        .linvel(Vector::new(launch.velocity[0], 0.0, -launch.velocity[1]))
        .locked_axes(locked | LockedAxes::TRANSLATION_LOCKED_Y)
        .can_sleep(false);
    let (object, _) = world.insert(body, collider.friction(0.0).restitution(0.6));
    let mut poses = Vec::with_capacity(FRAMES);
    for image in 0..FRAMES {
        if let Some((from, gravity)) = new_gravity
            && image == from
        {
            world.gravity = Vector::new(0.0, 0.0, gravity);
        }
        poses.push(pose(&world, object));
        (0..STEPS).for_each(|_| world.step());
    }
    poses
}

fn pose(world: &PhysicsWorld, object: RigidBodyHandle) -> Isometry3<f32> {
    let Some(body) = world.bodies.get(object) else { return Isometry3::identity() };
    let (at, turned) = (body.translation(), body.rotation());
    let rotation = UnitQuaternion::from_quaternion(Quaternion::new(turned.w, turned.x, turned.y, turned.z));
    Isometry3::from_parts(Translation3::new(at.x, at.y, at.z), rotation)
}
