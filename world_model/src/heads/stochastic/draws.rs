//! The random numbers that samples draw their codes with: the same for every plan.

use mindseye_interface::Seed;
use rand::seq::SliceRandom;

/// Uniform numbers `u[h][s]` in (0, 1) for every chunk `h` and sample `s`. In every chunk they are the middles of `S`
/// equal parts of the interval, one per sample, in random order: of `S` samples a branch of probability `p` gets `p S`,
/// rounded. All plans share them (common random numbers).
#[derive(Debug, Clone, PartialEq)]
pub struct Draws {
    samples: usize,
    seed: Seed,
}

impl Draws {
    /// Draws for `samples` samples, at least one.
    pub fn new(samples: usize, seed: Seed) -> Self {
        Self { samples: samples.max(1), seed }
    }

    /// Number of samples `S`.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// The numbers `[S]` of chunk `chunk`.
    pub fn of_chunk(&self, chunk: usize) -> Vec<f32> {
        let mut parts: Vec<usize> = (0..self.samples).collect();
        parts.shuffle(&mut self.seed.index(chunk as u64).rng());
        parts.into_iter().map(|part| (part as f32 + 0.5) / self.samples as f32).collect()
    }
}

/// The code whose part of the interval `number` lies in, given the probabilities of all: the inverse of their
/// cumulative distribution.
pub(crate) fn drawn(probabilities: &[f32], number: f32) -> usize {
    let mut until = 0.0;
    let within = |probability: &f32| {
        until += probability;
        number < until
    };
    probabilities.iter().position(within).unwrap_or(probabilities.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_branch_gets_samples_in_proportion_to_its_probability() {
        let draws = Draws::new(8, Seed::new(3));
        for chunk in 0..10 {
            let codes: Vec<usize> = draws.of_chunk(chunk).iter().map(|&u| drawn(&[0.25, 0.0, 0.5, 0.25], u)).collect();
            let count = |code| codes.iter().filter(|&&drawn| drawn == code).count();
            assert_eq!([0, 1, 2, 3].map(count), [2, 0, 4, 2], "{codes:?}");
        }
        assert_ne!(draws.of_chunk(0), draws.of_chunk(1), "every chunk has numbers of its own");
        assert_eq!(drawn(&[0.4, 0.4], 0.9), 1, "probabilities whose sum rounding left below one");
    }
}
