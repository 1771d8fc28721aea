//! SIGReg: how far latents are from an isotropic Gaussian, by the Epps-Pulley statistic along random directions
//! (LeJEPA, Balestriero and LeCun 2025; settings of LeWorldModel, arXiv 2603.19312).

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

use super::{slice, tensor, with_values};

/// Mean over directions of `sum_k w_k |mean_b exp(i t_k h_b) - exp(-t_k^2 / 2)|^2` for projections `h [B, M]` of latents on `M`
/// unit directions → a scalar `[]`. Knots `t_k` lie evenly on `[0, 3]`; weights are the trapezoid rule's, doubled for the
/// negative half, times `exp(-t^2 / 2)`. Multiply by the number of samples for the test statistic of the paper.
///
/// # Errors
/// When the tensor is not `[B, M]` of CPU `f32`.
pub fn sigreg(projections: &Tensor, knots: usize) -> Result<Tensor> {
    projections.contiguous()?.apply_op1(Sigreg { knots })
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

    /// Mean cosine and sine at every knot of every direction, `[K, M]` each. One sine and cosine per value, then powers.
    fn characteristic(&self, values: &[f32], directions: usize) -> (Vec<f32>, Vec<f32>) {
        let rows = (values.len() / directions).max(1) as f32;
        let mut cosines = vec![0.0f32; self.knots * directions];
        let mut sines = vec![0.0f32; self.knots * directions];
        for row in values.chunks_exact(directions) {
            self.powers(row, |knot, direction, cosine, sine| {
                cosines[knot * directions + direction] += cosine;
                sines[knot * directions + direction] += sine;
            });
        }
        cosines.iter_mut().chain(&mut sines).for_each(|value| *value /= rows);
        (cosines, sines)
    }

    /// Visits cos and sin of `t_k h` for every knot and direction of one row.
    fn powers(&self, row: &[f32], mut visit: impl FnMut(usize, usize, f32, f32)) {
        for (direction, value) in row.iter().enumerate() {
            let (base_sine, base_cosine) = (value * self.spacing()).sin_cos();
            let (mut cosine, mut sine) = (1.0f32, 0.0f32);
            for knot in 0..self.knots {
                visit(knot, direction, cosine, sine);
                (cosine, sine) = (cosine * base_cosine - sine * base_sine, sine * base_cosine + cosine * base_sine);
            }
        }
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
        let values = with_values(projections, |values| {
            let (cosines, sines) = self.characteristic(values, directions);
            let mut gradient = vec![0.0f32; values.len()];
            for (row, gradient) in values.chunks_exact(directions).zip(gradient.chunks_exact_mut(directions)) {
                self.powers(row, |knot, direction, cosine, sine| {
                    let (weight, target) = self.weight_and_target(knot);
                    let factor = outer * weight * knot as f32 * self.spacing();
                    let index = knot * directions + direction;
                    gradient[direction] += factor * (sines[index] * cosine - (cosines[index] - target) * sine);
                });
            }
            gradient
        })?;
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
