//! Layer norm (Ba et al. 2016) of rows with an epsilon of its own, with or without scale and shift, for transformers.

use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Result, Shape, Tensor};

use super::group_norm::row_statistics;
use super::sums::{dot, sum};
use super::{slice, tensor, vectorised, with_values};

/// Normalises every row of `[.., C]` to mean 0 and variance 1; `epsilon` is added to the variance.
///
/// # Errors
/// When the tensor is not a CPU `f32` tensor.
pub(crate) fn standardise(input: &Tensor, epsilon: f32) -> Result<Tensor> {
    input.contiguous()?.apply_op1(Standardise { epsilon })
}

/// [`standardise`], then a scale and a shift per channel, both `[C]`.
///
/// # Errors
/// When the shapes do not fit.
pub(crate) fn affine_norm(input: &Tensor, scale: &Tensor, shift: &Tensor, epsilon: f32) -> Result<Tensor> {
    input.contiguous()?.apply_op3(scale, shift, AffineNorm { epsilon })
}

/// [`affine_norm`] of every row of `input`, written to `output`.
pub(crate) fn affine_norm_rows(input: &[f32], output: &mut [f32], scale: &[f32], shift: &[f32], epsilon: f32) {
    vectorised(
        #[inline(always)]
        || {
            for (row, output) in input.chunks_exact(scale.len()).zip(output.chunks_exact_mut(scale.len())) {
                let (mean, inverse_std) = row_statistics(row, epsilon);
                for (((output, value), scale), shift) in output.iter_mut().zip(row).zip(scale).zip(shift) {
                    *output = (value - mean) * inverse_std * scale + shift;
                }
            }
        },
    );
}

/// A row standardised, scaled by `1 + scale` and shifted, standardised again, scaled and shifted: AdaLN and the norm
/// after it in one pass.
pub(crate) fn modulated_norm_rows(
    row: &[f32],
    output: &mut [f32],
    (scale, shift): (&[f32], &[f32]),
    first_epsilon: f32,
    (own_scale, own_shift): (&[f32], &[f32]),
    second_epsilon: f32,
) {
    vectorised(
        #[inline(always)]
        || {
            let (mean, inverse_std) = row_statistics(row, first_epsilon);
            for ((output, value), (scale, shift)) in output.iter_mut().zip(row).zip(scale.iter().zip(shift)) {
                *output = (value - mean) * inverse_std * (1.0 + scale) + shift;
            }
            let (mean, inverse_std) = row_statistics(output, second_epsilon);
            for (value, (scale, shift)) in output.iter_mut().zip(own_scale.iter().zip(own_shift)) {
                *value = (*value - mean) * inverse_std * scale + shift;
            }
        },
    );
}

/// Gradient of one row's standardisation, written to `output`: `1/std (g - mean g - n mean(g n))` with `n` the
/// standardised row.
#[inline(always)]
fn standardise_back(row: &[f32], gradient: &[f32], output: &mut [f32], (mean, inverse_std): (f32, f32)) {
    let count = row.len() as f32;
    for (output, value) in output.iter_mut().zip(row) {
        *output = (value - mean) * inverse_std;
    }
    let mean_gradient = sum(gradient, |value| value) / count;
    let mean_dot = dot(output, gradient) / count;
    for (output, gradient) in output.iter_mut().zip(gradient) {
        *output = inverse_std * (gradient - mean_gradient - *output * mean_dot);
    }
}

struct Standardise {
    epsilon: f32,
}

impl CustomOp1 for Standardise {
    fn name(&self) -> &'static str {
        "standardise"
    }

    fn cpu_fwd(&self, input: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let channels = last(layout.shape())?;
        let mut output = slice(input, layout)?.to_vec();
        vectorised(
            #[inline(always)]
            || {
                for row in output.chunks_exact_mut(channels) {
                    let (mean, inverse_std) = row_statistics(row, self.epsilon);
                    for value in row.iter_mut() {
                        *value = (*value - mean) * inverse_std;
                    }
                }
            },
        );
        Ok((CpuStorage::F32(output), layout.shape().clone()))
    }

    fn bwd(&self, input: &Tensor, _output: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let channels = last(input.shape())?;
        let values = with_values(input, |input| {
            with_values(gradient, |gradient| {
                let mut output = vec![0.0; input.len()];
                vectorised(
                    #[inline(always)]
                    || {
                        let rows = input.chunks_exact(channels).zip(gradient.chunks_exact(channels));
                        for ((row, gradient), output) in rows.zip(output.chunks_exact_mut(channels)) {
                            standardise_back(row, gradient, output, row_statistics(row, self.epsilon));
                        }
                    },
                );
                output
            })
        })??;
        Ok(Some(tensor(values, input.shape().clone())?))
    }
}

