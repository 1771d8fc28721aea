//! The moving part of the scene: a disc and its walls in Rapier.

use rapier3d::prelude::{
    ColliderBuilder, IntegrationParameters, LockedAxes, PhysicsWorld, RigidBodyBuilder, RigidBodyHandle, Vector,
};
use serde::{Deserialize, Serialize};

use super::{CONTROL_STEP_SECS, Layout};

/// Physics steps per control step: at full speed the disc moves a quarter of its diameter in one.
const STEPS: usize = 2;
/// Size of bodies that move here, metres: the default disc. Rapier scales its tolerances by it (how deep contacts may
/// overlap, for example), and its own default is made for bodies of a metre.
const TYPICAL_SIZE_M: f32 = 1.0 / 16.0;

/// A disc among walls. Everything that the next step depends on is in here and is saved with it.
#[derive(Serialize, Deserialize)]
pub struct Physics {
    world: PhysicsWorld,
    agent: RigidBodyHandle,
}

impl Physics {
    /// The physics of a layout, with the agent at rest at `position`, metres.
    pub(super) fn new(layout: &Layout, position: [f64; 2]) -> Self {
        let mut world = PhysicsWorld::new();
        world.gravity = Vector::ZERO;
        world.integration_parameters = parameters(layout.agent_speed_m_per_s);
        let friction = layout.friction as f32;
        for wall in layout.walls() {
            let (half, centre) = (wall.half_extents, wall.centre);
            let collider = ColliderBuilder::cuboid(half.x, half.y, half.z)
                .translation(Vector::new(centre.x, centre.y, centre.z))
                .friction(friction)
                .restitution(0.0);
            world.insert_collider(collider, None);
        }
        let body = RigidBodyBuilder::dynamic()
            .translation(Vector::new(position[0] as f32, position[1] as f32, 0.0))
            .locked_axes(locked_axes(layout.friction))
            .can_sleep(false);
        // A ball whose middle stays at half the height of the walls touches them as a disc does.
        let collider = ColliderBuilder::ball(layout.agent_radius_m as f32).friction(friction).restitution(0.0);
        let (agent, _) = world.insert(body, collider);
        Self { world, agent }
    }

    /// Where the middle of the agent is, metres; `None` in a world without agent (a damaged snapshot).
    pub(super) fn position(&self) -> Option<[f64; 2]> {
        let position = self.world.bodies.get(self.agent)?.translation();
        Some([f64::from(position.x), f64::from(position.y)])
    }

    /// One control step with the velocity commanded throughout, metres per second: contacts stop the agent, nothing
    /// else does.
    pub(super) fn step(&mut self, velocity: [f64; 2]) {
        for _ in 0..STEPS {
            if let Some(body) = self.world.bodies.get_mut(self.agent) {
                body.set_linvel(Vector::new(velocity[0] as f32, velocity[1] as f32, 0.0), true);
            }
            self.world.step();
        }
    }
}

/// The disc never turns and never leaves the plane. With friction, z is free all the same: rapier solves both
/// tangential directions of a contact together and gives up on both when one of them is locked. Nothing pushes along z
/// (every contact is with an upright face or edge, there is no gravity, and the commanded velocity lies in the plane).
fn locked_axes(friction: f64) -> LockedAxes {
    let plane = if friction > 0.0 { LockedAxes::empty() } else { LockedAxes::TRANSLATION_LOCKED_Z };
    LockedAxes::ROTATION_LOCKED | plane
}

fn parameters(full_speed_per_axis: f64) -> IntegrationParameters {
    let dt = (CONTROL_STEP_SECS / STEPS as f64) as f32;
    let longest_move_m = full_speed_per_axis as f32 * std::f32::consts::SQRT_2 * dt;
    IntegrationParameters {
        dt,
        length_unit: TYPICAL_SIZE_M,
        // Contacts are found before a wall is reached, so that the disc comes to rest at it, not in it.
        normalized_prediction_distance: longest_move_m / TYPICAL_SIZE_M,
        // Contacts from before a move of up to 5 % of the length unit are not good enough: with them, a disc that
        // slides along one wall runs up to a third of its radius into the next.
        contact_recycling: false,
        ..IntegrationParameters::default()
    }
}
