//! The memory of decoded frames, known before any of it is allocated.

use std::path::Path;

use mindseye_interface::MemoryLimit;
use mindseye_interface::text::printable_path;

use crate::episode::EpisodeShape;
use crate::{Error, Result};

/// Numbers of what is decoded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Size {
    timesteps: u64,
    images: u64,
    shape: EpisodeShape,
}

impl Size {
    /// Of episodes of these lengths, with an image at every `stride`-th timestep.
    pub fn of(lengths: &[usize], shape: EpisodeShape, stride: usize) -> Self {
        let sum = |of: &dyn Fn(usize) -> usize| {
            lengths.iter().fold(0u64, |sum, &length| sum.saturating_add(of(length) as u64)) //
        };
        Self { timesteps: sum(&|length| length), images: sum(&|length| length.div_ceil(stride)), shape }
    }

    /// Bytes of the numbers of all timesteps, and of the index of images.
    fn number_bytes(&self) -> u64 {
        let numbers = self.shape.action + self.shape.state + self.shape.proprioception + 1;
        self.timesteps.saturating_mul(4 * numbers as u64)
    }

    /// Bytes of the images and the numbers of all timesteps.
    pub fn bytes(&self) -> u64 {
        self.images.saturating_mul(self.shape.image_size.rgb_len() as u64).saturating_add(self.number_bytes())
    }

    /// Refuses numbers that do not fit in memory, where the images of the data set at `path` are in a file or not.
    ///
    /// # Errors
    /// [`Error::Content`] for more images than can be numbered, [`Error::Interface`] for more memory than there is.
    pub fn check_index(&self, path: &Path) -> Result<()> {
        if self.images >= u64::from(u32::MAX) {
            return Err(Error::content(path, "images", format!("below {}", u32::MAX), self.images));
        }
        let field = format!("{}: numbers of {} timesteps", printable_path(path), self.timesteps);
        Ok(MemoryLimit::of_this_machine().require(&field, 2 * u128::from(self.number_bytes()))?)
    }

    /// Refuses more memory than `limit_bytes`, and than there is.
    ///
    /// # Errors
    /// [`Error::Memory`].
    pub fn check_memory(&self, limit_bytes: u64) -> Result<()> {
        let limit_bytes = limit_bytes.min(MemoryLimit::of_this_machine().bytes());
        let needed_bytes = self.bytes();
        if needed_bytes > limit_bytes {
            let what =
                "frame cache (a smaller image size, a larger stride or fewer episodes need less, a file needs none)";
            return Err(Error::Memory { what, limit_bytes, needed_bytes });
        }
        Ok(())
    }
}
