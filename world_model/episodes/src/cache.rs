//! All frames of a data set, decoded once, at the model's size: in memory, or in a file that is mapped into it.

mod load;
mod store;

use std::ops::Range;
use std::sync::Arc;

use mindseye_interface::ImageSize;

pub use load::CacheOptions;

use crate::episode::{EpisodeData, EpisodeShape};
use crate::picture::fit;
use crate::{Error, Result};

/// Marks a moment whose picture was not kept.
const NOT_KEPT: u32 = u32::MAX;

/// `F` moments of all episodes, end to end: actions `[F, A]`, true states `[F, K]`, proprioception `[F, P]`, and the pictures
/// `[H, W, 3]` `u8` of every `stride`-th moment of each episode.
#[derive(Debug, Clone, PartialEq)]
pub struct FrameCache {
    shape: EpisodeShape,
    state_names: Vec<String>,
    stride: usize,
    /// The pictures of the data sets, one after the other, each with the number of its first picture.
    pictures: Vec<(u32, Pictures)>,
    /// Where the picture of each moment is, or [`NOT_KEPT`].
    picture_of: Vec<u32>,
    /// Number of pictures.
    kept: u32,
    /// Index of each data set's first episode, and the share of the training windows that it is to have, in any unit; where it is `None` every
    /// window counts the same.
    sets: Vec<(usize, Option<f64>)>,
    actions: Vec<f32>,
    states: Vec<f32>,
    proprioception: Vec<f32>,
    episodes: Vec<Range<usize>>,
}

/// Bytes of pictures.
#[derive(Debug, Clone)]
enum Pictures {
    Memory(Vec<u8>),
    /// Shared between copies of a cache.
    Mapped(Arc<store::Mapped>),
}

impl Pictures {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Memory(bytes) => bytes,
            Self::Mapped(mapped) => mapped.bytes(),
        }
    }
}

impl PartialEq for Pictures {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl FrameCache {
    /// An empty cache for frames of `image_size`, actions `[A]`, states `[K]` and proprioception `[P]`. It keeps every picture.
    pub fn new(image_size: ImageSize, action_width: usize, state_width: usize, proprioception_width: usize) -> Self {
        Self::empty(
            EpisodeShape { image_size, action: action_width, state: state_width, proprioception: proprioception_width },
            1,
        )
    }

    /// The same cache with `names` for the dimensions of its true state, instead of `state_0`, ...; as many as there are dimensions,
    /// or they are left as they were.
    #[must_use]
    pub fn with_state_names(mut self, names: Vec<String>) -> Self {
        if names.len() == self.shape.state {
            self.state_names = names;
        }
        self
    }

    fn empty(shape: EpisodeShape, stride: usize) -> Self {
        Self {
            shape,
            state_names: (0..shape.state).map(|index| format!("state_{index}")).collect(),
            stride,
            pictures: Vec::new(),
            picture_of: Vec::new(),
            kept: 0,
            sets: vec![(0, None)],
            actions: Vec::new(),
            states: Vec::new(),
            proprioception: Vec::new(),
            episodes: Vec::new(),
        }
    }

    /// Appends an episode; pictures of another size are scaled to the cache's.
    ///
    /// # Errors
    /// [`crate::Error::Episode`] when lengths or widths do not fit; the cache is then unchanged.
    pub fn push(&mut self, episode: &EpisodeData) -> Result<()> {
        episode.check_widths(self.episodes.len(), &self.shape)?;
        if !matches!(self.pictures.last(), Some((_, Pictures::Memory(_)))) {
            self.pictures.push((self.kept, Pictures::Memory(Vec::new())));
        }
        let Some((_, Pictures::Memory(pictures))) = self.pictures.last_mut() else { return Ok(()) };
        for frame in episode.frames.iter().step_by(self.stride) {
            let start = pictures.len();
            pictures.resize(start + self.shape.image_size.rgb_len(), 0);
            fit(frame, self.shape.image_size, &mut pictures[start..]);
        }
        self.actions.extend(episode.actions.iter().flatten());
        self.states.extend(episode.states.iter().flatten());
        self.proprioception.extend(episode.proprioception.iter().flatten());
        self.push_range(episode.len());
        Ok(())
    }

