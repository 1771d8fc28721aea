//! Acting as another does, at changing speed, with rests.

use mindseye_interface::{Action, Rng, Seed};
use rand::Rng as _;

use super::{Demonstrator, clamped_action};

/// Control steps of a phase.
const PHASE_STEPS: std::ops::RangeInclusive<usize> = 3..=12;
/// Share of the phases in which nothing is done.
const STILL: f64 = 0.25;
/// Share of the phases in which actions are smaller.
const SLOW: f64 = 0.4;
/// How much smaller at most: by a factor drawn evenly in its logarithm between this and 1.
const SLOWEST: f64 = 0.05;

/// Another demonstrator with phases of rest and of small actions. Who only ever sees full strength cannot know that what is left
/// alone stays, nor how to come to a stop at a goal.
pub(crate) struct Paced {
    inner: Box<dyn Demonstrator>,
    rng: Rng,
    steps_left: usize,
    pace: f32,
}

impl Paced {
    pub fn new(inner: Box<dyn Demonstrator>) -> Self {
        Self { inner, rng: Seed::new(0).rng(), steps_left: 0, pace: 1.0 }
    }
}

impl Demonstrator for Paced {
    fn begin(&mut self, seed: Seed) {
        self.inner.begin(seed);
        self.rng = seed.child("pace").rng();
        self.steps_left = 0;
    }

    fn act(&mut self, state: &[f64]) -> Action {
        if self.steps_left == 0 {
            self.steps_left = self.rng.random_range(PHASE_STEPS);
            let draw: f64 = self.rng.random();
            self.pace = if draw < STILL {
                0.0
            } else if draw < STILL + SLOW {
                SLOWEST.powf(self.rng.random()) as f32
            } else {
                1.0
            };
        }
        self.steps_left -= 1;
        if self.pace == 0.0 {
            return Action::zeros(2);
        }
        let full = self.inner.act(state);
        clamped_action([0, 1].map(|part| full.values().get(part).copied().unwrap_or(0.0) * self.pace))
    }
}
