//! One recorded episode in memory.

use mindseye_interface::{Image, ImageSize};

use crate::source::Numbers;
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
    /// Actions `[T][A]`, normalised where mindseye recorded them.
    pub actions: Vec<Vec<f32>>,
}

/// What every episode of one data set has in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EpisodeShape {
    /// Size of the pictures.
    pub image_size: ImageSize,
    /// Width `P` of proprioception.
    pub proprioception: usize,
    /// Width `K` of the true state.
    pub state: usize,
    /// Width `A` of an action.
    pub action: usize,
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

    /// An episode out of its `pixels [T, H, W, 3]` and `numbers`, both of `shape`.
    ///
    /// # Errors
    /// [`Error::Border`] when pixels are missing.
    pub(crate) fn from_parts(pixels: &[u8], numbers: &Numbers, shape: &EpisodeShape) -> Result<Self> {
        let frames = pixels.chunks_exact(shape.image_size.rgb_len());
        let frames = frames.map(|pixels| Image::new(shape.image_size, pixels.to_vec()));
        let frames = frames.collect::<mindseye_interface::Result<Vec<Image>>>()?;
        let split = |values: &[f32], width: usize| -> Vec<Vec<f32>> {
            (0..frames.len()).map(|frame| values[frame * width..(frame + 1) * width].to_vec()).collect()
        };
        let proprioception = split(&numbers.proprioception, shape.proprioception);
        let states = split(&numbers.states, shape.state);
        let actions = split(&numbers.actions, shape.action);
        Ok(Self { frames, proprioception, states, actions })
    }

    /// Refuses an episode without a moment, with a row of another width, with a value that is not finite, or, where actions are
    /// `normalised`, with one outside `[-1, 1]`.
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
        let named = [("action", &self.actions), ("state", &self.states), ("proprioception", &self.proprioception)];
        for (feature, rows) in named {
            for (frame, row) in rows.iter().enumerate() {
                if let Some(value) = row.iter().find(|value| !value.is_finite()) {
                    return Err(Error::episode(
                        episode,
                        format!("{feature} at frame {frame}"),
                        "a finite number",
                        value,
                    ));
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

    /// Refuses rows of another number than `T` or of another width.
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
