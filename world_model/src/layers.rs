//! Layers: weights with names, applied by the operations of [`crate::ops`].

use candle_core::Tensor;

use crate::Result;
use crate::ops::{self, Convolution, Map, Precision, with_values};
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
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        Ok(ops::convolve(input, &self.weight, &self.bias, self.shape)?)
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

    /// Layer norm of `[N, C]`, or group norm of `[B, H, W, C]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        if let Ok((batch, height, width, channels)) = input.dims4() {
            let rows = input.reshape((batch, height * width, channels))?;
            let normal = ops::group_norm(&rows, &self.scale, &self.shift, self.groups)?;
            return Ok(normal.reshape((batch, height, width, channels))?);
        }
        Ok(ops::layer_norm(input, &self.scale, &self.shift)?)
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
    pub fn forward(&self, input: &Tensor) -> Result<Tensor> {
        Ok((input + self.second.forward(&self.first.forward(input)?)?)?)
    }
}
