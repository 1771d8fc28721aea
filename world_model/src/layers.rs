//! Layers: weights with names, applied by the operations of [`crate::ops`]; those of images along a [`Tape`].

use candle_core::Tensor;

use crate::Result;
use crate::ops::{self, Convolution, GroupNorm, InferenceLinear, Precision, Tape, with_values};
use crate::parameters::{Initial, WeightSource};

/// Affine map of rows, `[N, I]` → `[N, O]`.
#[derive(Debug, Clone)]
pub(crate) struct Linear {
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
}

impl Linear {
    /// Weight `[O, I]` and bias `[O]` called `name.weight`, `name.bias`; fresh weights are multiplied by `gain`.
    ///
    /// # Errors
    /// As [`WeightSource::weight`].
    pub(crate) fn new(source: &mut WeightSource, name: &str, inputs: usize, outputs: usize, gain: f32) -> Result<Self> {
        let bound = gain / (inputs as f32).sqrt();
        source.within(name, |source| {
            let weight = source.weight("weight", &[outputs, inputs], Initial::Uniform { bound })?;
            Ok(Self { weight, bias: source.weight("bias", &[outputs], Initial::Constant(0.0))? })
        })
    }

    /// The same map on plain slices, with weights rearranged for many products.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub(crate) fn packed(&self, precision: Precision) -> Result<InferenceLinear> {
        let bias = with_values(&self.bias, <[f32]>::to_vec)?;
        Ok(with_values(&self.weight, |weight| InferenceLinear::new(weight, &bias, precision))?)
    }

    /// The transposed map without a bias, `[N, O]` → `[N, I]`, on plain slices: for gradients.
    ///
    /// # Errors
    /// When the weights are not on the CPU.
    pub(crate) fn transposed(&self) -> Result<InferenceLinear> {
        let inputs = self.weight.dim(1)?;
        let transposed = self.weight.detach().t()?.contiguous()?;
        Ok(with_values(&transposed, |weight| InferenceLinear::new(weight, &vec![0.0; inputs], Precision::F32))?)
    }

    /// `[N, I]` → `[N, O]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub(crate) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        Ok(ops::linear(input, &self.weight, &self.bias)?)
    }
}

/// Convolution of `[B, H, W, C]`.
#[derive(Debug, Clone)]
pub(crate) struct Conv {
    weight: Tensor,
    bias: Tensor,
    shape: Convolution,
}

impl Conv {
    /// Weight `[O, kernel * kernel * C]` and bias `[O]`.
    ///
    /// # Errors
    /// As [`WeightSource::weight`].
    pub(crate) fn new(
        source: &mut WeightSource,
        name: &str,
        channels: (usize, usize),
        shape: Convolution,
    ) -> Result<Self> {
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
    pub(crate) fn forward(&self, input: &Tensor, tape: &mut Tape) -> Result<Tensor> {
        Ok(tape.apply3(input, (&self.weight, &self.bias), self.shape)?)
    }
}

/// Scale and shift of a normalisation.
#[derive(Debug, Clone)]
pub(crate) struct Norm {
    pub(crate) scale: Tensor,
    pub(crate) shift: Tensor,
    groups: usize,
}

impl Norm {
    /// Scale `name.weight [C]` from 1 and shift `name.bias [C]` from 0, over `groups` groups of channels.
    ///
    /// # Errors
    /// As [`WeightSource::weight`].
    pub(crate) fn new(source: &mut WeightSource, name: &str, channels: usize, groups: usize) -> Result<Self> {
        source.within(name, |source| {
            let scale = source.weight("weight", &[channels], Initial::Constant(1.0))?;
            Ok(Self { scale, shift: source.weight("bias", &[channels], Initial::Constant(0.0))?, groups })
        })
    }

    /// Layer norm of `[N, C]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub(crate) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        Ok(ops::layer_norm(input, &self.scale, &self.shift)?)
    }

    /// Group norm of `[B, H, W, C]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub(crate) fn of_maps(&self, input: &Tensor, tape: &mut Tape) -> Result<Tensor> {
        let (batch, height, width, channels) = input.dims4()?;
        let rows = tape.reshape(input, &[batch, height * width, channels])?;
        let normal = tape.apply3(&rows, (&self.scale, &self.shift), GroupNorm { groups: self.groups })?;
        Ok(tape.reshape(&normal, &[batch, height, width, channels])?)
    }
}

/// `x + conv3(silu(conv3(silu x)))` at constant resolution and width.
#[derive(Debug, Clone)]
pub(crate) struct ResidualBlock {
    first: Conv,
    second: Conv,
}

impl ResidualBlock {
    /// Two 3x3 convolutions `name.first`, `name.second` of `channels` channels.
    ///
    /// # Errors
    /// As [`WeightSource::weight`].
    pub(crate) fn new(source: &mut WeightSource, name: &str, channels: usize) -> Result<Self> {
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
    pub(crate) fn forward(&self, input: &Tensor, tape: &mut Tape) -> Result<Tensor> {
        tape.residual(input, |tape| self.second.forward(&self.first.forward(input, tape)?, tape))
    }
}

/// The gated residual perceptron of most heads: `h = gate(norm(W x))`, `h += gate(norm(W h))` per layer, `[N, I]` →
/// `[N, hidden]` (see [`ops::gate`]).
#[derive(Debug)]
pub(crate) struct GatedMlp {
    pub(crate) input: Linear,
    pub(crate) input_norm: Norm,
    pub(crate) layers: Vec<(Linear, Norm)>,
}

impl GatedMlp {
    /// Weights `input`, `input_norm`, `layer_0`, `norm_0`, and so on.
    ///
    /// # Errors
    /// As [`WeightSource::weight`].
    pub(crate) fn new(source: &mut WeightSource, inputs: usize, hidden: usize, layers: usize) -> Result<Self> {
        let layer = |source: &mut WeightSource, index: usize| {
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
    pub(crate) fn forward(&self, rows: &Tensor) -> Result<Tensor> {
        self.after_input(&self.input.forward(rows)?)
    }

    /// The layers after the input's affine map: `[N, 2 hidden]` → `[N, hidden]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub(crate) fn after_input(&self, inner: &Tensor) -> Result<Tensor> {
        let mut hidden = ops::gate(&self.input_norm.forward(inner)?)?;
        for (linear, norm) in &self.layers {
            hidden = (&hidden + ops::gate(&norm.forward(&linear.forward(&hidden)?)?)?)?;
        }
        Ok(hidden)
    }
}
