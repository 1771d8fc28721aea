//! Convolution of `[B, H, W, C]` pictures: windows are laid out a few pictures at a time (in cache) and multiplied.

use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

use super::linear::column_sums;
use super::matmul::{Matrix, matmul};
use super::silu::{self, silu_in_place};
use super::{slice, tensor, times_slopes, vectorised, with_values};

/// Shape of a convolution: square kernel, equal stride and zero padding on both axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Convolution {
    /// Side of the kernel, pixels.
    pub kernel: usize,
    /// Step between windows, pixels.
    pub stride: usize,
    /// Zeros added on each side, pixels.
    pub padding: usize,
    /// Whether the input goes through SiLU first: here it costs no tensor of its own.
    pub silu_first: bool,
    /// Whether the gradient of the input is wanted; a first layer saves its cost.
    pub input_gradient: bool,
}

impl Convolution {
    /// Side of the output for an input side.
    pub fn output_side(&self, side: usize) -> usize {
        (side + 2 * self.padding).saturating_sub(self.kernel) / self.stride + 1
    }
}

/// `input [B, H, W, C]`, `weight [O, kernel * kernel * C]` (kernel row, kernel column, channel), `bias [O]` → `[B, H', W', O]`.
///
/// # Errors
/// When the shapes do not fit.
pub fn convolve(input: &Tensor, weight: &Tensor, bias: &Tensor, convolution: Convolution) -> Result<Tensor> {
    input.contiguous()?.apply_op3(weight, bias, convolution)
}

/// Rows of windows per matrix product: enough to amortise packing, few enough to stay in the second-level cache.
const ROWS_PER_PRODUCT: usize = 512;

/// Sizes of one application.
struct Plan {
    convolution: Convolution,
    batch: usize,
    height: usize,
    width: usize,
    channels: usize,
    output_height: usize,
    output_width: usize,
}

impl Plan {
    fn new(convolution: Convolution, shape: &Shape) -> Result<Self> {
        let (batch, height, width, channels) = shape.dims4()?;
        let output_height = convolution.output_side(height);
        let output_width = convolution.output_side(width);
        Ok(Self { convolution, batch, height, width, channels, output_height, output_width })
    }

    fn picture_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    fn windows_per_picture(&self) -> usize {
        self.output_height * self.output_width
    }

    fn window_len(&self) -> usize {
        self.convolution.kernel * self.convolution.kernel * self.channels
    }

    fn pictures_per_product(&self) -> usize {
        (ROWS_PER_PRODUCT / self.windows_per_picture()).clamp(1, self.batch.max(1))
    }

    /// Calls `run(start in the picture, start in the window row, length)` for every contiguous run of one window.
    #[inline(always)]
    fn for_runs(&self, row: usize, column: usize, mut run: impl FnMut(usize, usize, usize)) {
        let Convolution { kernel, stride, padding, .. } = self.convolution;
        let left = (column * stride) as isize - padding as isize;
        let first = left.max(0) as usize;
        let last = (left + kernel as isize).clamp(0, self.width as isize) as usize;
        for kernel_row in 0..kernel {
            let y = (row * stride + kernel_row) as isize - padding as isize;
            if y < 0 || y >= self.height as isize || first >= last {
                continue;
            }
            let from = (y as usize * self.width + first) * self.channels;
            let to = (kernel_row * kernel + (first as isize - left) as usize) * self.channels;
            run(from, to, (last - first) * self.channels);
        }
    }

    /// Whether the window reaches over the picture's edge.
    fn reaches_over(&self, row: usize, column: usize) -> bool {
        let Convolution { kernel, stride, padding, .. } = self.convolution;
        let over = |start: usize, side: usize| start * stride < padding || start * stride + kernel > side + padding;
        over(row, self.height) || over(column, self.width)
    }

    /// Lays the windows of `picture` out as rows of `windows`.
    #[inline(always)]
    fn unfold(&self, picture: &[f32], windows: &mut [f32]) {
        for (index, window) in windows.chunks_exact_mut(self.window_len()).enumerate() {
            let (row, column) = (index / self.output_width, index % self.output_width);
            if self.reaches_over(row, column) {
                window.fill(0.0); // what lies over the edge stays zero
            }
            self.for_runs(row, column, |from, to, count| {
                copy(&picture[from..from + count], &mut window[to..to + count]);
            });
        }
    }

