//! Matrix products with weights of eight bits.
//!
//! Every output's weights are whole numbers times a scale of their own; every row that comes in is rounded likewise (its largest value is
//! 127 steps), multiplied in whole numbers, and scaled back. A processor with VNNI (2019 and later) does four such products where it
//! does one of `f32`. Whole numbers add up to the same whatever the order: every processor gives the same bits.

use super::packed::PANEL;
use super::vectorised;

/// Inputs that one instruction multiplies and adds.
const QUAD: usize = 4;
/// Largest whole number of a weight or, away from zero, of an input.
const LARGEST: f32 = 127.0;
/// Added to an input's whole number, so that it is unsigned as the instruction wants it.
const ZERO: i32 = 128;
/// Rows multiplied at a time: with two vectors of sums each, half of the registers.
const ROWS: usize = 8;

/// Weights `[O, I]` of eight bits and a bias `[O]` of a map of rows `[N, I]` → `[N, O]`.
#[derive(Debug, Clone)]
pub struct QuantisedLinear {
    /// `[O / 32, I / 4, 32, 4]`, filled up with zeros.
    panels: Vec<i8>,
    /// `[O]`, filled up likewise: what a weight of 1 stands for.
    scales: Vec<f32>,
    /// `[O]`: what [`ZERO`] in every input adds up to.
    offsets: Vec<i32>,
    bias: Vec<f32>,
    inputs: usize,
    outputs: usize,
}

/// Rows rounded to whole numbers or to sixteen bits; memory that is used again.
#[derive(Debug, Clone, Default)]
pub struct Rounded {
    /// `[N, I / 4, 4]`, each row filled up.
    values: Vec<[u8; QUAD]>,
    /// `[N]`: what a step stands for; not finite where the row was not.
    scales: Vec<f32>,
    /// Rows rounded to sixteen bits, `[N, I / 2]` pairs.
    pub(super) halves: Vec<u32>,
}

impl QuantisedLinear {
    /// Rounds `weight [O, I]`, row-major, where `O` is the length of `bias`.
    ///
    /// # Panics
    /// When the weight is of another size: a bug of the caller.
    pub fn new(weight: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs.max(1);
        assert_eq!(weight.len(), inputs * outputs, "weight of {outputs} outputs");
        let (count, quads) = (outputs.div_ceil(PANEL), inputs.div_ceil(QUAD));
        let mut panels = vec![0i8; count * quads * PANEL * QUAD];
        let (mut scales, mut offsets) = (vec![0.0; count * PANEL], vec![0; count * PANEL]);
        for (output, row) in weight.chunks_exact(inputs.max(1)).enumerate() {
            let scale = row.iter().fold(0.0f32, |most, value| most.max(value.abs())) / LARGEST;
            let panel = &mut panels[output / PANEL * quads * PANEL * QUAD..];
            for (input, value) in row.iter().enumerate() {
                let whole = if scale > 0.0 { (value / scale).round() as i8 } else { 0 };
                panel[(input / QUAD * PANEL + output % PANEL) * QUAD + input % QUAD] = whole;
                offsets[output] += ZERO * i32::from(whole);
            }
            scales[output] = scale;
        }
        let mut padded = bias.to_vec();
        padded.resize(count * PANEL, 0.0);
        Self { panels, scales, offsets, bias: padded, inputs, outputs }
    }

    /// Width `I` of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width `O` of a row that comes out.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Writes the map of `input [N, I]` to `output [N, O]`, or adds it. A row with a value that is not finite becomes NaN.
    ///
    /// # Panics
    /// When the sizes do not fit: a bug of the caller.
    pub fn apply(&self, input: &[f32], output: &mut [f32], accumulate: bool, rounded: &mut Rounded) {
        let rows = input.len() / self.inputs;
        assert_eq!((input.len(), output.len()), (rows * self.inputs, rows * self.outputs), "rows of a linear map");
        rounded.round(input, self.inputs);
        let quads = self.inputs.div_ceil(QUAD);
        for (index, panel) in self.panels.chunks_exact(quads * PANEL * QUAD).enumerate() {
            for first in (0..rows).step_by(ROWS) {
                let some = ROWS.min(rows - first);
                let mut sums = [[0i32; PANEL]; ROWS];
                multiply(panel, &rounded.values[first * quads..(first + some) * quads], &mut sums[..some]);
                let place = &mut output[first * self.outputs..(first + some) * self.outputs];
                self.write(index * PANEL, &sums[..some], &rounded.scales[first..first + some], place, accumulate);
            }
        }
    }

