//! Pushes, one after the other.

use mindseye_interface::{Action, Rng, Seed};
use nalgebra::{Isometry2, Point2};
use rand::Rng as _;
use rand_distr::{Distribution, StandardNormal};

use super::super::{Difference, Layout, State, UNIT_M};
use super::pushes::{self, Push};
use crate::demonstration::{Demonstrator, clamped_action};

/// Control steps after which an approach is given up.
const LONGEST_APPROACH_STEPS: usize = 25;
/// Control steps after which a push is over.
const LONGEST_PUSH_STEPS: usize = 20;
/// Probability that a push ends early, per control step.
const BREAK_OFF: f64 = 0.05;
/// Largest number of control steps of rest in between.
const LONGEST_REST_STEPS: usize = 6;
/// A pose is reached when nothing is farther off than this, metres.
const POSE_REACHED_M: f64 = 6.0 * UNIT_M;

/// What a pusher pushes for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aim {
    /// Each push goes through a random point of the block.
    RandomPoint,
    /// Pushes bring the block towards a random pose.
    GoalPose,
}

/// What the pusher is doing.
#[derive(Debug, Clone, Copy)]
enum Phase {
    Deciding,
    Approaching { push: Push, steps: usize },
    Pushing { push: Push, steps: usize },
    Resting { steps: usize },
}

/// Goes to a side of the block and pushes, again and again.
pub(super) struct Pusher {
    layout: Layout,
    rng: Rng,
    aim: Aim,
    goal: Option<Isometry2<f64>>,
    phase: Phase,
    speed: f64,
    noise: f64,
}

impl Pusher {
    pub fn new(layout: Layout, mut rng: Rng, aim: Aim) -> Self {
        let noise = if rng.random_bool(0.3) { 0.0 } else { rng.random_range(0.05..0.4) };
        Self { layout, rng, aim, goal: None, phase: Phase::Deciding, speed: 1.0, noise }
    }

    /// The next push, if one can be made from here.
    fn choose(&mut self, state: &State) -> Option<Push> {
        self.speed = self.rng.random_range(0.5..1.0);
        if self.aim == Aim::RandomPoint {
            return pushes::through_random_point(&self.layout, state, &mut self.rng);
        }
        let gyration_m = self.layout.gyration_m();
        let away = |goal: &Isometry2<f64>| {
            let away = Difference::between(state, &State::new(state.agent(), goal));
            away.norm_m(gyration_m)
        };
        let goal = match self.goal.filter(|goal| away(goal) > POSE_REACHED_M) {
            Some(goal) => goal,
            None => pushes::near_pose(&self.layout, &state.block(), &mut self.rng),
        };
        self.goal = Some(goal);
        let best = pushes::towards(&self.layout, state, &goal, &mut self.rng);
        if best.is_none() {
            self.goal = None; // nothing helps: another pose
        }
        best
    }

    /// The action that moves the pusher towards `position`, and no farther.
    fn towards(&mut self, state: &State, position: Point2<f64>, speed: f64) -> Action {
        let reach = self.layout.agent_reach_m;
        let towards = position - state.agent();
        let step = towards * (speed / towards.norm().max(reach)); // the last step is not overshot
        let noise = self.noise;
        let action = [step.x, step.y].map(|part| {
            let draw: f64 = StandardNormal.sample(&mut self.rng);
            (part + noise * draw) as f32
        });
        clamped_action(&action)
    }
}

impl Demonstrator for Pusher {
    fn begin(&mut self, _seed: Seed) {}

    fn act(&mut self, state: &[f64]) -> Action {
        let Some(state) = State::from_slice(state) else { return Action::zeros(2) };
        if let Phase::Deciding = self.phase {
            self.phase = match self.choose(&state) {
                Some(push) => Phase::Approaching { push, steps: 0 },
                None => Phase::Resting { steps: 2 },
            };
        }
        if let Phase::Approaching { push, steps } = self.phase {
            let position = push.approach(&state);
            let there = (position - state.agent()).norm() < 0.6 * self.layout.agent_reach_m;
            if !there && steps < LONGEST_APPROACH_STEPS {
                self.phase = Phase::Approaching { push, steps: steps + 1 };
                let waypoint = pushes::detour(&self.layout, &state, position);
                return self.towards(&state, waypoint, 1.0);
            }
            self.phase = if there { Phase::Pushing { push, steps: 0 } } else { Phase::Deciding };
        }
        match self.phase {
            Phase::Pushing { push, steps } => {
                let over = steps >= push.steps.min(LONGEST_PUSH_STEPS) || self.rng.random_bool(BREAK_OFF);
                self.phase = match over {
                    false => Phase::Pushing { push, steps: steps + 1 },
                    true if self.rng.random_bool(0.2) => {
                        Phase::Resting { steps: self.rng.random_range(1..=LONGEST_REST_STEPS) }
                    }
                    true => Phase::Deciding,
                };
                let (speed, ahead) =
                    (self.speed, state.agent() + push.direction(&state) * 2.0 * self.layout.agent_reach_m);
                self.towards(&state, ahead, speed)
            }
            Phase::Resting { steps } => {
                self.phase = if steps > 1 { Phase::Resting { steps: steps - 1 } } else { Phase::Deciding };
                Action::zeros(2)
            }
            Phase::Deciding | Phase::Approaching { .. } => Action::zeros(2),
        }
    }
}
