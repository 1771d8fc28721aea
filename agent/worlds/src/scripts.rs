//! Who acts in recordings of a world: smooth noise, or the demonstrator that the world brings.

use mindseye_interface::{Action, Result, Rng, Script, Seed, Simulator};
use rand::Rng as _;
use rand_distr::{Distribution, StandardNormal};

/// Bounds of the correlation of an action with the next one.
const SMOOTHNESS: (f64, f64) = (0.5, 0.97);
/// Bounds of the standard deviation of normalised actions.
const STANDARD_DEVIATION: (f64, f64) = (0.3, 1.2);

/// Smooth random actions: an Ornstein-Uhlenbeck walk per dimension, of a smoothness and a size of its own per episode.
pub(crate) struct Explorer {
    rng: Rng,
    values: Vec<f64>,
    smoothness: f64,
    standard_deviation: f64,
}

impl Explorer {
    /// For actions of `width` dimensions.
    pub fn new(width: usize) -> Self {
        let mut explorer =
            Self { rng: Seed::new(0).rng(), values: vec![0.0; width], smoothness: 0.0, standard_deviation: 0.0 };
        explorer.begin(Seed::new(0));
        explorer
    }
}

impl Script for Explorer {
    fn begin(&mut self, seed: Seed) {
        self.rng = seed.child("explorer").rng();
        self.smoothness = self.rng.random_range(SMOOTHNESS.0..SMOOTHNESS.1);
        self.standard_deviation = self.rng.random_range(STANDARD_DEVIATION.0..STANDARD_DEVIATION.1);
        for value in &mut self.values {
            let draw: f64 = StandardNormal.sample(&mut self.rng);
            *value = self.standard_deviation * draw;
        }
    }

    fn act(&mut self, _state: &[f64]) -> Action {
        let fresh = self.standard_deviation * (1.0 - self.smoothness * self.smoothness).sqrt();
        let action = self.values.iter().map(|value| *value as f32).collect();
        for value in &mut self.values {
            let draw: f64 = StandardNormal.sample(&mut self.rng);
            *value = self.smoothness * *value + fresh * draw;
        }
        Action::new(action).unwrap_or_else(|_| Action::zeros(self.values.len()))
    }
}

/// The demonstrator that the world brings.
pub(crate) struct OwnDemonstrator {
    /// Actions of this many dimensions where there is no world to ask.
    pub width: usize,
    /// The seed of an episode that has not begun yet.
    pub begin: Option<Seed>,
}

impl Script for OwnDemonstrator {
    fn begin(&mut self, seed: Seed) {
        self.begin = Some(seed);
    }

    fn act(&mut self, _state: &[f64]) -> Action {
        Action::zeros(self.width)
    }

    fn act_in(&mut self, world: &mut dyn Simulator) -> Result<Action> {
        world.demonstrated_action(self.begin.take())
    }
}
