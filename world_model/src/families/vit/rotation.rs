//! Rotary positions in three axes (Su et al. 2021), as V-JEPA 2 and 2.1 use them.

use super::config::Rotary;
use crate::ops::vectorised;

/// Sines and cosines for the queries and keys of some tokens: one row per token, the same for every head and block.
#[derive(Debug, Clone)]
pub(in crate::families) struct Rotation {
    cosines: Vec<f32>,
    sines: Vec<f32>,
    /// Values of a head that are rotated: three slices.
    rotated: usize,
}

impl Rotation {
    /// For heads of `head` values and tokens at `places` (time, row, column).
    pub fn new(rotary: Rotary, head: usize, places: impl Iterator<Item = [f32; 3]>) -> Self {
        let slice = 2 * (head / 3 / 2);
        let half = slice / 2;
        let frequencies: Vec<f64> = (0..half).map(|i| 10_000_f64.powf(-(i as f64) / half as f64)).collect();
        let of_value = |value: usize| match rotary {
            Rotary::Tiled => value % half.max(1),
            Rotary::Interleaved { .. } => value / 2,
        };
        let (mut cosines, mut sines) = (Vec::new(), Vec::new());
        for place in places {
            for coordinate in place {
                for value in 0..slice {
                    let angle = f64::from(coordinate) * frequencies[of_value(value)];
                    cosines.push(angle.cos() as f32);
                    sines.push(angle.sin() as f32);
                }
            }
        }
        Self { cosines, sines, rotated: 3 * slice }
    }

    /// Rotates the queries and keys in `rows`, `[.., 3 D]` of tokens from number `first` on, in place. What is beyond
    /// the three slices of a head stays.
    pub fn apply(&self, rows: &mut [f32], first: usize, width: usize, head: usize) {
        let rotated = self.rotated;
        vectorised(
            #[inline(always)]
            || {
                for (index, row) in rows.chunks_exact_mut(3 * width).enumerate() {
                    let at = (first + index) * rotated..(first + index + 1) * rotated;
                    let (cosines, sines) = (&self.cosines[at.clone()], &self.sines[at]);
                    for values in row[..2 * width].chunks_exact_mut(head) {
                        let angles = cosines.chunks_exact(2).zip(sines.chunks_exact(2));
                        for (pair, (cosine, sine)) in values[..rotated].chunks_exact_mut(2).zip(angles) {
                            let (even, odd) = (pair[0], pair[1]);
                            pair[0] = even * cosine[0] - odd * sine[0];
                            pair[1] = odd * cosine[1] + even * sine[1];
                        }
                    }
                }
            },
        );
    }
}

/// The places of tokens `numbers` in a grid of `rows` times `columns` patches per frame, as `rotary` scales them.
pub(super) fn places(
    rotary: Rotary,
    [rows, columns]: [usize; 2],
    numbers: impl Iterator<Item = usize>,
) -> impl Iterator<Item = [f32; 3]> {
    let scale = move |side: usize| match rotary {
        Rotary::Interleaved { reference: Some(reference) } if side > 1 => {
            reference.saturating_sub(1) as f32 / (side - 1) as f32
        }
        _ => 1.0,
    };
    let (by_row, by_column) = (scale(rows), scale(columns));
    numbers.map(move |number| {
        let (frame, within) = (number / (rows * columns), number % (rows * columns));
        [frame as f32, (within / columns) as f32 * by_row, (within % columns) as f32 * by_column]
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A head of 12 values: three slices of 4, angles 1 and 1/100 per unit.
    fn rotated(rotary: Rotary, place: [f32; 3]) -> Vec<f32> {
        let mut row: Vec<f32> = (0..3 * 13).map(|value| (value % 13) as f32).collect();
        Rotation::new(rotary, 13, [place].into_iter()).apply(&mut row, 0, 13, 13);
        row
    }

    #[test]
    fn interleaved_angles_keep_lengths_and_tiled_ones_mix_two_angles() {
        let place = [1.0, 0.0, 0.0];
        let correct = rotated(Rotary::Interleaved { reference: None }, place);
        assert!((correct[2].hypot(correct[3]) - 2_f32.hypot(3.0)).abs() < 1e-5);
        assert!((correct[0] + 1_f32.sin()).abs() < 1e-6 && (correct[1] - 1_f32.cos()).abs() < 1e-6);
        let tiled = rotated(Rotary::Tiled, place);
        let small = 0.01_f32;
        assert!((tiled[0] + 1_f32.sin()).abs() < 1e-6, "the first of a pair has the first angle");
        assert!((tiled[1] - small.cos()).abs() < 1e-6, "the second has the second angle");
        assert!((tiled[2] - (2.0 * 1_f32.cos() - 3.0 * 1_f32.sin())).abs() < 1e-5);
        for unchanged in [&correct, &tiled] {
            assert_eq!(unchanged[4..13], [4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0]);
            assert_eq!(unchanged[26..], correct[26..], "values are not rotated");
        }
    }

    #[test]
    fn rows_and_columns_are_scaled_to_the_reference() {
        let scaled = Rotary::Interleaved { reference: Some(16) };
        let all: Vec<[f32; 3]> = places(scaled, [4, 6], [0, 5, 23, 47].into_iter()).collect();
        assert_eq!(all, [[0.0, 0.0, 0.0], [0.0, 0.0, 15.0], [0.0, 15.0, 15.0], [1.0, 15.0, 15.0]]);
        let plain: Vec<[f32; 3]> = places(Rotary::Tiled, [4, 6], [23].into_iter()).collect();
        assert_eq!(plain, [[0.0, 3.0, 5.0]]);
    }
}
