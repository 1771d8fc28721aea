//! Batch whitening: `y = L⁻¹ (x - mean)` with `L Lᵀ` the covariance of the batch, differentiated through the
//! statistics. It makes every direction of the latent count the same, so that none can be dropped to make prediction
//! easy.

use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use nalgebra::DMatrix;

use super::{slice, tensor, with_values};

/// Added to the diagonal of the covariance.
const RIDGE: f64 = 1e-3;

/// Whitens the rows of `[N, D]` by their own mean and covariance.
///
/// # Errors
/// When the rows are not finite.
pub(crate) fn whiten(rows: &Tensor) -> Result<Tensor> {
    rows.contiguous()?.apply_op1(Whiten)
}

/// Mean `[D]` and whitening matrix `L⁻¹ [D, D]` of `rows [N, D]`, to be used as constants.
///
/// # Errors
/// When the rows are not finite.
pub(crate) fn whitening_of(rows: &[f32], width: usize) -> Result<(Vec<f32>, Vec<f32>)> {
    let statistics = Statistics::of(rows, width)?;
    let matrix = statistics.inverse_factor.transpose().iter().map(|&value| value as f32).collect();
    Ok((statistics.mean.iter().map(|&value| value as f32).collect(), matrix))
}

struct Statistics {
    mean: Vec<f64>,
    centred: DMatrix<f64>,
    factor: DMatrix<f64>,
    inverse_factor: DMatrix<f64>,
}

impl Statistics {
    fn of(rows: &[f32], width: usize) -> Result<Self> {
        let count = (rows.len() / width).max(1);
        let mut centred = DMatrix::from_row_iterator(count, width, rows.iter().map(|&value| f64::from(value)));
        let mean: Vec<f64> = centred.column_iter().map(|column| column.sum() / count as f64).collect();
        for (mut column, mean) in centred.column_iter_mut().zip(&mean) {
            column.add_scalar_mut(-mean);
        }
        let covariance = centred.tr_mul(&centred) / count as f64 + DMatrix::identity(width, width) * RIDGE;
        let factor = covariance.cholesky().map(nalgebra::Cholesky::unpack);
        let identity = DMatrix::identity(width, width);
        match factor.and_then(|factor| factor.solve_lower_triangular(&identity).map(|inverse| (factor, inverse))) {
            Some((factor, inverse_factor)) => Ok(Self { mean, centred, factor, inverse_factor }),
            None => candle_core::bail!("whitening: expected finite latents"),
        }
    }
}

fn row_major(matrix: &DMatrix<f64>) -> Vec<f32> {
    matrix.transpose().iter().map(|&value| value as f32).collect()
}

struct Whiten;

impl CustomOp1 for Whiten {
    fn name(&self) -> &'static str {
        "whiten"
    }

    fn cpu_fwd(&self, rows: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (_, width) = layout.shape().dims2()?;
        let statistics = Statistics::of(slice(rows, layout)?, width)?;
        let white = &statistics.centred * statistics.inverse_factor.transpose();
        Ok((CpuStorage::F32(row_major(&white)), layout.shape().clone()))
    }

    /// Through `A = L⁻¹`, `L` and the covariance; the Cholesky step is Murray 2016 (arXiv 1602.07527), eq. 10.
    fn bwd(&self, rows: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (count, width) = rows.dims2()?;
        let statistics = with_values(rows, |rows| Statistics::of(rows, width))??;
        let Statistics { centred, factor, inverse_factor, .. } = &statistics;
        let gradient = with_values(gradient, |gradient| {
            DMatrix::from_row_iterator(count, width, gradient.iter().map(|&value| f64::from(value)))
        })?;
        let inverse_gradient = gradient.tr_mul(centred);
        let factor_gradient = -(inverse_factor.tr_mul(&inverse_gradient) * inverse_factor.transpose());
        let mut lower = factor.tr_mul(&factor_gradient);
        for row in 0..width {
            lower[(row, row)] *= 0.5;
            (row + 1..width).for_each(|column| lower[(row, column)] = 0.0);
        }
        let half = inverse_factor.tr_mul(&lower) * inverse_factor;
        let covariance_gradient = (&half + half.transpose()) * 0.5;
        let mut input_gradient = gradient * inverse_factor + centred * covariance_gradient * (2.0 / count as f64);
        for mut column in input_gradient.column_iter_mut() {
            let mean = column.sum() / count as f64;
            column.add_scalar_mut(-mean);
        }
        Ok(Some(tensor(row_major(&input_gradient), (count, width))?))
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::check;
    use super::*;

    #[test]
    fn gradients_are_right() {
        check(&[&[7, 3]], |x| whiten(&x[0]), 3e-2);
    }

    #[test]
    fn white_rows_have_unit_covariance_and_the_constants_agree() {
        use rand_distr::{Distribution, StandardNormal};
        let mut rng = mindseye_interface::Seed::new(5).rng();
        let rows: Vec<f32> = (0..400 * 3).map(|_| -> f32 { StandardNormal.sample(&mut rng) }).collect();
        let rows: Vec<f32> =
            rows.chunks_exact(3).flat_map(|x| [x[0] + 1.0, 0.5 * x[0] + 2.0 * x[1], x[2] - x[1]]).collect();
        let white = whiten(&tensor(rows.clone(), (400, 3)).unwrap()).unwrap().flatten_all().unwrap();
        let white = white.to_vec1::<f32>().unwrap();
        let again = Statistics::of(&white, 3).unwrap();
        let covariance = again.centred.tr_mul(&again.centred) / 400.0;
        assert!((covariance - DMatrix::identity(3, 3)).abs().max() < 0.02);
        let (mean, matrix) = whitening_of(&rows, 3).unwrap();
        for (row, white) in rows.chunks_exact(3).zip(white.chunks_exact(3)) {
            for (index, white) in white.iter().enumerate() {
                let value: f32 = (0..3).map(|k| matrix[index * 3 + k] * (row[k] - mean[k])).sum();
                assert!((value - white).abs() < 1e-3);
            }
        }
    }
}
