//! Patch encoder: most of the resolution goes in one step, the rest is small residual blocks.

use candle_core::Tensor;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::layers::{Conv, Linear, Norm, ResidualBlock};
use crate::ops::{self, Convolution};
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

/// Patch convolution, residual blocks, and a projector (linear, layer norm, SiLU, linear) to the latent.
#[derive(Debug, Clone)]
pub struct PatchEncoder {
    patches: Conv,
    blocks: Vec<ResidualBlock>,
    bottleneck: Conv,
    hidden: Linear,
    norm: Norm,
    latent: Linear,
}

impl PatchEncoder {
    pub(crate) fn new(
        source: &mut Source,
        config: &PatchConfig,
        image_side: usize,
        latent_width: usize,
    ) -> Result<Self> {
        let patch = Convolution {
            kernel: config.patch,
            stride: config.patch,
            padding: 0,
            silu_first: false,
            input_gradient: false,
        };
        let pointwise = Convolution { kernel: 1, stride: 1, padding: 0, silu_first: false, input_gradient: true };
        let side = patch.output_side(image_side);
        let block = |source: &mut Source, index| ResidualBlock::new(source, &format!("block_{index}"), config.channels);
        Ok(Self {
            patches: Conv::new(source, "patches", (3, config.channels), patch)?,
            blocks: (0..config.blocks).map(|index| block(source, index)).collect::<Result<_>>()?,
            bottleneck: Conv::new(source, "bottleneck", (config.channels, config.bottleneck), pointwise)?,
            hidden: Linear::new(source, "hidden", side * side * config.bottleneck, config.hidden, 1.0)?,
            norm: Norm::new(source, "norm", config.hidden, 1)?,
            latent: Linear::new(source, "latent", config.hidden, latent_width, 1.0)?,
        })
    }

    pub(crate) fn forward(&self, pictures: &Tensor) -> Result<Tensor> {
        let mut grid = ops::silu(&self.patches.forward(pictures)?)?;
        for block in &self.blocks {
            grid = block.forward(&grid)?;
        }
        let grid = ops::silu(&self.bottleneck.forward(&grid)?)?;
        let hidden = self.norm.forward(&self.hidden.forward(&grid.flatten_from(1)?)?)?;
        self.latent.forward(&ops::silu(&hidden)?)
    }
}
