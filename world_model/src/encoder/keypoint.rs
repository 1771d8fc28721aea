//! Keypoint encoder: every channel reports where it looks and what it sees there, so that places and angles are easy to read.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layers::{Conv, Norm, ResidualBlock};
use crate::ops::{Convolution, Silu, SpatialSoftmax, Tape};
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

impl KeypointConfig {
    /// Numbers that a picture becomes: of every keypoint, where it is and what is seen there.
    pub(crate) fn features(&self) -> usize {
        3 * 2 * self.channels
    }
}

/// Two strided convolutions, a residual block, and spatial softmax: `[B, H, W, 3]` → `[B, 3 * keypoints]`.
#[derive(Debug, Clone)]
pub struct KeypointEncoder {
    first: Conv,
    /// After SiLU, as the block's and `keypoints`.
    second: Conv,
    norm: Norm,
    block: ResidualBlock,
    keypoints: Conv,
    sharpness: Tensor,
}

/// Sharpness of the attention at the start of training.
const INITIAL_SHARPNESS: f32 = 3.0;
/// Groups of the group norm after the second convolution.
const GROUPS: usize = 4;

impl KeypointEncoder {
    pub(crate) fn new(source: &mut Source, config: &KeypointConfig) -> Result<Self> {
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
        })
    }

    pub(crate) fn forward(&self, pictures: &Tensor, tape: &mut Tape) -> Result<Tensor> {
        let fine = self.first.forward(pictures, tape)?;
        let coarse = self.norm.of_maps(&self.second.forward(&fine, tape)?, tape)?;
        let coarse = tape.apply1(&coarse, Silu)?;
        let seen = self.keypoints.forward(&self.block.forward(&coarse, tape)?, tape)?;
        Ok(tape.apply2(&seen, &self.sharpness, SpatialSoftmax)?)
    }
}
