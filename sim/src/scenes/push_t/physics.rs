//! The moving part of the scene: a pusher, a block and four walls in Rapier.

use nalgebra::{Isometry2, Point2, Vector2};
use rapier3d::prelude::{
    ColliderBuilder, IntegrationParameters, LockedAxes, PhysicsWorld, RigidBody, RigidBodyBuilder, RigidBodyHandle,
    Vector,
};
use serde::{Deserialize, Serialize};

use super::layout::BORDER_M;
use super::{CONTROL_STEP_SECS, HEIGHT_M, Layout, SIDE_M, State, UNIT_M};
use crate::factors::rotated;

/// Physics steps per control step: at full speed the pusher moves a ninth of its diameter in one.
const STEPS: usize = 5;
/// Size of bodies that move here, metres: the thickness of the block's bars. Rapier scales its tolerances by it.
const TYPICAL_SIZE_M: f32 = (30.0 * UNIT_M) as f32;
/// Stiffness of the pusher's position control, 1/s²: critically damped with a time constant of 25 ms, so that it has
/// all but arrived at its target, and all but stopped, when the next action comes.
const STIFFNESS: f64 = 1600.0;
/// Damping of the pusher's position control, 1/s.
const DAMPING: f64 = 80.0;
/// Mass of the block, kg.
const BLOCK_KG: f32 = 0.5;
/// Coulomb friction between pusher and block.
const CONTACT_FRICTION: f32 = 0.5;
/// Acceleration with which the block presses on the floor, m/s².
const GRAVITY: f64 = 9.81;
/// Viscous damping of the block, 1/s: the effect of a film of air or of felt under it.
const BLOCK_DAMPING: f32 = 2.0;

/// Pusher and block. Everything that the next step depends on is in here and is saved with it.
#[derive(Serialize, Deserialize)]
pub struct Physics {
    world: PhysicsWorld,
    agent: RigidBodyHandle,
    block: RigidBodyHandle,
    friction: f64,
    gyration_m: f64,
    agent_reach_m: f64,
    action_rotation_rad: f64,
    agent_radius_m: f64,
}

impl Physics {
    /// The physics of a layout, at rest in `state`.
    pub(super) fn new(layout: &Layout, state: &State) -> Self {
        let mut world = PhysicsWorld::new();
        world.gravity = Vector::ZERO; // the floor is not a body: its friction is computed below
        world.integration_parameters = parameters(layout.agent_reach_m);
        for (x, y, half_x, half_y) in walls() {
            let collider = ColliderBuilder::cuboid(half_x as f32, half_y as f32, HEIGHT_M / 2.0)
                .translation(Vector::new(x as f32, y as f32, 0.0))
                .friction(CONTACT_FRICTION);
            world.insert_collider(collider, None);
        }
        // Every contact is level: a ball whose middle stays at half the height of upright faces touches them as a disc
        // does. So z can stay free, which rapier's friction needs (it gives up on both tangential directions when one
        // is locked).
        let agent = RigidBodyBuilder::dynamic()
            .translation(Vector::new(state.agent().x as f32, state.agent().y as f32, 0.0))
            .locked_axes(LockedAxes::ROTATION_LOCKED)
            .can_sleep(false);
        let ball =
            ColliderBuilder::ball(layout.agent_radius_m as f32).friction(CONTACT_FRICTION).mass(layout.agent_kg as f32);
        let (agent, _) = world.insert(agent, ball);
        let pose = state.block();
        let block = RigidBodyBuilder::dynamic()
            .translation(Vector::new(pose.translation.x as f32, pose.translation.y as f32, 0.0))
            .rotation(Vector::new(0.0, 0.0, pose.rotation.angle() as f32))
            .locked_axes(LockedAxes::ROTATION_LOCKED_X | LockedAxes::ROTATION_LOCKED_Y)
            .linear_damping(BLOCK_DAMPING)
            .angular_damping(BLOCK_DAMPING)
            .can_sleep(false);
        let block = world.insert_body(block);
        let parts = layout.parts();
        let area = |index: usize| parts[index].half_extents.x * parts[index].half_extents.y;
        let total: f64 = (0..parts.len()).map(area).sum();
        for (index, part) in parts.iter().enumerate() {
            let (half, centre) = (part.half_extents, part.centre);
            let collider = ColliderBuilder::cuboid(half.x as f32, half.y as f32, HEIGHT_M / 2.0)
                .translation(Vector::new(centre.x as f32, centre.y as f32, 0.0))
                .friction(CONTACT_FRICTION)
                .mass(BLOCK_KG * (area(index) / total) as f32);
            world.insert_collider(collider, Some(block));
        }
        Self {
            world,
            agent,
            block,
            friction: layout.friction,
            gyration_m: layout.gyration_m(),
            agent_reach_m: layout.agent_reach_m,
            action_rotation_rad: layout.action_rotation_rad,
            agent_radius_m: layout.agent_radius_m,
        }
    }

