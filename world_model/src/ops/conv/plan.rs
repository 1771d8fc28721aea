//! Where the windows of a convolution lie, and its way back.

use std::ops::Range;

use candle_core::{Result, Shape};

use super::Convolution;
use super::kernels::{Order, Panels, Place, WeightSums, Windows, products};
use crate::ops::linear::column_sums;
use crate::ops::silu::{sigmoid, slope};
use crate::ops::{times_slopes, vectorised};

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

    pub fn picture_len(&self) -> usize {
        self.height * self.width * self.channels
    }

    fn windows_per_picture(&self) -> usize {
        self.output_height * self.output_width
    }

    /// Values that a window takes from a row of the picture.
    pub fn run_len(&self) -> usize {
        self.convolution.kernel * self.channels
    }

    /// The picture with its padding.
    fn framed(&self) -> Frame {
        let (sides, slack) = ((self.convolution.padding, self.convolution.padding), Windows::slack(self.run_len()));
        Frame { height: self.height, width: self.width, channels: self.channels, rows: sides, columns: sides, slack }
    }

    /// Windows of a framed picture.
    fn windows(&self, frame: &Frame) -> Windows {
        Windows {
            rows: self.output_height,
            columns: self.output_width,
            down: self.convolution.stride * frame.row_len(),
            across: self.convolution.stride * self.channels,
            runs: (0..self.convolution.kernel).map(|row| row * frame.row_len()).collect(),
            run_len: self.run_len(),
        }
    }

    /// Pictures whose windows are summed up at a time.
    fn pictures_per_sum(&self) -> usize {
        (WINDOWS_PER_SUM / self.windows_per_picture().max(1)).max(1)
    }

    /// Rows of windows that are summed up at a time.
    fn rows_per_sum(&self) -> usize {
        (WINDOWS_PER_SUM / self.output_width.max(1)).clamp(1, self.output_height.max(1))
    }

    /// The gradient of outputs with room around it for every window that a pixel could lie in.
    fn framed_gradient(&self, outputs: usize) -> Frame {
        let Convolution { kernel, stride, padding, .. } = self.convolution;
        let before = (kernel - 1) / stride;
        let after = |side: usize, output_side: usize| ((side + padding - 1) / stride + 1).saturating_sub(output_side);
        Frame {
            height: self.output_height,
            width: self.output_width,
            channels: outputs,
            rows: (before, after(self.height, self.output_height)),
            columns: (before, after(self.width, self.output_width)),
            slack: 0,
        }
    }

    /// Kernel rows (or columns) in which every `stride`-th pixel from `first` on lies, the first window first, with the place of that
    /// window's gradient in its frame.
    fn taps(&self, first: usize) -> impl Iterator<Item = (usize, usize)> {
        let Convolution { kernel, stride, padding, .. } = self.convolution;
        let taps =
            (0..kernel).rev().filter(move |tap| (first + padding + stride * kernel - tap).is_multiple_of(stride));
        // `tap` may lie behind the pixel: the room before the gradient makes up for it.
        taps.map(move |tap| (tap, (first + padding + (kernel - 1) / stride * stride - tap) / stride))
    }

    /// What carries gradients back to every `stride`-th pixel from (`row`, `column`) on.
    fn phase(&self, (row, column): (usize, usize), frame: &Frame, weight: &[f32]) -> Phase {
        let Convolution { kernel, stride, .. } = self.convolution;
        let across: Vec<_> = self.taps(column).collect();
        let (mut runs, mut taps) = (Vec::new(), Vec::new());
        for (kernel_row, down) in self.taps(row) {
            for (kernel_column, right) in &across {
                runs.push(down * frame.row_len() + right * frame.channels);
                taps.push((kernel_row * kernel + kernel_column) * self.channels);
            }
        }
        let windows = Windows {
            rows: self.height.saturating_sub(row).div_ceil(stride),
            columns: self.width.saturating_sub(column).div_ceil(stride),
            down: frame.row_len(),
            across: frame.channels,
            runs,
            run_len: frame.channels,
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

/// Pixels that all lie in the same places of their windows.
struct Phase {
    windows: Windows,
    panels: Panels,
    place: Place,
}

/// A picture with zeros around it: how many before and behind its rows and columns.
struct Frame {
    height: usize,
    width: usize,
    channels: usize,
    rows: (usize, usize),
    columns: (usize, usize),
    /// Values behind the last row.
    slack: usize,
}

impl Frame {
    /// Whether nothing lies around the picture.
    fn is_bare(&self) -> bool {
        (self.rows, self.columns, self.slack) == ((0, 0), (0, 0), 0)
    }

    fn row_len(&self) -> usize {
        (self.columns.0 + self.width + self.columns.1) * self.channels
    }

    fn len(&self) -> usize {
        (self.rows.0 + self.height + self.rows.1) * self.row_len() + self.slack
    }

    /// Where row `row` of the picture lies.
    fn place_of_row(&self, row: usize) -> Range<usize> {
        let first = (self.rows.0 + row) * self.row_len() + self.columns.0 * self.channels;
        first..first + self.width * self.channels
    }

    /// `pictures` in their frames, after SiLU if it comes `first`; `memory` holds zeros or others that were framed before.
    fn framed<'a>(&self, pictures: &'a [f32], silu_first: bool, memory: &'a mut [f32]) -> &'a [f32] {
        if self.is_bare() && !silu_first {
            return pictures;
        }
        let picture_len = self.height * self.width * self.channels;
        let memory = &mut memory[..pictures.len() / picture_len * self.len()];
        for (picture, framed) in pictures.chunks_exact(picture_len).zip(memory.chunks_exact_mut(self.len())) {
            match silu_first {
                true => self.fill_active(picture, framed),
                false => self.fill(picture, framed),
            }
        }
        memory
    }

    fn fill(&self, picture: &[f32], framed: &mut [f32]) {
        for (row, values) in picture.chunks_exact(self.width * self.channels).enumerate() {
            framed[self.place_of_row(row)].copy_from_slice(values);
        }
    }

    fn fill_active(&self, picture: &[f32], framed: &mut [f32]) {
        vectorised(
            #[inline(always)]
            || {
                for (row, values) in picture.chunks_exact(self.width * self.channels).enumerate() {
                    for (place, value) in framed[self.place_of_row(row)].iter_mut().zip(values) {
                        *place = value * sigmoid(*value);
                    }
                }
            },
        );
    }
}

/// Gradients of what went in; that of the input is empty where nobody asks for it.
pub(super) struct Back {
    pub input: Vec<f32>,
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Plan {
    /// `pictures [B, H, W, C]` → `[B, H', W', O]`.
    pub fn forward(&self, pictures: &[f32], weight: &[f32], bias: &[f32]) -> Vec<f32> {
        let (outputs, run_len) = (bias.len(), self.run_len());
        let window_len = self.convolution.kernel * run_len;
        let frame = self.framed();
        let windows = self.windows(&frame);
        let of_run = |output: usize, run: usize, step: usize| weight[output * window_len + run * run_len + step];
        let panels = Panels::new(&windows, bias, of_run);
        let place = Place { first: 0, down: self.output_width * outputs, across: outputs };
        let mut output = Vec::with_capacity(pictures.len() / self.picture_len() * self.windows_per_picture() * outputs);
        let (mut of_picture, mut memory) = (vec![0.0; self.windows_per_picture() * outputs], vec![0.0; frame.len()]);
        for picture in pictures.chunks_exact(self.picture_len()) {
            let framed = frame.framed(picture, self.convolution.silu_first, &mut memory);
            products(framed, &windows, &panels, Order::Through, &mut of_picture, place);
            output.extend_from_slice(&of_picture);
        }
        output
    }

    /// Gradients of what went in, given that of `[B, H', W', O]`.
    pub fn back(&self, input: &[f32], weight: &[f32], gradient: &[f32], outputs: usize) -> Back {
        let Convolution { stride, silu_first, input_gradient, .. } = self.convolution;
        let (frame, around) = (self.framed(), self.framed_gradient(outputs));
        let windows = self.windows(&frame);
        let mut sums = WeightSums::new(&windows, outputs);
        let phases = (0..stride * stride).map(|phase| self.phase((phase / stride, phase % stride), &around, weight));
        let phases: Vec<Phase> = phases.filter(|_| input_gradient).collect();
        let mut on_input = Vec::with_capacity(if input_gradient { input.len() } else { 0 });
        let (picture_len, gradient_len) = (self.picture_len(), self.windows_per_picture() * outputs);
        let (mut framed, mut on_outputs) = (vec![0.0; self.pictures_per_sum() * frame.len()], vec![0.0; around.len()]);
        let mut on_picture = vec![0.0; picture_len];
        let chunks = input.chunks(self.pictures_per_sum() * picture_len);
        for (pictures, gradient) in chunks.zip(gradient.chunks(self.pictures_per_sum() * gradient_len)) {
            let framed = frame.framed(pictures, silu_first, &mut framed);
            let row_len = self.output_width * outputs;
            let rows = self.rows_per_sum();
            for (first, of_rows) in (0..self.output_height).step_by(rows).zip(gradient.chunks(rows * row_len)) {
                // Of several pictures at a time all rows are summed up together.
                let of_rows = if rows < self.output_height { of_rows } else { gradient };
                sums.add(framed, frame.len(), &windows, first..(first + rows).min(self.output_height), of_rows);
            }
            if !input_gradient {
                continue;
            }
            for (picture, gradient) in pictures.chunks_exact(picture_len).zip(gradient.chunks_exact(gradient_len)) {
                let on_outputs = around.framed(gradient, false, &mut on_outputs);
                for Phase { windows, panels, place } in &phases {
                    products(on_outputs, windows, panels, Order::RunByRun, &mut on_picture, *place);
                }
                match silu_first {
                    true => extend_by_slopes(&mut on_input, &on_picture, picture),
                    false => on_input.extend_from_slice(&on_picture),
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

/// Appends `gradient * slope of SiLU(input)`, value by value.
fn extend_by_slopes(gradients: &mut Vec<f32>, gradient: &[f32], input: &[f32]) {
    let first = gradients.len();
    gradients.extend_from_slice(gradient);
    times_slopes(&mut gradients[first..], input, slope);
}
