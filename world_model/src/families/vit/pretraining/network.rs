//! The networks of pretraining, with gradients, under the names of the authors' files. What they compute is what the
//! inference of this family computes from the saved folder; a test holds both equal.

use std::collections::BTreeMap;

use candle_core::{Tensor, Var};
use mindseye_interface::Seed;

use super::config::{EncoderSizes, PredictorSizes, PretrainingConfig};
use crate::Result;
use crate::families::vit::fresh::fresh;
use crate::families::vit::sincos::sincos;
use crate::families::vit::trainable::{Stack, apply, detached, linear, positions};
use crate::layers::Linear;
use crate::ops::Visible;
use crate::parameters::{Initial, Shapes, WeightSource, Weights, shapes_of};

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
        self.stack.forward((tokens + positions)?, Visible::All)
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
        let tokens = self.stack.forward(Tensor::cat(&[&seen, &hidden], 1)?, Visible::All)?;
        let (of_context, of_targets) = (context.dim(1)?, hidden.dim(1)?);
        let predicted = apply(&self.output, &tokens.narrow(1, of_context, of_targets)?.contiguous()?)?;
        let context = match &self.context_output {
            Some(output) => Some(apply(output, &tokens.narrow(1, 0, of_context)?.contiguous()?)?),
            None => None,
        };
        Ok((predicted, context))
    }
}
