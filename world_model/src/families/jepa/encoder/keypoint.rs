//! Keypoint encoder: every channel reports the position and the strength of a feature, so that positions and angles are
//! easy to read.

use candle_core::Tensor;

use crate::Result;
use crate::families::jepa::config::KeypointConfig;
use crate::layers::{Conv, Norm, ResidualBlock};
use crate::ops::{Convolution, Silu, SpatialSoftmax, Tape};
use crate::parameters::{Initial, WeightSource};

/// Two strided convolutions, a residual block, and spatial softmax: `[B, H, W, 3]` → `[B, 3 * keypoints]`.
#[derive(Debug, Clone)]
pub(super) struct KeypointEncoder {
    first: Conv,
    /// Convolutions from here on take the SiLU of their input.
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
    pub fn new(source: &mut WeightSource, config: &KeypointConfig) -> Result<Self> {
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

    pub fn forward(&self, images: &Tensor, tape: &mut Tape) -> Result<Tensor> {
        let fine = self.first.forward(images, tape)?;
        let coarse = self.norm.of_maps(&self.second.forward(&fine, tape)?, tape)?;
        let coarse = tape.apply1(&coarse, Silu)?;
        let maps = self.keypoints.forward(&self.block.forward(&coarse, tape)?, tape)?;
        Ok(tape.apply2(&maps, &self.sharpness, SpatialSoftmax)?)
    }
}
