//! SiLU (swish) activation, `x * sigmoid(x)` (Elfwing et al. 2017), with an exponential that the compiler can
//! vectorise.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{by_derivative, slice, vectorised};

/// `x * sigmoid(x)`, element by element.
///
/// # Errors
/// When the tensor is not a CPU `f32` tensor.
pub(crate) fn silu(input: &Tensor) -> Result<Tensor> {
    input.contiguous()?.apply_op1(Silu)
}

/// Applies SiLU to `values` in place.
pub(crate) fn silu_in_place(values: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            for value in values.iter_mut() {
                *value *= sigmoid(*value);
            }
        },
    );
}

/// Turns `values` into the derivatives on them, given those on their SiLU.
pub(crate) fn silu_back_in_place(values: &mut [f32], gradient: &[f32]) {
    vectorised(
        #[inline(always)]
        || {
            for (value, gradient) in values.iter_mut().zip(gradient) {
                *value = gradient * derivative(*value);
            }
        },
    );
}

/// The derivative of SiLU.
#[inline(always)]
pub(super) fn derivative(x: f32) -> f32 {
    let sigmoid = sigmoid(x);
    sigmoid * (1.0 + x * (1.0 - sigmoid))
}

/// `1 / (1 + e^-x)`; relative error below 3e-7.
#[inline(always)]
pub(super) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exponential(-x))
}

/// `e^x` by range reduction to `[-ln 2 / 2, ln 2 / 2]` and a degree-6 Taylor polynomial, without branches. The argument
/// is clamped to +-87, where `f32` ends.
#[inline(always)]
pub(super) fn exponential(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23: adding it rounds to the nearest integer
    let x = x.clamp(-87.0, 87.0);
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let power = shifted - ROUND;
    // ln 2 in two parts, so that the reduced argument keeps all its bits.
    let reduced = (x - power * 0.693_359_4) + power * 2.121_944_4e-4;
    let mut series = 1.0 / 720.0;
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = series * reduced + coefficient;
    }
    // `shifted` holds the integer power in its low mantissa bits: moved to the exponent field, it becomes 2^power.
    let exponent = shifted.to_bits().wrapping_add(127) << 23;
    series * f32::from_bits(exponent)
}

/// See [`silu`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Silu;

impl CustomOp1 for Silu {
    fn name(&self) -> &'static str {
        "silu"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut output = slice(input, layout)?.to_vec();
        silu_in_place(&mut output);
        Ok((CpuStorage::F32(output), layout.shape().clone()))
    }

    fn bwd(&self, input: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_derivative(input, gradient, derivative)
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::check;
    use super::*;

    #[test]
    fn the_exponential_agrees_with_the_standard_librarys() {
        for step in -8600..=8600 {
            let x = step as f32 * 0.01;
            let relative = (f64::from(exponential(x)) / f64::from(x).exp() - 1.0).abs();
            assert!(relative < 1e-6, "{x}: {relative}");
        }
        assert!(exponential(-1e9) > 0.0 && exponential(1e9).is_finite());
    }

    #[test]
    fn gradients_are_right() {
        check(&[&[3, 4]], |x| silu(&x[0]), 1e-2);
    }
}
