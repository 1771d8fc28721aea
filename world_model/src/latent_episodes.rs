//! Recorded episodes as a finished model sees them: what the parts beside it are taught from.

use std::ops::Range;

use candle_core::Tensor;
use mindseye_interface::Seed;
use nalgebra::DMatrix;
use rand::Rng as _;

use crate::ops::tensor;
use crate::statistics::inverse_roots;
use crate::{Error, Result};

/// Latents one action block apart, and the blocks between them. `F` moments of all episodes.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentEpisodes {
    latents: Vec<f32>,
    blocks: Vec<f32>,
    latent_width: usize,
    block_width: usize,
    episodes: Vec<Range<usize>>,
}

/// `B` windows of `T` moments.
#[derive(Debug, Clone, PartialEq)]
pub struct LatentWindows {
    /// `[B, T, D]`.
    pub latents: Vec<f32>,
    /// What was done between them, `[B, T - 1, A]`.
    pub blocks: Vec<f32>,
}

impl LatentEpisodes {
    /// Takes `latents [F, D]` and `blocks [F, A]`, each what was done from its moment to the next (anything at the last of an episode), and the
    /// moments of every episode.
    ///
    /// # Errors
    /// [`Error::Shape`] unless there is a latent and a block for every moment.
    pub fn new(
        latents: Vec<f32>,
        blocks: Vec<f32>,
        (latent_width, block_width): (usize, usize),
        episodes: Vec<Range<usize>>,
    ) -> Result<Self> {
        let moments = episodes.iter().map(|episode| episode.end).max().unwrap_or(0);
        if (latents.len(), blocks.len()) != (moments * latent_width, moments * block_width) {
            return Err(Error::Shape {
                operation: "episodes of latents",
                expected: format!("{moments} latents of {latent_width} and blocks of {block_width} values"),
                got: format!("{} and {} values", latents.len(), blocks.len()),
            });
        }
        Ok(Self { latents, blocks, latent_width, block_width, episodes })
    }

    /// Width `D` of a latent.
    pub fn latent_width(&self) -> usize {
        self.latent_width
    }

    /// Width `A` of a block.
    pub fn block_width(&self) -> usize {
        self.block_width
    }

    /// The moments of every episode.
    pub fn episodes(&self) -> &[Range<usize>] {
        &self.episodes
    }

    /// The latent `[D]` of a moment.
    pub fn latent(&self, moment: usize) -> &[f32] {
        &self.latents[moment * self.latent_width..(moment + 1) * self.latent_width]
    }

    /// The block `[A]` done from a moment to the next.
    pub fn block(&self, moment: usize) -> &[f32] {
        &self.blocks[moment * self.block_width..(moment + 1) * self.block_width]
    }

    /// Two of them: without every `every`-th episode, and these.
    pub fn split(&self, every: usize) -> (Self, Self) {
        let some = |held_out: bool| {
            let chosen = self.episodes.iter().enumerate();
            let chosen = chosen.filter(|(index, _)| (index % every == every - 1) == held_out);
            Self { episodes: chosen.map(|(_, episode)| episode.clone()).collect(), ..self.clone() }
        };
        (some(false), some(true))
    }

    /// As many episodes as there are, drawn with replacement: a bootstrap sample.
    #[must_use]
    pub fn resampled(&self, seed: Seed) -> Self {
        let mut rng = seed.rng();
        let draw = |_| self.episodes[rng.random_range(0..self.episodes.len())].clone();
        Self { episodes: (0..self.episodes.len()).map(draw).collect(), ..self.clone() }
    }

    /// First moments of all windows of `frames` moments.
    pub fn starts(&self, frames: usize) -> Vec<usize> {
        let of_episode = |episode: &Range<usize>| episode.start..(episode.end + 1).saturating_sub(frames);
        self.episodes.iter().flat_map(of_episode).collect()
    }

    /// As [`LatentEpisodes::starts`].
    ///
    /// # Errors
    /// [`Error::Shape`] when there is none.
    pub(crate) fn require_starts(&self, frames: usize) -> Result<Vec<usize>> {
        let starts = self.starts(frames);
        if starts.is_empty() {
            let expected = format!("an episode of {frames} moments, an action block apart");
            return Err(Error::Shape { operation: "learning from episodes", expected, got: "none".into() });
        }
        Ok(starts)
    }

    /// The windows of `frames` moments from `starts` on.
    pub fn windows(&self, starts: &[usize], frames: usize) -> LatentWindows {
        let (latent, block) = (self.latent_width, self.block_width);
        let latents = starts.iter().flat_map(|start| &self.latents[start * latent..(start + frames) * latent]).copied();
        let blocks = starts.iter().flat_map(|start| &self.blocks[start * block..(start + frames - 1) * block]).copied();
        LatentWindows { latents: latents.collect(), blocks: blocks.collect() }
    }

    /// `[D, D]`: a prediction error `[N, D]` times this is in units of typical steps over one block (the inverse root of their mean outer product).
    ///
    /// # Errors
    /// When a tensor cannot be made.
    pub(crate) fn steps_from_error(&self) -> Result<Tensor> {
        let width = self.latent_width;
        let starts = self.starts(2);
        let mut covariance: DMatrix<f64> = DMatrix::zeros(width, width);
        for &start in &starts {
            let (before, after) = (self.latent(start), self.latent(start + 1));
            let moved: Vec<f64> = after.iter().zip(before).map(|(after, before)| f64::from(after - before)).collect();
            for row in 0..width {
                for column in 0..width {
                    covariance[(row, column)] += moved[row] * moved[column] / starts.len() as f64;
                }
            }
        }
        let (scales, directions) = inverse_roots(covariance, 1.0);
        let factor = &directions * DMatrix::from_diagonal(&scales) * directions.transpose();
        Ok(tensor(factor.iter().map(|&value| value as f32).collect(), (width, width))?) // symmetric: either order
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Episodes of three, one and five moments whose latents and blocks say their moment.
    fn counted() -> Result<LatentEpisodes> {
        let latents = (0..9).flat_map(|moment| [moment as f32, 0.5]).collect();
        let blocks = (0..9).map(|moment| 10.0 * moment as f32).collect();
        LatentEpisodes::new(latents, blocks, (2, 1), vec![0..3, 3..4, 4..9])
    }

    #[test]
    fn windows_hold_what_lies_between_their_moments_and_never_cross_episodes() -> Result<()> {
        let episodes = counted()?;
        assert_eq!(episodes.starts(3), [0, 4, 5, 6]);
        let windows = episodes.windows(&[0, 5], 3);
        assert_eq!(windows.latents.chunks(2).map(|latent| latent[0]).collect::<Vec<_>>(), [0., 1., 2., 5., 6., 7.]);
        assert_eq!(windows.blocks, [0.0, 10.0, 50.0, 60.0]);
        assert!(LatentEpisodes::new(vec![0.0; 17], vec![0.0; 9], (2, 1), vec![0..4, 4..9]).is_err());
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
