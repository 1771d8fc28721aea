//! Positions of a convolution's windows, and its backward pass.

use std::ops::Range;

use candle_core::{Result, Shape};

use super::Convolution;
use super::kernels::{Order, Panels, Place, WeightSums, Windows, products};
use crate::ops::linear::column_sums;
use crate::ops::silu::{derivative, sigmoid};
use crate::ops::{times_derivatives, vectorised};

/// Windows whose share of the weights' gradient is summed up at a time: sums of so many lose little to rounding.
const WINDOWS_PER_SUM: usize = 512;

/// Sizes of one application.
pub(super) struct Plan {
    convolution: Convolution,
    pub height: usize,
    pub width: usize,
    channels: usize,
    pub output_height: usize,
    pub output_width: usize,
}

impl Plan {
    pub fn new(convolution: Convolution, shape: &Shape) -> Result<Self> {
        let (_, height, width, channels) = shape.dims4()?;
        let output_height = convolution.output_side(height);
        let output_width = convolution.output_side(width);
        Ok(Self { convolution, height, width, channels, output_height, output_width })
    }

    pub fn image_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    fn windows_per_image(&self) -> usize {
        self.output_height * self.output_width
    }

    /// Values that a window takes from a row of the image.
    pub fn run_len(&self) -> usize {
        self.convolution.kernel * self.channels
    }

    /// The padding of an input image.
    fn padded(&self) -> Padding {
        let (sides, slack) = ((self.convolution.padding, self.convolution.padding), Windows::slack(self.run_len()));
        Padding { height: self.height, width: self.width, channels: self.channels, rows: sides, columns: sides, slack }
    }

    /// Windows of a padded image.
    fn windows(&self, padding: &Padding) -> Windows {
        Windows {
            rows: self.output_height,
            columns: self.output_width,
            down: self.convolution.stride * padding.row_len(),
            across: self.convolution.stride * self.channels,
            runs: (0..self.convolution.kernel).map(|row| row * padding.row_len()).collect(),
            run_len: self.run_len(),
        }
    }

    /// Images whose windows are summed up at a time.
    fn images_per_sum(&self) -> usize {
        (WINDOWS_PER_SUM / self.windows_per_image().max(1)).max(1)
    }

    /// Rows of windows that are summed up at a time.
    fn rows_per_sum(&self) -> usize {
        (WINDOWS_PER_SUM / self.output_width.max(1)).clamp(1, self.output_height.max(1))
    }

    /// The gradient of outputs with room around it for every window that a pixel could lie in.
    fn padded_gradient(&self, outputs: usize) -> Padding {
        let Convolution { kernel, stride, padding, .. } = self.convolution;
        let before = (kernel - 1) / stride;
        let after = |side: usize, output_side: usize| ((side + padding - 1) / stride + 1).saturating_sub(output_side);
        Padding {
            height: self.output_height,
            width: self.output_width,
            channels: outputs,
            rows: (before, after(self.height, self.output_height)),
            columns: (before, after(self.width, self.output_width)),
            slack: 0,
        }
    }

    /// Kernel rows (or columns) in which every `stride`-th pixel from `first` on lies, the first window first, with the
    /// place of that window's gradient in its padding.
    fn taps(&self, first: usize) -> impl Iterator<Item = (usize, usize)> {
        let Convolution { kernel, stride, padding, .. } = self.convolution;
        let taps =
            (0..kernel).rev().filter(move |tap| (first + padding + stride * kernel - tap).is_multiple_of(stride));
        // `tap` may lie behind the pixel: the room before the gradient makes up for it.
        taps.map(move |tap| (tap, (first + padding + (kernel - 1) / stride * stride - tap) / stride))
    }

    /// What carries gradients back to every `stride`-th pixel from (`row`, `column`) on.
    fn phase(&self, (row, column): (usize, usize), padding: &Padding, weight: &[f32]) -> Phase {
        let Convolution { kernel, stride, .. } = self.convolution;
        let across: Vec<_> = self.taps(column).collect();
        let (mut runs, mut taps) = (Vec::new(), Vec::new());
        for (kernel_row, down) in self.taps(row) {
            for (kernel_column, right) in &across {
                runs.push(down * padding.row_len() + right * padding.channels);
                taps.push((kernel_row * kernel + kernel_column) * self.channels);
            }
        }
        let windows = Windows {
            rows: self.height.saturating_sub(row).div_ceil(stride),
            columns: self.width.saturating_sub(column).div_ceil(stride),
            down: padding.row_len(),
            across: padding.channels,
            runs,
            run_len: padding.channels,
        };
        let window_len = kernel * self.run_len();
        let of_tap = |channel: usize, tap: usize, output: usize| weight[output * window_len + taps[tap] + channel];
        Phase {
            panels: Panels::new(&windows, &vec![0.0; self.channels], of_tap),
            windows,
            place: Place {
                first: (row * self.width + column) * self.channels,
                down: stride * self.width * self.channels,
                across: stride * self.channels,
            },
        }
    }
}

/// Pixels that have the same positions in their windows.
struct Phase {
    windows: Windows,
    panels: Panels,
    place: Place,
}

/// Zeros around an image: how many before and after its rows and columns.
struct Padding {
    height: usize,
    width: usize,
    channels: usize,
    rows: (usize, usize),
    columns: (usize, usize),
    /// Values behind the last row.
    slack: usize,
}

impl Padding {
    /// Whether there are none.
    fn is_bare(&self) -> bool {
        (self.rows, self.columns, self.slack) == ((0, 0), (0, 0), 0)
    }

    fn row_len(&self) -> usize {
        (self.columns.0 + self.width + self.columns.1) * self.channels
    }