    /// Radius of gyration of the block, metres.
    pub(super) fn gyration_m(&self) -> f64 {
        self.gyration_m
    }

    /// Where everything is; `None` in a world without pusher or block (a damaged snapshot).
    pub(super) fn state(&self) -> Option<State> {
        let (agent, block) = (self.world.bodies.get(self.agent)?, self.world.bodies.get(self.block)?);
        let (agent, position, rotation) = (agent.translation(), block.translation(), block.rotation());
        let angle = 2.0 * f64::from(rotation.z).atan2(f64::from(rotation.w));
        let pose = Isometry2::new(Vector2::new(f64::from(position.x), f64::from(position.y)), angle);
        Some(State::new(Point2::new(f64::from(agent.x), f64::from(agent.y)), &pose))
    }

    /// One control step. The pusher moves to a target that stays where it is: `action` (-1 to 1 per axis) times its
    /// reach away from where the pusher is now, between the walls.
    pub(super) fn step(&mut self, action: [f64; 2]) {
        let (low, high) = (BORDER_M + self.agent_radius_m, SIDE_M - BORDER_M - self.agent_radius_m);
        let Some(start) = self.world.bodies.get(self.agent).map(RigidBody::translation) else { return };
        let target = [f64::from(start.x), f64::from(start.y)];
        let action = rotated(action, self.action_rotation_rad);
        let target = [0, 1].map(|axis| (target[axis] + action[axis] * self.agent_reach_m).clamp(low, high));
        for _ in 0..STEPS {
            if let Some(agent) = self.world.bodies.get_mut(self.agent) {
                drive(agent, target);
            }
            if let Some(block) = self.world.bodies.get_mut(self.block) {
                brake(block, self.friction, self.gyration_m);
            }
            self.world.step();
        }
    }
}

/// Duration of a physics step, seconds.
const STEP_SECS: f64 = CONTROL_STEP_SECS / STEPS as f64;

/// Proportional-derivative control of the pusher's position, integrated implicitly: stable with any gains.
fn drive(agent: &mut RigidBody, target: [f64; 2]) {
    let (position, velocity) = (agent.translation(), agent.linvel());
    let part = |position: f32, velocity: f32, target: f64| {
        let towards = STEP_SECS * STIFFNESS * (target - f64::from(position));
        ((f64::from(velocity) + towards) / (1.0 + STEP_SECS * DAMPING + STEP_SECS * STEP_SECS * STIFFNESS)) as f32
    };
    let velocity = Vector::new(part(position.x, velocity.x, target[0]), part(position.y, velocity.y, target[1]), 0.0);
    agent.set_linvel(velocity, true);
}

/// Dry friction of the floor. Force and torque of a sliding body lie on a limit surface, here an ellipsoid (Howe and
/// Cutkosky 1996) whose lever arm is the radius of gyration: then sliding and turning lose the same share of their
/// speed.
fn brake(block: &mut RigidBody, friction: f64, gyration_m: f64) {
    let (velocity, turn) = (block.linvel(), block.angvel());
    let speed = f64::from(velocity.x).hypot(f64::from(velocity.y)).hypot(gyration_m * f64::from(turn.z));
    let lost = friction * GRAVITY * STEP_SECS;
    let left = if speed > lost { (1.0 - lost / speed) as f32 } else { 0.0 };
    block.set_linvel(Vector::new(left * velocity.x, left * velocity.y, 0.0), true);
    block.set_angvel(Vector::new(0.0, 0.0, left * turn.z), true);
}

/// Middle and half extents of the four walls, metres.
pub(super) fn walls() -> [(f64, f64, f64, f64); 4] {
    let (middle, half) = (SIDE_M / 2.0, BORDER_M / 2.0);
    [
        (middle, half, middle, half),
        (middle, SIDE_M - half, middle, half),
        (half, middle, half, middle - BORDER_M),
        (SIDE_M - half, middle, half, middle - BORDER_M),
    ]
}

fn parameters(agent_reach_m: f64) -> IntegrationParameters {
    let longest_move_m = agent_reach_m * std::f64::consts::SQRT_2 * STEP_SECS / CONTROL_STEP_SECS;
    IntegrationParameters {
        dt: STEP_SECS as f32,
        length_unit: TYPICAL_SIZE_M,
        // Contacts within the step are found before it, so that bodies come to rest at each other, not in each other.
        normalized_prediction_distance: 2.0 * longest_move_m as f32 / TYPICAL_SIZE_M,
        // A heavy pusher squeezes a lighter block against walls: with rapier's 4 iterations it ends up half inside.
        num_solver_iterations: 8,
        contact_recycling: false,
        ..IntegrationParameters::default()
    }
}