    /// Notes an episode of `length` moments, of whose pictures every `stride`-th is kept.
    fn push_range(&mut self, length: usize) {
        let start = self.len();
        for moment in 0..length {
            let kept = moment % self.stride == 0;
            self.picture_of.push(if kept { self.kept } else { NOT_KEPT });
            self.kept += u32::from(kept);
        }
        self.episodes.push(start..start + length);
    }

    /// Number of moments `F`.
    pub fn len(&self) -> usize {
        self.picture_of.len()
    }

    /// Whether there is no moment.
    pub fn is_empty(&self) -> bool {
        self.picture_of.is_empty()
    }

    /// Size of the pictures.
    pub fn image_size(&self) -> ImageSize {
        self.shape.image_size
    }

    /// Of each episode, the pictures of moments 0, `stride`, 2 `stride`, ... are kept.
    pub fn stride(&self) -> usize {
        self.stride
    }

    /// Width `A` of an action.
    pub fn action_width(&self) -> usize {
        self.shape.action
    }

    /// Width `K` of the true state.
    pub fn state_width(&self) -> usize {
        self.shape.state
    }

    /// One name per dimension of the true state, with its unit where it is known: `block_angle_rad`.
    pub fn state_names(&self) -> &[String] {
        &self.state_names
    }

    /// Width `P` of proprioception.
    pub fn proprioception_width(&self) -> usize {
        self.shape.proprioception
    }

    /// The moments of each episode.
    pub fn episodes(&self) -> &[Range<usize>] {
        &self.episodes
    }

    /// All actions `[F, A]`.
    pub fn actions(&self) -> &[f32] {
        &self.actions
    }

    /// Appends all episodes of another data set. `weight` is the share of the training windows that they are to have, as a number beside those of
    /// the other data sets; without any, every window counts the same.
    ///
    /// # Errors
    /// [`crate::Error::Episode`] when widths, picture size, stride or names differ, or there are more pictures than can be counted; the cache is
    /// then unchanged.
    pub fn join(&mut self, other: Self) -> Result<()> {
        let episode = self.episodes.len();
        let described =
            |cache: &Self| format!("{:?}, stride {}, state {}", cache.shape, cache.stride, cache.state_names.join(" "));
        if (self.shape, self.stride, &self.state_names) != (other.shape, other.stride, &other.state_names) {
            return Err(Error::episode(episode, "data set to join", described(self), described(&other)));
        }
        let Some(kept) = self.kept.checked_add(other.kept).filter(|kept| *kept != NOT_KEPT) else {
            return Err(Error::episode(episode, "pictures", format!("at most {NOT_KEPT}"), "more"));
        };
        let (moments, pictures) = (self.len(), self.kept);
        self.pictures.extend(other.pictures.into_iter().map(|(first, bytes)| (first + pictures, bytes)));
        let moved = |place: u32| if place == NOT_KEPT { place } else { place + pictures };
        self.picture_of.extend(other.picture_of.into_iter().map(moved));
        self.kept = kept;
        self.actions.extend(other.actions);
        self.states.extend(other.states);
        self.proprioception.extend(other.proprioception);
        self.episodes.extend(other.episodes.into_iter().map(|range| range.start + moments..range.end + moments));
        self.sets.extend(other.sets.into_iter().map(|(first, weight)| (first + episode, weight)));
        Ok(())
    }

    /// The same cache with the share `weight` of the training windows, see [`FrameCache::join`].
    #[must_use]
    pub fn with_weight(mut self, weight: f64) -> Self {
        self.sets = vec![(0, Some(weight))];
        self
    }

    /// The shares of the data sets; empty where every window counts the same.
    pub fn weights(&self) -> Vec<f64> {
        self.sets.iter().filter_map(|(_, weight)| *weight).collect()
    }

    /// Which data set episode `index` is of, and the share of the training windows that it is to have.
    pub fn set_of(&self, index: usize) -> (usize, Option<f64>) {
        let set = self.sets.partition_point(|(first, _)| *first <= index) - 1;
        (set, self.sets[set].1)
    }

