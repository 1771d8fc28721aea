//! The predictor with gradients.

use std::collections::BTreeMap;

use candle_core::Tensor;
use mindseye_interface::Seed;

use super::config::{Conditioning, TokenPredictorConfig};
use crate::Result;
use crate::families::vit::trainable::{Stack, apply, linear};
use crate::families::vit::{SinCos, sincos};
use crate::layers::Linear;
use crate::ops::{Visible, tensor};
use crate::parameters::{Initial, Shapes, WeightSource, Weights, shapes_of};

/// What a predictor is built for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PredictorShape {
    pub config: TokenPredictorConfig,
    /// Rows and columns of tokens.
    pub grid: [usize; 2],
    /// Width `D` of a token.
    pub width: usize,
    /// Width `A` of an action chunk.
    pub chunk_width: usize,
}

impl PredictorShape {
    /// Tokens `P` of a frame.
    pub fn tokens(&self) -> usize {
        self.grid[0] * self.grid[1]
    }

    /// Rows that the blocks see of a frame: its tokens, and the action's where it has one of its own.
    pub fn rows(&self) -> usize {
        self.tokens() + usize::from(self.config.conditioning == Conditioning::Token)
    }

    /// Positions `[T, P, W]` that are added to tokens: time, row, column.
    pub fn positions(&self) -> Vec<f32> {
        sincos(SinCos::Uniform, self.config.width, [self.config.context, self.grid[0], self.grid[1]])
    }

    /// Names and shapes of the weights.
    pub fn shapes(&self) -> Result<Shapes> {
        shapes_of(|source| PredictorNetwork::build(self, source))
    }
}

/// Tokens of frames and the action chunks that follow them become the tokens of the next frames.
#[derive(Debug)]
pub(super) struct PredictorNetwork {
    shape: PredictorShape,
    entry: Linear,
    action: Linear,
    stack: Stack,
    output: Linear,
    positions: Vec<f32>,
    pub weights: Weights,
}

impl PredictorNetwork {
    /// Fresh weights; the first prediction is that nothing changes.
    pub fn new(shape: &PredictorShape, seed: Seed) -> Result<Self> {
        Self::build(shape, WeightSource::fresh(seed))
    }

    /// Stored weights, called `predictor.`.
    pub fn stored(shape: &PredictorShape, tensors: BTreeMap<String, Tensor>) -> Result<Self> {
        Self::build(shape, WeightSource::stored(tensors))
    }

    fn build(shape: &PredictorShape, mut source: WeightSource) -> Result<Self> {
        let TokenPredictorConfig { width, layers, heads, .. } = shape.config;
        let (entry, action, stack, output) = source.within("predictor", |source| {
            let entry = linear(source, "embed", shape.width, width)?;
            let action = linear(source, "action_encoder", shape.chunk_width, width)?;
            let stack = Stack::new(source, ["blocks", "norm"], (width, layers, heads))?;
            let output = source.within("proj", |source| {
                let weight = source.weight("weight", &[shape.width, width], Initial::Constant(0.0))?;
                Ok(Linear { weight, bias: source.weight("bias", &[shape.width], Initial::Constant(0.0))? })
            })?;
            Ok((entry, action, stack, output))
        })?;
        let weights = source.finish()?;
        Ok(Self { shape: shape.clone(), entry, action, stack, output, positions: shape.positions(), weights })
    }

    /// The tokens that follow each frame, `[B, T, P, D]`, from those of `T` frames `[B, T, P, D]` and the chunks after
    /// them, `[B, T, A]`.
    pub fn forward(&self, frames: &Tensor, chunks: &Tensor) -> Result<Tensor> {
        let (batch, count, tokens, _) = frames.dims4()?;
        let width = self.shape.config.width;
        let places = tensor(self.positions[..count * tokens * width].to_vec(), (count, tokens, width))?;
        let hidden = apply(&self.entry, frames)?.broadcast_add(&places)?;
        let action = apply(&self.action, chunks)?.reshape((batch, count, 1, width))?;
        let rows = self.shape.rows();
        let hidden = match self.shape.config.conditioning {
            Conditioning::Concatenated => hidden.broadcast_add(&action)?,
            Conditioning::Token => Tensor::cat(&[&action, &hidden], 2)?,
        };
        let hidden = hidden.contiguous()?.reshape((batch, count * rows, width))?;
        let hidden = self.stack.forward(hidden, Visible::Frames(rows))?.reshape((batch, count, rows, width))?;
        let hidden = hidden.narrow(2, rows - tokens, tokens)?.contiguous()?;
        Ok((frames + apply(&self.output, &hidden)?)?)
    }
}
