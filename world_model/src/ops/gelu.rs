//! Exact GELU, `x Φ(x)` (Hendrycks and Gimpel 2016), with an error function that the compiler can vectorise.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::silu::exponential;
use super::{by_derivative, slice, vectorised};

/// `x Φ(x)`, element by element, where `Φ` is the standard normal distribution function.
///
/// # Errors
/// When the tensor is not a CPU `f32` tensor.
pub(crate) fn gelu(input: &Tensor) -> Result<Tensor> {
    input.contiguous()?.apply_op1(Gelu)
}

/// Applies GELU to `values` in place.
pub(crate) fn gelu_in_place(values: &mut [f32]) {
    vectorised(
        #[inline(always)]
        || {
            for value in values.iter_mut() {
                *value *= distribution(*value);
            }
        },
    );
}

/// `Φ(x)`, absolute error below 3e-7: one division of two polynomials, without an exponential (the coefficients with
/// which Eigen and XLA approximate the error function in single precision).
#[inline(always)]
fn distribution(x: f32) -> f32 {
    /// Beyond it the error function is 1 to the last bit.
    const LARGEST: f32 = 3.832_507;
    let scaled = (x * std::f32::consts::FRAC_1_SQRT_2).clamp(-LARGEST, LARGEST);
    let square = scaled * scaled;
    let mut above = -2.726_142_4e-10;
    for coefficient in [2.770_681_4e-8, -2.101_024e-6, -5.692_506_4e-5, -7.349_906e-4, -2.954_6e-3, -1.609_603_3e-2] {
        above = above * square + coefficient;
    }
    let mut below = -1.456_607_2e-5;
    for coefficient in [-2.133_740_6e-4, -1.682_827e-3, -7.373_329e-3, -1.426_473_9e-2] {
        below = below * square + coefficient;
    }
    0.5 + 0.5 * scaled * above / below
}

/// The density of the normal distribution.
#[inline(always)]
fn density(x: f32) -> f32 {
    const INVERSE_SQRT_2_PI: f32 = 0.398_942_3;
    INVERSE_SQRT_2_PI * exponential(-0.5 * x * x)
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
        by_derivative(
            input,
            gradient,
            #[inline(always)]
            |x| distribution(x) + x * density(x),
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
        let exact = |x: f64| (-0.5 * x * x).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let (mut sum, step) = (0.0f64, 0.01);
        let mut x = -8.0;
        while x < 8.0 {
            sum += step / 6.0 * (exact(x) + 4.0 * exact(x + step / 2.0) + exact(x + step));
            x += step;
            let got = distribution(x as f32);
            assert!((f64::from(got) - sum).abs() < 3e-7, "{x}: {got} against {sum}");
            assert!((f64::from(density(x as f32)) - exact(x)).abs() < 3e-7);
        }
    }

    #[test]
    fn gradients_are_right() {
        check(&[&[3, 4]], |x| gelu(&x[0]), 1e-2);
    }
}
