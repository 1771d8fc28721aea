//! Acting without a purpose.

use mindseye_interface::{Action, Rng, Seed};
use rand::Rng as _;
use rand_distr::{Distribution, StandardNormal};

use super::{Demonstrator, clamped_action};

/// Correlation of the explorer's action from one control step to the next.
const SMOOTHNESS: (f64, f64) = (0.5, 0.97);

/// Two action dimensions on a smooth random walk (Ornstein-Uhlenbeck), with strength and smoothness of its own: presses against
/// walls, into corners, against whatever is in the way.
pub(crate) struct Explorer {
    rng: Rng,
    action: [f64; 2],
    smoothness: f64,
    strength: f64,
}

impl Explorer {
    pub fn new(mut rng: Rng) -> Self {
        let smoothness = rng.random_range(SMOOTHNESS.0..SMOOTHNESS.1);
        let strength = rng.random_range(0.4..1.6);
        let action = [0.0; 2].map(|_: f64| {
            let draw: f64 = StandardNormal.sample(&mut rng);
            strength * draw
        });
        Self { rng, action, smoothness, strength }
    }
}

impl Demonstrator for Explorer {
    fn begin(&mut self, _seed: Seed) {}

    fn act(&mut self, _state: &[f64]) -> Action {
        let fresh = self.strength * (1.0 - self.smoothness * self.smoothness).sqrt();
        for part in &mut self.action {
            let draw: f64 = StandardNormal.sample(&mut self.rng);
            *part = self.smoothness * *part + fresh * draw;
        }
        clamped_action(self.action.map(|part| part as f32))
    }
}
