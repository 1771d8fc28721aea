//! Differentiable operations written for this project: each one pass forward, one pass backward, single-threaded, same bits every
//! time. candle's own layer norm cuts gradients, its convolution and bias gradients are slow on CPU (measured in
//! `docs/experiments.md`), and its matrix products take as many threads as they find.
//!
//! Pictures are `[B, H, W, C]` here: a row of a window is one contiguous copy.

mod attention;
mod batch_norm;
mod bfloat;
mod conv;
mod gate;
mod gelu;
mod group_norm;
mod layer_norm;
mod linear;
mod map;
pub mod matmul;
mod packed;
mod quantised;
mod sigreg;
mod silu;
mod spatial_softmax;
mod sums;
mod tape;
mod whiten;

pub use attention::attention;
pub(crate) use attention::{MOST_SEEN, attend_one};
pub use batch_norm::batch_norm;
pub(crate) use batch_norm::column_moments;
pub use bfloat::BfloatLinear;
pub use conv::{Convolution, convolve};
pub use gate::gate;
pub(crate) use gate::{gate_rows, gate_rows_back};
pub use gelu::gelu;
pub(crate) use gelu::gelu_in_place;
pub(crate) use group_norm::{GroupNorm, normalise_rows, normalise_rows_back, normalise_rows_keeping};
pub use group_norm::{group_norm, layer_norm};
pub use layer_norm::{affine_norm, standardise};
pub(crate) use layer_norm::{affine_norm_rows, modulated_norm_rows};
pub use linear::{linear, product};
pub use map::{Map, Precision};
pub use packed::PackedLinear;
pub use quantised::{QuantisedLinear, Rounded};
pub use sigreg::sigreg;
pub use silu::silu;
pub(crate) use silu::{Silu, silu_back_in_place, silu_in_place};
pub(crate) use spatial_softmax::SpatialSoftmax;
pub use spatial_softmax::spatial_softmax;
pub use tape::{Tape, WeightGradients};
pub use whiten::{whiten, whitening_of};

use candle_core::{CpuStorage, Device, Layout, Result, Shape, Storage, Tensor};

/// Contiguous values behind an argument of a custom operation.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let values = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("custom operation: expected a contiguous tensor, got strides {:?}", layout.stride()),
    }
}

/// Runs `work` compiled for the widest vectors that this processor has, asked at run time. The order of operations stays that of
/// the source, and with it every bit. Loops belong into `work` as loops: an iterator's `for_each` may become a function of its own, which
/// is compiled for any processor.
#[inline(always)]
pub(crate) fn vectorised<T>(work: impl FnOnce() -> T) -> T {
    pulp::Arch::new().dispatch(work)
}

/// Runs `with` on the tensor's values in row-major order.
pub(crate) fn with_values<T>(tensor: &Tensor, with: impl FnOnce(&[f32]) -> T) -> Result<T> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => Ok(with(slice(storage, layout)?)),
        _ => candle_core::bail!("custom operation: expected a tensor on the CPU"),
    }
}

/// The gradient of an operation on single values: `gradient * slope(input)`, value by value.
fn by_slope(input: &Tensor, gradient: &Tensor, slope: impl Fn(f32) -> f32) -> Result<Option<Tensor>> {
    let values = with_values(input, |input| {
        with_values(gradient, |gradient| -> Vec<f32> {
            let mut output = gradient.to_vec();
            times_slopes(&mut output, input, slope);
            output
        })
    })??;
    Ok(Some(tensor(values, input.shape().clone())?))
}

/// Multiplies `gradient` by `slope(input)`, value by value.
fn times_slopes(gradient: &mut [f32], input: &[f32], slope: impl Fn(f32) -> f32) {
    vectorised(
        #[inline(always)]
        || {
            for (gradient, &x) in gradient.iter_mut().zip(input) {
                *gradient *= slope(x);
            }
        },
    );
}

/// A CPU tensor from values.
pub(crate) fn tensor(values: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(values, shape.into(), &Device::Cpu)
}

#[cfg(test)]
pub(crate) mod gradient_check {
    //! Analytic gradients against central differences.
    use super::*;
    use candle_core::Var;

    /// Deterministic values without a pattern that could hide a transposition.
    pub fn values(count: usize, phase: f32) -> Vec<f32> {
        (0..count)
            .map(|index| ((index as f32 + phase) * 1.618).sin() * (1.0 + 0.3 * ((index as f32) * 0.7).cos()))
            .collect()
    }

    /// Checks d(sum of `function` x fixed weights)/d(input) for every input.
    pub fn check(shapes: &[&[usize]], function: impl Fn(&[Tensor]) -> Result<Tensor>, tolerance: f32) {
        let inputs: Vec<Vec<f32>> = shapes
            .iter()
            .enumerate()
            .map(|(index, shape)| values(shape.iter().product(), index as f32 * 3.3))
            .collect();
        let scalar = |inputs: &[Tensor]| -> Result<Tensor> {
            let output = function(inputs)?;
            let weights = tensor(values(output.elem_count(), 11.0), output.shape().clone())?;
            (output * weights)?.sum_all()
        };
        let vars: Vec<Var> = inputs
            .iter()
            .zip(shapes)
            .map(|(values, shape)| Var::from_tensor(&tensor(values.clone(), shape.to_vec()).unwrap()).unwrap())
            .collect();
        let tensors: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
        let gradients = scalar(&tensors).unwrap().backward().unwrap();
        for (which, var) in vars.iter().enumerate() {
            let analytic = gradients
                .get(var)
                .expect("a gradient for every input")
                .flatten_all()
                .unwrap()
                .to_vec1::<f32>()
                .unwrap();
            let scale = analytic.iter().fold(0.1f32, |most, value| most.max(value.abs()));
            for index in 0..inputs[which].len() {
                let moved = |step: f32| -> f32 {
                    let shifted: Vec<Tensor> = (0..inputs.len())
                        .map(|other| {
                            let mut values = inputs[other].clone();
                            if other == which {
                                values[index] += step;
                            }
                            tensor(values, shapes[other].to_vec()).unwrap()
                        })
                        .collect();
                    scalar(&shifted).unwrap().to_scalar::<f32>().unwrap()
                };
                let numeric = (moved(5e-3) - moved(-5e-3)) / 1e-2;
                let error = (analytic[index] - numeric).abs() / scale;
                assert!(error < tolerance, "input {which}, value {index}: {} against {numeric}", analytic[index]);
            }
        }
    }
}
