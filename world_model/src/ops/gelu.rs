//! Exact GELU, `x Φ(x)` (Hendrycks and Gimpel 2016), with an error function that the compiler can vectorise.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::silu::exponential;
use super::{by_slope, slice, vectorised};

/// `x Φ(x)`, element by element, where `Φ` is the standard normal distribution function.
///
/// # Errors
/// When the tensor is not a CPU `f32` tensor.
pub fn gelu(input: &Tensor) -> Result<Tensor> {
    input.contiguous()?.apply_op1(Gelu)
}

/// Applies GELU to `values` in place.
pub(crate) fn gelu_in_place(values: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || values.iter_mut().for_each(|value| *value *= normal_distribution(*value).0),
    );
}

/// `Φ(x)` and the density `φ(x)`; absolute error below 2e-7 (Abramowitz and Stegun 1964, formula 7.1.26).
#[inline(always)]
fn normal_distribution(x: f32) -> (f32, f32) {
    const INVERSE_SQRT_2: f32 = std::f32::consts::FRAC_1_SQRT_2;
    const INVERSE_SQRT_2_PI: f32 = 0.398_942_3;
    let bell = exponential(-0.5 * x * x);
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs() * INVERSE_SQRT_2);
    let mut series = 1.061_405_4;
    for coefficient in [-1.453_152, 1.421_413_7, -0.284_496_74, 0.254_829_6] {
        series = series * t + coefficient;
    }
    let tail = 0.5 * series * t * bell; // 1 - Φ(|x|)
    (if x < 0.0 { tail } else { 1.0 - tail }, INVERSE_SQRT_2_PI * bell)
}

struct Gelu;

impl CustomOp1 for Gelu {
    fn name(&self) -> &'static str {
        "gelu"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut output = slice(input, layout)?.to_vec();
        gelu_in_place(&mut output);
        Ok((CpuStorage::F32(output), layout.shape().clone()))
    }

    fn bwd(&self, input: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        by_slope(
            input,
            gradient,
            #[inline(always)]
            |x| {
                let (distribution, density) = normal_distribution(x);
                distribution + x * density
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::check;
    use super::*;

    #[test]
    fn the_distribution_is_the_normal_one() {
        // Φ by Simpson's rule over the density, in f64.
        let density = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (mut distribution, step) = (0.0f64, 0.01);
        let mut x = -8.0;
        while x < 8.0 {
            distribution += step / 6.0 * (density(x) + 4.0 * density(x + step / 2.0) + density(x + step));
            x += step;
            let got = normal_distribution(x as f32);
            assert!((f64::from(got.0) - distribution).abs() < 3e-7, "{x}: {} against {distribution}", got.0);
            assert!((f64::from(got.1) - density(x)).abs() < 3e-7);
        }
    }

    #[test]
    fn gradients_are_right() {
        check(&[&[3, 4]], |x| gelu(&x[0]), 1e-2);
    }
}
