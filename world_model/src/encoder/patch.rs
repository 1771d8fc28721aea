//! Patch encoder: most of the resolution goes in one step, the rest is small residual blocks.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layers::{Conv, ResidualBlock};
use crate::ops::{Convolution, Silu, Tape};
use crate::parameters::Source;

/// Settings of the patch encoder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PatchConfig {
    /// Side of a patch, pixels. Smaller sees finer and costs quadratically more.
    pub patch: usize,
    /// Channels of the patch grid.
    pub channels: usize,
    /// Residual blocks on the grid.
    pub blocks: usize,
    /// Channels kept per patch before flattening.
    pub bottleneck: usize,
    /// Width of the hidden layer of the projector.
    pub hidden: usize,
}

impl PatchConfig {
    fn grid(&self) -> Convolution {
        Convolution { kernel: self.patch, stride: self.patch, padding: 0, silu_first: false, input_gradient: false }
    }

    /// Numbers that a picture of `image_side` pixels becomes.
    pub(crate) fn features(&self, image_side: usize) -> usize {
        self.grid().output_side(image_side).pow(2) * self.bottleneck
    }
}

/// Patch convolution and residual blocks: `[B, H, W, 3]` → `[B, patches * bottleneck]`.
#[derive(Debug, Clone)]
pub struct PatchEncoder {
    patches: Conv,
    blocks: Vec<ResidualBlock>,
    bottleneck: Conv,
}

impl PatchEncoder {
    pub(crate) fn new(source: &mut Source, config: &PatchConfig) -> Result<Self> {
        let pointwise = Convolution { kernel: 1, stride: 1, padding: 0, silu_first: false, input_gradient: true };
        let block = |source: &mut Source, index| ResidualBlock::new(source, &format!("block_{index}"), config.channels);
        Ok(Self {
            patches: Conv::new(source, "patches", (3, config.channels), config.grid())?,
            blocks: (0..config.blocks).map(|index| block(source, index)).collect::<Result<_>>()?,
            bottleneck: Conv::new(source, "bottleneck", (config.channels, config.bottleneck), pointwise)?,
        })
    }

    pub(crate) fn forward(&self, pictures: &Tensor, tape: &mut Tape) -> Result<Tensor> {
        let patches = self.patches.forward(pictures, tape)?;
        let mut grid = tape.apply1(&patches, Silu)?;
        for block in &self.blocks {
            grid = block.forward(&grid, tape)?;
        }
        let narrow = self.bottleneck.forward(&grid, tape)?;
        let grid = tape.apply1(&narrow, Silu)?;
        let (pictures, values) = (grid.dim(0)?, grid.elem_count() / grid.dim(0)?);
        Ok(tape.reshape(&grid, &[pictures, values])?)
    }
}
