//! Transformer blocks with gradients, under the names of the authors' files: what encoders and predictors are trained
//! with. What they compute is what `blocks` computes from the same weights without gradients.

use candle_core::Tensor;

use super::fresh::fresh;
use crate::Result;
use crate::layers::Linear;
use crate::ops::{self, Visible, tensor};
use crate::parameters::{Initial, WeightSource};

/// Epsilon of all norms.
pub(in crate::families) const EPSILON: f32 = 1e-6;

/// `[.., I]` → `[.., O]`.
pub(in crate::families) fn apply(linear: &Linear, input: &Tensor) -> Result<Tensor> {
    let mut shape = input.dims().to_vec();
    let inputs = shape.pop().unwrap_or(0);
    let rows = linear.forward(&input.reshape((input.elem_count() / inputs.max(1), inputs))?)?;
    shape.push(rows.dim(1)?);
    Ok(rows.reshape(shape)?)
}

/// Weight and bias called `name.weight` and `name.bias`.
pub(in crate::families) fn linear(
    source: &mut WeightSource,
    name: &str,
    inputs: usize,
    outputs: usize,
) -> Result<Linear> {
    source.within(name, |source| {
        let weight = source.weight("weight", &[outputs, inputs], fresh("weight", &[outputs, inputs]))?;
        Ok(Linear { weight, bias: source.weight("bias", &[outputs], Initial::Constant(0.0))? })
    })
}

/// The same map without gradients: it moves with the other's weights.
pub(in crate::families) fn detached(linear: &Linear) -> Linear {
    Linear { weight: linear.weight.detach(), bias: linear.bias.detach() }
}

/// Layer norm.
#[derive(Debug, Clone)]
pub(in crate::families) struct Norm {
    scale: Tensor,
    shift: Tensor,
}

impl Norm {
    pub(in crate::families) fn new(source: &mut WeightSource, name: &str, width: usize) -> Result<Self> {
        source.within(name, |source| {
            let scale = source.weight("weight", &[width], Initial::Constant(1.0))?;
            Ok(Self { scale, shift: source.weight("bias", &[width], Initial::Constant(0.0))? })
        })
    }

    pub(in crate::families) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        Ok(ops::affine_norm(input, &self.scale, &self.shift, EPSILON)?)
    }

    fn detached(&self) -> Self {
        Self { scale: self.scale.detach(), shift: self.shift.detach() }
    }
}

#[derive(Debug, Clone)]
struct Block {
    attention_norm: Norm,
    query_key_value: Linear,
    output: Linear,
    perceptron_norm: Norm,
    widen: Linear,
    narrow: Linear,
}

/// Blocks and the norm behind them.
#[derive(Debug, Clone)]
pub(in crate::families) struct Stack {
    blocks: Vec<Block>,
    norm: Norm,
    heads: usize,
}

impl Stack {
    /// Blocks called by the first of `names` and their number, and the norm called by the second.
    pub(in crate::families) fn new(
        source: &mut WeightSource,
        names: [&str; 2],
        (width, layers, heads): (usize, usize, usize),
    ) -> Result<Self> {
        let block = |source: &mut WeightSource| {
            Ok(Block {
                attention_norm: Norm::new(source, "norm1", width)?,
                query_key_value: linear(source, "attn.qkv", width, 3 * width)?,
                output: linear(source, "attn.proj", width, width)?,
                perceptron_norm: Norm::new(source, "norm2", width)?,
                widen: linear(source, "mlp.fc1", width, 4 * width)?,
                narrow: linear(source, "mlp.fc2", 4 * width, width)?,
            })
        };
        let blocks = (0..layers).map(|index| source.within(&format!("{}.{index}", names[0]), block));
        let blocks = blocks.collect::<Result<_>>()?;
        Ok(Self { blocks, norm: Norm::new(source, names[1], width)?, heads })
    }

    /// `[B, M, D]` → `[B, M, D]`.
    pub(in crate::families) fn forward(&self, mut tokens: Tensor, visible: Visible) -> Result<Tensor> {
        for block in &self.blocks {
            let mixed = apply(&block.query_key_value, &block.attention_norm.forward(&tokens)?)?;
            let mixed = ops::attention(&mixed, self.heads, visible)?;
            tokens = (tokens + apply(&block.output, &mixed)?)?;
            let wide = ops::gelu(&apply(&block.widen, &block.perceptron_norm.forward(&tokens)?)?)?;
            tokens = (tokens + apply(&block.narrow, &wide)?)?;
        }
        self.norm.forward(&tokens)
    }

    /// The same weights without gradients: they move with the others.
    pub(in crate::families) fn detached(&self) -> Self {
        let block = |block: &Block| Block {
            attention_norm: block.attention_norm.detached(),
            query_key_value: detached(&block.query_key_value),
            output: detached(&block.output),
            perceptron_norm: block.perceptron_norm.detached(),
            widen: detached(&block.widen),
            narrow: detached(&block.narrow),
        };
        Self { blocks: self.blocks.iter().map(block).collect(), norm: self.norm.detached(), heads: self.heads }
    }
}

/// Positions of the tokens `numbers`, `[B, M, width]`.
pub(in crate::families) fn positions(table: &[f32], width: usize, numbers: &[Vec<u32>]) -> Result<Tensor> {
    let rows = numbers.iter().flatten().flat_map(|&number| {
        let start = number as usize * width;
        table[start..start + width].iter().copied()
    });
    let shape = (numbers.len(), numbers.first().map_or(0, Vec::len), width);
    Ok(tensor(rows.collect(), shape)?)
}
