//! Keypoint encoder: every channel reports where it looks and what it sees there, so that places and angles are easy to read.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layers::{Conv, Linear, Norm, ResidualBlock};
use crate::ops::{self, Convolution};
use crate::parameters::{Initial, Source};

/// Settings of the keypoint encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeypointConfig {
    /// Channels of the first convolution; the rest of the network has twice as many, each of them one keypoint.
    pub channels: usize,
    /// Width of the hidden layer of the projector.
    pub hidden: usize,
}

/// Two strided convolutions, a residual block, spatial softmax, and a projector to the latent.
#[derive(Debug, Clone)]
pub struct KeypointEncoder {
    first: Conv,
    /// After SiLU, as the block's and `keypoints`.
    second: Conv,
    norm: Norm,
    block: ResidualBlock,
    keypoints: Conv,
    sharpness: Tensor,
    hidden: Linear,
    hidden_norm: Norm,
    latent: Linear,
}

/// Sharpness of the attention at the start of training.
const INITIAL_SHARPNESS: f32 = 3.0;
/// Groups of the group norm after the second convolution.
const GROUPS: usize = 4;

impl KeypointEncoder {
    pub(crate) fn new(source: &mut Source, config: &KeypointConfig, latent_width: usize) -> Result<Self> {
        let narrow = config.channels;
        let wide = 2 * narrow;
        let first = Convolution { kernel: 5, stride: 2, padding: 2, silu_first: false, input_gradient: false };
        let second = Convolution { kernel: 4, stride: 2, padding: 1, silu_first: true, input_gradient: true };
        let pointwise = Convolution { kernel: 1, stride: 1, padding: 0, silu_first: true, input_gradient: true };
        Ok(Self {
            first: Conv::new(source, "first", (3, narrow), first)?,
            second: Conv::new(source, "second", (narrow, wide), second)?,
            norm: Norm::new(source, "norm", wide, GROUPS)?,
            block: ResidualBlock::new(source, "block", wide)?,
            keypoints: Conv::new(source, "keypoints", (wide, wide), pointwise)?,
            sharpness: source.weight("sharpness", &[wide], Initial::Constant(INITIAL_SHARPNESS))?,
            hidden: Linear::new(source, "hidden", 3 * wide, config.hidden, 1.0)?,
            hidden_norm: Norm::new(source, "hidden_norm", config.hidden, 1)?,
            latent: Linear::new(source, "latent", config.hidden, latent_width, 1.0)?,
        })
    }

    pub(crate) fn forward(&self, pictures: &Tensor) -> Result<Tensor> {
        let coarse = self.second.forward(&self.first.forward(pictures)?)?;
        let coarse = ops::silu(&self.norm.forward(&coarse)?)?;
        let seen = self.keypoints.forward(&self.block.forward(&coarse)?)?;
        let keypoints = ops::spatial_softmax(&seen, &self.sharpness)?;
        let hidden = self.hidden_norm.forward(&self.hidden.forward(&keypoints)?)?;
        self.latent.forward(&ops::silu(&hidden)?)
    }
}
