//! Candidates with their energies, and the distributions that new ones are drawn from.

use mindseye_interface::Rng;

use super::ColoredNoise;
/// A scored sequence of normalised actions, `[H * A]`.
#[derive(Debug, Clone)]
pub(super) struct Candidate {
    pub actions: Vec<f32>,
    pub energy: f32,
}

/// The best of all candidates so far: memory for twice as many as are kept, however many there are.
pub(super) struct Best {
    keep: usize,
    candidates: Vec<Candidate>,
    /// Energy from which on a candidate cannot be among the best any more.
    limit: f32,
}

/// Candidates beyond twice the number kept before they are sorted out.
const SLACK: usize = 64;

impl Best {
    /// The best `keep`; at least one is kept.
    pub fn new(keep: usize) -> Self {
        Self { keep: keep.max(1), candidates: Vec::new(), limit: f32::INFINITY }
    }

    /// Adds the `sequences` with finite energies.
    pub fn extend(&mut self, sequences: Vec<Vec<f32>>, energies: Vec<f32>) {
        for (actions, energy) in sequences.into_iter().zip(energies) {
            if energy.is_finite() && energy < self.limit {
                self.candidates.push(Candidate { actions, energy });
            }
        }
        if self.candidates.len() > 2 * self.keep + SLACK {
            self.sort_out();
        }
    }

    /// Best first, equal energies in the order in which they came.
    pub fn ranked(mut self) -> Vec<Candidate> {
        self.sort_out();
        self.candidates
    }

    fn sort_out(&mut self) {
        self.candidates.sort_by(|a, b| a.energy.total_cmp(&b.energy));
        self.candidates.truncate(self.keep);
        if self.candidates.len() == self.keep {
            self.limit = self.candidates.last().map_or(f32::INFINITY, |worst| worst.energy);
        }
    }
}

/// Mean and standard deviation of the elites, value by value.
pub(super) fn fit(elites: &[Candidate]) -> (Vec<f32>, Vec<f32>) {
    let count = elites.len().max(1) as f32;
    let length = elites.first().map_or(0, |elite| elite.actions.len());
    let mean_of = |of: &dyn Fn(usize, f32) -> f32| -> Vec<f32> {
        let sum = |index: usize| elites.iter().map(|elite| of(index, elite.actions[index])).sum::<f32>();
        (0..length).map(|index| sum(index) / count).collect()
    };
    let mean = mean_of(&|_, value| value);
    let std = mean_of(&|index, value| (value - mean[index]).powi(2)).into_iter().map(f32::sqrt).collect();
    (mean, std)
}

/// Draws around means: white noise of unit variance, or coloured in time (the same length again is computed once).
#[derive(Debug)]
pub(super) struct Noise {
    beta: f64,
    colored: Option<ColoredNoise>,
}

impl Noise {
    /// Noise whose power falls as `1 / f^beta`.
    pub fn new(beta: f64) -> Self {
        Self { beta, colored: None }
    }

    /// A sequence around `mean [H * A]` with standard deviations `std`, for actions of `action_width` numbers, within
    /// [-1, 1].
    pub fn around(&mut self, mean: &[f32], std: &[f32], action_width: usize, rng: &mut Rng) -> Vec<f32> {
        let steps = mean.len() / action_width.max(1);
        let beta = self.beta;
        if self.colored.as_ref().is_none_or(|noise| noise.length() != steps) {
            self.colored = Some(ColoredNoise::new(steps, beta));
        }
        let mut draw = vec![0.0; mean.len()];
        if let Some(noise) = &self.colored {
            (0..action_width).for_each(|part| noise.add_to(&mut draw, part, action_width, rng));
        }
        mean.iter().zip(std).zip(draw).map(|((mean, std), draw)| (mean + std * draw).clamp(-1.0, 1.0)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_of_many_are_those_of_a_stable_sort_of_all() {
        let energy = |index: usize| match index % 97 {
            0 => f32::NAN,
            1 => f32::INFINITY,
            rest => (rest * 37 % 23) as f32,
        };
        let candidates = |from: usize, count: usize| -> (Vec<Vec<f32>>, Vec<f32>) {
            (from..from + count).map(|index| (vec![index as f32], energy(index))).unzip()
        };
        for keep in [1, 5, 200] {
            let mut best = Best::new(keep);
            (0..60).for_each(|group| {
                let (sequences, energies) = candidates(32 * group, 32);
                best.extend(sequences, energies);
                assert!(best.candidates.len() <= 2 * keep + SLACK + 32, "memory for {keep}");
            });
            let mut all: Vec<usize> = (0..60 * 32).filter(|&index| energy(index).is_finite()).collect();
            all.sort_by(|&a, &b| energy(a).total_cmp(&energy(b)));
            let ranked: Vec<usize> = best.ranked().iter().map(|candidate| candidate.actions[0] as usize).collect();
            assert_eq!(ranked, all[..keep], "{keep}");
        }
        let mut none = Best::new(3);
        none.extend(vec![vec![0.0]], vec![f32::NAN]);
        assert!(none.ranked().is_empty());
    }
}
