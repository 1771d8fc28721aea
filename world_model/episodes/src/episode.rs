//! One recorded episode in memory.

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

    /// Refuses an episode without a moment, with a row of another width, with a value that is not finite, or with an action
    /// outside `[-1, 1]`.
    ///
    /// # Errors
    /// [`Error::Episode`] that names episode number `episode`, the feature and the frame.
    pub(crate) fn check(&self, episode: usize, shape: &EpisodeShape) -> Result<()> {
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
        for (frame, row) in self.actions.iter().enumerate() {
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
