//! Matrix products with fixed weights: rearranged once for the processor's vectors, instead of at every call.
//!
//! gemm copies both factors into panels before it multiplies. With as few rows as a planner has (64 plans at a time)
//! that costs as much as the product. Here the weights are in panels already and the rows are read in place.

use pulp::{Arch, Simd, WithSimd};

/// Columns of a panel: two of the widest vectors.
pub(super) const PANEL: usize = 32;
/// Tiles of rows from which on panels are fetched ahead.
const FEW: usize = 4;

/// Weights `[O, I]` and a bias `[O]` of a map of rows `[N, I]` → `[N, O]`.
#[derive(Debug, Clone)]
pub struct PackedLinear {
    panels: Panels,
    /// `[O]`, filled up likewise.
    bias: Vec<f32>,
    inputs: usize,
    outputs: usize,
}

/// `[O / 32, I, 32]` weights, the last panel filled up with zeros.
#[derive(Debug, Clone)]
enum Panels {
    F32(Vec<f32>),
    /// Rounded to the upper halves of their `f32` (bfloat16). Of 32 weights, the first 16 are the lower halves of 16
    /// words, the others the upper halves: both are vectors of `f32` after one instruction.
    Bf16(Vec<u32>),
}

impl PackedLinear {
    /// Rearranges `weight [O, I]`, row-major, where `O` is the length of `bias`.
    ///
    /// # Panics
    /// When the weight is of another size: a bug of the caller.
    pub fn new(weight: &[f32], bias: &[f32]) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs.max(1);
        assert_eq!(weight.len(), inputs * outputs, "weight of {outputs} outputs");
        let count = outputs.div_ceil(PANEL);
        let mut panels = vec![0.0; count * inputs * PANEL];
        for (output, row) in weight.chunks_exact(inputs.max(1)).enumerate() {
            let panel = &mut panels[output / PANEL * inputs * PANEL..];
            for (input, value) in row.iter().enumerate() {
                panel[input * PANEL + output % PANEL] = *value;
            }
        }
        let mut padded = bias.to_vec();
        padded.resize(count * PANEL, 0.0);
        Self { panels: Panels::F32(panels), bias: padded, inputs, outputs }
    }

    /// As [`PackedLinear::new`], with weights of sixteen bits: half of the memory that has to be read, products as
    /// exact as before.
    ///
    /// # Panics
    /// As [`PackedLinear::new`].
    pub fn bf16(weight: &[f32], bias: &[f32]) -> Self {
        let exact = Self::new(weight, bias);
        let Panels::F32(panels) = &exact.panels else { return exact };
        let halves = panels.chunks_exact(PANEL).flat_map(|weights| {
            let (first, second) = weights.split_at(PANEL / 2);
            first.iter().zip(second).map(|(first, second)| upper_half(*first) | (upper_half(*second) << 16))
        });
        Self { panels: Panels::Bf16(halves.collect()), ..exact }
    }

    /// Width `I` of an input row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width `O` of an output row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Writes `input [N, I] x weightᵀ + bias` to `output [N, O]`, or adds it.
    ///
    /// # Panics
    /// When the sizes do not fit: a bug of the caller.
    pub fn apply(&self, input: &[f32], output: &mut [f32], accumulate: bool) {
        let rows = input.len() / self.inputs;
        assert_eq!((input.len(), output.len()), (rows * self.inputs, rows * self.outputs), "rows of a linear map");
        Arch::new().dispatch(Apply { map: self, input, output, accumulate });
    }
}

/// The bits of the bfloat16 nearest to `value`, ties to even.
pub(super) fn upper_half(value: f32) -> u32 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) | 0x40; // rounding up could make it infinite
    }
    (bits + 0x7fff + ((bits >> 16) & 1)) >> 16
}

struct Apply<'a> {
    map: &'a PackedLinear,
    input: &'a [f32],
    output: &'a mut [f32],
    accumulate: bool,
}

impl WithSimd for Apply<'_> {
    type Output = ();

    /// Rows at a time times vectors per panel are sums held in registers: 16 of 32, 12 of 16, or as many as the
    /// compiler uses.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.choose::<S, 2, 8>(simd),
            8 => self.choose::<S, 4, 3>(simd),
            4 => self.choose::<S, 8, 2>(simd),
            _ => self.choose::<S, PANEL, 1>(simd),
        }
    }
}