    /// Adds the rows of `windows` back to where they came from in `picture`.
    #[inline(always)]
    fn fold(&self, windows: &[f32], picture: &mut [f32]) {
        for (index, window) in windows.chunks_exact(self.window_len()).enumerate() {
            self.for_runs(index / self.output_width, index % self.output_width, |from, to, count| {
                let pixels = &mut picture[from..from + count];
                for (pixel, value) in pixels.iter_mut().zip(&window[to..to + count]) {
                    *pixel += value;
                }
            });
        }
    }

    /// Lays out the windows of the pictures in `pictures`, after SiLU if it comes first; `active` is memory for that.
    fn unfold_all(&self, pictures: &[f32], windows: &mut [f32], active: &mut Vec<f32>) {
        let pictures = if self.convolution.silu_first {
            active.clear();
            active.extend_from_slice(pictures);
            silu_in_place(active);
            &*active
        } else {
            pictures
        };
        let rows_len = self.windows_per_picture() * self.window_len();
        let pairs = pictures.chunks_exact(self.picture_len()).zip(windows.chunks_exact_mut(rows_len));
        vectorised(
            #[inline(always)]
            || {
                for (picture, windows) in pairs {
                    self.unfold(picture, windows);
                }
            },
        );
    }
}

/// Copies a run of a few values: in vectors that overlap at the end, where calling the system's copy would take longer than the work.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32]) {
    match from.len() {
        16.. => copy_by::<16>(from, to),
        8.. => copy_by::<8>(from, to),
        _ => {
            for (to, from) in to.iter_mut().zip(from) {
                *to = *from;
            }
        }
    }
}

/// Copies at least `N` values, `N` at a time.
#[inline(always)]
fn copy_by<const N: usize>(from: &[f32], to: &mut [f32]) {
    let count = from.len();
    for start in (0..count - N).step_by(N).chain([count - N]) {
        let (from, to) = (&from[start..start + N], &mut to[start..start + N]);
        if let (Some(from), Some(to)) = (from.as_array::<N>(), to.as_mut_array::<N>()) {
            *to = *from;
        }
    }
}

