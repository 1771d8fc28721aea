//! The arithmetic of convolutions, on plain slices: windows are read in place from a padded image.
//!
//! Laying windows out as rows of a matrix costs nine times an image's memory for a 3x3 kernel, packing them for a
//! product as much again. Here a vector holds neighbouring output channels, a handful of windows are summed up in
//! registers, and every value of an image is read as it is needed. Every sum runs in one stated order, whatever the
//! width of the processor's vectors: equal bits on all of them.

use pulp::{Arch, Simd, WithSimd};

/// Values beside each other of a run whose products with the gradient are summed up together.
const TILE: usize = 8;
/// Values of a run that are read at a time: the addresses of all windows are computed once for them.
const STEPS: usize = 4;

/// Output channels that are computed together: two of the widest vectors, or one where more would be wasted.
fn panel_width(outputs: usize) -> usize {
    if outputs <= 16 { 16 } else { 32 }
}

/// Where windows lie in a padded image: all distances in values.
#[derive(Debug, Clone)]
pub(super) struct Windows {
    /// Rows of windows.
    pub rows: usize,
    /// Windows of a row.
    pub columns: usize,
    /// From a row of windows to the next.
    pub down: usize,
    /// From a window to the next one of its row.
    pub across: usize,
    /// From where a window begins to each of its contiguous runs.
    pub runs: Vec<usize>,
    /// Length of a run.
    pub run_len: usize,
}

impl Windows {
    /// The last value that is read of any window, plus one, where runs are read up to `run_len`.
    fn end(&self, run_len: usize) -> usize {
        let last = self.rows.saturating_sub(1) * self.down + self.columns.saturating_sub(1) * self.across;
        last + self.runs.iter().max().unwrap_or(&0) + run_len
    }

    /// Values that an image needs behind its last one, so that every tile of a run can be read whole.
    pub fn slack(run_len: usize) -> usize {
        run_len.next_multiple_of(TILE) - run_len
    }
}

/// Weights in the order in which they are read: `[panels, runs, run_len, panel width]`, filled up with zeros.
#[derive(Debug)]
pub(super) struct Panels {
    values: Vec<f32>,
    bias: Vec<f32>,
    width: usize,
    outputs: usize,
}

impl Panels {
    /// `weight(output, run, step)` for all of them, and a bias `[O]`.
    pub fn new(windows: &Windows, bias: &[f32], weight: impl Fn(usize, usize, usize) -> f32) -> Self {
        let (outputs, width) = (bias.len(), panel_width(bias.len()));
        let (runs, run_len) = (windows.runs.len(), windows.run_len);
        let panels = outputs.div_ceil(width);
        let mut values = vec![0.0; panels * runs * run_len * width];
        for (index, places) in values.chunks_exact_mut(width).enumerate() {
            let (panel, run, step) = (index / (runs * run_len), index / run_len % runs, index % run_len);
            for (output, place) in (panel * width..outputs).zip(places) {
                *place = weight(output, run, step);
            }
        }
        let mut bias = bias.to_vec();
        bias.resize(panels * width, 0.0);
        Self { values, bias, width, outputs }
    }
}

/// Where sums go: distances in values, as those of [`Windows`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub first: usize,
    pub down: usize,
    pub across: usize,
}

/// How the products of a window are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// All runs one after the other, then the bias.
    Through,
    /// The bias, then the sum of each run.
    RunByRun,
}

/// Writes the outputs of every window of a padded `image` to `output`.
///
/// # Panics
/// When windows reach over the image's end: a bug of the caller.
pub(super) fn products(
    image: &[f32],
    windows: &Windows,
    panels: &Panels,
    order: Order,
    output: &mut [f32],
    place: Place,
) {
    assert!(windows.end(windows.run_len) <= image.len(), "windows within their image");
    Arch::new().dispatch(Products { image, windows, panels, order, output, place });
}

struct Products<'a> {
    image: &'a [f32],
    windows: &'a Windows,
    panels: &'a Panels,
    order: Order,
    output: &'a mut [f32],
    place: Place,
}

impl WithSimd for Products<'_> {
    type Output = ();

    /// Vectors of a panel times windows at a time are sums held in registers, 16 of 32 or 12 of 16.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::F32_LANES, self.panels.width) {
            (16, 32) => self.in_order::<S, 2, 8>(simd),
            (16, _) => self.in_order::<S, 1, 8>(simd),
            (8, 32) => self.in_order::<S, 4, 3>(simd),
            (8, _) => self.in_order::<S, 2, 6>(simd),
            (4, 32) => self.in_order::<S, 8, 2>(simd),
            (4, _) => self.in_order::<S, 4, 4>(simd),
            (_, 32) => self.in_order::<S, 32, 1>(simd),
            _ => self.in_order::<S, 16, 1>(simd),
        }
    }
}

