//! All frames of a data set, decoded once, in memory at the model's size.

use std::ops::Range;

use mindseye_interface::{Image, ImageSize};

use crate::{Error, Result};

/// One episode in memory: `T` moments. `actions[t]` is what was done at moment `t`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EpisodeData {
    /// What the camera saw, `T` pictures of one size.
    pub frames: Vec<Image>,
    /// The body's own sense of itself, `[T][P]`, SI units; `P` may be 0.
    pub proprioception: Vec<Vec<f32>>,
    /// The true state, `[T][K]`; `K` is 0 where none is known.
    pub states: Vec<Vec<f32>>,
    /// Normalised actions `[T][A]`.
    pub actions: Vec<Vec<f32>>,
}

impl EpisodeData {
    /// Number of moments `T`.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is no moment.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

/// Frames `[F, H, W, 3]` `u8`, actions `[F, A]`, true states `[F, K]` and proprioception `[F, P]` of all episodes, end to end.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameCache {
    image_size: ImageSize,
    action_width: usize,
    state_width: usize,
    proprioception_width: usize,
    pictures: Vec<u8>,
    actions: Vec<f32>,
    states: Vec<f32>,
    proprioception: Vec<f32>,
    episodes: Vec<Range<usize>>,
}

impl FrameCache {
    /// An empty cache for frames of `image_size`, actions `[A]`, states `[K]` and proprioception `[P]`.
    pub fn new(image_size: ImageSize, action_width: usize, state_width: usize, proprioception_width: usize) -> Self {
        Self {
            image_size,
            action_width,
            state_width,
            proprioception_width,
            pictures: Vec::new(),
            actions: Vec::new(),
            states: Vec::new(),
            proprioception: Vec::new(),
            episodes: Vec::new(),
        }
    }

    /// Appends an episode; pictures of another size are scaled to the cache's.
    ///
    /// # Errors
    /// [`Error::Episode`] when lengths or widths do not fit; the cache is then unchanged.
    pub fn push(&mut self, episode: &EpisodeData) -> Result<()> {
        let steps = episode.len();
        let check = |feature: &str, rows: &[Vec<f32>], width: usize| -> Result<()> {
            let wrong = |expected: String, got: String| {
                Err(Error::Episode { episode: self.episodes.len(), feature: feature.into(), expected, got })
            };
            if rows.len() != steps {
                return wrong(format!("{steps} rows"), rows.len().to_string());
            }
            match rows.iter().find(|row| row.len() != width) {
                Some(row) => wrong(format!("{width} values"), row.len().to_string()),
                None => Ok(()),
            }
        };
        check("action", &episode.actions, self.action_width)?;
        check("state", &episode.states, self.state_width)?;
        check("proprioception", &episode.proprioception, self.proprioception_width)?;
        let start = self.len();
        for frame in &episode.frames {
            if frame.size() == self.image_size {
                self.pictures.extend_from_slice(frame.pixels());
            } else {
                self.pictures.extend_from_slice(&resized(frame, self.image_size));
            }
        }
        self.actions.extend(episode.actions.iter().flatten());
        self.states.extend(episode.states.iter().flatten());
        self.proprioception.extend(episode.proprioception.iter().flatten());
        self.episodes.push(start..start + steps);
        Ok(())
    }

    /// Number of frames `F`.
    pub fn len(&self) -> usize {
        self.pictures.len() / self.image_size.rgb_len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// Size of the frames.
    pub fn image_size(&self) -> ImageSize {
        self.image_size
    }

    /// Width `A` of an action.
    pub fn action_width(&self) -> usize {
        self.action_width
    }

    /// Width `K` of the true state.
    pub fn state_width(&self) -> usize {
        self.state_width
    }

    /// The frames of each episode.
    pub fn episodes(&self) -> &[Range<usize>] {
        &self.episodes
    }

    /// All actions `[F, A]`.
    pub fn actions(&self) -> &[f32] {
        &self.actions
    }

    /// All proprioception `[F, P]`.
    pub fn proprioception(&self) -> &[f32] {
        &self.proprioception
    }

    /// Width `P` of proprioception.
    pub fn proprioception_width(&self) -> usize {
        self.proprioception_width
    }

    /// Bytes `[H, W, 3]` of frame `index`.
    pub fn picture(&self, index: usize) -> &[u8] {
        let length = self.image_size.rgb_len();
        &self.pictures[index * length..(index + 1) * length]
    }

    /// True state `[K]` at frame `index`.
    pub fn state(&self, index: usize) -> &[f32] {
        &self.states[index * self.state_width..(index + 1) * self.state_width]
    }
}

/// `image` at another size, by area averages; deterministic.
pub(crate) fn resized(image: &Image, size: ImageSize) -> Vec<u8> {
    let from = image.size();
    // Share of the sum that each source row or column gives to a target one, in whole numbers: exact, so the same everywhere.
    let shares = |source: usize, target: usize, index: usize| {
        let (start, end) = (index * source, (index + 1) * source);
        (start / target..end.div_ceil(target)).map(move |cell| {
            let overlap = end.min((cell + 1) * target) - start.max(cell * target);
            (cell, overlap as u64)
        })
    };
    let mut pixels = Vec::with_capacity(size.rgb_len());
    let total = (from.height() * from.width()) as u64;
    for row in 0..size.height() {
        for column in 0..size.width() {
            let mut sums = [0u64; 3];
            for (source_row, row_share) in shares(from.height(), size.height(), row) {
                for (source_column, column_share) in shares(from.width(), size.width(), column) {
                    let rgb = image.rgb(source_row, source_column);
                    sums.iter_mut().zip(rgb).for_each(|(sum, channel)| *sum += row_share * column_share * u64::from(channel));
                }
            }
            pixels.extend(sums.map(|sum| ((sum + total / 2) / total) as u8));
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_averages_areas() {
        let size = |height, width| ImageSize::new(height, width).unwrap();
        let pixels: Vec<u8> = [0, 100, 200, 40].into_iter().flat_map(|grey| [grey; 3]).collect();
        let image = Image::new(size(2, 2), pixels).unwrap();
        assert_eq!(resized(&image, size(1, 1)), [85; 3]);
        assert_eq!(resized(&image, size(1, 2)), [100, 100, 100, 70, 70, 70]);
        assert_eq!(resized(&image, size(4, 4))[..6], [0; 6]);
        let flat = Image::filled(size(7, 5), [9, 8, 7]);
        assert_eq!(resized(&flat, size(3, 4)), Image::filled(size(3, 4), [9, 8, 7]).into_pixels());
    }

    #[test]
    fn an_episode_that_does_not_fit_leaves_the_cache_alone() {
        let size = ImageSize::square(2).unwrap();
        let mut cache = FrameCache::new(size, 2, 0, 0);
        let mut episode = EpisodeData {
            frames: vec![Image::filled(size, [1; 3]); 3],
            proprioception: vec![vec![]; 3],
            states: vec![vec![]; 3],
            actions: vec![vec![0.0; 2]; 3],
        };
        cache.push(&episode).unwrap();
        episode.actions[1].pop();
        assert!(cache.push(&episode).unwrap_err().to_string().contains("action"));
        assert_eq!((cache.len(), cache.episodes().len()), (3, 1));
    }
}
