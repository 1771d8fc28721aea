//! The moving part of the scene: a disc, walls, a river and the wind, in Rapier.

use mindseye_interface::Seed;
use rand::Rng as _;
use rapier3d::prelude::{
    ColliderBuilder, IntegrationParameters, LockedAxes, PhysicsWorld, RigidBodyBuilder, RigidBodyHandle, Vector,
};
use serde::{Deserialize, Serialize};

use super::layout::{AGENT_RADIUS_M, BRIDGE, CURRENT, MIDDLE_X_M, PIXEL_M, WALLS, is_in, wall};
use super::{AGENT_SPEED_M_PER_S, CONTROL_STEP_SECS};

/// Physics steps per control step: in a gust the disc moves less than its radius in one.
const STEPS: usize = 4;
/// Speed of the river, metres per second: half as fast again as the agent, which cannot move against it.
const CURRENT_M_PER_S: f64 = 1.5 * AGENT_SPEED_M_PER_S;
/// Speed that a gust adds, metres per second: within two control steps the agent is off the bridge, for any action.
const GUST_M_PER_S: f64 = 2.5 * AGENT_SPEED_M_PER_S;
/// Probability of a gust at a passage of the middle.
const GUST_PROBABILITY: f64 = 0.5;
/// Size of bodies that move here, metres: the disc. Rapier scales its tolerances by it.
const TYPICAL_SIZE_M: f32 = (4.0 * PIXEL_M) as f32;

/// A disc among walls. Everything that the next step depends on is in here and is saved with it, the hidden draws too.
#[derive(Serialize, Deserialize)]
pub struct Physics {
    world: PhysicsWorld,
    agent: RigidBodyHandle,
    /// Root of the hidden draws, one for each passage of the middle.
    hidden: Seed,
    passages: u64,
    /// A gust carries the agent, until it is off the bridge.
    gust: bool,
}

impl Physics {
    /// The agent at rest at `position`, metres; whether there is a gust at the first, the second passage of the middle
    /// follows from `hidden`.
    pub(super) fn new(position: [f64; 2], hidden: Seed) -> Self {
        let mut world = PhysicsWorld::new();
        world.gravity = Vector::ZERO;
        world.integration_parameters = parameters();
        for area in WALLS {
            let (half, centre) = (wall(area).half_extents, wall(area).centre);
            let collider = ColliderBuilder::cuboid(half.x, half.y, half.z)
                .translation(Vector::new(centre.x, centre.y, centre.z))
                .friction(0.0)
                .restitution(0.0);
            world.insert_collider(collider, None);
        }
        let body = RigidBodyBuilder::dynamic()
            .translation(Vector::new(position[0] as f32, position[1] as f32, 0.0))
            .locked_axes(LockedAxes::ROTATION_LOCKED | LockedAxes::TRANSLATION_LOCKED_Z)
            .can_sleep(false);
        // A ball whose middle stays at half the height of the walls touches them as a disc does.
        let collider = ColliderBuilder::ball(AGENT_RADIUS_M as f32).friction(0.0).restitution(0.0);
        let (agent, _) = world.insert(body, collider);
        Self { world, agent, hidden, passages: 0, gust: false }
    }

    /// Root of the hidden draws.
    pub(super) fn hidden(&self) -> Seed {
        self.hidden
    }

    /// Other hidden draws from now on: the image stays the same and the future may differ.
    pub(super) fn resample(&mut self, hidden: Seed) {
        (self.hidden, self.passages) = (hidden, 0);
    }

    /// Where the middle of the agent is, metres; `None` in a world without agent (a damaged snapshot).
    pub(super) fn position(&self) -> Option<[f64; 2]> {
        let position = self.world.bodies.get(self.agent)?.translation();
        Some([f64::from(position.x), f64::from(position.y)])
    }

    /// One control step with the velocity commanded throughout, metres per second; river and wind add theirs.
    pub(super) fn step(&mut self, velocity: [f64; 2]) {
        for _ in 0..STEPS {
            let Some(before) = self.position() else { return };
            let drift = if self.gust {
                GUST_M_PER_S
            } else if is_in(CURRENT, before) {
                CURRENT_M_PER_S
            } else {
                0.0
            };
            if let Some(body) = self.world.bodies.get_mut(self.agent) {
                body.set_linvel(Vector::new(velocity[0] as f32, (velocity[1] + drift) as f32, 0.0), true);
            }
            self.world.step();
            let Some(after) = self.position() else { return };
            self.gust &= is_in(BRIDGE, after);
            if is_in(BRIDGE, after) && (before[0] < MIDDLE_X_M) != (after[0] < MIDDLE_X_M) {
                self.gust |= self.hidden.index(self.passages).rng().random_bool(GUST_PROBABILITY);
                self.passages += 1;
            }
        }
    }
}

fn parameters() -> IntegrationParameters {
    let dt = (CONTROL_STEP_SECS / STEPS as f64) as f32;
    let fastest = (AGENT_SPEED_M_PER_S + GUST_M_PER_S).hypot(AGENT_SPEED_M_PER_S);
    IntegrationParameters {
        dt,
        length_unit: TYPICAL_SIZE_M,
        // Contacts are found before a wall is reached, so that the disc comes to rest at it, not in it.
        normalized_prediction_distance: fastest as f32 * dt / TYPICAL_SIZE_M,
        // As in `two_room`: with contacts from before a move, a disc that slides along one wall runs into the next.
        contact_recycling: false,
        ..IntegrationParameters::default()
    }
}
