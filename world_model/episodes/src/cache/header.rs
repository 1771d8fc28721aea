//! The layout of a file of decoded frames.
//!
//! ```text
//! "mindseye frames" + version   16 + 8 bytes
//! length of the header          8 bytes, little-endian
//! header                        JSON, see [`Header`]
//! images                        bytes, from the next multiple of 4096 on
//! actions, states, proprioception   f32, little-endian, one after the other
//! checksums of the images       CRC-32C, little-endian, one each
//! checksum of all but the images    CRC-32C of the header, the numbers and the checksums
//! ```
//!
//! The name of a file is a hash of its input: the bytes of the data set's files, the image size and the choice of
//! images. Changed data are decoded into another file.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// First bytes of a file of frames.
pub(super) const MAGIC: [u8; 24] = *b"mindseye frames\0version2";
/// Images begin at a multiple of a page.
const PAGE: u64 = 4096;
/// Longest header, bytes; a longer one is taken for a broken file.
pub(super) const MAX_HEADER: u64 = 1 << 30;

/// Description of a file of frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// Height and width of the images, pixels.
    pub image_size: [usize; 2],
    /// Widths of actions, states and proprioception.
    pub widths: [usize; 3],
    /// Names of the state's dimensions.
    pub state_names: Vec<String>,
    pub stride: usize,
    /// Timesteps of each episode.
    pub lengths: Vec<usize>,
    /// Number of images.
    pub kept: usize,
}

impl Header {
    /// Bytes of one image.
    pub fn image_bytes(&self) -> u64 {
        self.image_size.iter().fold(3, |bytes, &side| bytes.saturating_mul(side as u64))
    }

    /// Bytes of all images.
    pub fn images_bytes(&self) -> u64 {
        self.image_bytes().saturating_mul(self.kept as u64)
    }

    /// Bytes of the numbers of one kind.
    pub fn number_bytes(&self, width: usize) -> u64 {
        let timesteps = self.lengths.iter().fold(0u64, |sum, &length| sum.saturating_add(length as u64));
        timesteps.saturating_mul(4).saturating_mul(width as u64)
    }

    /// Bytes of all numbers.
    pub fn numbers_bytes(&self) -> u64 {
        self.widths.iter().fold(0u64, |sum, &width| sum.saturating_add(self.number_bytes(width)))
    }

    /// Bytes of the checksums at the end.
    pub fn checksums_bytes(&self) -> u64 {
        (self.kept as u64).saturating_mul(4).saturating_add(4)
    }

    /// Where the images begin, after a header of `length` bytes.
    pub fn images_start(length: u64) -> u64 {
        (MAGIC.len() as u64 + 8).saturating_add(length).checked_next_multiple_of(PAGE).unwrap_or(u64::MAX)
    }

    /// The text of the header.
    ///
    /// # Errors
    /// [`Error::Content`] when it cannot be written as JSON.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::content(Path::new("frame cache"), "header", "JSON", error))
    }
}