    /// Scales the whole numbers of a panel that begins at `column` back, row by row.
    fn write(&self, column: usize, sums: &[[i32; PANEL]], scales: &[f32], output: &mut [f32], accumulate: bool) {
        let width = PANEL.min(self.outputs - column);
        let (offsets, weights) = (&self.offsets[column..column + PANEL], &self.scales[column..column + PANEL]);
        let bias = &self.bias[column..column + PANEL];
        vectorised(
            #[inline(always)]
            || {
                for ((sums, scale), row) in sums.iter().zip(scales).zip(output.chunks_exact_mut(self.outputs)) {
                    let mut values = [0.0f32; PANEL];
                    for lane in 0..PANEL {
                        values[lane] = (sums[lane] - offsets[lane]) as f32 * (scale * weights[lane]) + bias[lane];
                    }
                    let place = &mut row[column..column + width];
                    if accumulate {
                        for (place, value) in place.iter_mut().zip(values) {
                            *place += value;
                        }
                    } else {
                        place.copy_from_slice(&values[..width]);
                    }
                }
            },
        );
    }
}

impl Rounded {
    /// Takes over `input [N, I]`, where `I` is `width`.
    fn round(&mut self, input: &[f32], width: usize) {
        let (rows, quads) = (input.len() / width, width.div_ceil(QUAD));
        self.values.resize(rows * quads, [ZERO as u8; QUAD]);
        self.scales.resize(rows, 0.0);
        let rows = input.chunks_exact(width).zip(self.values.chunks_exact_mut(quads)).zip(&mut self.scales);
        vectorised(
            #[inline(always)]
            || {
                for ((row, values), scale) in rows {
                    *scale = round_row(row, values.as_flattened_mut());
                }
            },
        );
    }
}

/// Writes `row`, rounded to at most 127 steps away from [`ZERO`], to `values`; the size of a step.
#[inline(always)]
fn round_row(row: &[f32], values: &mut [u8]) -> f32 {
    const LANES: usize = 32;
    /// 1.5 * 2^23: added to a small number it leaves the nearest whole number in the lowest bits.
    const WHOLE: f32 = 12_582_912.0;
    let (mut most, mut sum) = ([0.0f32; LANES], [0.0f32; LANES]);
    let chunks = row.chunks_exact(LANES);
    for (lane, value) in chunks.remainder().iter().enumerate() {
        (most[lane], sum[lane]) = (value.abs(), value.abs());
    }
    for chunk in chunks {
        for lane in 0..LANES {
            let size = chunk[lane].abs();
            most[lane] = if size > most[lane] { size } else { most[lane] };
            sum[lane] += size; // tells of NaN, which no comparison does
        }
    }
    let most = most.into_iter().fold(0.0f32, f32::max);
    let steps = if most > 0.0 { LARGEST / most } else { 0.0 };
    for (value, whole) in row.iter().zip(values.iter_mut()) {
        *whole = (value * steps + (WHOLE + ZERO as f32)).to_bits() as u8;
    }
    values[row.len()..].fill(ZERO as u8);
    if sum.iter().sum::<f32>().is_finite() { most / LARGEST } else { f32::NAN }
}

/// Adds the products of `rows [n, I / 4, 4]` with `panel [I / 4, 32, 4]` to `sums [n, 32]`.
#[inline]
fn multiply(panel: &[i8], rows: &[[u8; QUAD]], sums: &mut [[i32; PANEL]]) {
    #[cfg(target_arch = "x86_64")]
    if vnni::is_there() {
        return vnni::multiply(panel, rows, sums);
    }
    portable(panel, rows, sums);
}

