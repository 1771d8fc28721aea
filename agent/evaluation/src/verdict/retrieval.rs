//! Whether the latent tells timesteps apart: is the predicted state nearest to the one that came?

use mindseye_interface::Seed;
use rand::seq::index::sample;
use serde::{Deserialize, Serialize};

use super::estimate::Estimate;
use super::recorded::{Recorded, Window, squared_distance};
use crate::Result;

/// Most predictions that are looked up.
const QUERIES: usize = 400;
/// Frames of other episodes that each is compared with.
const OTHERS: usize = 200;

/// Where the true next state ranks, by its distance from the predicted one, among all of its episode and some of
/// others.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retrieval {
    /// Mean number of states that it is compared with.
    pub candidates: f64,
    /// Share of predictions that are nearest to the true next state.
    pub first: Estimate,
    /// Median rank of the true next state; 1 is the best, half of the candidates is chance.
    pub median_rank: f64,
    /// The same where the present state stands in for the predicted one.
    pub median_rank_of_copy_last: f64,
}

impl Recorded<'_> {
    /// None of data without a window.
    pub(super) fn retrieval(&self, seed: Seed) -> Result<Option<Retrieval>> {
        let windows = self.windows(1, QUERIES);
        if windows.is_empty() {
            return Ok(None);
        }
        let width = self.data.latent_width();
        let plans: Vec<f32> = windows.iter().flat_map(|window| self.chunks(window.start, 1)).collect();
        let predicted = self.ends(&windows, &plans, 1)?;
        let frames = self.episodes().iter().enumerate();
        let frames: Vec<(usize, usize)> =
            frames.flat_map(|(episode, range)| range.clone().map(move |frame| (episode, frame))).collect();
        let drawn = sample(&mut seed.child("others").rng(), frames.len(), OTHERS.min(frames.len()));
        let drawn: Vec<(usize, usize)> = drawn.into_iter().map(|index| frames[index]).collect();
        let candidates = |window: &Window| -> Vec<usize> {
            let (episode, next) = (window.episode, window.start + 1);
            let own = self.episodes()[episode].clone().filter(move |&frame| frame != next);
            own.chain(drawn.iter().filter(|other| other.0 != episode).map(|other| other.1)).collect()
        };
        let rank = |query: &[f32], window: &Window| -> usize {
            let own = squared_distance(query, self.data.latent(window.start + 1));
            let nearer = |frame: &usize| squared_distance(query, self.data.latent(*frame)) <= own;
            1 + candidates(window).iter().filter(|frame| nearer(frame)).count()
        };
        let queries = windows.iter().zip(predicted.chunks_exact(width));
        let ranks: Vec<usize> = queries.map(|(window, predicted)| rank(predicted, window)).collect();
        let copied = windows.iter().map(|window| rank(self.data.latent(window.start), window)).collect();
        let mut first = vec![(0.0, 0.0); self.episodes().len()];
        for (window, rank) in windows.iter().zip(&ranks) {
            let (hits, all) = &mut first[window.episode];
            *hits += f64::from(u8::from(*rank == 1));
            *all += 1.0;
        }
        first.retain(|(_, all)| *all > 0.0);
        let count: usize = windows.iter().map(|window| candidates(window).len() + 1).sum();
        Ok(Some(Retrieval {
            candidates: count as f64 / windows.len() as f64,
            first: Estimate::ratio(&first, seed.child("first")),
            median_rank: median(ranks),
            median_rank_of_copy_last: median(copied),
        }))
    }
}

fn median(mut ranks: Vec<usize>) -> f64 {
    ranks.sort_unstable();
    ranks.get(ranks.len() / 2).map_or(0.0, |&rank| rank as f64)
}