struct AffineNorm {
    epsilon: f32,
}

impl CustomOp3 for AffineNorm {
    fn name(&self) -> &'static str {
        "affine norm"
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
        let channels = last(layout.shape())?;
        let (scale, shift) = (slice(scale, scale_layout)?, slice(shift, shift_layout)?);
        if scale.len() != channels || shift.len() != channels {
            candle_core::bail!("affine norm: expected a scale and a shift of {channels} channels, got {}", scale.len());
        }
        let input = slice(input, layout)?;
        let mut output = vec![0.0; input.len()];
        affine_norm_rows(input, &mut output, scale, shift, self.epsilon);
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
        let channels = last(input.shape())?;
        let scale = with_values(scale, <[f32]>::to_vec)?;
        let (mut scale_gradient, mut shift_gradient) = (vec![0.0f32; channels], vec![0.0f32; channels]);
        let values = with_values(input, |input| {
            with_values(gradient, |gradient| {
                let (mut output, mut inner) = (vec![0.0; input.len()], vec![0.0f32; channels]);
                vectorised(
                    #[inline(always)]
                    || {
                        let rows = input.chunks_exact(channels).zip(gradient.chunks_exact(channels));
                        for ((row, gradient), output) in rows.zip(output.chunks_exact_mut(channels)) {
                            let (mean, inverse_std) = row_statistics(row, self.epsilon);
                            for ((sum, value), gradient) in scale_gradient.iter_mut().zip(row).zip(gradient) {
                                *sum += gradient * (value - mean) * inverse_std;
                            }
                            for ((sum, inner), (gradient, scale)) in
                                shift_gradient.iter_mut().zip(&mut inner).zip(gradient.iter().zip(&scale))
                            {
                                *sum += gradient;
                                *inner = gradient * scale;
                            }
                            standardise_back(row, &inner, output, (mean, inverse_std));
                        }
                    },
                );
                output
            })
        })??;
        Ok((
            Some(tensor(values, input.shape().clone())?),
            Some(tensor(scale_gradient, channels)?),
            Some(tensor(shift_gradient, channels)?),
        ))
    }
}

/// Size of the last dimension, at least 1.
fn last(shape: &Shape) -> Result<usize> {
    match shape.dims().last() {
        Some(&channels) if channels > 0 => Ok(channels),
        _ => candle_core::bail!("layer norm: expected rows of channels, got shape {shape:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::{check, values};
    use super::super::layer_norm;
    use super::*;

    #[test]
    fn gradients_are_right() {
        check(&[&[2, 3, 20]], |x| standardise(&x[0], 1e-6), 2e-2);
        check(&[&[3, 20], &[20], &[20]], |x| affine_norm(&x[0], &x[1], &x[2], 1e-5), 2e-2);
    }

    #[test]
    fn with_the_usual_epsilon_it_is_the_usual_layer_norm() -> Result<()> {
        let input = tensor(values(60, 0.0), (3, 20))?;
        let (scale, shift) = (tensor(values(20, 1.0), 20)?, tensor(values(20, 2.0), 20)?);
        let ours = affine_norm(&input, &scale, &shift, 1e-5)?.flatten_all()?;
        let usual = layer_norm(&input, &scale, &shift)?.flatten_all()?;
        assert_eq!(ours.to_vec1::<f32>()?, usual.to_vec1::<f32>()?);
        Ok(())
    }

    #[test]
    fn the_epsilon_counts_where_rows_are_small() -> Result<()> {
        let input = tensor(values(20, 0.0).iter().map(|value| value * 1e-3).collect(), (1, 20))?;
        let deviation = |epsilon| -> Result<f32> {
            let rows = standardise(&input, epsilon)?.flatten_all()?.to_vec1::<f32>()?;
            Ok(rows.iter().map(|value| value * value).sum::<f32>() / 20.0)
        };
        let (small, large) = (deviation(1e-12)?, deviation(1e-5)?);
        assert!(small > 0.99 && large < 0.2, "{small} {large}");
        Ok(())
    }
}
