//! The decoded data set.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use mindseye_interface::ImageSize;

use super::stored::StoredImages;
use crate::cameras::size_in_stack;
use crate::episode::{EpisodeData, EpisodeShape};
use crate::image_codec::fit;
use crate::{Error, Result};

/// Marks a timestep whose image is not kept.
const NOT_KEPT: u32 = u32::MAX;

/// `F` timesteps of all episodes, end to end: actions `[F, A]`, true states `[F, K]`, proprioception `[F, P]`, and the
/// images `[H, W, 3]` `u8` of every `stride`-th timestep of each episode. The image of a timestep is the vertical stack
/// of all cameras.
#[derive(Debug, Clone)]
pub struct FrameCache {
    pub(super) shape: EpisodeShape,
    pub(super) state_names: Vec<String>,
    proprioception_names: Vec<String>,
    camera_names: Vec<String>,
    pub(super) stride: usize,
    /// The images of the data sets, one after the other, each with the number of its first image.
    pub(super) images: Vec<(u32, Images)>,
    /// Number of the image of each timestep, or [`NOT_KEPT`].
    image_of: Vec<u32>,
    /// Number of images.
    pub(super) kept: u32,
    /// Index of each data set's first episode, and its weight among the training windows, in any unit. With `None`
    /// every window has the same weight.
    sets: Vec<(usize, Option<f64>)>,
    pub(super) actions: Vec<f32>,
    pub(super) states: Vec<f32>,
    pub(super) proprioception: Vec<f32>,
    episodes: Vec<Range<usize>>,
    /// Timesteps without an action, ascending, see [`FrameCache::taken_actions`].
    pub(super) without_action: Vec<usize>,
    pub(super) notes: Vec<String>,
}

/// Bytes of images.
#[derive(Debug, Clone)]
pub(super) enum Images {
    Memory(Vec<u8>),
    /// Shared between copies of a cache.
    File(Arc<StoredImages>),
}

impl PartialEq for FrameCache {
    /// Whether all timesteps are equal; images in a file that cannot be read are not equal to any.
    fn eq(&self, other: &Self) -> bool {
        let described = |cache: &Self| (cache.shape, cache.stride, cache.kept, cache.sets.clone());
        let equal_image = |timestep: usize| match (self.image(timestep), other.image(timestep)) {
            (Ok(own), Ok(other)) => own == other,
            _ => false,
        };
        described(self) == described(other)
            && (&self.state_names, &self.camera_names) == (&other.state_names, &other.camera_names)
            && (&self.actions, &self.states) == (&other.actions, &other.states)
            && (&self.proprioception, &self.episodes) == (&other.proprioception, &other.episodes)
            && self.image_of == other.image_of
            && (0..self.len()).filter(|timestep| self.has_image(*timestep)).all(equal_image)
    }
}

impl FrameCache {
    /// An empty cache for images of `image_size`, actions `[A]`, states `[K]` and proprioception `[P]` of one camera,
    /// called `camera_0`. It keeps every image.
    pub fn new(image_size: ImageSize, action_width: usize, state_width: usize, proprioception_width: usize) -> Self {
        Self::empty(
            EpisodeShape { image_size, action: action_width, state: state_width, proprioception: proprioception_width },
            1,
        )
    }

    /// This cache with `names` for the dimensions of its true state, instead of `state_0`, ...; ignored if there are
    /// not `K` names.
    #[must_use]
    pub fn with_state_names(mut self, names: Vec<String>) -> Self {
        if names.len() == self.shape.state {
            self.state_names = names;
        }
        self
    }

    /// The same for the dimensions of proprioception.
    #[must_use]
    pub fn with_proprioception_names(mut self, names: Vec<String>) -> Self {
        if names.len() == self.shape.proprioception {
            self.proprioception_names = names;
        }
        self
    }

    /// This cache with `names` for the cameras whose images are stacked; ignored if there are none.
    #[must_use]
    pub fn with_camera_names(mut self, names: Vec<String>) -> Self {
        if !names.is_empty() {
            self.camera_names = names;
        }
        self
    }

