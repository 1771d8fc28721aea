//! Acting at random, smoothly.

use mindseye_interface::{Action, Rng, Seed};
use rand::Rng as _;
use rand_distr::{Distribution, StandardNormal};

use super::{Demonstrator, clamped_action};

/// Bounds of the correlation of the explorer's action from one control step to the next.
const SMOOTHNESS: (f64, f64) = (0.5, 0.97);
/// Bounds of the standard deviation of the explorer's action.
const STANDARD_DEVIATION: (f64, f64) = (0.4, 1.6);

/// `N` numbers that wander smoothly about zero (Ornstein-Uhlenbeck).
pub(crate) struct SmoothWalk<const N: usize> {
    values: [f64; N],
    /// Standard deviation in the long run.
    standard_deviation: f64,
    /// Correlation from one control step to the next.
    smoothness: f64,
}

impl<const N: usize> SmoothWalk<N> {
    /// A walk that begins at `values`.
    pub fn new(values: [f64; N], standard_deviation: f64, smoothness: f64) -> Self {
        Self { values, standard_deviation, smoothness }
    }

    /// The values one control step later.
    pub fn next(&mut self, rng: &mut Rng) -> [f64; N] {
        let fresh = self.standard_deviation * (1.0 - self.smoothness * self.smoothness).sqrt();
        for value in &mut self.values {
            let draw: f64 = StandardNormal.sample(rng);
            *value = self.smoothness * *value + fresh * draw;
        }
        self.values
    }
}

/// Acts by a smooth walk of its own standard deviation and smoothness in `A` dimensions: presses against walls, into
/// corners, against any obstacle.
pub(crate) struct Explorer<const A: usize> {
    rng: Rng,
    walk: SmoothWalk<A>,
}

impl<const A: usize> Explorer<A> {
    pub fn new(mut rng: Rng) -> Self {
        let smoothness = rng.random_range(SMOOTHNESS.0..SMOOTHNESS.1);
        let standard_deviation = rng.random_range(STANDARD_DEVIATION.0..STANDARD_DEVIATION.1);
        let start = [0.0; A].map(|_: f64| {
            let draw: f64 = StandardNormal.sample(&mut rng);
            standard_deviation * draw
        });
        Self { rng, walk: SmoothWalk::new(start, standard_deviation, smoothness) }
    }
}

impl<const A: usize> Demonstrator for Explorer<A> {
    fn begin(&mut self, _seed: Seed) {}

    fn act(&mut self, _state: &[f64]) -> Action {
        clamped_action(&self.walk.next(&mut self.rng).map(|value| value as f32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_explorer_acts_in_as_many_dimensions_as_it_is_asked_for() {
        let mut explorer = Explorer::<7>::new(Seed::new(3).rng());
        let actions: Vec<Action> = (0..50).map(|_| explorer.act(&[])).collect();
        assert!(actions.iter().all(|action| action.values().len() == 7));
        assert_ne!(actions[0], actions[49]);
    }

    #[test]
    fn a_smooth_walk_keeps_its_standard_deviation() {
        let mut rng = Seed::new(1).rng();
        let mut walk = SmoothWalk::new([0.0; 3], 0.5, 0.9);
        let values: Vec<f64> = (0..20_000).flat_map(|_| walk.next(&mut rng)).collect();
        let variance = values.iter().map(|value| value * value).sum::<f64>() / values.len() as f64;
        assert!((variance.sqrt() - 0.5).abs() < 0.02, "{}", variance.sqrt());
    }
}