/// The same without special instructions.
fn portable(panel: &[i8], rows: &[[u8; QUAD]], sums: &mut [[i32; PANEL]]) {
    let quads = panel.len() / (PANEL * QUAD);
    vectorised(
        #[inline(always)]
        || {
            for (row, sums) in rows.chunks_exact(quads).zip(sums) {
                for (quad, weights) in row.iter().zip(panel.chunks_exact(PANEL * QUAD)) {
                    for (sum, weights) in sums.iter_mut().zip(weights.chunks_exact(QUAD)) {
                        for lane in 0..QUAD {
                            *sum += i32::from(quad[lane]) * i32::from(weights[lane]);
                        }
                    }
                }
            }
        },
    );
}

#[cfg(target_arch = "x86_64")]
mod vnni {
    //! AVX-512 VNNI.

    use std::arch::x86_64::{__m512i, _mm512_dpbusd_epi32, _mm512_loadu_si512, _mm512_set1_epi32, _mm512_storeu_si512};

    use super::{PANEL, QUAD, ROWS};

    /// Whether this processor has it.
    pub fn is_there() -> bool {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
    }

    /// As [`super::multiply`], where [`is_there`].
    #[allow(unsafe_code, reason = "instructions that only some processors have")]
    pub fn multiply(panel: &[i8], rows: &[[u8; QUAD]], sums: &mut [[i32; PANEL]]) {
        let quads = panel.len() / (PANEL * QUAD);
        assert_eq!(rows.len(), quads * sums.len(), "rows of a panel");
        // SAFETY: whoever calls has asked whether the processor has the instructions.
        unsafe {
            match sums.len() {
                ROWS => tile::<ROWS>(panel, rows, sums),
                4.. => {
                    let (first, rest) = sums.split_at_mut(4);
                    tile::<4>(panel, &rows[..4 * quads], first);
                    multiply(panel, &rows[4 * quads..], rest);
                }
                _ => sums.iter_mut().zip(rows.chunks_exact(quads)).for_each(|(sums, row)| {
                    tile::<1>(panel, row, std::slice::from_mut(sums));
                }),
            }
        }
    }