impl Products<'_> {
    #[inline(always)]
    fn in_order<S: Simd, const VECTORS: usize, const AT_ONCE: usize>(self, simd: S) {
        match self.order {
            Order::Through => self.run::<S, VECTORS, AT_ONCE, false>(simd),
            Order::RunByRun => self.run::<S, VECTORS, AT_ONCE, true>(simd),
        }
    }

    #[inline(always)]
    fn run<S: Simd, const VECTORS: usize, const AT_ONCE: usize, const APART: bool>(mut self, simd: S) {
        let columns = self.windows.columns;
        for panel in 0..self.panels.outputs.div_ceil(self.panels.width) {
            for row in 0..self.windows.rows {
                // The last windows of a row are computed again, with those before them, rather than fewer at a time.
                if columns >= AT_ONCE {
                    for column in (0..columns).step_by(AT_ONCE) {
                        let column = column.min(columns - AT_ONCE);
                        self.tile::<S, VECTORS, AT_ONCE, APART>(simd, panel, row, column);
                    }
                } else {
                    for column in 0..columns {
                        self.tile::<S, VECTORS, 1, APART>(simd, panel, row, column);
                    }
                }
            }
        }
    }

    /// `COUNT` windows of a row, from `column` on.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "a step is a place in every window and in the weights")]
    fn tile<S: Simd, const VECTORS: usize, const COUNT: usize, const APART: bool>(
        &mut self,
        simd: S,
        panel: usize,
        row: usize,
        column: usize,
    ) {
        let Self { image, windows, panels, output, place, .. } = self;
        let (run_len, width) = (windows.run_len, panels.width);
        let panel_len = windows.runs.len() * run_len * width;
        let (weights, _) = S::as_simd_f32s(&panels.values[panel * panel_len..(panel + 1) * panel_len]);
        let (bias, _) = S::as_simd_f32s(&panels.bias[panel * width..(panel + 1) * width]);
        let first = row * windows.down + column * windows.across;
        let mut totals = [[simd.splat_f32s(0.0); VECTORS]; COUNT];
        for totals in &mut totals {
            totals.copy_from_slice(bias);
        }
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; COUNT];
        for (run, weights) in windows.runs.iter().zip(weights.chunks_exact(run_len * VECTORS)) {
            let mut pixels: [&[f32]; COUNT] = [&[]; COUNT];
            for (index, pixels) in pixels.iter_mut().enumerate() {
                *pixels = &image[first + index * windows.across + run..][..run_len];
            }
            let whole = run_len / STEPS * STEPS;
            for first in (0..whole).step_by(STEPS) {
                let mut values: [&[f32]; COUNT] = [&[]; COUNT];
                for index in 0..COUNT {
                    values[index] = &pixels[index][first..first + STEPS];
                }
                let weights = &weights[first * VECTORS..(first + STEPS) * VECTORS];
                for step in 0..STEPS {
                    add_products(simd, &mut sums, &values, step, weights);
                }
            }
            for step in whole..run_len {
                add_products(simd, &mut sums, &pixels, step, weights);
            }
            if APART {
                add_up(simd, &mut totals, &sums);
                sums = [[simd.splat_f32s(0.0); VECTORS]; COUNT];
            }
        }
        if !APART {
            add_up(simd, &mut totals, &sums);
        }
        let columns = width.min(panels.outputs - panel * width);
        let to = place.first + row * place.down + column * place.across + panel * width;
        for (index, totals) in totals.iter().enumerate() {
            let place = &mut output[to + index * place.across..][..columns];
            if columns == width {
                S::as_mut_simd_f32s(place).0.copy_from_slice(totals);
            } else {
                let mut values = [0.0f32; 32];
                S::as_mut_simd_f32s(&mut values[..width]).0.copy_from_slice(totals);
                place.copy_from_slice(&values[..columns]);
            }
        }
    }
}

/// Adds to the sums of every window the products of its value at `step` with that step's weights.
#[inline(always)]
fn add_products<S: Simd, const VECTORS: usize, const COUNT: usize>(
    simd: S,
    sums: &mut [[S::f32s; VECTORS]; COUNT],
    values: &[&[f32]; COUNT],
    step: usize,
    weights: &[S::f32s],
) {
    let weights = &weights[step * VECTORS..(step + 1) * VECTORS];
    for index in 0..COUNT {
        let value = simd.splat_f32s(values[index][step]);
        for vector in 0..VECTORS {
            sums[index][vector] = simd.mul_add_f32s(value, weights[vector], sums[index][vector]);
        }
    }
}

/// Adds to the sums of every value its products with the gradient.
#[inline(always)]
fn add_outer_product<S: Simd, const VECTORS: usize, const COUNT: usize>(
    simd: S,
    sums: &mut [[S::f32s; VECTORS]; COUNT],
    values: &[f32],
    gradient: &[S::f32s],
) {
    let (values, gradient) = (&values[..COUNT], &gradient[..VECTORS]);
    for index in 0..COUNT {
        let value = simd.splat_f32s(values[index]);
        for vector in 0..VECTORS {
            sums[index][vector] = simd.mul_add_f32s(value, gradient[vector], sums[index][vector]);
        }
    }
}

