//! Matrix products of sixteen-bit floats (bfloat16), for processors that multiply two pairs of them where they multiply
//! one pair of `f32`.
//!
//! Weights are rounded once, rows when they are multiplied; products are added up in `f32`. Intel's processors have the
//! instruction, too, at half of the speed, which loses what it saves: there weights of sixteen bits are read as `f32`
//! (`PackedLinear::bf16`).

use super::packed::{PANEL, prefetch, upper_half};

/// Rows multiplied at a time: with two vectors of sums each, half of the registers.
const ROWS: usize = 8;
/// Rows from which on panels are fetched ahead: with fewer, a panel is used up before the next one could come.
const MANY: usize = 4 * ROWS;

/// Input rows rounded to sixteen bits; memory that is used again.
#[derive(Debug, Clone, Default)]
pub struct RoundedRows {
    /// `[N, I / 2]` pairs.
    halves: Vec<u32>,
}

/// Weights `[O, I]` of sixteen bits and a bias `[O]` of a map of rows `[N, I]` → `[N, O]`, whose inputs are rounded
/// likewise.
#[derive(Debug, Clone)]
pub struct BfloatLinear {
    /// `[O / 32, I / 2, 32]` pairs, the first input in the lower half, filled up with zeros.
    panels: Vec<u32>,
    /// `[O]`, filled up likewise.
    bias: Vec<f32>,
    inputs: usize,
    outputs: usize,
}

impl BfloatLinear {
    /// Whether this processor multiplies them faster than `f32`.
    pub fn is_fast() -> bool {
        #[cfg(target_arch = "x86_64")]
        return pairs::are_fast();
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// Rounds `weight [O, I]`, row-major, where `O` is the length of `bias`.
    ///
    /// # Panics
    /// When the weight is of another size: a bug of the caller.
    pub fn new(weight: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs.max(1);
        assert_eq!(weight.len(), inputs * outputs, "weight of {outputs} outputs");
        let (count, pairs) = (outputs.div_ceil(PANEL), inputs.div_ceil(2));
        let mut panels = vec![0u32; count * pairs * PANEL];
        for (output, row) in weight.chunks_exact(inputs.max(1)).enumerate() {
            let panel = &mut panels[output / PANEL * pairs * PANEL..];
            for (input, value) in row.iter().enumerate() {
                panel[input / 2 * PANEL + output % PANEL] |= upper_half(*value) << (16 * (input % 2));
            }
        }
        let mut padded = bias.to_vec();
        padded.resize(count * PANEL, 0.0);
        Self { panels, bias: padded, inputs, outputs }
    }

    /// Width `I` of an input row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width `O` of an output row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Writes the map of `input [N, I]` to `output [N, O]`, or adds it. Sums run over pairs of inputs in their order: a
    /// row has the same bits beside any other rows.
    ///
    /// # Panics
    /// When the sizes do not fit: a bug of the caller.
    pub fn apply(&self, input: &[f32], output: &mut [f32], accumulate: bool, rounded: &mut RoundedRows) {
        let rows = input.len() / self.inputs;
        assert_eq!((input.len(), output.len()), (rows * self.inputs, rows * self.outputs), "rows of a linear map");
        let pairs = self.inputs.div_ceil(2);
        rounded.halves.resize(rows * pairs, 0);
        for (row, halves) in input.chunks_exact(self.inputs).zip(rounded.halves.chunks_exact_mut(pairs)) {
            round(row, halves);
        }
        let mut panels = self.panels.chunks_exact(pairs * PANEL).enumerate().peekable();
        while let Some((index, panel)) = panels.next() {
            let column = index * PANEL;
            let (width, bias) = (PANEL.min(self.outputs - column), &self.bias[column..column + PANEL]);
            let next = panels.peek().map_or(&[][..], |(_, next)| next);
            let next = &next[..if rows < MANY { 0 } else { next.len() }];
            let share = (next.len() * ROWS).div_ceil(rows.max(1)).next_multiple_of(16);
            for first in (0..rows).step_by(ROWS) {
                prefetch(next.get(first / ROWS * share..).unwrap_or_default(), share);
                let some = ROWS.min(rows - first);
                let output = &mut output[first * self.outputs..(first + some) * self.outputs];
                let halves = &rounded.halves[first * pairs..(first + some) * pairs];
                multiply(panel, halves, Place { bias, output, outputs: self.outputs, column, width, accumulate });
            }
        }
    }
}

/// Where the products of some rows with a panel go: columns `column..column + width` of `output [n, outputs]`.
struct Place<'a> {
    /// `[32]`.
    bias: &'a [f32],
    output: &'a mut [f32],
    outputs: usize,
    column: usize,
    width: usize,
    accumulate: bool,
}

