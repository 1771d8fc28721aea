//! Recorded episodes as a finished model encodes them: the training data of every head.

use std::ops::Range;

use candle_core::Tensor;
use mindseye_episodes::FrameCache;
use mindseye_interface::Seed;
use rand::Rng as _;

use crate::step_units::{Averaging, steps_from_error};
use crate::{Error, Result};

/// Latents one action chunk apart, the chunks between them, and the true states where they were recorded. `F` frames of
/// all episodes.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodedDataset {
    latents: Vec<f32>,
    chunks: Vec<f32>,
    states: Vec<f32>,
    state_names: Vec<String>,
    latent_width: usize,
    chunk_width: usize,
    episodes: Vec<Range<usize>>,
    /// The frame in the cache of every latent; empty where they were not encoded from one.
    cached: Vec<usize>,
}

/// `B` windows of `T` frames.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentWindows {
    /// `[B, T, D]`.
    pub latents: Vec<f32>,
    /// The action chunks between them, `[B, T - 1, A]`.
    pub chunks: Vec<f32>,
}

impl EncodedDataset {
    /// Takes `latents [F, D]` and `chunks [F, A]`, each executed from its frame to the next (any values at the last
    /// frame of an episode), and the frames of every episode. There are no states.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is a latent and a chunk for every frame.
    pub fn new(
        latents: Vec<f32>,
        chunks: Vec<f32>,
        (latent_width, chunk_width): (usize, usize),
        episodes: Vec<Range<usize>>,
    ) -> Result<Self> {
        let frames = latents.len() / latent_width.max(1);
        let end = episodes.iter().map(|episode| episode.end).max().unwrap_or(0);
        if end > frames || (latents.len(), chunks.len()) != (frames * latent_width, frames * chunk_width) {
            return Err(Error::Shape {
                operation: "episodes of latents",
                expected: format!("{end} latents of {latent_width} and chunks of {chunk_width} values"),
                got: format!("{} and {} values", latents.len(), chunks.len()),
            });
        }
        let (states, state_names, cached) = (Vec::new(), Vec::new(), Vec::new());
        Ok(Self { latents, chunks, states, state_names, latent_width, chunk_width, episodes, cached })
    }

    /// Takes the latents `[F, D]` of all frames of `sequences`, each a part of an episode of `cache` whose frames lie
    /// `action_chunk` apart, in the order of the episodes. Sequences of fewer than two frames are left out.
    ///
    /// # Errors
    /// [`Error::Data`] when no sequence has two frames; [`Error::Shape`] unless there is a latent for every frame.
    pub(crate) fn of_sequences(
        latents: Vec<f32>,
        latent_width: usize,
        action_chunk: usize,
        cache: &FrameCache,
        sequences: &[Vec<usize>],
    ) -> Result<Self> {
        let (episodes, frames) = (episodes_of(sequences)?, sequences.concat());
        let chunks = chunks_after(cache, &frames, action_chunk);
        let states = frames.iter().flat_map(|&frame| cache.state(frame)).copied().collect();
        let dataset = Self::new(latents, chunks, (latent_width, action_chunk * cache.action_width()), episodes)?;
        Ok(Self { states, state_names: cache.state_names().to_vec(), cached: frames, ..dataset })
    }

    /// The same with the proprioception of `cache`, which it was encoded from, as the true state where there is none:
    /// its elements are called `names`, or numbered where these are not as many.
    #[must_use]
    pub fn or_proprioception_as_state(self, cache: &FrameCache, names: &[String]) -> Self {
        let width = cache.proprioception_width();
        if !self.state_names.is_empty() || width == 0 {
            return self;
        }
        let states = self.cached.iter().flat_map(|&frame| cache.proprioception_at(frame)).copied().collect();
        let numbered = || (0..width).map(|index| format!("proprioception_{index}")).collect();
        let state_names = if names.len() == width { names.to_vec() } else { numbered() };
        Self { states, state_names, ..self }
    }

    /// Width `D` of a latent.
    pub fn latent_width(&self) -> usize {
        self.latent_width
    }

    /// Width `A` of a chunk.
    pub fn chunk_width(&self) -> usize {
        self.chunk_width
    }

    /// The frames of every episode.
    pub fn episodes(&self) -> &[Range<usize>] {
        &self.episodes
    }

    /// The latent `[D]` of a frame.
    pub fn latent(&self, frame: usize) -> &[f32] {
        &self.latents[frame * self.latent_width..(frame + 1) * self.latent_width]
    }

