//! Acting as another demonstrator does, at changing speed, with rests.

use mindseye_interface::{Action, Rng, Seed};
use rand::Rng as _;

use super::{Demonstrator, clamped_action};

/// Control steps of a phase.
const PHASE_STEPS: std::ops::RangeInclusive<usize> = 3..=12;
/// Share of the phases in which nothing is done.
const REST_SHARE: f64 = 0.25;
/// Share of the phases in which actions are smaller.
const SLOW_SHARE: f64 = 0.4;
/// Smallest factor of a slow phase; factors are drawn evenly in their logarithm between this and 1.
const MIN_SPEED: f64 = 0.05;

/// Another demonstrator with phases of rest and of small actions. A model that is trained on full-sized actions only
/// learns neither that what is left alone stays, nor how to come to a stop at a goal.
pub(crate) struct VariableSpeed {
    inner: Box<dyn Demonstrator>,
    action_width: usize,
    rng: Rng,
    steps_left: usize,
    speed: f32,
}

impl VariableSpeed {
    /// `inner`, whose actions have `action_width` dimensions.
    pub fn new(inner: Box<dyn Demonstrator>, action_width: usize) -> Self {
        Self { inner, action_width, rng: Seed::new(0).rng(), steps_left: 0, speed: 1.0 }
    }
}

impl Demonstrator for VariableSpeed {
    fn begin(&mut self, seed: Seed) {
        self.inner.begin(seed);
        self.rng = seed.child("pace").rng();
        self.steps_left = 0;
    }

    fn act(&mut self, state: &[f64]) -> Action {
        if self.steps_left == 0 {
            self.steps_left = self.rng.random_range(PHASE_STEPS);
            let draw: f64 = self.rng.random();
            self.speed = if draw < REST_SHARE {
                0.0
            } else if draw < REST_SHARE + SLOW_SHARE {
                MIN_SPEED.powf(self.rng.random()) as f32
            } else {
                1.0
            };
        }
        self.steps_left -= 1;
        if self.speed == 0.0 {
            return Action::zeros(self.action_width);
        }
        let full = self.inner.act(state);
        clamped_action(&full.values().iter().map(|value| value * self.speed).collect::<Vec<f32>>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Full;

    impl Demonstrator for Full {
        fn begin(&mut self, _seed: Seed) {}

        fn act(&mut self, _state: &[f64]) -> Action {
            clamped_action(&[1.0, -1.0, 0.5])
        }
    }

    #[test]
    fn actions_of_any_width_keep_their_direction_at_variable_speed() {
        let mut demonstrator = VariableSpeed::new(Box::new(Full), 3);
        demonstrator.begin(Seed::new(2));
        let sizes: Vec<f32> = (0..500)
            .map(|_| {
                let action = demonstrator.act(&[]);
                let &[x, y, z] = action.values() else { panic!("expected 3 values, got {action:?}") };
                assert_eq!((x, y, z), (x, -x, 0.5 * x));
                x
            })
            .collect();
        assert!(sizes.contains(&0.0) && sizes.contains(&1.0), "rests and full speed");
        assert!(sizes.iter().any(|size| (0.01..0.5).contains(size)), "slow phases");
    }
}