    /// Shifts and scales every dimension of the actions to [-1, 1]; what their smallest and largest values were, `[A]` each. A dimension that
    /// never changes becomes 0.
    pub fn normalise_actions(&mut self) -> (Vec<f32>, Vec<f32>) {
        let width = self.shape.action;
        let (mut low, mut high) = (vec![f32::INFINITY; width], vec![f32::NEG_INFINITY; width]);
        for action in self.actions.chunks_exact(width.max(1)) {
            low.iter_mut().zip(action).for_each(|(low, value)| *low = low.min(*value));
            high.iter_mut().zip(action).for_each(|(high, value)| *high = high.max(*value));
        }
        for (low, high) in low.iter_mut().zip(&mut high) {
            if *low >= *high {
                (*low, *high) = if low.is_finite() && low == high { (*low - 1.0, *high + 1.0) } else { (-1.0, 1.0) };
            }
        }
        self.scale_actions(&low, &high);
        (low, high)
    }

    /// Shifts and scales the actions so that `low [A]` becomes -1 and `high [A]` 1; what lies beyond is cut off.
    pub fn scale_actions(&mut self, low: &[f32], high: &[f32]) {
        for action in self.actions.chunks_exact_mut(self.shape.action.max(1)) {
            for (value, (low, high)) in action.iter_mut().zip(low.iter().zip(high)) {
                *value = ((*value - low) / (high - low) * 2.0 - 1.0).clamp(-1.0, 1.0);
            }
        }
    }

    /// All true states `[F, K]`.
    pub fn states(&self) -> &[f32] {
        &self.states
    }

    /// All proprioception `[F, P]`.
    pub fn proprioception(&self) -> &[f32] {
        &self.proprioception
    }

    /// Whether the picture of moment `index` was kept.
    pub fn has_picture(&self, index: usize) -> bool {
        self.picture_of.get(index).is_some_and(|&picture| picture != NOT_KEPT)
    }

    /// Bytes `[H, W, 3]` of moment `index`.
    ///
    /// # Panics
    /// When that picture was not kept (see [`FrameCache::has_picture`]).
    pub fn picture(&self, index: usize) -> &[u8] {
        assert!(self.has_picture(index), "the picture of moment {index} was not kept");
        let (picture, length) = (self.picture_of[index] as usize, self.shape.image_size.rgb_len());
        let of = self.pictures.partition_point(|(first, _)| *first as usize <= picture) - 1;
        let (first, pictures) = &self.pictures[of];
        let picture = picture - *first as usize;
        &pictures.bytes()[picture * length..(picture + 1) * length]
    }

    /// Proprioception `[P]` at moment `index`.
    pub fn proprioception_at(&self, index: usize) -> &[f32] {
        let width = self.shape.proprioception;
        &self.proprioception[index * width..(index + 1) * width]
    }

    /// True state `[K]` at moment `index`.
    pub fn state(&self, index: usize) -> &[f32] {
        &self.states[index * self.shape.state..(index + 1) * self.shape.state]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mindseye_interface::Image;

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

    #[test]
    fn actions_of_any_units_become_normalised() -> crate::Result<()> {
        let size = ImageSize::square(1)?;
        let mut cache = FrameCache::new(size, 2, 0, 0);
        let actions = vec![vec![100.0, 3.0], vec![300.0, 3.0], vec![150.0, 3.0]];
        let nothing = || vec![vec![]; 3];
        let frames = vec![Image::filled(size, [1; 3]); 3];
        cache.push(&EpisodeData { frames, proprioception: nothing(), states: nothing(), actions })?;
        assert_eq!(cache.normalise_actions(), (vec![100.0, 2.0], vec![300.0, 4.0]));
        assert_eq!(cache.actions(), [-1.0, 0.0, 1.0, 0.0, -0.5, 0.0]);
        assert_eq!(cache.normalise_actions().0, [-1.0, -1.0], "and stay so");
        Ok(())
    }
}
