//! Group norm (Wu and He 2018) over `[B, S, C]`; layer norm is one group and one position.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::sums::{dot, sum};
use super::{slice, tensor, vectorised, with_values};

/// Added to the variance.
const EPSILON: f32 = 1e-5;

/// Normalises `[B, S, C]` over all positions and each of `groups` groups of channels, then scales and shifts by
/// channel.
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
pub(crate) fn layer_norm(input: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let (rows, channels) = input.dims2()?;
    group_norm(&input.reshape((rows, 1, channels))?, scale, shift, 1)?.reshape((rows, channels))
}

/// Layer norm of every row of `values [N, C]` in place, where `C` is the length of `scale`.
pub(crate) fn normalise_rows(values: &mut [f32], scale: &[f32], shift: &[f32]) {
    vectorised(
        #[inline(always)]
        || {
            for row in values.chunks_exact_mut(scale.len()) {
                let (mean, inverse_std) = row_statistics(row, EPSILON);
                for ((value, scale), shift) in row.iter_mut().zip(scale).zip(shift) {
                    *value = (*value - mean) * inverse_std * scale + shift;
                }
            }
        },
    );
}

/// Standardises every row of `values [N, C]` in place, and writes 1 / its standard deviation to `inverse_std [N]` and
/// the rows, scaled and shifted, to `affine [N, C]`: a layer norm whose backward pass is [`normalise_rows_back`].
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
                let (mean, inverse_std) = row_statistics(row, EPSILON);
                *kept = inverse_std;
                for (((value, affine), scale), shift) in row.iter_mut().zip(affine).zip(scale).zip(shift) {
                    *value = (*value - mean) * inverse_std;
                    *affine = *value * scale + shift;
                }
            }
        },
    );
}

