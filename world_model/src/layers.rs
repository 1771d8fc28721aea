//! Layers: weights with names, applied by the operations of [`crate::ops`]; those of pictures along a [`Tape`].

use candle_core::Tensor;

use crate::Result;
use crate::network::Network;
use crate::ops::{self, Convolution, GroupNorm, Map, Precision, Tape, with_values};
use crate::parameters::{Initial, Source};

/// Affine map of rows, `[N, I]` → `[N, O]`.
#[derive(Debug, Clone)]
pub struct Linear {
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
}

impl Linear {
    /// Weight `[O, I]` and bias `[O]` called `name.weight`, `name.bias`; fresh weights are multiplied by `gain`.
    ///
    /// # Errors
    /// As [`Source::weight`].
    pub fn new(source: &mut Source, name: &str, inputs: usize, outputs: usize, gain: f32) -> Result<Self> {
        let bound = gain / (inputs as f32).sqrt();
        source.within(name, |source| {
            let weight = source.weight("weight", &[outputs, inputs], Initial::Uniform { bound })?;
            Ok(Self { weight, bias: source.weight("bias", &[outputs], Initial::Constant(0.0))? })
        })
    }

    /// The same map on plain slices, its weights rearranged for many products.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub(crate) fn packed(&self, precision: Precision) -> Result<Map> {
        let bias = with_values(&self.bias, <[f32]>::to_vec)?;
        Ok(with_values(&self.weight, |weight| Map::new(weight, &bias, precision))?)
    }

    /// The way back of slopes, `[N, O]` → `[N, I]`, on plain slices.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub(crate) fn transposed(&self) -> Result<Map> {
        let inputs = self.weight.dim(1)?;
        let transposed = self.weight.detach().t()?.contiguous()?;
        Ok(with_values(&transposed, |weight| Map::new(weight, &vec![0.0; inputs], Precision::F32))?)
    }

    /// `[N, I]` → `[N, O]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        Ok(ops::linear(input, &self.weight, &self.bias)?)
    }
}

/// Convolution of `[B, H, W, C]`.
#[derive(Debug, Clone)]
pub struct Conv {
    weight: Tensor,
    bias: Tensor,
    shape: Convolution,
}

impl Conv {
    /// Weight `[O, kernel * kernel * C]` and bias `[O]`.
    ///
    /// # Errors
    /// As [`Source::weight`].
    pub fn new(source: &mut Source, name: &str, channels: (usize, usize), shape: Convolution) -> Result<Self> {
        let (inputs, outputs) = channels;
        let window = shape.kernel * shape.kernel * inputs;
        source.within(name, |source| {
            let weight = source.weight("weight", &[outputs, window], Initial::for_inputs(window))?;
            Ok(Self { weight, bias: source.weight("bias", &[outputs], Initial::Constant(0.0))?, shape })
        })
    }

    /// `[B, H, W, C]` → `[B, H', W', O]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, input: &Tensor, tape: &mut Tape) -> Result<Tensor> {
        Ok(tape.apply3(input, (&self.weight, &self.bias), self.shape)?)
    }
}

/// Scale and shift of a normalisation.
#[derive(Debug, Clone)]
pub struct Norm {
    pub(crate) scale: Tensor,
    pub(crate) shift: Tensor,
    groups: usize,
}

impl Norm {
    /// Scale `name.weight [C]` from 1 and shift `name.bias [C]` from 0, over `groups` groups of channels.
    ///
    /// # Errors
    /// As [`Source::weight`].
    pub fn new(source: &mut Source, name: &str, channels: usize, groups: usize) -> Result<Self> {
        source.within(name, |source| {
            let scale = source.weight("weight", &[channels], Initial::Constant(1.0))?;
            Ok(Self { scale, shift: source.weight("bias", &[channels], Initial::Constant(0.0))?, groups })
        })
    }

    /// Layer norm of `[N, C]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        Ok(ops::layer_norm(input, &self.scale, &self.shift)?)
    }

    /// Group norm of `[B, H, W, C]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn of_maps(&self, input: &Tensor, tape: &mut Tape) -> Result<Tensor> {
        let (batch, height, width, channels) = input.dims4()?;
        let rows = tape.reshape(input, &[batch, height * width, channels])?;
        let normal = tape.apply3(&rows, (&self.scale, &self.shift), GroupNorm { groups: self.groups })?;
        Ok(tape.reshape(&normal, &[batch, height, width, channels])?)
    }
}

/// `x + conv3(silu(conv3(silu x)))` at constant resolution and width.
#[derive(Debug, Clone)]
pub struct ResidualBlock {
    first: Conv,
    second: Conv,
}

impl ResidualBlock {
    /// Two 3x3 convolutions `name.first`, `name.second` of `channels` channels.
    ///
    /// # Errors
    /// As [`Source::weight`].
    pub fn new(source: &mut Source, name: &str, channels: usize) -> Result<Self> {
        let shape = Convolution { kernel: 3, stride: 1, padding: 1, silu_first: true, input_gradient: true };
        source.within(name, |source| {
            let first = Conv::new(source, "first", (channels, channels), shape)?;
            Ok(Self { first, second: Conv::new(source, "second", (channels, channels), shape)? })
        })
    }

    /// `[B, H, W, C]` → `[B, H, W, C]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, input: &Tensor, tape: &mut Tape) -> Result<Tensor> {
        tape.residual(input, |tape| self.second.forward(&self.first.forward(input, tape)?, tape))
    }
}

/// The gated residual perceptron that policies, decoders and their like are made of: `h = gate(norm(W x))`, `h += gate(norm(W h))` per layer,
/// `[N, I]` → `[N, hidden]` (see [`ops::gate`]).
#[derive(Debug)]
pub struct GatedTrunk {
    pub(crate) input: Linear,
    pub(crate) input_norm: Norm,
    pub(crate) layers: Vec<(Linear, Norm)>,
}

impl GatedTrunk {
    /// Weights `input`, `input_norm`, `layer_0`, `norm_0`, and so on.
    ///
    /// # Errors
    /// As [`Source::weight`].
    pub fn new(source: &mut Source, inputs: usize, hidden: usize, layers: usize) -> Result<Self> {
        let layer = |source: &mut Source, index: usize| {
            let linear = Linear::new(source, &format!("layer_{index}"), hidden, 2 * hidden, 1.0)?;
            Ok((linear, Norm::new(source, &format!("norm_{index}"), 2 * hidden, 1)?))
        };
        Ok(Self {
            input: Linear::new(source, "input", inputs, 2 * hidden, 1.0)?,
            input_norm: Norm::new(source, "input_norm", 2 * hidden, 1)?,
            layers: (0..layers).map(|index| layer(source, index)).collect::<Result<_>>()?,
        })
    }

    /// `[N, I]` → `[N, hidden]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        self.after_input(&self.input.forward(rows)?)
    }

    /// What follows the input's affine map: `[N, 2 hidden]` → `[N, hidden]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn after_input(&self, inner: &Tensor) -> Result<Tensor> {
        let mut hidden = ops::gate(&self.input_norm.forward(inner)?)?;
        for (linear, norm) in &self.layers {
            hidden = (&hidden + ops::gate(&norm.forward(&linear.forward(&hidden)?)?)?)?;
        }
        Ok(hidden)
    }
    /// The trunk and an affine map of what comes out of it, on plain slices.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub(crate) fn packed(&self, output: &Linear, precision: Precision) -> Result<Network> {
        Network::new(true, (&self.input, &self.input_norm), &self.layers, output, precision)
    }
}