impl Apply<'_> {
    #[inline(always)]
    fn choose<S: Simd, const VECTORS: usize, const ROWS: usize>(self, simd: S) {
        match &self.map.panels {
            Panels::F32(panels) => self.run::<S, _, VECTORS, ROWS>(simd, Exact::<S>(S::as_simd_f32s(panels).0), panels),
            Panels::Bf16(panels) => {
                self.run::<S, _, VECTORS, ROWS>(simd, Halved::<S>(S::as_simd_u32s(panels).0), panels)
            }
        }
    }

    /// `stored` is the memory of `panels`, for prefetching.
    #[inline(always)]
    fn run<S: Simd, W: Weights<S, VECTORS>, const VECTORS: usize, const ROWS: usize>(
        self,
        simd: S,
        panels: W,
        stored: &[impl Sized],
    ) {
        let Self { map, input, output, accumulate } = self;
        let (inputs, outputs) = (map.inputs, map.outputs);
        let panel_len = stored.len() / outputs.div_ceil(PANEL).max(1);
        let count = input.len() / inputs;
        for index in 0..outputs.div_ceil(PANEL) {
            let column = index * PANEL;
            let bias = &map.bias[column..column + PANEL];
            let panel = panels.panel(index, inputs);
            let tile = Tile::<W, VECTORS> { panel, bias, inputs, outputs, column, accumulate };
            let next = &stored[((index + 1) * panel_len).min(stored.len())..];
            // With few rows a panel is used up so fast that prefetching the next one only delays it.
            let next = &next[..if count < FEW * ROWS { 0 } else { next.len().min(panel_len) }];
            let share = (next.len() * ROWS).div_ceil(count.max(1)).next_multiple_of(16);
            let mut row = 0;
            while row < count {
                prefetch(next.get(row / ROWS * share..).unwrap_or_default(), share);
                let (input, place) = (&input[row * inputs..], &mut output[row * outputs..]);
                row += match count - row {
                    rest if rest >= ROWS => tile.multiply::<S, ROWS>(simd, input, place),
                    4.. => tile.multiply::<S, 4>(simd, input, place),
                    _ => tile.multiply::<S, 1>(simd, input, place),
                };
            }
        }
    }
}

/// Weights as they lie in memory, read as vectors of `f32`.
trait Weights<S: Simd, const VECTORS: usize>: Copy {
    /// Panel `index`.
    fn panel(self, index: usize, inputs: usize) -> Self;

    /// The weights of input `step`.
    fn at(self, simd: S, step: usize) -> [S::f32s; VECTORS];
}

struct Exact<'a, S: Simd>(&'a [S::f32s]);
struct Halved<'a, S: Simd>(&'a [S::u32s]);

impl<S: Simd> Clone for Exact<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: Simd> Copy for Exact<'_, S> {}
impl<S: Simd> Clone for Halved<'_, S> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<S: Simd> Copy for Halved<'_, S> {}

impl<S: Simd, const VECTORS: usize> Weights<S, VECTORS> for Exact<'_, S> {
    #[inline(always)]
    fn panel(self, index: usize, inputs: usize) -> Self {
        Self(&self.0[index * inputs * VECTORS..(index + 1) * inputs * VECTORS])
    }

    #[inline(always)]
    fn at(self, _simd: S, step: usize) -> [S::f32s; VECTORS] {
        let vectors = &self.0[step * VECTORS..(step + 1) * VECTORS];
        std::array::from_fn(|vector| vectors[vector])
    }
}

impl<S: Simd, const VECTORS: usize> Weights<S, VECTORS> for Halved<'_, S> {
    #[inline(always)]
    fn panel(self, index: usize, inputs: usize) -> Self {
        Self(&self.0[index * inputs * VECTORS / 2..(index + 1) * inputs * VECTORS / 2])
    }

    #[inline(always)]
    fn at(self, simd: S, step: usize) -> [S::f32s; VECTORS] {
        let half = VECTORS / 2;
        let words = &self.0[step * half..(step + 1) * half];
        let (shift, mask) = (simd.splat_u32s(16), simd.splat_u32s(0xffff_0000));
        // A loop, not a closure: the compiler has to see it within the function that may use wide instructions.
        let mut vectors = [simd.splat_f32s(0.0); VECTORS];
        for (vector, place) in vectors.iter_mut().enumerate() {
            let word = words[vector % half];
            let bits = if vector < half { simd.wrapping_dyn_shl_u32s(word, shift) } else { simd.and_u32s(word, mask) };
            *place = simd.transmute_f32s_u32s(bits);
        }
        vectors
    }
}

/// Asks for the first `count` values (of four bytes) to be brought into the second-level cache.
#[inline(always)]
#[allow(unsafe_code, reason = "prefetching takes a raw pointer")]
pub(super) fn prefetch<T>(values: &[T], count: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in values[..count.min(values.len())].chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and cannot fault; the pointer is a live slice's.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (values, count);
}

/// One panel of weights.
#[derive(Clone, Copy)]
struct Tile<'a, W, const VECTORS: usize> {
    panel: W,
    bias: &'a [f32],
    inputs: usize,
    outputs: usize,
    column: usize,
    accumulate: bool,
}

