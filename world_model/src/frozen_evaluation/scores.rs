//! Scores with intervals: a bootstrap over held-out episodes, since clips of one episode are alike.

use mindseye_interface::Seed;

use super::labels::{Labels, best};
use super::report::ColumnScore;
use super::samples::Samples;
use crate::bootstrap;

/// Sums over the clips of one episode, of each label.
#[derive(Debug, Clone, Default)]
struct Episode {
    /// Clips.
    count: f64,
    /// Of numbers the squared error, of classes how many are right.
    hits: Vec<f64>,
    /// Of each column of the targets, sum and sum of squares.
    sums: Vec<[f64; 2]>,
}

/// Scores of what was `read [n, K]` of the clips `rows`, one per label, with 95 % intervals.
pub(super) fn score(
    labels: &Labels,
    samples: &Samples,
    rows: &[usize],
    read: &[f32],
    draws: usize,
    seed: Seed,
) -> Vec<ColumnScore> {
    let mut episodes: std::collections::BTreeMap<usize, Episode> = std::collections::BTreeMap::new();
    for (read, &row) in read.chunks_exact(labels.width).zip(rows) {
        let target = labels.target(row);
        let episode = episodes.entry(samples.episodes[row]).or_default();
        episode.hits.resize(labels.names.len(), 0.0);
        episode.sums.resize(labels.width, [0.0; 2]);
        episode.count += 1.0;
        if labels.classes {
            episode.hits[0] += f64::from(u8::from(best(read) == best(target)));
            continue;
        }
        let mut first = 0;
        for (hits, (_, columns)) in episode.hits.iter_mut().zip(&labels.names) {
            for column in first..first + columns {
                let value = f64::from(target[column]);
                *hits += (f64::from(read[column]) - value).powi(2);
                episode.sums[column][0] += value;
                episode.sums[column][1] += value * value;
            }
            first += columns;
        }
    }
    let episodes: Vec<Episode> = episodes.into_values().collect();
    let whole: Vec<&Episode> = episodes.iter().collect();
    let found = of(labels, &whole);
    let resampled = |chosen: &[usize]| of(labels, &chosen.iter().map(|&index| &episodes[index]).collect::<Vec<_>>());
    let intervals = bootstrap(episodes.len(), draws, seed.child("bootstrap"), resampled);
    let mut scores = Vec::with_capacity(found.len());
    for (index, (score, [low, high])) in found.into_iter().zip(intervals).enumerate() {
        let name = labels.names.get(index).map_or("mean", |(name, _)| name).to_owned();
        scores.push(ColumnScore { name, score, low, high });
    }
    scores
}

/// Scores of each label, and, of several numbers, their mean at the end.
fn of(labels: &Labels, episodes: &[&Episode]) -> Vec<f64> {
    let count: f64 = episodes.iter().map(|episode| episode.count).sum();
    let hits = |label: usize| episodes.iter().map(|episode| episode.hits[label]).sum::<f64>();
    if labels.classes {
        return vec![hits(0) / count.max(1.0)];
    }
    let mut first = 0;
    let mut scores = Vec::with_capacity(labels.names.len() + 1);
    for (label, (_, columns)) in labels.names.iter().enumerate() {
        let total = |column: usize| {
            let sum = |part: usize| episodes.iter().map(|episode| episode.sums[column][part]).sum::<f64>();
            sum(1) - sum(0) * sum(0) / count.max(1.0)
        };
        let total: f64 = (first..first + columns).map(total).sum();
        scores.push(1.0 - hits(label) / total.max(1e-12));
        first += columns;
    }
    if scores.len() > 1 {
        scores.push(scores.iter().sum::<f64>() / scores.len() as f64);
    }
    scores
}
