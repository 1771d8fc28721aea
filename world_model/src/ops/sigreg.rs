//! SIGReg: how far latents are from an isotropic Gaussian, by the Epps-Pulley statistic along random directions
//! (LeJEPA, Balestriero and LeCun 2025; settings of LeWorldModel, arXiv 2603.19312).

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use mindseye_interface::Seed;
use rand_distr::{Distribution, StandardNormal};

use super::{slice, tensor, vectorised, with_values};

/// Mean over directions of `sum_k w_k |mean_b exp(i t_k h_b) - exp(-t_k^2 / 2)|^2` for projections `h [B, M]` of
/// latents on `M` unit directions → a scalar `[]`. Knots `t_k` lie evenly on `[0, 3]`; weights are the trapezoid
/// rule's, doubled for the negative half, times `exp(-t^2 / 2)`. Multiply by the number of samples for the test
/// statistic of the paper.
///
/// # Errors
/// When the tensor is not `[B, M]` of CPU `f32`.
pub fn sigreg(projections: &Tensor, knots: usize) -> Result<Tensor> {
    projections.contiguous()?.apply_op1(Sigreg { knots })
}

/// `[M, D]` unit vectors from `seed`.
pub(crate) fn unit_directions(count: usize, width: usize, seed: Seed) -> Result<Tensor> {
    let mut rng = seed.rng();
    let mut values: Vec<f32> = (0..count * width).map(|_| StandardNormal.sample(&mut rng)).collect();
    for direction in values.chunks_exact_mut(width) {
        let length = direction.iter().map(|value| value * value).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
        direction.iter_mut().for_each(|value| *value /= length);
    }
    tensor(values, (count, width))
}

/// Last knot; beyond it the Gaussian's characteristic function has almost vanished.
const LAST_KNOT: f32 = 3.0;

struct Sigreg {
    knots: usize,
}

impl Sigreg {
    fn spacing(&self) -> f32 {
        LAST_KNOT / (self.knots - 1) as f32
    }

    /// (weight, Gaussian's characteristic function) at knot `index`.
    fn weight_and_target(&self, index: usize) -> (f32, f32) {
        let knot = index as f32 * self.spacing();
        let target = (-knot * knot / 2.0).exp();
        let trapezoid = if index == 0 || index + 1 == self.knots { self.spacing() } else { 2.0 * self.spacing() };
        (trapezoid * target, target)
    }

    /// Mean cosine and sine at every knot of every direction, `[K, M]` each. One sine and cosine per value, then
    /// powers.
    fn characteristic(&self, values: &[f32], directions: usize) -> (Vec<f32>, Vec<f32>) {
        let rows = (values.len() / directions).max(1) as f32;
        let mut cosines = vec![0.0f32; self.knots * directions];
        let mut sines = vec![0.0f32; self.knots * directions];
        let mut powers = Powers::new(directions);
        for row in values.chunks_exact(directions) {
            powers.start(row, self.spacing());
            for (cosines, sines) in cosines.chunks_exact_mut(directions).zip(sines.chunks_exact_mut(directions)) {
                powers.add_to(cosines, sines);
                powers.raise();
            }
        }
        cosines.iter_mut().chain(&mut sines).for_each(|value| *value /= rows);
        (cosines, sines)
    }

    /// The gradient of projections, times `outer`.
    fn gradient(&self, values: &[f32], directions: usize, outer: f32) -> Vec<f32> {
        let (cosines, sines) = self.characteristic(values, directions);
        let of_knot = |knot: usize| {
            let (weight, target) = self.weight_and_target(knot);
            (outer * weight * knot as f32 * self.spacing(), target)
        };
        let knots: Vec<(f32, f32)> = (0..self.knots).map(of_knot).collect();
        let mut powers = Powers::new(directions);
        let mut gradient = vec![0.0f32; values.len()];
        for (row, gradient) in values.chunks_exact(directions).zip(gradient.chunks_exact_mut(directions)) {
            powers.start(row, self.spacing());
            let means = cosines.chunks_exact(directions).zip(sines.chunks_exact(directions));
            for (&(factor, target), (cosines, sines)) in knots.iter().zip(means) {
                powers.add_derivatives(gradient, factor, target, cosines, sines);
                powers.raise();
            }
        }
        gradient
    }
}