impl<W: Copy, const VECTORS: usize> Tile<'_, W, VECTORS> {
    /// The first `ROWS` rows times the panel; their number. Every sum runs over the inputs in their order, whatever the
    /// number of rows.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, reason = "a step is a place in every row and in the weights")]
    fn multiply<S: Simd, const ROWS: usize>(self, simd: S, input: &[f32], output: &mut [f32]) -> usize
    where
        W: Weights<S, VECTORS>,
    {
        let inputs = self.inputs;
        let rows: [&[f32]; ROWS] = std::array::from_fn(|row| &input[row * inputs..(row + 1) * inputs]);
        let (bias, _) = S::as_simd_f32s(self.bias);
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; ROWS];
        let width = PANEL.min(self.outputs - self.column);
        for (row, sums) in sums.iter_mut().enumerate() {
            sums.copy_from_slice(bias);
            if self.accumulate {
                let mut before = [0.0f32; PANEL];
                let start = row * self.outputs + self.column;
                before[..width].copy_from_slice(&output[start..start + width]);
                let (before, _) = S::as_simd_f32s(&before);
                for (sum, before) in sums.iter_mut().zip(before) {
                    *sum = simd.add_f32s(*sum, *before);
                }
            }
        }
        for step in 0..inputs {
            let weights = self.panel.at(simd, step);
            for row in 0..ROWS {
                let value = simd.splat_f32s(rows[row][step]);
                for vector in 0..VECTORS {
                    sums[row][vector] = simd.mul_add_f32s(value, weights[vector], sums[row][vector]);
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            let start = row * self.outputs + self.column;
            let place = &mut output[start..start + width];
            if width == PANEL {
                let (vectors, _) = S::as_mut_simd_f32s(place);
                vectors.copy_from_slice(sums);
            } else {
                let mut values = [0.0f32; PANEL];
                let (vectors, _) = S::as_mut_simd_f32s(&mut values);
                vectors.copy_from_slice(sums);
                place.copy_from_slice(&values[..width]);
            }
        }
        ROWS
    }
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::values;
    use super::super::matmul::{Matrix, matmul};
    use super::*;

    #[test]
    fn it_is_the_product_of_any_number_of_rows_and_columns() {
        for (rows, inputs, outputs) in [(1, 1, 1), (8, 42, 32), (64, 40, 768), (13, 7, 33), (3, 100, 31), (25, 32, 65)]
        {
            let (input, weight, bias) =
                (values(rows * inputs, 0.0), values(outputs * inputs, 1.0), values(outputs, 2.0));
            let mut expected: Vec<f32> = bias.repeat(rows);
            let (left, right) = (Matrix::new(&input, rows, inputs), Matrix::new(&weight, outputs, inputs));
            matmul(&mut expected, left, right.transposed(), true);
            let packed = PackedLinear::new(&weight, &bias);
            let mut output = vec![f32::NAN; rows * outputs];
            packed.apply(&input, &mut output, false);
            let close = |got: &[f32], times: f32| {
                got.iter().zip(&expected).all(|(got, expected)| (got - times * expected).abs() < 1e-4 * inputs as f32)
            };
            assert!(close(&output, 1.0), "{rows}x{inputs}x{outputs}");
            packed.apply(&input, &mut output, true);
            assert!(close(&output, 2.0), "{rows}x{inputs}x{outputs}, added");
        }
    }

    #[test]
    fn a_row_has_the_same_bits_beside_any_other_rows() {
        let (input, weight, bias) = (values(20 * 50, 0.0), values(70 * 50, 1.0), values(70, 2.0));
        let packed = PackedLinear::new(&weight, &bias);
        let mut together = vec![0.0; 20 * 70];
        packed.apply(&input, &mut together, false);
        for (row, expected) in input.chunks_exact(50).zip(together.chunks_exact(70)) {
            let mut alone = vec![0.0; 70];
            packed.apply(row, &mut alone, false);
            assert_eq!(alone, expected);
        }
    }

    #[test]
    fn sixteen_bits_are_the_product_with_rounded_weights() {
        let (rows, inputs, outputs) = (13, 50, 70);
        let (input, weight, bias) = (values(rows * inputs, 0.0), values(outputs * inputs, 1.0), values(outputs, 2.0));
        let rounded: Vec<f32> = weight.iter().map(|value| f32::from_bits(upper_half(*value) << 16)).collect();
        let off = weight.iter().zip(&rounded).map(|(exact, near)| ((exact - near) / exact).abs());
        assert!(off.fold(0.0, f32::max) <= 1.0 / 256.0, "seven bits after the first");
        let (mut expected, mut got) = (vec![0.0; rows * outputs], vec![0.0; rows * outputs]);
        PackedLinear::new(&rounded, &bias).apply(&input, &mut expected, false);
        PackedLinear::bf16(&weight, &bias).apply(&input, &mut got, false);
        assert_eq!(got, expected);
        assert_eq!(
            [1.0, -2.0, 0.0, 1.0 + 1.0 / 256.0, 1.0 + 3.0 / 256.0].map(upper_half),
            [0x3f80, 0xc000, 0, 0x3f80, 0x3f82]
        );
    }
}
