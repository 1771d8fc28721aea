//! Windows of episodes for training: frames one action chunk apart, with the chunks between them.

use std::ops::Range;

use mindseye_interface::Seed;
use rand::seq::SliceRandom;

use crate::Result;
use crate::cache::FrameCache;

/// Episodes divided into training and validation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split {
    /// Indices of training episodes, ascending.
    pub training: Vec<usize>,
    /// Indices of validation episodes, ascending.
    pub validation: Vec<usize>,
}

impl Split {
    /// Divides `episodes` episodes into training and validation by `seed`. `validation_fraction` of them are for
    /// validation: at least one of two or more if the fraction is not 0, and never all.
    pub fn new(episodes: usize, validation_fraction: f64, seed: Seed) -> Self {
        let mut order: Vec<usize> = (0..episodes).collect();
        order.shuffle(&mut seed.child("split").rng());
        let rounded = (episodes as f64 * validation_fraction).round() as usize;
        let least = usize::from(validation_fraction > 0.0 && episodes > 1);
        let count = rounded.max(least).min(episodes.saturating_sub(1));
        let (mut validation, mut training) = (order[..count].to_vec(), order[count..].to_vec());
        validation.sort_unstable();
        training.sort_unstable();
        Self { training, validation }
    }
}

/// A batch of windows.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowBatch {
    /// Number of windows `B`.
    pub windows: usize,
    /// Frames per window `T`.
    pub frames: usize,
    /// Images `[B, T, H, W, 3]`.
    pub images: Vec<u8>,
    /// Action chunks between the frames, `[B, T - 1, action_chunk * A]`.
    pub chunks: Vec<f32>,
    /// True states at the frames, `[B, T, K]`.
    pub states: Vec<f32>,
    /// Proprioception at the frames, `[B, T, P]`.
    pub proprioception: Vec<f32>,
}

/// All windows of `frames` frames, `action_chunk` control steps apart, within single episodes.
#[derive(Debug, Clone)]
pub struct Windows {
    starts: Vec<usize>,
    /// Each data set's range of `starts`, and its share of an epoch; empty where every window counts the same.
    shares: Vec<(Range<usize>, f64)>,
    frames: usize,
    action_chunk: usize,
}

impl Windows {
    /// The windows of the episodes `chosen`. A window starts at every control step at which it fits into the episode
    /// and all its images are kept. With a cache of stride `n`, there are windows only if `action_chunk` is a multiple
    /// of `n`.
    ///
    /// # Panics
    /// When an index in `chosen` is beyond the cache's episodes.
    pub fn new(cache: &FrameCache, chosen: &[usize], frames: usize, action_chunk: usize) -> Self {
        let span = frames.saturating_sub(1) * action_chunk;
        let kept = |&start: &usize| (0..frames).all(|frame| cache.has_image(start + frame * action_chunk));
        let mut starts = Vec::new();
        let mut shares: Vec<(usize, Range<usize>, f64)> = Vec::new();
        for &episode in chosen {
            let (range, first) = (&cache.episodes()[episode], starts.len());
            starts.extend((range.start..range.end.saturating_sub(span).max(range.start)).filter(kept));
            if let (set, Some(weight)) = cache.set_of(episode) {
                match shares.last_mut() {
                    Some((last, places, _)) if *last == set => places.end = starts.len(),
                    _ => shares.push((set, first..starts.len(), weight)),
                }
            }
        }
        shares.retain(|(_, places, weight)| !places.is_empty() && *weight > 0.0);
        Self {
            starts,
            shares: shares.into_iter().map(|(_, places, share)| (places, share)).collect(),
            frames,
            action_chunk,
        }
    }

    /// Number of windows.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether no window fits.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The order of all windows in epoch `epoch`: a shuffle by `seed`. Where data sets have weights, an epoch has the
    /// same length, and each data set has its share of it: some windows occur more than once or not at all.
    pub fn epoch_order(&self, seed: Seed, epoch: usize) -> Vec<u32> {
        let mut rng = seed.child("epoch").index(epoch as u64).rng();
        let mut order: Vec<u32> = (0..self.starts.len() as u32).collect();
        if !self.shares.is_empty() {
            let total: f64 = self.shares.iter().map(|(_, share)| share).sum();
            let (mut mixed, mut until) = (Vec::with_capacity(order.len()), 0.0);
            for (places, share) in &self.shares {
                until += share / total * order.len() as f64;
                while mixed.len() < until.round() as usize {
                    let mut once = order[places.clone()].to_vec();
                    once.shuffle(&mut rng);
                    once.truncate(until.round() as usize - mixed.len());
                    mixed.append(&mut once);
                }
            }
            order = mixed;
        }
        order.shuffle(&mut rng);
        order
    }

    /// First timestep of each window.
    pub fn starts(&self) -> &[usize] {
        &self.starts
    }