#[inline(always)]
fn add_up<S: Simd, const VECTORS: usize, const COUNT: usize>(
    simd: S,
    totals: &mut [[S::f32s; VECTORS]; COUNT],
    sums: &[[S::f32s; VECTORS]; COUNT],
) {
    for (totals, sums) in totals.iter_mut().zip(sums) {
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total = simd.add_f32s(*total, *sum);
        }
    }
}

/// Gradients of weights, summed up in the order in which the windows lie: `[panels, runs, run_len up to a whole tile,
/// panel width]`.
#[derive(Debug)]
pub(super) struct WeightSums {
    values: Vec<f32>,
    width: usize,
    outputs: usize,
    run_len: usize,
    runs: usize,
    /// A gradient filled up to whole panels, where it is not already.
    filled: Vec<f32>,
}

impl WeightSums {
    /// Zeros.
    pub fn new(windows: &Windows, outputs: usize) -> Self {
        let (width, runs, run_len) = (panel_width(outputs), windows.runs.len(), windows.run_len);
        let len = outputs.div_ceil(width) * runs * run_len.next_multiple_of(TILE) * width;
        Self { values: vec![0.0; len], width, outputs, run_len, runs, filled: Vec::new() }
    }

    /// Adds the products of all windows of some rows of padded `images` with their `gradient [windows, O]`: the
    /// windows' sum first, then it is added to what is there.
    ///
    /// # Panics
    /// When the sizes do not fit: a bug of the caller.
    pub fn add(
        &mut self,
        images: &[f32],
        image_len: usize,
        windows: &Windows,
        rows: std::ops::Range<usize>,
        gradient: &[f32],
    ) {
        assert!(windows.end(windows.run_len.next_multiple_of(TILE)) <= image_len, "windows within their image");
        let stride = self.outputs.next_multiple_of(self.width);
        let mut filled = std::mem::take(&mut self.filled);
        let gradient = if stride == self.outputs {
            gradient
        } else {
            filled.clear();
            for of_window in gradient.chunks_exact(self.outputs) {
                filled.extend_from_slice(of_window);
                filled.extend((self.outputs..stride).map(|_| 0.0));
            }
            &*filled
        };
        let count = images.len() / image_len * rows.len() * windows.columns;
        assert_eq!(gradient.len(), count * stride, "a gradient for every window");
        let sums = &mut *self;
        Arch::new().dispatch(Outer { sums, images, image_len, windows, rows, gradient, stride });
        self.filled = filled;
    }

    /// The gradient of output `output`'s weight at `step` of `run`.
    pub fn at(&self, output: usize, run: usize, step: usize) -> f32 {
        let of_run = output / self.width * self.runs + run;
        self.values[(of_run * self.run_len.next_multiple_of(TILE) + step) * self.width + output % self.width]
    }
}

struct Outer<'a> {
    sums: &'a mut WeightSums,
    images: &'a [f32],
    image_len: usize,
    windows: &'a Windows,
    rows: std::ops::Range<usize>,
    gradient: &'a [f32],
    /// From a window's gradient to the next one's.
    stride: usize,
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match (S::F32_LANES, self.sums.width) {
            (16, 32) => self.run::<S, 2, 8>(simd),
            (16, _) => self.run::<S, 1, 8>(simd),
            (8, 32) => self.run::<S, 4, 2>(simd),
            (8, _) => self.run::<S, 2, 4>(simd),
            (4, 32) => self.run::<S, 8, 2>(simd),
            (4, _) => self.run::<S, 4, 4>(simd),
            (_, 32) => self.run::<S, 32, 1>(simd),
            _ => self.run::<S, 16, 1>(simd),
        }
    }
}

impl Outer<'_> {
    /// `COUNT` values beside each other at a time; it divides [`TILE`].
    #[inline(always)]
    fn run<S: Simd, const VECTORS: usize, const COUNT: usize>(self, simd: S) {
        let Self { sums: WeightSums { values, width, runs, run_len, .. }, windows, stride, .. } = self;
        let (width, runs, tiles) = (*width, *runs, run_len.next_multiple_of(TILE) / COUNT);
        for (index, places) in values.chunks_exact_mut(COUNT * width).enumerate() {
            let (panel, run, tile) = (index / (runs * tiles), index / tiles % runs, index % tiles);
            let from = windows.runs[run] + tile * COUNT;
            let mut sums = [[simd.splat_f32s(0.0); VECTORS]; COUNT];
            let mut gradients = self.gradient.chunks_exact(stride);
            for image in self.images.chunks_exact(self.image_len) {
                for row in self.rows.clone() {
                    let row = &image[row * windows.down + from..];
                    let mut of_row = sums; // a copy that the compiler keeps in registers
                    for (column, gradient) in (0..windows.columns).zip(&mut gradients) {
                        let gradient = S::as_simd_f32s(&gradient[panel * width..]).0;
                        add_outer_product(simd, &mut of_row, &row[column * windows.across..], gradient);
                    }
                    sums = of_row;
                }
            }
            for (places, sums) in places.chunks_exact_mut(width).zip(&sums) {
                for (place, sum) in S::as_mut_simd_f32s(places).0.iter_mut().zip(sums) {
                    *place = simd.add_f32s(*place, *sum);
                }
            }
        }
    }
}