    pub(super) fn empty(shape: EpisodeShape, stride: usize) -> Self {
        Self {
            shape,
            state_names: (0..shape.state).map(|index| format!("state_{index}")).collect(),
            proprioception_names: (0..shape.proprioception).map(|index| format!("proprioception_{index}")).collect(),
            camera_names: vec!["camera_0".into()],
            stride,
            images: Vec::new(),
            image_of: Vec::new(),
            kept: 0,
            sets: vec![(0, None)],
            actions: Vec::new(),
            states: Vec::new(),
            proprioception: Vec::new(),
            episodes: Vec::new(),
            without_action: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// What the user should know about how the frames are kept: one line each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// Appends an episode; images of another size are scaled to the cache's.
    ///
    /// # Errors
    /// [`Error::Episode`] when lengths or widths do not fit; the cache is then unchanged.
    pub fn push(&mut self, episode: &EpisodeData) -> Result<()> {
        episode.check_widths(self.episodes.len(), &self.shape)?;
        if !matches!(self.images.last(), Some((_, Images::Memory(_)))) {
            self.images.push((self.kept, Images::Memory(Vec::new())));
        }
        let Some((_, Images::Memory(images))) = self.images.last_mut() else { return Ok(()) };
        for frame in episode.frames.iter().step_by(self.stride) {
            let start = images.len();
            images.resize(start + self.shape.image_size.rgb_len(), 0);
            fit(frame, self.shape.image_size, &mut images[start..]);
        }
        self.actions.extend(episode.actions.iter().flatten());
        self.states.extend(episode.states.iter().flatten());
        self.proprioception.extend(episode.proprioception.iter().flatten());
        self.push_range(episode.len());
        Ok(())
    }

    /// Adds the index of an episode of `length` timesteps, of which every `stride`-th keeps its image.
    pub(super) fn push_range(&mut self, length: usize) {
        let start = self.len();
        for timestep in 0..length {
            let kept = timestep % self.stride == 0;
            self.image_of.push(if kept { self.kept } else { NOT_KEPT });
            self.kept += u32::from(kept);
        }
        self.episodes.push(start..start + length);
    }

    /// Number of timesteps `F`.
    pub fn len(&self) -> usize {
        self.image_of.len()
    }

    /// Whether there is no timestep.
    pub fn is_empty(&self) -> bool {
        self.image_of.is_empty()
    }

    /// Size of the image of a timestep: the vertical stack of all cameras.
    pub fn image_size(&self) -> ImageSize {
        self.shape.image_size
    }

    /// Names of the cameras, in the order in which their images are stacked.
    pub fn camera_names(&self) -> &[String] {
        &self.camera_names
    }

    /// Size of the images of each camera, equal for all.
    ///
    /// # Errors
    /// [`Error::Interface`] when the stack has fewer rows than cameras.
    pub fn camera_size(&self) -> Result<ImageSize> {
        size_in_stack(self.shape.image_size, self.camera_names.len())
    }

    /// Width `A` of an action.
    pub fn action_width(&self) -> usize {
        self.shape.action
    }

    /// Width `K` of the true state.
    pub(crate) fn state_width(&self) -> usize {
        self.shape.state
    }

    /// One name per dimension of the true state, with its unit where it is recorded: `block_angle_rad`.
    pub fn state_names(&self) -> &[String] {
        &self.state_names
    }

    /// Names of the dimensions of proprioception.
    pub fn proprioception_names(&self) -> &[String] {
        &self.proprioception_names
    }

    /// Width `P` of proprioception.
    pub fn proprioception_width(&self) -> usize {
        self.shape.proprioception
    }

    /// The timesteps of each episode.
    pub fn episodes(&self) -> &[Range<usize>] {
        &self.episodes
    }

    /// All actions `[F, A]`; 0 where none was taken.
    pub fn actions(&self) -> &[f32] {
        &self.actions
    }

    /// All actions `[F, A]`, to be normalised in place.
    pub(crate) fn actions_mut(&mut self) -> &mut [f32] {
        &mut self.actions
    }

    /// This cache with an action that is always 0 where there is none: the form in which models take recordings without
    /// actions.
    #[must_use]
    pub fn or_constant_action(mut self) -> Self {
        if self.shape.action == 0 {
            self.shape.action = 1;
            self.actions = vec![0.0; self.len()];
        }
        self
    }

    /// Appends all episodes of another data set, with its weight (see [`FrameCache::with_weight`]) and under this
    /// cache's camera names.
    ///
    /// # Errors
    /// [`Error::Episode`] when widths, image size, stride or state names differ, or there are too many images; the
    /// cache is then unchanged.
    pub fn join(&mut self, other: Self) -> Result<()> {
        let episode = self.episodes.len();
        let described =
            |cache: &Self| format!("{:?}, stride {}, state {}", cache.shape, cache.stride, cache.state_names.join(" "));
        if (self.shape, self.stride, &self.state_names) != (other.shape, other.stride, &other.state_names) {
            return Err(Error::episode(episode, "data set to join", described(self), described(&other)));
        }
        let Some(kept) = self.kept.checked_add(other.kept).filter(|kept| *kept != NOT_KEPT) else {
            return Err(Error::episode(episode, "images", format!("at most {NOT_KEPT}"), "more"));
        };
        let (timesteps, images) = (self.len(), self.kept);
        self.images.extend(other.images.into_iter().map(|(first, bytes)| (first + images, bytes)));
        let moved = |number: u32| if number == NOT_KEPT { number } else { number + images };
        self.image_of.extend(other.image_of.into_iter().map(moved));
        self.kept = kept;
        self.actions.extend(other.actions);
        self.states.extend(other.states);
        self.proprioception.extend(other.proprioception);
        self.episodes.extend(other.episodes.into_iter().map(|range| range.start + timesteps..range.end + timesteps));
        self.without_action.extend(other.without_action.iter().map(|timestep| timestep + timesteps));
        self.notes.extend(other.notes);
        self.sets.extend(other.sets.into_iter().map(|(first, weight)| (first + episode, weight)));
        Ok(())
    }

    /// This cache with a weight among the data sets that it is joined with: its share of the training windows, in any
    /// unit. Without weights every window counts the same.
    #[must_use]
    pub fn with_weight(mut self, weight: f64) -> Self {
        self.sets = vec![(0, Some(weight))];
        self
    }

    /// The weights of the data sets; empty where every window counts the same.
    pub fn weights(&self) -> Vec<f64> {
        self.sets.iter().filter_map(|(_, weight)| *weight).collect()
    }

    /// Number of the data set of episode `index`, and its weight.
    pub(crate) fn set_of(&self, index: usize) -> (usize, Option<f64>) {
        let set = self.sets.partition_point(|(first, _)| *first <= index) - 1;
        (set, self.sets[set].1)
    }

    /// All true states `[F, K]`.
    pub fn states(&self) -> &[f32] {
        &self.states
    }

    /// All proprioception `[F, P]`.
    pub fn proprioception(&self) -> &[f32] {
        &self.proprioception
    }

    /// Whether the image of timestep `index` is kept.
    pub fn has_image(&self, index: usize) -> bool {
        self.image_of.get(index).is_some_and(|&image| image != NOT_KEPT)
    }

    /// Bytes `[H, W, 3]` of timestep `index`.
    ///
    /// # Errors
    /// [`Error::Argument`] when that image is not kept (see [`FrameCache::has_image`]); of a cache in a file
    /// [`Error::Content`] when the file was changed, and [`Error::File`] when it was cut off.
    pub fn image(&self, index: usize) -> Result<Cow<'_, [u8]>> {
        let length = self.shape.image_size.rgb_len();
        match self.place_of(index)? {
            (Images::Memory(bytes), image) => Ok(Cow::Borrowed(&bytes[image * length..(image + 1) * length])),
            (Images::File(file), image) => {
                let mut bytes = vec![0; file.image_bytes()];
                file.read(image, &mut bytes)?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// Appends the bytes `[H, W, 3]` of timestep `index` to `bytes`.
    ///
    /// # Errors
    /// As [`FrameCache::image`].
    pub fn append_image(&self, index: usize, bytes: &mut Vec<u8>) -> Result<()> {
        let length = self.shape.image_size.rgb_len();
        match self.place_of(index)? {
            (Images::Memory(all), image) => bytes.extend_from_slice(&all[image * length..(image + 1) * length]),
            (Images::File(file), image) => {
                let start = bytes.len();
                bytes.resize(start + length, 0);
                file.read(image, &mut bytes[start..])?;
            }
        }
        Ok(())
    }

    /// The images among which that of timestep `index` is, and its number there.
    fn place_of(&self, index: usize) -> Result<(&Images, usize)> {
        let image = self.image_of.get(index).filter(|image| **image != NOT_KEPT);
        let place = image.and_then(|&image| {
            let (first, images) = self.images[..self.images.partition_point(|(first, _)| *first <= image)].last()?;
            Some((images, (image - first) as usize))
        });
        place.ok_or_else(|| Error::argument("timestep", "one whose image is kept", index))
    }

    /// Proprioception `[P]` at timestep `index`.
    pub fn proprioception_at(&self, index: usize) -> &[f32] {
        let width = self.shape.proprioception;
        &self.proprioception[index * width..(index + 1) * width]
    }

    /// True state `[K]` at timestep `index`.
    pub fn state(&self, index: usize) -> &[f32] {
        &self.states[index * self.shape.state..(index + 1) * self.shape.state]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mindseye_interface::Image;

    #[test]
    fn an_episode_that_does_not_fit_leaves_the_cache_unchanged() {
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
    fn the_size_of_a_camera_is_its_part_of_the_stack() -> Result<()> {
        let cache = FrameCache::new(ImageSize::new(8, 5)?, 1, 0, 0);
        assert_eq!(
            (cache.camera_names(), cache.camera_size()?),
            (&["camera_0".to_string()][..], ImageSize::new(8, 5)?)
        );
        let cache = cache.with_camera_names(vec!["front".into(), "wrist".into()]);
        assert_eq!(cache.camera_size()?, ImageSize::new(4, 5)?);
        Ok(())
    }
}