/// Cosines and sines of `t_k h` for all directions `h` of one row, from one knot `t_k` to the next; all `[M]`.
struct Powers {
    base_cosines: Vec<f32>,
    base_sines: Vec<f32>,
    cosines: Vec<f32>,
    sines: Vec<f32>,
}

impl Powers {
    fn new(directions: usize) -> Self {
        let zeros = || vec![0.0; directions];
        Self { base_cosines: zeros(), base_sines: zeros(), cosines: zeros(), sines: zeros() }
    }

    /// At the first knot, zero.
    fn start(&mut self, row: &[f32], spacing: f32) {
        for ((value, cosine), sine) in row.iter().zip(&mut self.base_cosines).zip(&mut self.base_sines) {
            (*sine, *cosine) = (value * spacing).sin_cos();
        }
        self.cosines.fill(1.0);
        self.sines.fill(0.0);
    }

    /// On to the next knot.
    fn raise(&mut self) {
        vectorised(
            #[inline(always)]
            || {
                let bases = self.base_cosines.iter().zip(&self.base_sines);
                let now = self.cosines.iter_mut().zip(&mut self.sines);
                for ((base_cosine, base_sine), (cosine, sine)) in bases.zip(now) {
                    let next = *cosine * base_cosine - *sine * base_sine;
                    *sine = *sine * base_cosine + *cosine * base_sine;
                    *cosine = next;
                }
            },
        );
    }

    fn add_to(&self, cosines: &mut [f32], sines: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || {
                for (sum, value) in cosines.iter_mut().zip(&self.cosines) {
                    *sum += value;
                }
                for (sum, value) in sines.iter_mut().zip(&self.sines) {
                    *sum += value;
                }
            },
        );
    }

    /// Adds this knot's share of the gradient, given the mean cosines and sines.
    fn add_derivatives(&self, gradient: &mut [f32], factor: f32, target: f32, cosines: &[f32], sines: &[f32]) {
        vectorised(
            #[inline(always)]
            || {
                let means = cosines.iter().zip(sines);
                let here = self.cosines.iter().zip(&self.sines);
                for ((gradient, (mean_cosine, mean_sine)), (cosine, sine)) in gradient.iter_mut().zip(means).zip(here) {
                    *gradient += factor * (mean_sine * cosine - (mean_cosine - target) * sine);
                }
            },
        );
    }
}

impl CustomOp1 for Sigreg {
    fn name(&self) -> &'static str {
        "sigreg"
    }

    fn cpu_fwd(&self, projections: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, directions) = layout.shape().dims2()?;
        if self.knots < 2 {
            candle_core::bail!("sigreg: expected at least 2 knots, got {}", self.knots);
        }
        let (cosines, sines) = self.characteristic(slice(projections, layout)?, directions);
        let mut total = 0.0f32;
        for knot in 0..self.knots {
            let (weight, target) = self.weight_and_target(knot);
            for direction in knot * directions..(knot + 1) * directions {
                total += weight * ((cosines[direction] - target).powi(2) + sines[direction].powi(2));
            }
        }
        Ok((CpuStorage::F32(vec![total / directions as f32]), ().into()))
    }

    fn bwd(&self, projections: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (rows, directions) = projections.dims2()?;
        let outer = gradient.to_scalar::<f32>()? * 2.0 / (rows * directions) as f32;
        let values = with_values(projections, |values| self.gradient(values, directions, outer))?;
        Ok(Some(tensor(values, (rows, directions))?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::check;
    use super::*;
    use mindseye_interface::Seed;
    use rand_distr::{Distribution, StandardNormal};

    fn statistic(scale: f32, shift: f32) -> f32 {
        let mut rng = Seed::new(1).rng();
        let values: Vec<f32> = (0..4000 * 4)
            .map(|_| -> f32 { StandardNormal.sample(&mut rng) })
            .map(|value| value * scale + shift)
            .collect();
        sigreg(&tensor(values, (4000, 4)).unwrap(), 9).unwrap().to_scalar().unwrap()
    }

    #[test]
    fn gradients_are_right() {
        check(&[&[6, 3]], |x| sigreg(&x[0], 9), 2e-2);
    }

    #[test]
    fn a_standard_normal_is_best() {
        let best = statistic(1.0, 0.0);
        assert!(best < 1e-3, "{best}");
        for (scale, shift) in [(0.5, 0.0), (2.0, 0.0), (1.0, 0.5), (0.0, 0.0)] {
            assert!(statistic(scale, shift) > 20.0 * best, "{scale} {shift}");
        }
    }
}