    fn len(&self) -> usize {
        (self.rows.0 + self.height + self.rows.1) * self.row_len() + self.slack
    }

    /// First value of row `row` of the image.
    fn place_of_row(&self, row: usize) -> Range<usize> {
        let first = (self.rows.0 + row) * self.row_len() + self.columns.0 * self.channels;
        first..first + self.width * self.channels
    }

    /// `images` with their padding, after SiLU if `silu_first`; `memory` holds zeros or images that were padded before.
    fn padded<'a>(&self, images: &'a [f32], silu_first: bool, memory: &'a mut [f32]) -> &'a [f32] {
        if self.is_bare() && !silu_first {
            return images;
        }
        let image_len = self.height * self.width * self.channels;
        let memory = &mut memory[..images.len() / image_len * self.len()];
        for (image, padded) in images.chunks_exact(image_len).zip(memory.chunks_exact_mut(self.len())) {
            match silu_first {
                true => self.fill_active(image, padded),
                false => self.fill(image, padded),
            }
        }
        memory
    }

    fn fill(&self, image: &[f32], padded: &mut [f32]) {
        for (row, values) in image.chunks_exact(self.width * self.channels).enumerate() {
            padded[self.place_of_row(row)].copy_from_slice(values);
        }
    }

    fn fill_active(&self, image: &[f32], padded: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || {
                for (row, values) in image.chunks_exact(self.width * self.channels).enumerate() {
                    for (place, value) in padded[self.place_of_row(row)].iter_mut().zip(values) {
                        *place = value * sigmoid(*value);
                    }
                }
            },
        );
    }
}

/// Gradients of the inputs; that of the images is empty where it is not needed.
pub(super) struct Back {
    pub input: Vec<f32>,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Plan {
    /// `images [B, H, W, C]` → `[B, H', W', O]`.
    pub fn forward(&self, images: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let (outputs, run_len) = (bias.len(), self.run_len());
        let window_len = self.convolution.kernel * run_len;
        let padding = self.padded();
        let windows = self.windows(&padding);
        let of_run = |output: usize, run: usize, step: usize| weight[output * window_len + run * run_len + step];
        let panels = Panels::new(&windows, bias, of_run);
        let place = Place { first: 0, down: self.output_width * outputs, across: outputs };
        let mut output = Vec::with_capacity(images.len() / self.image_len() * self.windows_per_image() * outputs);
        let (mut of_image, mut memory) = (vec![0.0; self.windows_per_image() * outputs], vec![0.0; padding.len()]);
        for image in images.chunks_exact(self.image_len()) {
            let padded = padding.padded(image, self.convolution.silu_first, &mut memory);
            products(padded, &windows, &panels, Order::Through, &mut of_image, place);
            output.extend_from_slice(&of_image);
        }
        output
    }

    /// Gradients of the inputs, given that of the output `[B, H', W', O]`.
    pub fn back(&self, input: &[f32], weight: &[f32], gradient: &[f32], outputs: usize) -> Back {
        let Convolution { stride, silu_first, input_gradient, .. } = self.convolution;
        let (padding, around) = (self.padded(), self.padded_gradient(outputs));
        let windows = self.windows(&padding);
        let mut sums = WeightSums::new(&windows, outputs);
        let phases = (0..stride * stride).map(|phase| self.phase((phase / stride, phase % stride), &around, weight));
        let phases: Vec<Phase> = phases.filter(|_| input_gradient).collect();
        let mut on_input = Vec::with_capacity(if input_gradient { input.len() } else { 0 });
        let (image_len, gradient_len) = (self.image_len(), self.windows_per_image() * outputs);
        let (mut padded, mut on_outputs) = (vec![0.0; self.images_per_sum() * padding.len()], vec![0.0; around.len()]);
        let mut on_image = vec![0.0; image_len];
        let chunks = input.chunks(self.images_per_sum() * image_len);
        for (images, gradient) in chunks.zip(gradient.chunks(self.images_per_sum() * gradient_len)) {
            let padded = padding.padded(images, silu_first, &mut padded);
            let row_len = self.output_width * outputs;
            let rows = self.rows_per_sum();
            for (first, of_rows) in (0..self.output_height).step_by(rows).zip(gradient.chunks(rows * row_len)) {
                // All rows of several images are summed up together.
                let of_rows = if rows < self.output_height { of_rows } else { gradient };
                sums.add(padded, padding.len(), &windows, first..(first + rows).min(self.output_height), of_rows);
            }
            if !input_gradient {
                continue;
            }
            for (image, gradient) in images.chunks_exact(image_len).zip(gradient.chunks_exact(gradient_len)) {
                let on_outputs = around.padded(gradient, false, &mut on_outputs);
                for Phase { windows, panels, place } in &phases {
                    products(on_outputs, windows, panels, Order::RunByRun, &mut on_image, *place);
                }
                match silu_first {
                    true => extend_by_derivatives(&mut on_input, &on_image, image),
                    false => on_input.extend_from_slice(&on_image),
                }
            }
        }
        let (run_len, window_len) = (self.run_len(), self.convolution.kernel * self.run_len());
        let on_weight = (0..outputs * window_len).map(|index| {
            let (output, place) = (index / window_len, index % window_len);
            sums.at(output, place / run_len, place % run_len)
        });
        Back { input: on_input, weight: on_weight.collect(), bias: column_sums(gradient, outputs) }
    }
}

/// Appends `gradient * derivative of SiLU(input)`, value by value.
fn extend_by_derivatives(gradients: &mut Vec<f32>, gradient: &[f32], input: &[f32]) {
    let first = gradients.len();
    gradients.extend_from_slice(gradient);
    times_derivatives(&mut gradients[first..], input, derivative);
}