/// Rounds `row [I]` to pairs `[I / 2]`.
fn round(row: &[f32], halves: &mut [u32]) {
    #[cfg(target_arch = "x86_64")]
    if pairs::are_there() {
        return pairs::round(row, halves);
    }
    round_portably(row, halves);
}

/// The same without special instructions.
fn round_portably(row: &[f32], halves: &mut [u32]) {
    for (pair, halves) in row.chunks(2).zip(halves) {
        *halves = pair.iter().rev().fold(0, |halves, value| (halves << 16) | upper_half(*value));
    }
}

/// Writes the products of `rows [n, I / 2]` with `panel [I / 2, 32]` to their place.
fn multiply(panel: &[u32], rows: &[u32], place: Place<'_>) {
    #[cfg(target_arch = "x86_64")]
    if pairs::are_there() {
        return pairs::multiply(panel, rows, place);
    }
    multiply_portably(panel, rows, place);
}

/// The same without special instructions.
fn multiply_portably(panel: &[u32], rows: &[u32], place: Place<'_>) {
    let value = |half: u32| f32::from_bits(half << 16);
    let Place { bias, output, outputs, column, width, accumulate } = place;
    for (row, output) in rows.chunks_exact(panel.len() / PANEL).zip(output.chunks_exact_mut(outputs)) {
        let output = &mut output[column..column + width];
        for (sum, bias) in output.iter_mut().zip(bias) {
            *sum = if accumulate { *bias + *sum } else { *bias };
        }
        for (input, weights) in row.iter().zip(panel.chunks_exact(PANEL)) {
            for (sum, weight) in output.iter_mut().zip(weights) {
                *sum += value(input >> 16) * value(weight >> 16) + value(input & 0xffff) * value(weight & 0xffff);
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod pairs {
    //! AVX-512 BF16.

    use std::arch::x86_64::{
        __cpuid, __m512bh, __m512i, _mm512_add_ps, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps,
        _mm512_loadu_si512, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_set1_epi32, _mm512_setzero_ps,
        _mm512_storeu_si512,
    };
    use std::mem::transmute;
    use std::sync::OnceLock;

    use super::{PANEL, Place, ROWS};

    /// Whether this processor has the instructions.
    pub fn are_there() -> bool {
        is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bf16")
    }

    /// Whether they do twice as much as those of `f32`: on AMD's processors (from Zen 4 on) they do.
    pub fn are_fast() -> bool {
        static FAST: OnceLock<bool> = OnceLock::new();
        *FAST.get_or_init(|| {
            let vendor = __cpuid(0);
            let name = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
            are_there() && name.as_flattened() == b"AuthenticAMD"
        })
    }

    /// As [`super::round`], where [`are_there`].
    #[allow(unsafe_code, reason = "instructions that only some processors have")]
    pub fn round(row: &[f32], halves: &mut [u32]) {
        // SAFETY: the callers check that the processor has the instructions.
        unsafe { round_wide(row, halves) }
    }

    #[target_feature(enable = "avx512f,avx512bf16")]
    #[allow(unsafe_code, reason = "vectors are loaded and stored through raw pointers")]
    fn round_wide(row: &[f32], halves: &mut [u32]) {
        const LANES: usize = 16;
        let whole = row.len() / (2 * LANES);
        for (values, halves) in row.chunks_exact(2 * LANES).zip(halves.chunks_exact_mut(LANES)) {
            // SAFETY: the chunks have 32 values and 16 pairs.
            unsafe {
                let (first, second) = (_mm512_loadu_ps(values.as_ptr()), _mm512_loadu_ps(values.as_ptr().add(LANES)));
                let both: __m512i = transmute(_mm512_cvtne2ps_pbh(second, first));
                _mm512_storeu_si512(halves.as_mut_ptr().cast(), both);
            }
        }
        let (rest, halves) = (&row[whole * 2 * LANES..], &mut halves[whole * LANES..]);
        if rest.is_empty() {
            return;
        }
        let lanes = |count: usize| ((1u32 << count.min(LANES)) - 1) as u16;
        // SAFETY: masked loads read what the masks say: the rest of the row, whose second half is read where there is
        // one.
        let both: __m512i = unsafe {
            let first = _mm512_maskz_loadu_ps(lanes(rest.len()), rest.as_ptr());
            let behind = &rest[LANES.min(rest.len())..];
            let second = _mm512_maskz_loadu_ps(lanes(behind.len()), behind.as_ptr());
            transmute(_mm512_cvtne2ps_pbh(second, first))
        };
        let mut pairs = [0u32; LANES];
        // SAFETY: an array of 16 pairs is a vector's size.
        unsafe { _mm512_storeu_si512(pairs.as_mut_ptr().cast(), both) };
        halves.copy_from_slice(&pairs[..halves.len()]);
    }

    /// As [`super::multiply`], where [`are_there`].
    #[allow(unsafe_code, reason = "instructions that only some processors have")]
    pub fn multiply(panel: &[u32], rows: &[u32], place: Place<'_>) {
        let Place { bias, output, outputs, column, width, accumulate } = place;
        let pairs = panel.len() / PANEL;
        let count = rows.len() / pairs;
        assert!(
            output.len() >= count * outputs && column + width <= outputs && bias.len() == PANEL,
            "place of a panel"
        );
        let mut first = 0;
        while first < count {
            let (rows, output) = (&rows[first * pairs..], &mut output[first * outputs..]);
            let place = Place { bias, output, outputs, column, width, accumulate };
            // SAFETY: the callers check that the processor has the instructions.
            first += unsafe {
                match count - first {
                    ROWS.. => tile::<ROWS>(panel, rows, place),
                    4.. => tile::<4>(panel, rows, place),
                    _ => tile::<1>(panel, rows, place),
                }
            };
        }
    }

    /// The first `N` rows times the panel; their number.
    #[target_feature(enable = "avx512f,avx512bf16")]
    #[allow(unsafe_code, reason = "vectors are loaded and stored through raw pointers")]
    fn tile<const N: usize>(panel: &[u32], rows: &[u32], place: Place<'_>) -> usize {
        const LANES: usize = 16;
        let pairs = panel.len() / PANEL;
        let rows = &rows[..N * pairs];
        let masks = [place.width, place.width.saturating_sub(LANES)].map(|rest| ((1u32 << rest.min(LANES)) - 1) as u16);
        // Every row has its columns: the masks keep to them.
        let output = &mut place.output[..N * place.outputs];
        let at = |row: usize| row * place.outputs + place.column;
        let mut totals = [[_mm512_setzero_ps(); 2]; N];
        // SAFETY: the bias has 32 numbers.
        let bias = unsafe { [_mm512_loadu_ps(place.bias.as_ptr()), _mm512_loadu_ps(place.bias.as_ptr().add(LANES))] };
        for (row, totals) in totals.iter_mut().enumerate() {
            *totals = bias;
            if place.accumulate {
                for half in 0..2 {
                    let before = output.as_ptr().wrapping_add(at(row) + half * LANES);
                    // SAFETY: only columns of this row are read.
                    let before = unsafe { _mm512_maskz_loadu_ps(masks[half], before) };
                    totals[half] = _mm512_add_ps(totals[half], before);
                }
            }
        }
        for (step, weights) in panel.chunks_exact(PANEL).enumerate() {
            // SAFETY: the chunk has 32 pairs: two vectors, of whatever their bits stand for.
            let weights: [__m512bh; 2] = unsafe {
                [
                    transmute::<__m512i, __m512bh>(_mm512_loadu_si512(weights.as_ptr().cast())),
                    transmute::<__m512i, __m512bh>(_mm512_loadu_si512(weights.as_ptr().add(LANES).cast())),
                ]
            };
            for (row, totals) in totals.iter_mut().enumerate() {
                // SAFETY: there are N rows of as many pairs as the panel has; a vector's bits, whatever they stand for.
                let pair: __m512bh =
                    unsafe { transmute(_mm512_set1_epi32(*rows.get_unchecked(row * pairs + step) as i32)) };
                totals[0] = _mm512_dpbf16_ps(totals[0], pair, weights[0]);
                totals[1] = _mm512_dpbf16_ps(totals[1], pair, weights[1]);
            }
        }
        for (row, totals) in totals.iter().enumerate() {
            for half in 0..2 {
                let there = output.as_mut_ptr().wrapping_add(at(row) + half * LANES);
                // SAFETY: only columns of this row are written.
                unsafe { _mm512_mask_storeu_ps(there, masks[half], totals[half]) };
            }
        }
        N
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::values;
    use super::super::packed::PackedLinear;
    use super::*;

    fn rounded(values: &[f32]) -> Vec<f32> {
        values.iter().map(|value| f32::from_bits(upper_half(*value) << 16)).collect()
    }

    #[test]
    fn it_is_the_product_of_rounded_factors() {
        for (rows, inputs, outputs) in [(1, 1, 1), (3, 7, 5), (9, 40, 33), (21, 131, 100), (40, 64, 64)] {
            let (weight, bias) = (values(outputs * inputs, 0.0), values(outputs, 1.0));
            let input = values(rows * inputs, 2.0);
            let (mut expected, mut got) = (vec![0.0; rows * outputs], vec![f32::NAN; rows * outputs]);
            PackedLinear::new(&rounded(&weight), &bias).apply(&rounded(&input), &mut expected, false);
            let map = BfloatLinear::new(&weight, &bias);
            map.apply(&input, &mut got, false, &mut RoundedRows::default());
            for (expected, got) in expected.iter().zip(&got) {
                assert!((expected - got).abs() < 1e-5 * inputs as f32, "{rows}x{inputs}x{outputs}: {got}");
            }
            map.apply(&input, &mut got, true, &mut RoundedRows::default());
            for (expected, got) in expected.iter().zip(&got) {
                assert!((2.0 * expected - got).abs() < 2e-5 * inputs as f32, "added: {got}");
            }
        }
    }

    #[test]
    fn a_row_does_not_depend_on_the_other_rows() {
        let (rows, inputs, outputs) = (45, 51, 70);
        let map = BfloatLinear::new(&values(outputs * inputs, 0.0), &values(outputs, 1.0));
        let input = values(rows * inputs, 2.0);
        let apply = |input: &[f32]| {
            let mut output = vec![0.0; input.len() / inputs * outputs];
            map.apply(input, &mut output, false, &mut RoundedRows::default());
            output
        };
        let one_by_one: Vec<f32> = input.chunks_exact(inputs).flat_map(apply).collect();
        assert_eq!(apply(&input), one_by_one);
    }

    #[test]
    fn special_instructions_round_and_multiply_alike() {
        for inputs in [1, 2, 15, 16, 17, 31, 33, 64, 70] {
            let row = values(inputs, 3.0);
            let (mut special, mut plain) = (vec![0; inputs.div_ceil(2)], vec![0; inputs.div_ceil(2)]);
            round(&row, &mut special);
            round_portably(&row, &mut plain);
            assert_eq!(special, plain, "{inputs} inputs");
            let map = BfloatLinear::new(&values(PANEL * inputs, 0.0), &[0.0; PANEL]);
            for (width, accumulate) in [(PANEL, false), (PANEL, true), (17, true), (3, false)] {
                let (mut fast, mut slow) = ([0.5; 2 * PANEL], [0.5; 2 * PANEL]);
                let place =
                    |output| Place { bias: &[0.25; PANEL], output, outputs: 2 * PANEL, column: 1, width, accumulate };
                multiply(&map.panels, &special, place(&mut fast));
                multiply_portably(&map.panels, &plain, place(&mut slow));
                for (column, (fast, slow)) in fast.iter().zip(&slow).enumerate() {
                    assert!((fast - slow).abs() < 1e-5 * inputs as f32, "{inputs} inputs: {fast} for {slow}");
                    assert!((1..=width).contains(&column) || *fast == 0.5, "column {column} is another's");
                }
            }
        }
    }

    #[test]
    fn values_that_are_not_finite_stay_so() {
        let map = BfloatLinear::new(&values(12, 0.0), &values(3, 1.0));
        let mut output = vec![0.0; 9];
        let input = [1.0, f32::NAN, 2.0, 3.0, 1.0, 2.0, 3.0, 4.0, f32::INFINITY, 0.0, 0.0, 0.0];
        map.apply(&input, &mut output, false, &mut RoundedRows::default());
        assert!(output[..3].iter().chain(&output[6..]).all(|value| !value.is_finite()), "{output:?}");
        assert!(output[3..6].iter().all(|value| value.is_finite()), "{output:?}");
    }
}
