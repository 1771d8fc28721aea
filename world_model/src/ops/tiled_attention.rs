//! Attention of many tokens without the matrix of their scores in memory: keys are taken in tiles, and the softmax is
//! corrected from tile to tile (Milakov and Gimelshein 2018; Rabe and Staats 2021; Dao et al. 2022).

use super::matmul::{Matrix, matmul};
use super::silu::exponential;
use super::sums::sum;
use super::vectorised;
use crate::scratch::room;

/// Keys of a tile: with the queries that callers take at a time, its scores stay in the second-level cache.
const KEYS: usize = 512;

/// One head's queries, keys or values: `rows` rows of its width, `stride` values apart, the first at `first`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadRows<'a> {
    /// The values that the rows lie in.
    pub values: &'a [f32],
    /// Index of the first value.
    pub first: usize,
    /// Values from a row to the next.
    pub stride: usize,
    /// Rows.
    pub rows: usize,
}

impl<'a> HeadRows<'a> {
    /// Rows `start .. start + count` as a matrix of `width` columns.
    fn matrix(&self, start: usize, count: usize, width: usize) -> Matrix<'a> {
        Matrix::strided(&self.values[self.first + start * self.stride..], count, width, self.stride)
    }
}

/// Scratch memory of [`attend_rows`].
#[derive(Debug, Default)]
pub(crate) struct AttentionScratch {
    scores: Vec<f32>,
    largest: Vec<f32>,
    totals: Vec<f32>,
}

/// `softmax(scale Q Kᵀ) V` of one head, written to `output [rows of queries, width]`. The result for a query depends
/// on the number of queries beside it in the last bits alone; callers take the same number on any number of threads.
///
/// # Panics
/// When the sizes do not fit, or there is no key: a bug of the caller.
pub(crate) fn attend_rows(
    queries: HeadRows<'_>,
    keys: HeadRows<'_>,
    values: HeadRows<'_>,
    width: usize,
    scale: f32,
    scratch: &mut AttentionScratch,
    output: &mut [f32],
) {
    let rows = queries.rows;
    assert_eq!(output.len(), rows * width, "output of {rows} queries");
    assert!(keys.rows > 0 && keys.rows == values.rows, "{} keys, {} values", keys.rows, values.rows);
    let AttentionScratch { scores, largest, totals } = scratch;
    let (largest, totals) = (room(largest, rows), room(totals, rows));
    largest.fill(f32::NEG_INFINITY);
    totals.fill(0.0);
    output.fill(0.0);
    let queries = queries.matrix(0, rows, width);
    for start in (0..keys.rows).step_by(KEYS) {
        let count = KEYS.min(keys.rows - start);
        let scores = room(scores, rows * count);
        matmul(scores, queries, keys.matrix(start, count, width).transposed(), false);
        weigh(scores, count, scale, largest, totals, output, width);
        matmul(output, Matrix::new(scores, rows, count), values.matrix(start, count, width), true);
    }
    vectorised(
        #[inline(always)]
        || {
            for (row, total) in output.chunks_exact_mut(width).zip(totals.iter()) {
                let inverse = 1.0 / total;
                for value in row.iter_mut() {
                    *value *= inverse;
                }
            }
        },
    );
}

/// Turns a tile's scores into unnormalised weights relative to the largest score so far, and corrects what was summed
/// before by the change of the largest.
fn weigh(
    scores: &mut [f32],
    count: usize,
    scale: f32,
    largest: &mut [f32],
    totals: &mut [f32],
    output: &mut [f32],
    width: usize,
) {
    vectorised(
        #[inline(always)]
        || {
            let states = largest.iter_mut().zip(totals.iter_mut()).zip(output.chunks_exact_mut(width));
            for (row, ((largest, total), output)) in scores.chunks_exact_mut(count).zip(states) {
                let mut most = *largest;
                for value in row.iter() {
                    most = if *value > most { *value } else { most };
                }
                if most > *largest && *total > 0.0 {
                    let correction = exponential(scale * (*largest - most));
                    *total *= correction;
                    for value in output.iter_mut() {
                        *value *= correction;
                    }
                }
                *largest = most;
                for value in row.iter_mut() {
                    *value = exponential(scale * (*value - most));
                }
                *total += sum(row, |value| value);
            }
        },
    );
}

#[cfg(test)]
mod tests {
    use super::super::gradient_check::values;
    use super::*;

    /// The definition in `f64`.
    fn plain(queries: &[f32], keys: &[f32], values: &[f32], width: usize, scale: f32) -> Vec<f32> {
        let mut output = Vec::new();
        for query in queries.chunks_exact(width) {
            let dot = |key: &[f32]| -> f64 { query.iter().zip(key).map(|(a, b)| f64::from(a * b)).sum() };
            let scores: Vec<f64> = keys.chunks_exact(width).map(|key| f64::from(scale) * dot(key)).collect();
            let most = scores.iter().fold(f64::NEG_INFINITY, |most, score| most.max(*score));
            let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
            let total: f64 = weights.iter().sum();
            for column in 0..width {
                let mixed = weights.iter().zip(values.chunks_exact(width));
                let mixed: f64 = mixed.map(|(weight, value)| weight * f64::from(value[column])).sum();
                output.push((mixed / total) as f32);
            }
        }
        output
    }

    #[test]
    fn it_is_attention_over_one_tile_and_over_several() {
        let width = 12;
        for (rows, tokens, scale) in [(1, 1, 1.0), (3, 7, 0.3), (33, KEYS, 0.3), (5, KEYS + 1, 4.0), (9, 1300, 2.0)] {
            let (queries, keys, of_keys) =
                (values(rows * width, 0.0), values(tokens * width, 1.0), values(tokens * width, 2.0));
            let of = |values, rows| HeadRows { values, first: 0, stride: width, rows };
            let mut output = vec![f32::NAN; rows * width];
            let mut scratch = AttentionScratch::default();
            let (queried, keyed, valued) = (of(&*queries, rows), of(&*keys, tokens), of(&*of_keys, tokens));
            attend_rows(queried, keyed, valued, width, scale, &mut scratch, &mut output);
            let expected = plain(&queries, &keys, &of_keys, width, scale);
            let worst = output.iter().zip(&expected).fold(0.0f32, |worst, (a, b)| worst.max((a - b).abs()));
            assert!(worst < 2e-5, "{rows} queries, {tokens} keys: {worst}");
        }
    }
}
