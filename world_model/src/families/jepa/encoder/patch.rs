//! Patch encoder: one convolution reduces most of the resolution; small residual blocks follow.

use candle_core::Tensor;

use crate::Result;
use crate::families::jepa::config::PatchConfig;
use crate::layers::{Conv, ResidualBlock};
use crate::ops::{Convolution, Silu, Tape};
use crate::parameters::WeightSource;

/// Patch convolution and residual blocks: `[B, H, W, 3]` → `[B, patches * bottleneck]`.
#[derive(Debug, Clone)]
pub(super) struct PatchEncoder {
    patches: Conv,
    blocks: Vec<ResidualBlock>,
    bottleneck: Conv,
}

impl PatchEncoder {
    pub fn new(source: &mut WeightSource, config: &PatchConfig) -> Result<Self> {
        let pointwise = Convolution { kernel: 1, stride: 1, padding: 0, silu_first: false, input_gradient: true };
        let block =
            |source: &mut WeightSource, index| ResidualBlock::new(source, &format!("block_{index}"), config.channels);
        Ok(Self {
            patches: Conv::new(source, "patches", (3, config.channels), config.grid())?,
            blocks: (0..config.blocks).map(|index| block(source, index)).collect::<Result<_>>()?,
            bottleneck: Conv::new(source, "bottleneck", (config.channels, config.bottleneck), pointwise)?,
        })
    }

    pub fn forward(&self, images: &Tensor, tape: &mut Tape) -> Result<Tensor> {
        let patches = self.patches.forward(images, tape)?;
        let mut grid = tape.apply1(&patches, Silu)?;
        for block in &self.blocks {
            grid = block.forward(&grid, tape)?;
        }
        let narrow = self.bottleneck.forward(&grid, tape)?;
        let grid = tape.apply1(&narrow, Silu)?;
        let (images, values) = (grid.dim(0)?, grid.elem_count() / grid.dim(0)?);
        Ok(tape.reshape(&grid, &[images, values])?)
    }
}