    /// The windows numbered `indices` like [`Windows::gather`], but without the images, and the timesteps `[B, T]` of
    /// their frames.
    pub fn gather_chunks(&self, cache: &FrameCache, indices: &[u32]) -> (WindowBatch, Vec<usize>) {
        let width = cache.action_width();
        let span = self.frames.saturating_sub(1) * self.action_chunk;
        let mut timesteps = Vec::with_capacity(indices.len() * self.frames);
        let mut batch = WindowBatch {
            windows: indices.len(),
            frames: self.frames,
            images: Vec::new(),
            chunks: Vec::with_capacity(indices.len() * span * width),
            states: Vec::with_capacity(indices.len() * self.frames * cache.state_width()),
            proprioception: Vec::with_capacity(indices.len() * self.frames * cache.proprioception_width()),
        };
        for &index in indices {
            let start = self.starts[index as usize];
            for timestep in (0..self.frames).map(|frame| start + frame * self.action_chunk) {
                batch.states.extend_from_slice(cache.state(timestep));
                batch.proprioception.extend_from_slice(cache.proprioception_at(timestep));
                timesteps.push(timestep);
            }
            batch.chunks.extend_from_slice(&cache.actions()[start * width..(start + span) * width]);
        }
        (batch, timesteps)
    }

    /// Copies the windows numbered `indices` into a batch.
    ///
    /// # Errors
    /// As [`FrameCache::image`].
    pub fn gather(&self, cache: &FrameCache, indices: &[u32]) -> Result<WindowBatch> {
        let (mut batch, timesteps) = self.gather_chunks(cache, indices);
        batch.images.reserve_exact(timesteps.len() * cache.image_size().rgb_len());
        timesteps.iter().try_for_each(|&timestep| cache.append_image(timestep, &mut batch.images))?;
        Ok(batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EpisodeData;
    use mindseye_interface::{Image, ImageSize};

    /// Episodes of the given lengths whose frames, states and actions all encode episode and step.
    fn cache(lengths: &[usize]) -> FrameCache {
        let size = ImageSize::square(1).unwrap();
        let mut cache = FrameCache::new(size, 1, 2, 0);
        for (episode, &length) in lengths.iter().enumerate() {
            let data = EpisodeData {
                frames: (0..length).map(|step| Image::filled(size, [episode as u8, step as u8, 0])).collect(),
                proprioception: vec![vec![]; length],
                states: (0..length).map(|step| vec![episode as f32, step as f32]).collect(),
                actions: (0..length).map(|step| vec![100.0 * episode as f32 + step as f32]).collect(),
            };
            cache.push(&data).unwrap();
        }
        cache
    }

    #[test]
    fn windows_hold_the_actions_between_their_frames_and_never_cross_episodes() {
        let cache = cache(&[7, 4, 5]);
        let windows = Windows::new(&cache, &[0, 1, 2], 3, 2);
        assert_eq!(windows.len(), 3 + 1); // of the episodes of 7 and 5 steps
        let all: Vec<u32> = (0..windows.len() as u32).collect();
        let batch = windows.gather(&cache, &all).unwrap();
        assert_eq!(batch.chunks[..4], [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(batch.states[..6], [0.0, 0.0, 0.0, 2.0, 0.0, 4.0]);
        assert_eq!(batch.images[3 * 9..3 * 9 + 9], [2, 0, 0, 2, 2, 0, 2, 4, 0]);
        for window in batch.states.chunks(6) {
            assert!(window.chunks(2).all(|state| state[0] == window[0]));
        }
    }

    #[test]
    fn an_epoch_visits_every_window_once_in_an_order_of_its_own() {
        let cache = cache(&[50]);
        let windows = Windows::new(&cache, &[0], 2, 1);
        let order = |epoch| windows.epoch_order(Seed::new(3), epoch);
        let mut sorted = order(0);
        sorted.sort_unstable();
        assert_eq!(sorted, (0..49).collect::<Vec<u32>>());
        assert_eq!(order(1), order(1));
        assert_ne!(order(0), order(1));
    }

    #[test]
    fn data_sets_are_mixed_by_weight() -> crate::Result<()> {
        let (mut few, many) = (cache(&[12]).with_weight(3.0), cache(&[100, 100]).with_weight(1.0));
        few.join(many)?;
        let windows = Windows::new(&few, &[0, 1, 2], 3, 1);
        assert_eq!(windows.len(), 10 + 98 + 98);
        let order = windows.epoch_order(Seed::new(0), 0);
        assert_eq!(order.len(), windows.len());
        let of_first = order.iter().filter(|&&index| index < 10).count();
        assert_eq!(of_first, (206.0f64 * 0.75).round() as usize);
        for index in 0..10 {
            let times = order.iter().filter(|&&other| other == index).count();
            assert!((15..=16).contains(&times), "{times} times");
        }
        let batch = windows.gather(&few, &[0, 10, 205])?;
        let firsts: Vec<&[f32]> = batch.states.chunks(6).map(|states| &states[..2]).collect();
        assert_eq!(firsts, [[0.0, 0.0], [0.0, 0.0], [1.0, 97.0]], "each from its own data set");
        assert_eq!(batch.images[6 * 3..6 * 3 + 3], [1, 97, 0]);
        let other = FrameCache::new(ImageSize::square(2)?, 1, 2, 0);
        let refused = few.join(other).map_err(|error| error.to_string());
        assert!(refused.is_err_and(|error| error.contains("join")));
        Ok(())
    }

    #[test]
    fn training_and_validation_share_no_episode() {
        for (episodes, fraction) in [(10, 0.2), (2, 0.01), (1, 0.5), (100, 0.0)] {
            let split = Split::new(episodes, fraction, Seed::new(1));
            assert_eq!(split.training.len() + split.validation.len(), episodes);
            assert!(split.validation.iter().all(|episode| !split.training.contains(episode)));
            assert!(!split.training.is_empty());
        }
        assert_eq!(Split::new(10, 0.2, Seed::new(1)).validation.len(), 2);
    }
}
