//! The networks of pretraining, with gradients, under the names of the authors' files. What they compute is what the
//! inference of this family computes from the saved folder; a test holds both equal.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use mindseye_interface::Seed;

use super::config::{EncoderSizes, PredictorSizes, PretrainingConfig};
use crate::Result;
use crate::families::vit::fresh::fresh;
use crate::families::vit::sincos::sincos;
use crate::layers::Linear;
use crate::ops::{self, tensor};
use crate::parameters::{Initial, Shapes, WeightSource, Weights, shapes_of};

/// Epsilon of all norms.
const EPSILON: f32 = 1e-6;

/// Encoder, its average over steps, and predictor.
#[derive(Debug)]
pub(super) struct Networks {
    pub encoder: Encoder,
    /// The average; none where there is none.
    pub average: Option<Encoder>,
    pub predictor: Predictor,
    /// All by name: `encoder.`, `target_encoder.` (the average), `predictor.`.
    pub weights: Weights,
}

impl Networks {
    /// Fresh networks; the average begins equal to the encoder.
    pub fn new(config: &PretrainingConfig, seed: Seed) -> Result<Self> {
        let (encoder, predictor, mut weights) = build(config, WeightSource::fresh(seed))?;
        let mut average = None;
        if config.objective.averages() {
            let mut source = WeightSource::fresh(seed);
            let copy = source.within("target_encoder", |source| Encoder::new(source, &config.encoder))?;
            let copies = source.finish()?;
            for (name, var) in &copies {
                if let Some(own) = weights.get(&name.replacen("target_", "", 1)) {
                    var.set(&own.as_tensor().copy()?)?;
                }
            }
            weights.extend(copies);
            average = Some(copy.detached());
        }
        Ok(Self { encoder, average, predictor, weights })
    }

    /// Names and shapes of what a training updates, without memory for it.
    pub fn shapes(config: &PretrainingConfig) -> Result<Shapes> {
        shapes_of(|source| build(config, source))
    }

    /// Weights that gradients move.
    pub fn trained(&self) -> impl Iterator<Item = (&String, &Var)> {
        self.weights.iter().filter(|(name, _)| !name.starts_with("target_"))
    }

    /// The encoder that is saved and evaluated, without gradients.
    pub fn evaluated(&self) -> Encoder {
        self.average.clone().unwrap_or_else(|| self.encoder.detached())
    }

    /// Moves the average by a step.
    pub fn follow(&self, momentum: f64) -> Result<()> {
        for (name, average) in self.weights.iter().filter(|(name, _)| name.starts_with("target_")) {
            let Some(own) = self.weights.get(&name.replacen("target_", "", 1)) else { continue };
            let moved = ((average.as_detached_tensor() * momentum)? + (own.as_detached_tensor() * (1.0 - momentum))?)?;
            average.set(&moved)?;
        }
        Ok(())
    }
}

fn build(config: &PretrainingConfig, mut source: WeightSource) -> Result<(Encoder, Predictor, Weights)> {
    let encoder = source.within("encoder", |source| Encoder::new(source, &config.encoder))?;
    let predictor = source.within("predictor", |source| Predictor::new(source, config))?;
    Ok((encoder, predictor, source.finish()?))
}

/// Encoder and predictor with the weights of a folder.
pub(super) fn stored(config: &PretrainingConfig, tensors: BTreeMap<String, Tensor>) -> Result<(Encoder, Predictor)> {
    let (encoder, predictor, _) = build(config, WeightSource::stored(tensors))?;
    Ok((encoder, predictor))
}

/// `[.., I]` → `[.., O]`.
fn apply(linear: &Linear, input: &Tensor) -> Result<Tensor> {
    let mut shape = input.dims().to_vec();
    let inputs = shape.pop().unwrap_or(0);
    let rows = linear.forward(&input.reshape((input.elem_count() / inputs.max(1), inputs))?)?;
    shape.push(rows.dim(1)?);
    Ok(rows.reshape(shape)?)
}

fn linear(source: &mut WeightSource, name: &str, inputs: usize, outputs: usize) -> Result<Linear> {
    source.within(name, |source| {
        let weight = source.weight("weight", &[outputs, inputs], fresh("weight", &[outputs, inputs]))?;
        Ok(Linear { weight, bias: source.weight("bias", &[outputs], Initial::Constant(0.0))? })
    })
}

fn detached(linear: &Linear) -> Linear {
    Linear { weight: linear.weight.detach(), bias: linear.bias.detach() }
}

#[derive(Debug, Clone)]
struct Norm {
    scale: Tensor,
    shift: Tensor,
}

impl Norm {
    fn new(source: &mut WeightSource, name: &str, width: usize) -> Result<Self> {
        source.within(name, |source| {
            let scale = source.weight("weight", &[width], Initial::Constant(1.0))?;
            Ok(Self { scale, shift: source.weight("bias", &[width], Initial::Constant(0.0))? })
        })
    }