    /// `N` rows times the panel.
    #[target_feature(enable = "avx512f,avx512vnni")]
    #[allow(unsafe_code, reason = "vectors are loaded and stored through raw pointers")]
    fn tile<const N: usize>(panel: &[i8], rows: &[[u8; QUAD]], sums: &mut [[i32; PANEL]]) {
        let quads = panel.len() / (PANEL * QUAD);
        let rows: [&[[u8; QUAD]]; N] = std::array::from_fn(|row| &rows[row * quads..(row + 1) * quads]);
        let mut totals: [[__m512i; 2]; N] = [[_mm512_set1_epi32(0); 2]; N];
        for (step, weights) in panel.chunks_exact(PANEL * QUAD).enumerate() {
            // SAFETY: the chunk has 128 bytes: two vectors.
            let weights = unsafe {
                [_mm512_loadu_si512(weights.as_ptr().cast()), _mm512_loadu_si512(weights.as_ptr().add(64).cast())]
            };
            for row in 0..N {
                let quad = _mm512_set1_epi32(i32::from_le_bytes(rows[row][step]));
                totals[row] = [
                    _mm512_dpbusd_epi32(totals[row][0], quad, weights[0]),
                    _mm512_dpbusd_epi32(totals[row][1], quad, weights[1]),
                ];
            }
        }
        for (totals, sums) in totals.iter().zip(sums) {
            // SAFETY: a row of sums has 32 numbers: two vectors.
            unsafe {
                _mm512_storeu_si512(sums.as_mut_ptr().cast(), totals[0]);
                _mm512_storeu_si512(sums.as_mut_ptr().add(16).cast(), totals[1]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::values;
    use super::super::packed::PackedLinear;
    use super::*;

    #[test]
    fn products_are_near_the_exact_ones() {
        for (rows, inputs, outputs) in [(1, 1, 1), (3, 7, 5), (9, 40, 33), (21, 130, 100)] {
            let (weight, bias) = (values(outputs * inputs, 0.0), values(outputs, 1.0));
            let input = values(rows * inputs, 2.0);
            let (mut exact, mut near) = (vec![0.0; rows * outputs], vec![0.0; rows * outputs]);
            PackedLinear::new(&weight, &bias).apply(&input, &mut exact, false);
            let map = QuantisedLinear::new(&weight, &bias);
            map.apply(&input, &mut near, false, &mut Rounded::default());
            // Every product is wrong by at most half a step of each factor; they do not all err to the same side.
            let bound = 4.0 * (inputs as f32).sqrt() * 1.3 * 1.3 / LARGEST;
            for (exact, near) in exact.iter().zip(&near) {
                assert!((exact - near).abs() < bound, "{rows}x{inputs}x{outputs}: {near} for {exact}");
            }
            map.apply(&input, &mut near, true, &mut Rounded::default());
            for (exact, near) in exact.iter().zip(&near) {
                assert!((2.0 * exact - near).abs() < 2.0 * bound, "added: {near} for {}", 2.0 * exact);
            }
        }
    }

    #[test]
    fn whole_numbers_are_exact() {
        // Rows and weights of whole numbers up to 127, each with a 127: nothing is lost.
        let whole = |count: usize, width: usize, phase: usize| -> Vec<f32> {
            let of = |index: usize| {
                if index.is_multiple_of(width) { 127 } else { (index * 7919 + phase) as i32 % 200 - 100 }
            };
            (0..count * width).map(|index| of(index) as f32).collect()
        };
        let (weight, input) = (whole(37, 21, 3), whole(5, 21, 40));
        let (mut exact, mut got) = (vec![0.0; 5 * 37], vec![0.0; 5 * 37]);
        PackedLinear::new(&weight, &[0.5; 37]).apply(&input, &mut exact, false);
        QuantisedLinear::new(&weight, &[0.5; 37]).apply(&input, &mut got, false, &mut Rounded::default());
        assert_eq!(got, exact);
    }

    #[test]
    fn rows_do_not_know_each_other_and_special_instructions_change_nothing() {
        let (rows, inputs, outputs) = (13, 50, 70);
        let map = QuantisedLinear::new(&values(outputs * inputs, 0.0), &values(outputs, 1.0));
        let input = values(rows * inputs, 2.0);
        let apply = |input: &[f32]| {
            let mut output = vec![0.0; input.len() / inputs * outputs];
            map.apply(input, &mut output, false, &mut Rounded::default());
            output
        };
        let one_by_one: Vec<f32> = input.chunks_exact(inputs).flat_map(apply).collect();
        assert_eq!(apply(&input), one_by_one);
        let mut rounded = Rounded::default();
        rounded.round(&input, inputs);
        let quads = inputs.div_ceil(QUAD);
        for panel in map.panels.chunks_exact(quads * PANEL * QUAD) {
            let (mut special, mut plain) = ([[0; PANEL]; 5], [[0; PANEL]; 5]);
            multiply(panel, &rounded.values[..5 * quads], &mut special);
            portable(panel, &rounded.values[..5 * quads], &mut plain);
            assert_eq!(special, plain);
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        let map = QuantisedLinear::new(&values(12, 0.0), &values(3, 1.0));
        let mut output = vec![0.0; 9];
        let input = [1.0, f32::NAN, 2.0, 3.0, 1.0, 2.0, 3.0, 4.0, f32::INFINITY, 0.0, 0.0, 0.0];
        map.apply(&input, &mut output, false, &mut Rounded::default());
        assert!(output[..3].iter().chain(&output[6..]).all(|value| value.is_nan()), "{output:?}");
        assert!(output[3..6].iter().all(|value| value.is_finite()), "{output:?}");
        map.apply(&[0.0; 4], &mut output[..3], false, &mut Rounded::default());
        assert_eq!(output[..3], values(3, 1.0), "a row of zeros leaves the bias");
    }
}
