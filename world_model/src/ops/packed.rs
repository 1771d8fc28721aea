//! Matrix products with weights that stay: rearranged once for the processor's vectors, instead of at every call.
//!
//! gemm copies both factors into panels before it multiplies. With as few rows as a planner has (64 plans at a time) that costs
//! as much as the product. Here the weights lie in panels already and the rows are read where they are.

use pulp::{Arch, Simd, WithSimd};

/// Columns of a panel: two of the widest vectors.
const PANEL: usize = 32;

/// Weights `[O, I]` and a bias `[O]` of a map of rows `[N, I]` → `[N, O]`.
#[derive(Debug, Clone)]
pub struct PackedLinear {
    /// `[O / 32, I, 32]`, the last panel filled up with zeros.
    panels: Vec<f32>,
    /// `[O]`, filled up likewise.
    bias: Vec<f32>,
    inputs: usize,
    outputs: usize,
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
        Self { panels, bias: padded, inputs, outputs }
    }

    /// Width `I` of a row that goes in.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Width `O` of a row that comes out.
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

struct Apply<'a> {
    map: &'a PackedLinear,
    input: &'a [f32],
    output: &'a mut [f32],
    accumulate: bool,
}

impl WithSimd for Apply<'_> {
    type Output = ();

    /// Rows at a time times vectors per panel are sums held in registers: 16 of 32, 12 of 16, or what the compiler makes of it.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        match S::F32_LANES {
            16 => self.run::<S, 2, 8>(simd),
            8 => self.run::<S, 4, 3>(simd),
            4 => self.run::<S, 8, 2>(simd),
            _ => self.run::<S, PANEL, 1>(simd),
        }
    }
}

impl Apply<'_> {
    #[inline(always)]
    fn run<S: Simd, const VECTORS: usize, const ROWS: usize>(self, simd: S) {
        let Self { map, input, output, accumulate } = self;
        let (inputs, outputs) = (map.inputs, map.outputs);
        let (panels, _) = S::as_simd_f32s(&map.panels);
        for (index, panel) in panels.chunks_exact(inputs * VECTORS).enumerate() {
            let column = index * PANEL;
            let bias = &map.bias[column..column + PANEL];
            let tile = Tile { panel, bias, outputs, column, accumulate };
            let count = input.len() / inputs;
            let next = &map.panels[((index + 1) * inputs * PANEL).min(map.panels.len())..];
            let next = &next[..next.len().min(inputs * PANEL)];
            let share = (next.len() * ROWS).div_ceil(count.max(1)).next_multiple_of(16);
            let mut row = 0;
            while row < count {
                prefetch(next.get(row / ROWS * share..).unwrap_or_default(), share);
                let (input, place) = (&input[row * inputs..], &mut output[row * outputs..]);
                row += match count - row {
                    rest if rest >= ROWS => tile.multiply::<S, VECTORS, ROWS>(simd, input, place),
                    4.. => tile.multiply::<S, VECTORS, 4>(simd, input, place),
                    _ => tile.multiply::<S, VECTORS, 1>(simd, input, place),
                };
            }
        }
    }
}

/// Asks for the first `count` values to be brought into the second-level cache.
#[inline(always)]
#[allow(unsafe_code, reason = "prefetching takes a raw pointer")]
fn prefetch(values: &[f32], count: usize) {
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
struct Tile<'a, V> {
    panel: &'a [V],
    bias: &'a [f32],
    outputs: usize,
    column: usize,
    accumulate: bool,
}

impl<V: Copy> Tile<'_, V> {
    /// The first `ROWS` rows times the panel; their number. Every sum runs over the inputs in their order, whatever the number of rows.
    #[inline(always)]
    fn multiply<S: Simd<f32s = V>, const VECTORS: usize, const ROWS: usize>(
        self,
        simd: S,
        input: &[f32],
        output: &mut [f32],
    ) -> usize {
        let inputs = self.panel.len() / VECTORS;
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
                sums.iter_mut().zip(before).for_each(|(sum, before)| *sum = simd.add_f32s(*sum, *before));
            }
        }
        for (step, weights) in self.panel.chunks_exact(VECTORS).enumerate() {
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
    fn a_row_has_the_same_bits_whatever_rows_stand_beside_it() {
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
}