/// Turns derivatives on layer-normed rows, `gradient [N, C]`, into those on the rows before, given the standardised
/// rows `normal [N, C]` and 1 / their standard deviations `[N]`.
pub(crate) fn normalise_rows_back(normal: &[f32], inverse_std: &[f32], scale: &[f32], gradient: &mut [f32]) {
    let width = scale.len();
    vectorised(
        #[inline(always)]
        || {
            let rows = normal.chunks_exact(width).zip(gradient.chunks_exact_mut(width)).zip(inverse_std);
            for ((normal, gradient), inverse_std) in rows {
                for (gradient, scale) in gradient.iter_mut().zip(scale) {
                    *gradient *= scale;
                }
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
pub(super) fn row_statistics(row: &[f32], epsilon: f32) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum(row, |value| value) / count;
    let variance = sum(row, |value| (value - mean) * (value - mean)) / count;
    (mean, 1.0 / (variance + epsilon).sqrt())
}

/// See [`group_norm`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct GroupNorm {
    /// Groups of channels.
    pub groups: usize,
}

impl GroupNorm {
    /// Runs `visit(first channel, mean, 1 / std)` for each group of one `[S, C]` image.
    fn for_groups(&self, image: &[f32], channels: usize, mut visit: impl FnMut(usize, f32, f32)) {
        let width = channels / self.groups;
        if self.groups == 1 {
            let (mean, inverse_std) = row_statistics(image, EPSILON);
            return visit(0, mean, inverse_std);
        }
        let mut members = Vec::with_capacity(image.len() / self.groups);
        for group in 0..self.groups {
            members.clear();
            image
                .chunks_exact(channels)
                .for_each(|row| members.extend_from_slice(&row[group * width..(group + 1) * width]));
            let (mean, inverse_std) = row_statistics(&members, EPSILON);
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
        for image in output.chunks_exact_mut(positions * channels) {
            let mut statistics = Vec::with_capacity(self.groups);
            self.for_groups(image, channels, |first, mean, inverse_std| statistics.push((first, mean, inverse_std)));
            for row in image.chunks_exact_mut(channels) {
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
                let mut back = Back::new(self.groups, &scale_values, &mut scale_gradient, &mut shift_gradient);
                let size = positions * channels;
                if self.groups == 1 && positions == 1 {
                    let some = SIDE_BY_SIDE * size;
                    let rows = input.chunks(some).zip(gradient.chunks(some)).zip(input_gradient.chunks_mut(some));
                    for ((input, gradient), output) in rows {
                        back.statistics.clear();
                        input.chunks_exact(size).for_each(|row| back.statistics.push(row_statistics(row, EPSILON)));
                        back.rows(input, gradient, output);
                    }
                } else {
                    let images = input.chunks_exact(size).zip(gradient.chunks_exact(size));
                    for ((input, gradient), output) in images.zip(input_gradient.chunks_exact_mut(size)) {
                        back.statistics.clear();
                        self.for_groups(input, channels, |_, mean, inverse_std| {
                            back.statistics.push((mean, inverse_std));
                        });
                        back.image(input, gradient, output);
                    }
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

/// Layer norms that go back at the same time. Sums run over channels in their order, each waiting for the one before:
/// several side by side fill the time.
const SIDE_BY_SIDE: usize = 4;

/// The backward pass: sums over all images, and scratch memory.
struct Back<'a> {
    groups: usize,
    scale: &'a [f32],
    scale_gradient: &'a mut [f32],
    shift_gradient: &'a mut [f32],
    /// Mean and 1 / standard deviation of every group (of an image) or row.
    statistics: Vec<(f32, f32)>,
    /// Normalised values, and derivatives on them.
    normal: Vec<f32>,
    inner: Vec<f32>,
}

impl<'a> Back<'a> {
    fn new(groups: usize, scale: &'a [f32], scale_gradient: &'a mut [f32], shift_gradient: &'a mut [f32]) -> Self {
        let (statistics, normal, inner) = (Vec::new(), Vec::new(), Vec::new());
        Self { groups, scale, scale_gradient, shift_gradient, statistics, normal, inner }
    }

    /// Up to [`SIDE_BY_SIDE`] rows `[n, C]`, each with its own statistics.
    fn rows(&mut self, input: &[f32], gradient: &[f32], output: &mut [f32]) {
        let channels = self.scale.len();
        let Self { statistics, scale, scale_gradient, shift_gradient, normal, inner, .. } = self;
        normal.resize(SIDE_BY_SIDE * channels, 0.0);
        inner.resize(SIDE_BY_SIDE * channels, 0.0);
        vectorised(
            #[inline(always)]
            || {
                let rows = input.chunks_exact(channels).zip(gradient.chunks_exact(channels));
                let places = normal.chunks_exact_mut(channels).zip(inner.chunks_exact_mut(channels));
                for (((input, gradient), (normal, inner)), &(mean, inverse_std)) in rows.zip(places).zip(&*statistics) {
                    for (normal, input) in normal.iter_mut().zip(input) {
                        *normal = (input - mean) * inverse_std;
                    }
                    of_channels(gradient, normal, scale, (scale_gradient, shift_gradient, inner));
                }
                let (mut sums, mut dots) = ([0.0f32; SIDE_BY_SIDE], [0.0f32; SIDE_BY_SIDE]);
                let (normals, inners) = (parts(normal, channels), parts(inner, channels));
                for channel in 0..channels {
                    for row in 0..SIDE_BY_SIDE {
                        sums[row] += inners[row][channel];
                        dots[row] += inners[row][channel] * normals[row][channel];
                    }
                }
                for (row, output) in output.chunks_exact_mut(channels).enumerate() {
                    let (mean_inner, mean_dot) = (sums[row] / channels as f32, dots[row] / channels as f32);
                    let inverse_std = statistics[row].1;
                    for ((output, inner), normal) in output.iter_mut().zip(inners[row]).zip(normals[row]) {
                        *output = inverse_std * (inner - mean_inner - normal * mean_dot);
                    }
                }
            },
        );
    }

    /// An image `[S, C]`, with the statistics of its groups.
    fn image(&mut self, input: &[f32], gradient: &[f32], output: &mut [f32]) {
        let channels = self.scale.len();
        let width = channels / self.groups;
        let Self { statistics, scale, scale_gradient, shift_gradient, normal, inner, .. } = self;
        normal.resize(input.len(), 0.0);
        inner.resize(input.len(), 0.0);
        let (mut sums, mut dots) = (vec![0.0f32; self.groups], vec![0.0f32; self.groups]);
        vectorised(
            #[inline(always)]
            || {
                let rows = input.chunks_exact(channels).zip(gradient.chunks_exact(channels));
                let places = normal.chunks_exact_mut(channels).zip(inner.chunks_exact_mut(channels));
                for ((input, gradient), (normal, inner)) in rows.zip(places) {
                    let groups = normal.chunks_exact_mut(width).zip(input.chunks_exact(width)).zip(&*statistics);
                    for ((normal, input), &(mean, inverse_std)) in groups {
                        for (normal, input) in normal.iter_mut().zip(input) {
                            *normal = (input - mean) * inverse_std;
                        }
                    }
                    of_channels(gradient, normal, scale, (scale_gradient, shift_gradient, inner));
                    for channel in 0..width {
                        for (group, (sum, dot)) in sums.iter_mut().zip(&mut dots).enumerate() {
                            let (inner, normal) = (inner[group * width + channel], normal[group * width + channel]);
                            *sum += inner;
                            *dot += inner * normal;
                        }
                    }
                }
                let count = (input.len() / channels * width) as f32;
                let rows = normal.chunks_exact(channels).zip(inner.chunks_exact(channels));
                for ((normal, inner), output) in rows.zip(output.chunks_exact_mut(channels)) {
                    for (group, output) in output.chunks_exact_mut(width).enumerate() {
                        let members = group * width..(group + 1) * width;
                        let (mean_inner, mean_dot) = (sums[group] / count, dots[group] / count);
                        let inverse_std = statistics[group].1;
                        for ((output, inner), normal) in
                            output.iter_mut().zip(&inner[members.clone()]).zip(&normal[members])
                        {
                            *output = inverse_std * (inner - mean_inner - normal * mean_dot);
                        }
                    }
                }
            },
        );
    }
}

/// Adds one row's gradients of scale and shift to theirs, and writes the gradients on its normalised values to `inner`;
/// all `[C]`.
#[inline(always)]
fn of_channels(
    gradient: &[f32],
    normal: &[f32],
    scale: &[f32],
    (scale_gradient, shift_gradient, inner): (&mut [f32], &mut [f32], &mut [f32]),
) {
    for ((sum, gradient), normal) in scale_gradient.iter_mut().zip(gradient).zip(normal) {
        *sum += gradient * normal;
    }
    for (sum, gradient) in shift_gradient.iter_mut().zip(gradient) {
        *sum += gradient;
    }
    for ((inner, gradient), scale) in inner.iter_mut().zip(gradient).zip(scale) {
        *inner = gradient * scale;
    }
}

/// The rows of `[SIDE_BY_SIDE, C]`.
#[inline(always)]
fn parts(values: &[f32], width: usize) -> [&[f32]; SIDE_BY_SIDE] {
    std::array::from_fn(|row| &values[row * width..(row + 1) * width])
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
