//! Recorded episodes as the model encodes them, and windows of them.

use std::ops::Range;

use mindseye_episodes::FrameCache;
use mindseye_interface::Progress;
use mindseye_world_model::{Checkpoint, EncodedDataset, RolloutEngine};

use super::SHOWN_STEPS;
use crate::Result;

/// Most windows of one measurement.
const WINDOWS: usize = 1500;

/// Encoded episodes of a recording.
pub(super) struct Recorded<'a> {
    pub(super) cache: &'a FrameCache,
    pub(super) data: EncodedDataset,
    pub(super) checkpoint: &'a Checkpoint,
    engine: RolloutEngine,
}

/// A window: the episode it is in, by its place in the data, and its first frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    pub(super) episode: usize,
    pub(super) start: usize,
}

impl<'a> Recorded<'a> {
    /// Encodes the episodes `chosen` of `cache`.
    pub(super) fn encode(
        checkpoint: &'a Checkpoint,
        cache: &'a FrameCache,
        chosen: &[usize],
        progress: &dyn Progress,
    ) -> Result<Self> {
        let data = EncodedDataset::encode_some(&checkpoint.model, cache, chosen, progress)?;
        Ok(Self { cache, data, checkpoint, engine: RolloutEngine::new(&checkpoint.model)? })
    }

    pub(super) fn episodes(&self) -> &[Range<usize>] {
        self.data.episodes()
    }

    /// Windows of `chunks` chunks, evenly spread over all, `most` at most.
    pub(super) fn windows(&self, chunks: usize, most: usize) -> Vec<Window> {
        let of_episode = |(episode, range): (usize, &Range<usize>)| {
            let starts = range.start..range.end.saturating_sub(chunks).max(range.start);
            starts.map(move |start| Window { episode, start })
        };
        let all: Vec<Window> = self.episodes().iter().enumerate().flat_map(of_episode).collect();
        let count = all.len().min(most);
        (0..count).map(|index| all[index * all.len() / count]).collect()
    }

    /// The same, as many as are worth measuring.
    pub(super) fn all_windows(&self, chunks: usize) -> Vec<Window> {
        self.windows(chunks, WINDOWS)
    }

    /// The longest of the horizons that are measured, for which there is a window.
    pub(super) fn longest(&self, at_most: usize) -> Option<usize> {
        let longest = self.episodes().iter().map(|episode| episode.len() - 1).max().unwrap_or(0);
        SHOWN_STEPS.iter().copied().filter(|&chunks| chunks <= longest.min(at_most)).max()
    }

    /// The recorded chunks of a window, `[chunks, A]`.
    pub(super) fn chunks(&self, start: usize, chunks: usize) -> Vec<f32> {
        (start..start + chunks).flat_map(|frame| self.data.chunk(frame)).copied().collect()
    }

    /// Where the model predicts that `plans [N, chunks, A]` lead to from `windows`, `[N, D]`.
    pub(super) fn ends(&self, windows: &[Window], plans: &[f32], chunks: usize) -> Result<Vec<f32>> {
        let width = self.data.latent_width();
        let starts: Vec<f32> = windows.iter().flat_map(|window| self.data.latent(window.start)).copied().collect();
        let threads = rayon::current_num_threads();
        let rollouts = self.engine.rollout(&starts, plans, chunks, threads)?;
        Ok(rollouts
            .chunks_exact(chunks * width)
            .flat_map(|rollout| &rollout[(chunks - 1) * width..])
            .copied()
            .collect())
    }

    /// Sums of squared distances of `predicted [N, D]` from the states that `windows` end in, per episode.
    pub(super) fn errors(&self, windows: &[Window], predicted: &[f32], chunks: usize) -> Vec<f64> {
        let mut sums = vec![0.0; self.episodes().len()];
        for (window, predicted) in windows.iter().zip(predicted.chunks_exact(self.data.latent_width())) {
            sums[window.episode] += squared_distance(predicted, self.data.latent(window.start + chunks));
        }
        sums
    }

    /// The latents of all frames, `[F, D]`.
    pub(super) fn latents(&self) -> Vec<f32> {
        self.episodes()
            .iter()
            .flat_map(|episode| episode.clone())
            .flat_map(|frame| self.data.latent(frame))
            .copied()
            .collect()
    }
}

/// Pairs of numbers of the episodes that have any.
pub(super) fn pairs(above: &[f64], below: &[f64]) -> Vec<(f64, f64)> {
    above.iter().copied().zip(below.iter().copied()).filter(|(above, below)| *above > 0.0 || *below > 0.0).collect()
}

pub(super) fn squared_distance(one: &[f32], other: &[f32]) -> f64 {
    one.iter().zip(other).map(|(a, b)| f64::from(a - b).powi(2)).sum()
}
