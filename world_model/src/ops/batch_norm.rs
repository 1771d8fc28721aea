//! Batch norm (Ioffe and Szegedy 2015) of rows by their own statistics: the training form.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::{slice, tensor, with_values};

/// Normalises every column of `[N, C]` to mean 0 and variance 1 (`epsilon` is added to the variance), then scales and
/// shifts it.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn batch_norm(input: &Tensor, scale: &Tensor, shift: &Tensor, epsilon: f32) -> Result<Tensor> {
    input.contiguous()?.apply_op3(scale, shift, BatchNorm { epsilon })
}

/// Mean and biased variance of each of `columns` columns.
pub(crate) fn column_statistics(values: &[f32], columns: usize) -> (Vec<f32>, Vec<f32>) {
    let count = (values.len() / columns).max(1) as f32;
    let (mut mean, mut variance) = (vec![0.0f32; columns], vec![0.0f32; columns]);
    for row in values.chunks_exact(columns) {
        for (sum, value) in mean.iter_mut().zip(row) {
            *sum += value;
        }
    }
    mean.iter_mut().for_each(|sum| *sum /= count);
    for row in values.chunks_exact(columns) {
        for ((sum, value), mean) in variance.iter_mut().zip(row).zip(&mean) {
            *sum += (value - mean) * (value - mean);
        }
    }
    variance.iter_mut().for_each(|sum| *sum /= count);
    (mean, variance)
}

struct BatchNorm {
    epsilon: f32,
}

impl BatchNorm {
    /// Mean and `1 / std` of the columns.
    fn statistics(&self, values: &[f32], columns: usize) -> (Vec<f32>, Vec<f32>) {
        let (mean, variance) = column_statistics(values, columns);
        (mean, variance.into_iter().map(|variance| 1.0 / (variance + self.epsilon).sqrt()).collect())
    }
}

impl CustomOp3 for BatchNorm {
    fn name(&self) -> &'static str {
        "batch norm"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, columns) = layout.shape().dims2()?;
        let (scale, shift) = (slice(scale, scale_layout)?, slice(shift, shift_layout)?);
        if columns == 0 || scale.len() != columns || shift.len() != columns {
            candle_core::bail!("batch norm: expected a scale and a shift of {columns} columns, got {}", scale.len());
        }
        let mut output = slice(input, layout)?.to_vec();
        let (mean, inverse_std) = self.statistics(&output, columns);
        for row in output.chunks_exact_mut(columns) {
            for (column, value) in row.iter_mut().enumerate() {
                *value = (*value - mean[column]) * inverse_std[column] * scale[column] + shift[column];
            }
        }
        Ok((CpuStorage::F32(output), layout.shape().clone()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        scale: &Tensor,
        _shift: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (rows, columns) = input.dims2()?;
        let scale = with_values(scale, <[f32]>::to_vec)?;
        let (mut scale_gradient, mut shift_gradient) = (vec![0.0f32; columns], vec![0.0f32; columns]);
        let values = with_values(input, |input| {
            with_values(gradient, |gradient| {
                let (mean, inverse_std) = self.statistics(input, columns);
                let normal = |column: usize, value: f32| (value - mean[column]) * inverse_std[column];
                for (row, gradient) in input.chunks_exact(columns).zip(gradient.chunks_exact(columns)) {
                    for column in 0..columns {
                        scale_gradient[column] += gradient[column] * normal(column, row[column]);
                        shift_gradient[column] += gradient[column];
                    }
                }
                let count = rows as f32;
                let mut output = gradient.to_vec();
                for (output, row) in output.chunks_exact_mut(columns).zip(input.chunks_exact(columns)) {
                    for column in 0..columns {
                        let common = shift_gradient[column] + normal(column, row[column]) * scale_gradient[column];
                        output[column] = scale[column] * inverse_std[column] * (output[column] - common / count);
                    }
                }
                output
            })
        })??;
        Ok((
            Some(tensor(values, input.shape().clone())?),
            Some(tensor(scale_gradient, columns)?),
            Some(tensor(shift_gradient, columns)?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::check;
    use super::*;

    #[test]
    fn columns_have_mean_zero_and_variance_one() -> Result<()> {
        let input = tensor(vec![1.0, 10.0, 3.0, 30.0, 5.0, 80.0], (3, 2))?;
        let (ones, zeros) = (tensor(vec![1.0; 2], 2)?, tensor(vec![0.0; 2], 2)?);
        let output = batch_norm(&input, &ones, &zeros, 1e-5)?;
        let (mean, variance) = with_values(&output, |values| column_statistics(values, 2))?;
        assert!(mean.iter().all(|mean| mean.abs() < 1e-6), "{mean:?}");
        assert!(variance.iter().all(|variance| (variance - 1.0).abs() < 1e-4), "{variance:?}");
        Ok(())
    }

    #[test]
    fn gradients_are_right() {
        check(&[&[6, 4], &[4], &[4]], |x| batch_norm(&x[0], &x[1], &x[2], 1e-5), 2e-2);
    }
}