    /// The chunk `[A]` executed from a frame to the next; zeros beyond the end of an episode.
    pub fn chunk(&self, frame: usize) -> &[f32] {
        &self.chunks[frame * self.chunk_width..(frame + 1) * self.chunk_width]
    }

    /// The frame of the cache that a frame was encoded from, where it was.
    pub fn cached_frame(&self, frame: usize) -> Option<usize> {
        self.cached.get(frame).copied()
    }

    /// Names of the `K` dimensions of the true state; none where it was not recorded.
    pub fn state_names(&self) -> &[String] {
        &self.state_names
    }

    /// The true state `[K]` at a frame.
    pub fn state(&self, frame: usize) -> &[f32] {
        let width = self.state_names.len();
        &self.states[frame * width..(frame + 1) * width]
    }

    /// Two data sets: one without every `every`-th episode, one of these.
    fn split(&self, every: usize) -> (Self, Self) {
        let some = |held_out: bool| {
            let chosen = self.episodes.iter().enumerate();
            let chosen = chosen.filter(|(index, _)| (index % every == every - 1) == held_out);
            Self { episodes: chosen.map(|(_, episode)| episode.clone()).collect(), ..self.clone() }
        };
        (some(false), some(true))
    }

    /// [`EncodedDataset::split`] for measuring on windows of `frames` frames: of fewer than `every` episodes the last
    /// is held out.
    ///
    /// # Errors
    /// [`Error::Data`] where one of the two data sets has no such window: with one episode, or with short ones.
    pub(crate) fn hold_out(&self, every: usize, frames: usize) -> Result<(Self, Self)> {
        let (kept, held_out) = self.split(every.min(self.episodes.len()).max(1));
        if kept.starts(frames).is_empty() || held_out.starts(frames).is_empty() {
            let expected = format!(
                "two or more episodes of {frames} frames, an action chunk apart: one to train on, one in {every} to \
                 measure on"
            );
            let of_both = [&kept, &held_out].map(|dataset| dataset.starts(frames).len());
            let got = format!("{} episodes; {} and {} such windows", self.episodes.len(), of_both[0], of_both[1]);
            return Err(Error::Data { field: "episodes", expected, got });
        }
        Ok((kept, held_out))
    }

    /// As many episodes as there are, drawn with replacement: a bootstrap sample.
    #[must_use]
    pub(crate) fn resampled(&self, seed: Seed) -> Self {
        let mut rng = seed.rng();
        let draw = |_| self.episodes[rng.random_range(0..self.episodes.len())].clone();
        Self { episodes: (0..self.episodes.len()).map(draw).collect(), ..self.clone() }
    }

    /// First frames of all windows of `frames` frames.
    pub fn starts(&self, frames: usize) -> Vec<usize> {
        let of_episode = |episode: &Range<usize>| episode.start..(episode.end + 1).saturating_sub(frames);
        self.episodes.iter().flat_map(of_episode).collect()
    }

    /// [`EncodedDataset::starts`], at least one.
    ///
    /// # Errors
    /// [`Error::Shape`] when there is none.
    pub(crate) fn require_starts(&self, frames: usize) -> Result<Vec<usize>> {
        let starts = self.starts(frames);
        if starts.is_empty() {
            let expected = format!("an episode of {frames} frames, an action chunk apart");
            return Err(Error::Shape { operation: "learning from episodes", expected, got: "none".into() });
        }
        Ok(starts)
    }

    /// The windows of `frames` frames from `starts` on.
    pub fn windows(&self, starts: &[usize], frames: usize) -> LatentWindows {
        let (latent, chunk) = (self.latent_width, self.chunk_width);
        let latents = starts.iter().flat_map(|start| &self.latents[start * latent..(start + frames) * latent]).copied();
        let chunks = starts.iter().flat_map(|start| &self.chunks[start * chunk..(start + frames - 1) * chunk]).copied();
        LatentWindows { latents: latents.collect(), chunks: chunks.collect() }
    }

    /// [`steps_from_error`] of the transitions of all episodes.
    ///
    /// # Errors
    /// When a tensor cannot be made.
    pub(crate) fn steps_from_error(&self) -> Result<Tensor> {
        let transitions: Vec<(usize, usize)> = self.starts(2).into_iter().map(|start| (start, start + 1)).collect();
        steps_from_error(&self.latents, self.latent_width, &transitions, Averaging::SumFractions)
    }

