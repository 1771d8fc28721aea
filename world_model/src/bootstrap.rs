//! Intervals of statistics of a sample, by drawing from it again and again with replacement.

use mindseye_interface::Seed;
use rand::Rng as _;

/// The 95 % intervals of `statistics` of a sample of `count` items, by `draws` samples of as many of them. A sample is
/// the numbers of its items. Nothing for no items or draws.
pub fn bootstrap(count: usize, draws: usize, seed: Seed, statistics: impl Fn(&[usize]) -> Vec<f64>) -> Vec<[f64; 2]> {
    if count == 0 || draws == 0 {
        return Vec::new();
    }
    let mut rng = seed.rng();
    let mut drawn: Vec<Vec<f64>> = Vec::new();
    for _ in 0..draws {
        let chosen: Vec<usize> = (0..count).map(|_| rng.random_range(0..count)).collect();
        let values = statistics(&chosen);
        drawn.resize_with(values.len(), || Vec::with_capacity(draws));
        drawn.iter_mut().zip(values).for_each(|(drawn, value)| drawn.push(value));
    }
    let interval = |mut drawn: Vec<f64>| {
        drawn.sort_by(f64::total_cmp);
        let at = |share: f64| drawn[((drawn.len() - 1) as f64 * share).round() as usize];
        [at(0.025), at(0.975)]
    };
    drawn.into_iter().map(interval).collect()
}