impl CustomOp3 for Convolution {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        input: &CpuStorage,
        input_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let plan = Plan::new(*self, input_layout.shape())?;
        let (outputs, window_len) = weight_layout.shape().dims2()?;
        if window_len != plan.window_len() || plan.height + 2 * self.padding < self.kernel {
            candle_core::bail!("convolution: expected windows of {window_len} values, got {}", plan.window_len());
        }
        let (pictures, bias) = (slice(input, input_layout)?, slice(bias, bias_layout)?);
        let weight = Matrix::new(slice(weight, weight_layout)?, outputs, window_len);
        let rows = plan.windows_per_picture();
        let mut output = Vec::with_capacity(plan.batch * rows * outputs);
        (0..plan.batch * rows).for_each(|_| output.extend_from_slice(bias));
        let step = plan.pictures_per_product();
        let (mut windows, mut active) = (vec![0.0; step * rows * window_len], Vec::new());
        let chunks = pictures.chunks(step * plan.picture_len()).zip(output.chunks_mut(step * rows * outputs));
        for (pictures, output) in chunks {
            let rows = output.len() / outputs;
            let windows = &mut windows[..rows * window_len];
            plan.unfold_all(pictures, windows, &mut active);
            matmul(output, Matrix::new(windows, rows, window_len), weight.transposed(), true);
        }
        Ok((CpuStorage::F32(output), (plan.batch, plan.output_height, plan.output_width, outputs).into()))
    }

    fn bwd(
        &self,
        input: &Tensor,
        weight: &Tensor,
        _bias: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let plan = Plan::new(*self, input.shape())?;
        let (outputs, window_len) = weight.dims2()?;
        let rows = plan.windows_per_picture();
        let step = plan.pictures_per_product();
        let (mut windows, mut active) = (vec![0.0; step * rows * window_len], Vec::new());
        let mut weight_gradient = vec![0.0; outputs * window_len];
        let mut input_gradient = vec![0.0; if self.input_gradient { plan.batch * plan.picture_len() } else { 0 }];
        let bias_gradient = with_values(gradient, |gradient| -> Result<Vec<f32>> {
            with_values(input, |pictures| {
                let chunks = pictures.chunks(step * plan.picture_len()).zip(gradient.chunks(step * rows * outputs));
                for (pictures, gradient) in chunks {
                    let rows = gradient.len() / outputs;
                    let windows = &mut windows[..rows * window_len];
                    plan.unfold_all(pictures, windows, &mut active);
                    let gradient = Matrix::new(gradient, rows, outputs).transposed();
                    matmul(&mut weight_gradient, gradient, Matrix::new(windows, rows, window_len), true);
                }
            })?;
            if self.input_gradient {
                with_values(weight, |weight| {
                    let weight = Matrix::new(weight, outputs, window_len);
                    let chunks = input_gradient.chunks_mut(step * plan.picture_len());
                    for (pictures, gradient) in chunks.zip(gradient.chunks(step * rows * outputs)) {
                        let all_rows = gradient.len() / outputs;
                        let windows = &mut windows[..all_rows * window_len];
                        matmul(windows, Matrix::new(gradient, all_rows, outputs), weight, false);
                        let pairs =
                            windows.chunks_exact(rows * window_len).zip(pictures.chunks_exact_mut(plan.picture_len()));
                        vectorised(
                            #[inline(always)]
                            || {
                                for (windows, picture) in pairs {
                                    plan.fold(windows, picture);
                                }
                            },
                        );
                    }
                })?;
                if self.silu_first {
                    with_values(input, |input| times_slopes(&mut input_gradient, input, silu::slope))?;
                }
            }
            Ok(column_sums(gradient, outputs))
        })??;
        let input_gradient =
            if self.input_gradient { Some(tensor(input_gradient, input.shape().clone())?) } else { None };
        Ok((
            input_gradient,
            Some(tensor(weight_gradient, (outputs, window_len))?),
            Some(tensor(bias_gradient, outputs)?),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::{check, values};
    use super::*;

    #[test]
    fn gradients_are_right_with_stride_and_padding() {
        for (kernel, stride, padding, silu_first) in [(3, 1, 1, true), (2, 2, 0, false), (5, 2, 2, false)] {
            let convolution = Convolution { kernel, stride, padding, silu_first, input_gradient: true };
            let weight = [3, kernel * kernel * 2];
            check(&[&[2, 4, 6, 2], &weight, &[3]], |x| convolve(&x[0], &x[1], &x[2], convolution), 1e-2);
        }
    }

    #[test]
    fn agrees_with_candles_convolution() {
        let convolution = Convolution { kernel: 4, stride: 2, padding: 1, silu_first: false, input_gradient: true };
        let input = tensor(values(20 * 8 * 8 * 3, 0.0), (20, 8, 8, 3)).unwrap();
        let weight = tensor(values(5 * 48, 1.0), (5, 48)).unwrap();
        let bias = tensor(values(5, 2.0), 5).unwrap();
        let ours = convolve(&input, &weight, &bias, convolution).unwrap();
        let kernel = weight.reshape((5, 4, 4, 3)).unwrap().permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
        let theirs = input.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap().conv2d(&kernel, 1, 2, 1, 1).unwrap();
        let theirs = theirs.permute((0, 2, 3, 1)).unwrap().broadcast_add(&bias).unwrap();
        let error = (ours - theirs).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f32>().unwrap();
        assert!(error < 1e-4, "{error}");
        let fused = Convolution { silu_first: true, ..convolution };
        let bits = |output: Tensor| output.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        let apart = convolve(&crate::ops::silu(&input).unwrap(), &weight, &bias, convolution).unwrap();
        assert_eq!(bits(convolve(&input, &weight, &bias, fused).unwrap()), bits(apart), "SiLU first");
    }
}