    /// CRC-32C of latents, chunks, states and episodes: a resumed run must continue with the same data.
    pub fn checksum(&self) -> u32 {
        let episodes = self.episodes.iter().flat_map(|episode| [episode.start as u64, episode.end as u64]);
        let episodes: Vec<u8> = episodes.flat_map(u64::to_le_bytes).collect();
        crc32c::crc32c_append(checksum(&[&self.latents, &self.chunks, &self.states]), &episodes)
    }
}

/// CRC-32C of values: identifies data and weights in the headers of training states.
pub fn checksum(values: &[&[f32]]) -> u32 {
    let bytes: Vec<u8> = values.iter().copied().flatten().flat_map(|value| value.to_le_bytes()).collect();
    crc32c::crc32c(&bytes)
}

/// Which frames of all `sequences` are those of each that has two or more.
pub(crate) fn episodes_of(sequences: &[Vec<usize>]) -> Result<Vec<Range<usize>>> {
    let mut first = 0;
    let ranges = sequences.iter().map(|sequence| {
        first += sequence.len();
        first - sequence.len()..first
    });
    let episodes: Vec<Range<usize>> = ranges.filter(|range| range.len() > 1).collect();
    if episodes.is_empty() {
        let expected = "episodes of at least two action chunks".into();
        return Err(Error::Data { field: "episodes", expected, got: "none".into() });
    }
    Ok(episodes)
}

/// The actions of `steps` control steps after each of `frames`, zeros beyond the end of an episode.
fn chunks_after(cache: &FrameCache, frames: &[usize], steps: usize) -> Vec<f32> {
    let width = cache.action_width();
    let mut chunks = Vec::with_capacity(frames.len() * steps * width);
    for episode in cache.episodes() {
        let first = frames.partition_point(|&frame| frame < episode.start);
        let end = frames.partition_point(|&frame| frame < episode.end);
        for &frame in &frames[first..end] {
            let known = &cache.actions()[frame * width..(frame + steps).min(episode.end) * width];
            chunks.extend_from_slice(known);
            chunks.resize(chunks.len() + steps * width - known.len(), 0.0);
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Episodes of three, one and five frames whose latents and chunks hold the number of their frame.
    fn counted() -> Result<EncodedDataset> {
        let latents = (0..9).flat_map(|frame| [frame as f32, 0.5]).collect();
        let chunks = (0..9).map(|frame| 10.0 * frame as f32).collect();
        EncodedDataset::new(latents, chunks, (2, 1), vec![0..3, 3..4, 4..9])
    }

    #[test]
    fn windows_hold_the_chunks_between_their_frames_and_never_cross_episodes() -> Result<()> {
        let episodes = counted()?;
        assert_eq!(episodes.starts(3), [0, 4, 5, 6]);
        let windows = episodes.windows(&[0, 5], 3);
        assert_eq!(windows.latents.chunks(2).map(|latent| latent[0]).collect::<Vec<_>>(), [0., 1., 2., 5., 6., 7.]);
        assert_eq!(windows.chunks, [0.0, 10.0, 50.0, 60.0]);
        assert!(EncodedDataset::new(vec![0.0; 17], vec![0.0; 9], (2, 1), vec![0..4, 4..9]).is_err());
        Ok(())
    }

    #[test]
    fn of_few_episodes_the_last_is_held_out_and_what_cannot_be_measured_is_refused_first() -> Result<()> {
        let episodes = counted()?;
        let (kept, held_out) = episodes.hold_out(10, 1)?;
        assert!(kept.episodes().len() == 2 && held_out.episodes().len() == 1 && held_out.episodes()[0] == (4..9));
        let too_long = episodes.hold_out(10, 4).unwrap_err().to_string();
        assert!(too_long.contains("3 episodes; 0 and 2 such windows"), "{too_long}");
        let (_, alone) = episodes.split(3);
        assert!(alone.hold_out(10, 1).is_err(), "one episode cannot be both");
        Ok(())
    }

    #[test]
    fn a_split_shares_no_episode_and_a_bootstrap_draws_from_all() -> Result<()> {
        let episodes = counted()?;
        let (kept, held_out) = episodes.split(3);
        assert_eq!(kept.episodes(), [0..3, 3..4]);
        assert!(held_out.episodes().len() == 1 && held_out.episodes()[0] == (4..9));
        let drawn: Vec<_> = (0..50).map(|seed| episodes.resampled(Seed::new(seed)).episodes).collect();
        assert!(drawn.iter().all(|drawn| drawn.len() == 3) && drawn.iter().any(|drawn| drawn[0] == drawn[1]));
        assert!(episodes.episodes.iter().all(|episode| drawn.iter().flatten().any(|drawn| drawn == episode)));
        Ok(())
    }
}
