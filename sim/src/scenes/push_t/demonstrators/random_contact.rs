//! Contact anywhere, from anywhere.

use mindseye_interface::{Action, Rng, Seed};
use nalgebra::Point2;
use rand::Rng as _;

use super::super::{Layout, State, UNIT_M};
use crate::demonstration::{Demonstrator, SmoothWalk, clamped_action};
use crate::factors::Factors;

/// Farthest target from the middle of the block, metres: a pusher's width beyond its corners.
const MAX_TARGET_M: f64 = 110.0 * UNIT_M;
/// Control steps of a move.
const MOVE_STEPS: std::ops::RangeInclusive<usize> = 3..=15;
/// Share of the moves that are rests.
const REST_SHARE: f64 = 0.1;

/// Moves, with smooth noise, from one random point on or beside the block to the next, whatever is in between: slides
/// along sides, hits corners, turns around in the middle of a push. A planner's pushes are as varied, and less tidy
/// than those of the other demonstrators.
pub(super) struct RandomContact {
    factors: Factors,
    layout: Layout,
    rng: Rng,
    steps_left: usize,
    /// Where it goes, metres from the middle of the block.
    target_m: [f64; 2],
    speed: f64,
    noise: SmoothWalk<2>,
}

impl RandomContact {
    pub fn new(factors: Factors) -> Self {
        let seed = Seed::new(0);
        Self {
            layout: Layout::of_episode(seed, &factors),
            factors,
            rng: seed.rng(),
            steps_left: 0,
            target_m: [0.0; 2],
            speed: 0.0,
            noise: SmoothWalk::new([0.0; 2], 0.0, 0.0),
        }
    }
}

impl Demonstrator for RandomContact {
    fn begin(&mut self, seed: Seed) {
        self.layout = Layout::of_episode(seed, &self.factors);
        self.rng = seed.child("prodder").rng();
        self.steps_left = 0;
        let standard_deviation = self.rng.random_range(0.1..0.8);
        self.noise = SmoothWalk::new([0.0; 2], standard_deviation, self.rng.random_range(0.5..0.95));
    }

    fn act(&mut self, state: &[f64]) -> Action {
        let Some(state) = State::from_slice(state) else { return Action::zeros(2) };
        if self.steps_left == 0 {
            self.steps_left = self.rng.random_range(MOVE_STEPS);
            let (angle, radius) = (self.rng.random_range(0.0..std::f64::consts::TAU), self.rng.random::<f64>().sqrt());
            self.target_m = [angle.cos(), angle.sin()].map(|part| MAX_TARGET_M * radius * part);
            self.speed = if self.rng.random_bool(REST_SHARE) { 0.0 } else { self.rng.random_range(0.2..1.2) };
        }
        self.steps_left -= 1;
        let noise = self.noise.next(&mut self.rng);
        if self.speed == 0.0 {
            return Action::zeros(2);
        }
        let middle = state.block().translation.vector;
        let towards = Point2::new(middle.x + self.target_m[0], middle.y + self.target_m[1]) - state.agent();
        let step = towards * (self.speed / towards.norm().max(self.layout.agent_reach_m));
        clamped_action(&[step.x + self.speed * noise[0], step.y + self.speed * noise[1]].map(|part| part as f32))
    }
}