    fn forward(&self, input: &Tensor) -> Result<Tensor> {
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
struct Stack {
    blocks: Vec<Block>,
    norm: Norm,
    heads: usize,
}

impl Stack {
    fn new(source: &mut WeightSource, names: [&str; 2], (width, layers, heads): (usize, usize, usize)) -> Result<Self> {
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
    fn forward(&self, mut tokens: Tensor) -> Result<Tensor> {
        for block in &self.blocks {
            let mixed = apply(&block.query_key_value, &block.attention_norm.forward(&tokens)?)?;
            let mixed = ops::attention(&mixed, self.heads, false)?;
            tokens = (tokens + apply(&block.output, &mixed)?)?;
            let wide = ops::gelu(&apply(&block.widen, &block.perceptron_norm.forward(&tokens)?)?)?;
            tokens = (tokens + apply(&block.narrow, &wide)?)?;
        }
        self.norm.forward(&tokens)
    }

    fn detached(&self) -> Self {
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
pub(super) fn positions(table: &[f32], width: usize, numbers: &[Vec<u32>]) -> Result<Tensor> {
    let rows = numbers.iter().flatten().flat_map(|&number| {
        let start = number as usize * width;
        table[start..start + width].iter().copied()
    });
    let shape = (numbers.len(), numbers.first().map_or(0, Vec::len), width);
    Ok(tensor(rows.collect(), shape)?)
}

/// Tubelets become tokens.
#[derive(Debug, Clone)]
pub(super) struct Encoder {
    patch: Linear,
    stack: Stack,
    table: Vec<f32>,
    width: usize,
}

impl Encoder {
    fn new(source: &mut WeightSource, sizes: &EncoderSizes) -> Result<Self> {
        let EncoderSizes { frames, tubelet, patch: side, width, layers, heads, .. } = *sizes;
        let patch = source.within("patch_embed.proj", |source| {
            let clips = [width, 3, tubelet, side, side];
            let images = [width, 3, side, side];
            let stored: &[usize] = if frames > 1 { &clips } else { &images };
            let used = [width, sizes.tubelet_values()];
            let weight = source.weight_as("weight", stored, &used, fresh("weight", &used))?;
            Ok(Linear { weight, bias: source.weight("bias", &[width], Initial::Constant(0.0))? })
        })?;
        let stack = Stack::new(source, ["blocks", "norm"], (width, layers, heads))?;
        let grid = sizes.grid();
        let table = sincos(sizes.positions(), width, [grid.frames, grid.rows, grid.columns]);
        Ok(Self { patch, stack, table, width })
    }

    /// Tokens `[B, M, D]` of the tubelets `[B * M, I]` with these numbers.
    pub fn forward(&self, tubelets: &Tensor, numbers: &[Vec<u32>]) -> Result<Tensor> {
        let positions = positions(&self.table, self.width, numbers)?;
        let tokens = self.patch.forward(tubelets)?.reshape(positions.shape())?;
        self.stack.forward((tokens + positions)?)
    }

    /// The same weights without gradients: they move with the encoder's.
    pub fn detached(&self) -> Self {
        Self { patch: detached(&self.patch), stack: self.stack.detached(), ..self.clone() }
    }
}

/// Seen tokens, and a mask token for each hidden one, become predictions.
#[derive(Debug)]
pub(super) struct Predictor {
    entry: Linear,
    mask_tokens: Vec<Tensor>,
    stack: Stack,
    output: Linear,
    context_output: Option<Linear>,
    table: Vec<f32>,
    width: usize,
}

impl Predictor {
    fn new(source: &mut WeightSource, config: &PretrainingConfig) -> Result<Self> {
        let PredictorSizes { width, layers, heads } = config.predictor;
        let grid = config.encoder.grid();
        let zero = Initial::Constant(0.0);
        let tokens =
            (0..config.mask_tokens()).map(|index| source.weight(&format!("mask_tokens.{index}"), &[width], zero));
        let mask_tokens = tokens.collect::<Result<_>>()?;
        let context_output = match config.loss.context > 0.0 {
            true => Some(linear(source, "predictor_proj_context", width, config.output())?),
            false => None,
        };
        Ok(Self {
            entry: linear(source, "predictor_embed", config.encoder.width, width)?,
            mask_tokens,
            stack: Stack::new(source, ["predictor_blocks", "predictor_norm"], (width, layers, heads))?,
            output: linear(source, "predictor_proj", width, config.output())?,
            context_output,
            table: sincos(config.encoder.positions(), width, [grid.frames, grid.rows, grid.columns]),
            width,
        })
    }

    /// Predictions `[B, M, O]` of the tokens `targets` from those of the context `[B, C, D]`, and, with such an output,
    /// `[B, C, O]` of the context itself.
    pub fn forward(
        &self,
        context: &Tensor,
        numbers: &[Vec<u32>],
        targets: &[Vec<u32>],
        mask_token: usize,
    ) -> Result<(Tensor, Option<Tensor>)> {
        let seen = (apply(&self.entry, context)? + positions(&self.table, self.width, numbers)?)?;
        let places = positions(&self.table, self.width, targets)?;
        let hidden = places.broadcast_add(&self.mask_tokens[mask_token % self.mask_tokens.len()])?;
        let tokens = self.stack.forward(Tensor::cat(&[&seen, &hidden], 1)?)?;
        let (of_context, of_targets) = (context.dim(1)?, hidden.dim(1)?);
        let predicted = apply(&self.output, &tokens.narrow(1, of_context, of_targets)?.contiguous()?)?;
        let context = match &self.context_output {
            Some(output) => Some(apply(output, &tokens.narrow(1, 0, of_context)?.contiguous()?)?),
            None => None,
        };
        Ok((predicted, context))
    }
}
