//! Covariances of latents.

use nalgebra::{DMatrix, DVector, SymmetricEigen};

/// Added to the eigenvalues of a covariance, relative to their mean.
const RIDGE: f64 = 1e-3;

/// Covariance `[D, D]` of `rows [N, D]`.
pub(crate) fn of_rows(rows: &[f32], width: usize) -> DMatrix<f64> {
    let count = (rows.len() / width).max(1);
    let mut centred = DMatrix::from_row_iterator(count, width, rows.iter().map(|&value| f64::from(value)));
    for mut column in centred.column_iter_mut() {
        let mean = column.sum() / count as f64;
        column.add_scalar_mut(-mean);
    }
    centred.tr_mul(&centred) / count as f64
}

/// Mean outer product of the differences between rows: from `pairs [N, 2, D]`, `[D, D]`.
pub(crate) fn of_steps(pairs: &[f32], width: usize) -> DMatrix<f64> {
    let steps: Vec<f64> = pairs
        .chunks_exact(2 * width)
        .flat_map(|pair| (0..width).map(|index| f64::from(pair[width + index]) - f64::from(pair[index])))
        .collect();
    let steps = DMatrix::from_row_iterator(steps.len() / width, width, steps);
    steps.tr_mul(&steps) / steps.nrows().max(1) as f64
}

/// Eigenvalues (with a small ridge) of a covariance `[D, D]` to the power `-power / 2`, and the eigenvectors as
/// columns.
pub(crate) fn inverse_roots(covariance: DMatrix<f64>, power: f64) -> (DVector<f64>, DMatrix<f64>) {
    let ridge = RIDGE * covariance.trace() / covariance.nrows() as f64;
    let eigen = SymmetricEigen::new(covariance);
    let scales = eigen.eigenvalues.map(|value| (value.max(0.0) + ridge).max(1e-12).powf(-power / 2.0));
    (scales, eigen.eigenvectors)
}
