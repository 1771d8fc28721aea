//! Acting without a purpose.

use mindseye_interface::{Action, Rng, Seed};
use rand::Rng as _;
use rand_distr::{Distribution, StandardNormal};

use super::{Demonstrator, clamped_action};

/// Correlation of the explorer's action from one control step to the next.
const SMOOTHNESS: (f64, f64) = (0.5, 0.97);

/// Two numbers that wander smoothly about zero (Ornstein-Uhlenbeck).
pub(crate) struct SmoothWalk {
    place: [f64; 2],
    /// Spread in the long run.
    strength: f64,
    /// Correlation from one control step to the next.
    smoothness: f64,
}

impl SmoothWalk {
    /// A walk that begins at `place`.
    pub fn new(place: [f64; 2], strength: f64, smoothness: f64) -> Self {
        Self { place, strength, smoothness }
    }

    /// Where it is one control step later.
    pub fn next(&mut self, rng: &mut Rng) -> [f64; 2] {
        let fresh = self.strength * (1.0 - self.smoothness * self.smoothness).sqrt();
        for part in &mut self.place {
            let draw: f64 = StandardNormal.sample(rng);
            *part = self.smoothness * *part + fresh * draw;
        }
        self.place
    }
}

/// Acts by a smooth walk with strength and smoothness of its own: presses against walls, into corners, against whatever is in the
/// way.
pub(crate) struct Explorer {
    rng: Rng,
    walk: SmoothWalk,
}

impl Explorer {
    pub fn new(mut rng: Rng) -> Self {
        let smoothness = rng.random_range(SMOOTHNESS.0..SMOOTHNESS.1);
        let strength = rng.random_range(0.4..1.6);
        let place = [0.0; 2].map(|_: f64| {
            let draw: f64 = StandardNormal.sample(&mut rng);
            strength * draw
        });
        Self { rng, walk: SmoothWalk::new(place, strength, smoothness) }
    }
}

impl Demonstrator for Explorer {
    fn begin(&mut self, _seed: Seed) {}

    fn act(&mut self, _state: &[f64]) -> Action {
        clamped_action(self.walk.next(&mut self.rng).map(|part| part as f32))
    }
}
