//! From pictures to latents: `[B, H, W, 3]` → `[B, D]`.

mod keypoint;
mod patch;

use candle_core::Tensor;
use mindseye_interface::config::require_range;
use serde::{Deserialize, Serialize};

pub use keypoint::{KeypointConfig, KeypointEncoder};
pub use patch::{PatchConfig, PatchEncoder};

use crate::Result;
use crate::parameters::Source;

/// Which encoder, with its settings.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum EncoderConfig {
    /// One patch convolution, then residual 3x3 blocks: fast, finds places (two_room).
    Patch(PatchConfig),
    /// Convolutions to a spatial softmax: learns angles too (push_t).
    Keypoint(KeypointConfig),
}

impl EncoderConfig {
    pub(crate) fn validate(&self, image_side: usize) -> mindseye_interface::Result<()> {
        match self {
            Self::Patch(config) => {
                require_range("model.encoder.patch", config.patch, 1, image_side)?;
                require_range("model.encoder.channels", config.channels, 1, 1024)?;
                require_range("model.encoder.bottleneck", config.bottleneck, 1, 1024)?;
                require_range("model.encoder.blocks", config.blocks, 0, 32)?;
                require_range("model.encoder.hidden", config.hidden, 1, 8192)
            }
            Self::Keypoint(config) => {
                require_range("model.encoder.channels", config.channels, 4, 1024)?;
                require_range("model.encoder.hidden", config.hidden, 1, 8192)
            }
        }
    }
}

/// A network from pictures to latents.
#[derive(Debug, Clone)]
pub enum Encoder {
    /// See [`PatchEncoder`].
    Patch(PatchEncoder),
    /// See [`KeypointEncoder`].
    Keypoint(KeypointEncoder),
}

impl Encoder {
    /// Builds the encoder that `config` names, for square pictures of `image_side` pixels.
    ///
    /// # Errors
    /// As [`Source::weight`].
    pub fn new(source: &mut Source, config: &EncoderConfig, image_side: usize, latent_width: usize) -> Result<Self> {
        source.within("encoder", |source| match config {
            EncoderConfig::Patch(config) => {
                Ok(Self::Patch(PatchEncoder::new(source, config, image_side, latent_width)?))
            }
            EncoderConfig::Keypoint(config) => Ok(Self::Keypoint(KeypointEncoder::new(source, config, latent_width)?)),
        })
    }

    /// `[B, H, W, 3]` in `[-0.5, 0.5]` → `[B, D]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, pictures: &Tensor) -> Result<Tensor> {
        match self {
            Self::Patch(encoder) => encoder.forward(pictures),
            Self::Keypoint(encoder) => encoder.forward(pictures),
        }
    }
}

/// Pictures as the encoder takes them: bytes `[B, H, W, 3]` → `f32` in `[-0.5, 0.5]`.
///
/// # Errors
/// When the number of bytes is not `B * H * W * 3`.
pub fn picture_tensor(bytes: &[u8], batch: usize, height: usize, width: usize) -> Result<Tensor> {
    let values = bytes.iter().map(|&byte| f32::from(byte) / 255.0 - 0.5).collect();
    Ok(crate::ops::tensor(values, (batch, height, width, 3))?)
}
