//! One recorded episode in memory.

use std::fmt;

use mindseye_interface::{Image, ImageSize};

use crate::{Error, Result};

/// The numbers of one episode, without its images. In the last row of `actions` all values may be NaN: nothing was done
/// after the last image, and some recorders say so. [`crate::FrameCache`] and [`EpisodeData`] have 0 there.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EpisodeArrays {
    /// Actions `[T, A]`.
    pub actions: Vec<f32>,
    /// True states `[T, K]`.
    pub states: Vec<f32>,
    /// Proprioception `[T, P]`.
    pub proprioception: Vec<f32>,
    /// Timesteps per second by which the timestamps run; `None` where there are none.
    pub frames_per_second: Option<f64>,
}

/// One episode in memory: `T` timesteps. `actions[t]` is the action of timestep `t`; 0 in the last row where none was
/// recorded.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EpisodeData {
    /// `T` images of one size: the stack of all cameras at each timestep.
    pub frames: Vec<Image>,
    /// Proprioception `[T][P]`, SI units; `P` may be 0.
    pub proprioception: Vec<Vec<f32>>,
    /// True states `[T][K]`; `K` is 0 where none is recorded.
    pub states: Vec<Vec<f32>>,
    /// Actions `[T][A]`, normalised where mindseye recorded them.
    pub actions: Vec<Vec<f32>>,
}

/// The widths and the image size that all episodes of one data set have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpisodeShape {
    /// Size of the image of a timestep: the stack of all cameras.
    pub image_size: ImageSize,
    /// Width `P` of proprioception.
    pub proprioception: usize,
    /// Width `K` of the true state.
    pub state: usize,
    /// Width `A` of an action.
    pub action: usize,
}

impl fmt::Display for EpisodeShape {
    /// For example `64 x 64 pixels, 2 numbers per action, 2 of proprioception, 5 of state`.
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { image_size, proprioception, state, action } = self;
        write!(text, "{} x {} pixels, {action} numbers per action, ", image_size.width(), image_size.height())?;
        write!(text, "{proprioception} of proprioception, {state} of state")
    }
}

impl EpisodeArrays {
    /// Whether the last action, of `width` values, says that there was none.
    pub(crate) fn ends_without_action(&self, width: usize) -> bool {
        let last = self.actions.len().saturating_sub(width);
        width > 0 && self.actions.len() >= width && self.actions[last..].iter().all(|value| value.is_nan())
    }
}

impl EpisodeData {
    /// Number of timesteps `T`.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is no timestep.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// An episode of `pixels [T, H, W, 3]` and `arrays`, both of `shape`.
    ///
    /// # Errors
    /// [`Error::Interface`] when pixels are missing.
    pub(crate) fn from_parts(pixels: &[u8], arrays: &EpisodeArrays, shape: &EpisodeShape) -> Result<Self> {
        let frames = pixels.chunks_exact(shape.image_size.rgb_len());
        let frames = frames.map(|pixels| Image::new(shape.image_size, pixels.to_vec()));
        let frames = frames.collect::<mindseye_interface::Result<Vec<Image>>>()?;
        let split = |values: &[f32], width: usize| -> Vec<Vec<f32>> {
            (0..frames.len()).map(|frame| values[frame * width..(frame + 1) * width].to_vec()).collect()
        };
        let proprioception = split(&arrays.proprioception, shape.proprioception);
        let states = split(&arrays.states, shape.state);
        let mut actions = split(&arrays.actions, shape.action);
        if arrays.ends_without_action(shape.action)
            && let Some(last) = actions.last_mut()
        {
            last.fill(0.0);
        }
        Ok(Self { frames, proprioception, states, actions })
    }

    /// Refuses an episode without a timestep, a row of another width, a value that is not finite, and, where actions
    /// are `normalised`, an action outside `[-1, 1]`.
    ///
    /// # Errors
    /// [`Error::Episode`] that names episode number `episode`, the feature and the frame.
    pub(crate) fn check(&self, episode: usize, shape: &EpisodeShape, normalised: bool) -> Result<()> {
        if self.is_empty() {
            return Err(Error::episode(episode, "frames", "at least 1", 0));
        }
        self.check_widths(episode, shape)?;
        for (frame, image) in self.frames.iter().enumerate() {
            let (expected, got) = (shape.image_size, image.size());
            if got != expected {
                let pixels = |size: ImageSize| format!("{}x{} pixels", size.height(), size.width());
                return Err(Error::episode(episode, format!("image at frame {frame}"), pixels(expected), pixels(got)));
            }
        }
        let arrays = [("action", &self.actions), ("state", &self.states), ("proprioception", &self.proprioception)];
        for (feature, rows) in arrays {
            for (frame, row) in rows.iter().enumerate() {
                if let Some(value) = row.iter().find(|value| !value.is_finite()) {
                    let field = format!("{feature} at frame {frame}");
                    return Err(Error::episode(episode, field, "a finite number", value));
                }
            }
        }
        for (frame, row) in self.actions.iter().enumerate().filter(|_| normalised) {
            if let Some(value) = row.iter().find(|value| value.abs() > 1.0) {
                return Err(Error::episode(episode, format!("action at frame {frame}"), "-1 to 1", value));
            }
        }
        Ok(())
    }

    /// Refuses arrays that do not have `T` rows of their width.
    ///
    /// # Errors
    /// [`Error::Episode`] that names episode number `episode` and the feature.
    pub(crate) fn check_widths(&self, episode: usize, shape: &EpisodeShape) -> Result<()> {
        let features = [
            ("action", &self.actions, shape.action),
            ("state", &self.states, shape.state),
            ("proprioception", &self.proprioception, shape.proprioception),
        ];
        for (feature, rows, width) in features {
            if rows.len() != self.len() {
                return Err(Error::episode(episode, feature, format!("{} rows", self.len()), rows.len()));
            }
            if let Some(row) = rows.iter().find(|row| row.len() != width) {
                return Err(Error::episode(episode, feature, format!("{width} values"), row.len()));
            }
        }
        Ok(())
    }
}
