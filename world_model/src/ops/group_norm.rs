//! Group norm (Wu and He 2018) over `[B, S, C]`; layer norm is one group and one position.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::sums::{dot, sum};
use super::{slice, tensor, vectorised, with_values};

/// Added to the variance.
const EPSILON: f32 = 1e-5;

/// Normalises `[B, S, C]` over all positions and each of `groups` groups of channels, then scales and shifts by channel.
///
/// # Errors
/// When the shapes do not fit.
pub fn group_norm(input: &Tensor, scale: &Tensor, shift: &Tensor, groups: usize) -> Result<Tensor> {
    input.contiguous()?.apply_op3(scale, shift, GroupNorm { groups })
}

/// Normalises every row of `[N, C]`, then scales and shifts by channel.
///
/// # Errors
/// When the shapes do not fit.
pub fn layer_norm(input: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let (rows, channels) = input.dims2()?;
    group_norm(&input.reshape((rows, 1, channels))?, scale, shift, 1)?.reshape((rows, channels))
}

/// Layer norm of every row of `values [N, C]` in place, where `C` is the length of `scale`.
pub(crate) fn normalise_rows(values: &mut [f32], scale: &[f32], shift: &[f32]) {
    vectorised(
        #[inline(always)]
        || {
            for row in values.chunks_exact_mut(scale.len()) {
                let (mean, inverse_std) = moments(row, EPSILON);
                for ((value, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
                    *value = (*value - mean) * inverse_std * scale + shift;
                }
            }
        },
    );
}

/// Standardises every row of `values [N, C]` in place, and writes 1 / its standard deviation to `inverse_std [N]` and the rows, scaled and
/// shifted, to `affine [N, C]`: a layer norm whose way back is [`normalise_rows_back`].
pub(crate) fn normalise_rows_keeping(
    values: &mut [f32],
    inverse_std: &mut [f32],
    affine: &mut [f32],
    scale: &[f32],
    shift: &[f32],
) {
    let width = scale.len();
    vectorised(
        #[inline(always)]
        || {
            let rows = values.chunks_exact_mut(width).zip(affine.chunks_exact_mut(width)).zip(inverse_std);
            for ((row, affine), kept) in rows {
                let (mean, inverse_std) = moments(row, EPSILON);
                *kept = inverse_std;
                for (((value, affine), scale), shift) in row.iter_mut().zip(affine).zip(scale).zip(shift) {
                    *value = (*value - mean) * inverse_std;
                    *affine = *value * scale + shift;
                }
            }
        },
    );
}

/// Turns slopes on layer-normed rows, `gradient [N, C]`, into those on the rows before, given the standardised rows `normal [N, C]` and
/// 1 / their standard deviations `[N]`.
pub(crate) fn normalise_rows_back(normal: &[f32], inverse_std: &[f32], scale: &[f32], gradient: &mut [f32]) {
    let width = scale.len();
    vectorised(
        #[inline(always)]
        || {
            let rows = normal.chunks_exact(width).zip(gradient.chunks_exact_mut(width)).zip(inverse_std);
            for ((normal, gradient), inverse_std) in rows {
                gradient.iter_mut().zip(scale).for_each(|(gradient, scale)| *gradient *= scale);
                let mean = sum(gradient, |value| value) / width as f32;
                let mean_dot = dot(normal, gradient) / width as f32;
                for (gradient, normal) in gradient.iter_mut().zip(normal) {
                    *gradient = inverse_std * (*gradient - mean - normal * mean_dot);
                }
            }
        },
    );
}

/// Mean and 1 / standard deviation of one row.
#[inline(always)]
pub(super) fn moments(row: &[f32], epsilon: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum(row, |value| value) / count;
    let variance = sum(row, |value| (value - mean) * (value - mean)) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

struct GroupNorm {
    groups: usize,
}

impl GroupNorm {
    /// Runs `visit(first channel, mean, 1 / std)` for each group of one `[S, C]` picture.
    fn for_groups(&self, picture: &[f32], channels: usize, mut visit: impl FnMut(usize, f32, f32)) {
        let width = channels / self.groups;
        if self.groups == 1 {
            let (mean, inverse_std) = moments(picture, EPSILON);
            return visit(0, mean, inverse_std);
        }
        let mut members = Vec::with_capacity(picture.len() / self.groups);
        for group in 0..self.groups {
            members.clear();
            picture
                .chunks_exact(channels)
                .for_each(|row| members.extend_from_slice(&row[group * width..(group + 1) * width]));
            let (mean, inverse_std) = moments(&members, EPSILON);
            visit(group * width, mean, inverse_std);
        }
    }
}

impl CustomOp3 for GroupNorm {
    fn name(&self) -> &'static str {
        "group norm"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (_, positions, channels) = input_layout.shape().dims3()?;
        if self.groups == 0 || channels % self.groups != 0 || scale_layout.shape().elem_count() != channels {
            candle_core::bail!("group norm: expected {} groups of {channels} channels", self.groups);
        }
        let (scale, shift) = (slice(scale, scale_layout)?, slice(shift, shift_layout)?);
        let mut output = slice(input, input_layout)?.to_vec();
        let width = channels / self.groups;
        for picture in output.chunks_exact_mut(positions * channels) {
            let mut statistics = Vec::with_capacity(self.groups);
            self.for_groups(picture, channels, |first, mean, inverse_std| statistics.push((first, mean, inverse_std)));
            for row in picture.chunks_exact_mut(channels) {
                for &(first, mean, inverse_std) in &statistics {
                    let members = first..first + width;
                    let affine = scale[members.clone()].iter().zip(&shift[members.clone()]);
                    for (value, (scale, shift)) in row[members].iter_mut().zip(affine) {
                        *value = (*value - mean) * inverse_std * scale + shift;
                    }
                }
            }
        }
        Ok((CpuStorage::F32(output), input_layout.shape().clone()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        scale: &Tensor,
        _shift: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (_, positions, channels) = input.dims3()?;
        let scale_values = with_values(scale, <[f32]>::to_vec)?;
        let (mut scale_gradient, mut shift_gradient) = (vec![0.0f32; channels], vec![0.0f32; channels]);
        let input_gradient = with_values(input, |input| {
            with_values(gradient, |gradient| {
                let mut input_gradient = vec![0.0f32; input.len()];
                let size = positions * channels;
                let pictures = input.chunks_exact(size).zip(gradient.chunks_exact(size));
                for ((input, gradient), output) in pictures.zip(input_gradient.chunks_exact_mut(size)) {
                    self.for_groups(input, channels, |first, mean, inverse_std| {
                        let members = first..first + channels / self.groups;
                        let rows = || input.chunks_exact(channels).zip(gradient.chunks_exact(channels));
                        let (mut sum, mut dot) = (0.0f32, 0.0f32);
                        for (input, gradient) in rows() {
                            for channel in members.clone() {
                                let normal = (input[channel] - mean) * inverse_std;
                                scale_gradient[channel] += gradient[channel] * normal;
                                shift_gradient[channel] += gradient[channel];
                                let inner = gradient[channel] * scale_values[channel];
                                sum += inner;
                                dot += inner * normal;
                            }
                        }
                        let count = (positions * members.len()) as f32;
                        let (mean_inner, mean_dot) = (sum / count, dot / count);
                        for ((input, gradient), output) in rows().zip(output.chunks_exact_mut(channels)) {
                            for channel in members.clone() {
                                let normal = (input[channel] - mean) * inverse_std;
                                let inner = gradient[channel] * scale_values[channel];
                                output[channel] = inverse_std * (inner - mean_inner - normal * mean_dot);
                            }
                        }
                    });
                }
                input_gradient
            })
        })??;
        Ok((
            Some(tensor(input_gradient, input.shape().clone())?),
            Some(tensor(scale_gradient, channels)?),
            Some(tensor(shift_gradient, channels)?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::{check, values};
    use super::*;

    #[test]
    fn gradients_are_right() {
        check(&[&[3, 5], &[5], &[5]], |x| layer_norm(&x[0], &x[1], &x[2]), 2e-2);
        check(&[&[2, 3, 4], &[4], &[4]], |x| group_norm(&x[0], &x[1], &x[2], 2), 2e-2);
    }

    #[test]
    fn rows_in_place_are_the_same_operation() {
        let (mut rows, scale, shift) = (values(30, 0.0), values(10, 1.0), values(10, 2.0));
        let input = tensor(rows.clone(), (3, 10)).unwrap();
        let expected =
            layer_norm(&input, &tensor(scale.clone(), 10).unwrap(), &tensor(shift.clone(), 10).unwrap()).unwrap();
        normalise_rows(&mut rows, &scale, &shift);
        assert_eq!(rows, expected.flatten_all().unwrap().to_vec1::<f32>().unwrap());
    }
}
