//! Differentiable operations written for this project: each is one pass forward and one pass backward, single-threaded,
//! with the same bits every time. candle's own layer norm cuts gradients, its convolution and bias gradients are slow
//! on a CPU (measured in `docs/log.md`), and its matrix products take all threads.
//!
//! Images are `[B, H, W, C]` here: a row of a convolution window is one contiguous copy.

mod attention;
mod batch_norm;
mod bfloat;
mod conv;
mod gate;
mod gelu;
mod group_norm;
mod inference_linear;
mod layer_norm;
mod linear;
pub(crate) mod matmul;
mod packed;
mod sigreg;
mod silu;
mod spatial_softmax;
mod sums;
mod tape;
mod tiled_attention;
mod whiten;

pub use bfloat::RoundedRows;
pub use conv::{Convolution, convolve};
pub use inference_linear::{InferenceLinear, Precision};
pub use linear::product;
pub use sigreg::sigreg;

pub(crate) use attention::{MAX_FRAMES, Visible, attend_one, attention};
pub(crate) use batch_norm::{batch_norm, column_statistics};
pub(crate) use gate::{gate, gate_rows, gate_rows_back};
pub(crate) use gelu::{gelu, gelu_in_place};
pub(crate) use group_norm::{GroupNorm, layer_norm, normalise_rows, normalise_rows_back, normalise_rows_keeping};
pub(crate) use layer_norm::{affine_norm, affine_norm_rows, modulated_norm_rows, standardise};
pub(crate) use linear::linear;
pub(crate) use sigreg::unit_directions;
pub(crate) use silu::{Silu, silu, silu_back_in_place, silu_in_place};
pub(crate) use spatial_softmax::SpatialSoftmax;
pub(crate) use tape::{Tape, WeightGradients};
pub(crate) use tiled_attention::{AttentionScratch, HeadRows, attend_rows};
pub(crate) use whiten::{whiten, whitening_of};

use candle_core::{CpuStorage, Device, Layout, Result, Shape, Storage, Tensor};

/// Contiguous values behind an argument of a custom operation.
fn slice<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    let values = storage.as_slice::<f32>()?;
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&values[start..end]),
        None => candle_core::bail!("custom operation: expected a contiguous tensor, got strides {:?}", layout.stride()),
    }
}

/// Runs `work` compiled for the widest vectors that this processor has, detected at run time. The order of operations
/// stays that of the source, and with it every bit. Loops have to be written as loops: an iterator's `for_each` may
/// become a function of its own, which is compiled for any processor.
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

/// The gradient of an operation on single values: `gradient * derivative(input)`, value by value.
fn by_derivative(input: &Tensor, gradient: &Tensor, derivative: impl Fn(f32) -> f32) -> Result<Option<Tensor>> {
    let values = with_values(input, |input| {
        with_values(gradient, |gradient| -> Vec<f32> {
            let mut output = gradient.to_vec();
            times_derivatives(&mut output, input, derivative);
            output
        })
    })??;
    Ok(Some(tensor(values, input.shape().clone())?))
}

/// Multiplies `gradient` by `derivative(input)`, value by value.
fn times_derivatives(gradient: &mut [f32], input: &[f32], derivative: impl Fn(f32) -> f32) {
    vectorised(
        #[inline(always)]
        || {
            for (gradient, &x) in gradient.iter_mut().zip(input) {
                *gradient *= derivative(x);
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
