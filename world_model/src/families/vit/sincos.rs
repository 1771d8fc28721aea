//! Fixed positions of sines and cosines, as I-JEPA and V-JEPA add them.

use serde::Serialize;

/// How the channels of a position are divided over the axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SinCos {
    /// Three equal groups, time, row and column, the whole cut to the width: V-JEPA's `uniform_power`.
    Uniform,
    /// Half of the channels for time, a quarter each for row and column.
    Split,
    /// Two halves, row and column: V-JEPA's way for images.
    RowFirst,
    /// Two halves, column and row: I-JEPA's way.
    ColumnFirst,
}

/// Positions `[T * H * W, width]` of a grid of `[T, H, W]` patches; time is slowest.
///
/// Each group of channels holds the sines, then the cosines, of its coordinate times `10000^(-2 i / channels)`.
///
/// ```
/// use mindseye_world_model::families::vit::{SinCos, sincos};
///
/// let table = sincos(SinCos::ColumnFirst, 8, [1, 1, 2]);
/// assert_eq!(table[..8], [0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0]); // column 0, row 0
/// assert!((table[8] - 1_f32.sin()).abs() < 1e-6); // column 1
/// ```
pub fn sincos(kind: SinCos, width: usize, [frames, rows, columns]: [usize; 3]) -> Vec<f32> {
    let mut table = Vec::with_capacity(frames * rows * columns * width);
    for frame in 0..frames {
        for row in 0..rows {
            for column in 0..columns {
                let groups = match kind {
                    SinCos::Uniform => {
                        let channels = width.div_ceil(6) * 2;
                        [(frame, channels), (row, channels), (column, channels)]
                    }
                    SinCos::Split => [(frame, width / 2), (row, width / 4), (column, width / 4)],
                    SinCos::RowFirst => [(0, 0), (row, width / 2), (column, width / 2)],
                    SinCos::ColumnFirst => [(0, 0), (column, width / 2), (row, width / 2)],
                };
                let start = table.len();
                groups.iter().for_each(|&(place, channels)| waves(place, channels, &mut table));
                table.resize(start + width, 0.0);
            }
        }
    }
    table
}

/// Appends the sines and the cosines of one coordinate.
fn waves(place: usize, channels: usize, table: &mut Vec<f32>) {
    let half = channels / 2;
    let angle = |index: usize| place as f64 / 10_000_f64.powf(index as f64 / half as f64);
    table.extend((0..half).map(|index| angle(index).sin() as f32));
    table.extend((0..half).map(|index| angle(index).cos() as f32));
}
