//! Which of its codes each future draws: the same numbers for every plan.

use mindseye_interface::Seed;
use rand::seq::SliceRandom;

/// Uniform numbers `u[h][s]` in (0, 1) for every block `h` and future `s`. In every block they are the middles of `S` equal parts of the interval, one
/// for each future, in an order of the block's own: of `S` futures a branch of probability `p` gets `p S`, rounded. Plans that share them are
/// compared under the same luck (common random numbers).
#[derive(Debug, Clone, PartialEq)]
pub struct Draws {
    futures: usize,
    seed: Seed,
}

impl Draws {
    /// Draws for `futures` futures, at least one.
    pub fn new(futures: usize, seed: Seed) -> Self {
        Self { futures: futures.max(1), seed }
    }

    /// Number of futures `S`.
    pub fn futures(&self) -> usize {
        self.futures
    }

    /// The numbers `[S]` of block `block`.
    pub fn of_block(&self, block: usize) -> Vec<f32> {
        let mut parts: Vec<usize> = (0..self.futures).collect();
        parts.shuffle(&mut self.seed.index(block as u64).rng());
        parts.into_iter().map(|part| (part as f32 + 0.5) / self.futures as f32).collect()
    }
}

/// The code whose share of the interval `number` lies in, given the probabilities of all: the inverse of their cumulative distribution.
pub(crate) fn drawn(probabilities: &[f32], number: f32) -> usize {
    let mut until = 0.0;
    let within = |share: &f32| {
        until += share;
        number < until
    };
    probabilities.iter().position(within).unwrap_or(probabilities.len().saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_branch_gets_its_share_of_the_futures() {
        let draws = Draws::new(8, Seed::new(3));
        for block in 0..10 {
            let codes: Vec<usize> = draws.of_block(block).iter().map(|&u| drawn(&[0.25, 0.0, 0.5, 0.25], u)).collect();
            let count = |code| codes.iter().filter(|&&drawn| drawn == code).count();
            assert_eq!([0, 1, 2, 3].map(count), [2, 0, 4, 2], "{codes:?}");
        }
        assert_ne!(draws.of_block(0), draws.of_block(1), "blocks are drawn apart");
        assert_eq!(drawn(&[0.4, 0.4], 0.9), 1, "probabilities that rounding left short of one");
    }
}
