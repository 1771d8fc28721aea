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
/// Speed of the river, metres per second: half as fast again as the agent, who cannot stand against it.
const CURRENT_M_PER_S: f64 = 1.5 * AGENT_SPEED_M_PER_S;
/// Speed that a gust adds, metres per second: within two control steps the agent is off the bridge, whatever it does.
const GUST_M_PER_S: f64 = 2.5 * AGENT_SPEED_M_PER_S;
/// Probability of a gust at a passage of the middle.
const GUST: f64 = 0.5;
/// Size of things that move here, metres: the disc. Rapier scales its tolerances by it.
const TYPICAL_SIZE_M: f32 = (4.0 * PIXEL_M) as f32;

/// A disc among walls. Everything that the next step depends on is in here and is saved with it, the coins too.
#[derive(Serialize, Deserialize)]
pub(super) struct Physics {
    world: PhysicsWorld,
    agent: RigidBodyHandle,
    /// Of the coin of every passage of the middle.
    coins: Seed,
    passages: u64,
    /// A gust has hold of the agent, until it is off the bridge.
    gust: bool,
}

impl Physics {
    /// The agent at rest in `place`, metres; what the wind does at the first, the second passage of the middle follows from `coins`.
    pub fn new(place: [f64; 2], coins: Seed) -> Self {
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
            .translation(Vector::new(place[0] as f32, place[1] as f32, 0.0))
            .locked_axes(LockedAxes::ROTATION_LOCKED | LockedAxes::TRANSLATION_LOCKED_Z)
            .can_sleep(false);
        // A ball whose middle stays at half the height of the walls touches them as a disc does.
        let collider = ColliderBuilder::ball(AGENT_RADIUS_M as f32).friction(0.0).restitution(0.0);
        let (agent, _) = world.insert(body, collider);
        Self { world, agent, coins, passages: 0, gust: false }
    }

    /// Other coins from now on: the world looks the same and may go on otherwise.
    pub fn toss_anew(&mut self, coins: Seed) {
        (self.coins, self.passages) = (coins, 0);
    }

    /// Where the middle of the agent is, metres; `None` in a world without agent (a damaged save).
    pub fn place(&self) -> Option<[f64; 2]> {
        let place = self.world.bodies.get(self.agent)?.translation();
        Some([f64::from(place.x), f64::from(place.y)])
    }

    /// One control step with the velocity commanded throughout, metres per second; river and wind add theirs.
    pub fn step(&mut self, velocity: [f64; 2]) {
        for _ in 0..STEPS {
            let Some(before) = self.place() else { return };
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
            let Some(after) = self.place() else { return };
            self.gust &= is_in(BRIDGE, after);
            if is_in(BRIDGE, after) && (before[0] < MIDDLE_X_M) != (after[0] < MIDDLE_X_M) {
                self.gust |= self.coins.index(self.passages).rng().random_bool(GUST);
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
        // A wall is felt before it is reached, so that the disc comes to rest at it, not in it.
        normalized_prediction_distance: fastest as f32 * dt / TYPICAL_SIZE_M,
        // As in `two_room`: with contacts from before a move, a disc that slides along one wall runs into the next.
        contact_recycling: false,
        ..IntegrationParameters::default()
    }
}
