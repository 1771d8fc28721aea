//! Scaling along one axis by a filter, for tables of positions and for images.

/// Which filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Filter {
    /// Straight lines between neighbours.
    Linear,
    /// Cubic convolution (Keys 1981) with a = -0.75, as PyTorch and OpenCV interpolate.
    Cubic,
    /// Straight lines, widened where the result is smaller, so that it averages: as Pillow does it.
    LinearAveraging,
    /// Cubic convolution with a = -0.5, widened likewise: as Pillow and PyTorch's antialiasing do it.
    CubicAveraging,
}

/// The sources of one value and their weights.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Taps {
    /// The first source.
    pub first: usize,
    /// Weights of it and its followers; their sum is 1.
    pub weights: Vec<f64>,
}

fn cubic(distance: f64, a: f64) -> f64 {
    let x = distance.abs();
    if x < 1.0 {
        ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        (((x - 5.0) * x + 8.0) * x - 4.0) * a
    } else {
        0.0
    }
}

/// The taps of `target` values over `source` values; pixels are areas, so that the centres of both grids agree.
pub(super) fn taps(filter: Filter, source: usize, target: usize) -> Vec<Taps> {
    let scale = source as f64 / target as f64;
    let value = |index: usize| match filter {
        Filter::Linear => interpolated(source, (index as f64 + 0.5) * scale - 0.5, 1, &|x: f64| 1.0 - x.abs()),
        Filter::Cubic => interpolated(source, (index as f64 + 0.5) * scale - 0.5, 2, &|x: f64| cubic(x, -0.75)),
        Filter::LinearAveraging => averaged(source, scale, index, 1.0, &|x: f64| (1.0 - x.abs()).max(0.0)),
        Filter::CubicAveraging => averaged(source, scale, index, 2.0, &|x: f64| cubic(x, -0.5)),
    };
    (0..target).map(value).collect()
}

/// Taps at `place`, `reach` on each side; those beyond the ends count for the ends.
fn interpolated(source: usize, place: f64, reach: i64, filter: &dyn Fn(f64) -> f64) -> Taps {
    let last = source as i64 - 1;
    // Straight lines begin at the first centre; cubic ones take the first value again.
    let place = if reach == 1 { place.clamp(0.0, last as f64) } else { place };
    let below = place.floor() as i64;
    let clamp = |at: i64| at.clamp(0, last) as usize;
    let (first, end) = (clamp(below - reach + 1), clamp(below + reach));
    let mut weights = vec![0.0; end - first + 1];
    for at in below - reach + 1..=below + reach {
        weights[clamp(at) - first] += filter(place - at as f64);
    }
    Taps { first, weights }
}

/// Taps over the area of value `index`.
fn averaged(source: usize, scale: f64, index: usize, support: f64, filter: &dyn Fn(f64) -> f64) -> Taps {
    let widened = scale.max(1.0);
    let (centre, reach) = ((index as f64 + 0.5) * scale, support * widened);
    let first = ((centre - reach + 0.5) as usize).min(source - 1);
    let end = ((centre + reach + 0.5) as usize).clamp(first + 1, source);
    let mut weights: Vec<f64> = (first..end).map(|at| filter((at as f64 + 0.5 - centre) / widened)).collect();
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|weight| *weight /= total);
    Taps { first, weights }
}

/// A table `[rows, columns, width]` scaled to another grid.
pub(super) fn resized(
    table: &[f32],
    [rows, columns]: [usize; 2],
    [new_rows, new_columns]: [usize; 2],
    width: usize,
    filter: Filter,
) -> Vec<f32> {
    let (by_row, by_column) = (taps(filter, rows, new_rows), taps(filter, columns, new_columns));
    let mut output = Vec::with_capacity(new_rows * new_columns * width);
    for row in &by_row {
        for column in &by_column {
            let mut sums = vec![0.0_f64; width];
            for (r, row_weight) in (row.first..).zip(&row.weights) {
                for (c, weight) in (column.first..).zip(&column.weights) {
                    let values = &table[(r * columns + c) * width..][..width];
                    let weight = row_weight * weight;
                    sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * f64::from(*value));
                }
            }
            output.extend(sums.iter().map(|sum| *sum as f32));
        }
    }
    output
}

/// A table `[frames, rows, columns, width]` scaled along time by straight lines.
pub(super) fn resized_in_time(table: &[f32], frames: usize, new_frames: usize) -> Vec<f32> {
    let len = table.len() / frames.max(1);
    let mut output = Vec::with_capacity(new_frames * len);
    for taps in taps(Filter::Linear, frames, new_frames) {
        let mut sums = vec![0.0_f64; len];
        for (frame, weight) in (taps.first..).zip(&taps.weights) {
            let values = &table[frame * len..(frame + 1) * len];
            sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * f64::from(*value));
        }
        output.extend(sums.iter().map(|sum| *sum as f32));
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one_and_keep_a_constant() {
        for filter in [Filter::Linear, Filter::Cubic, Filter::LinearAveraging, Filter::CubicAveraging] {
            for (source, target) in [(1, 4), (5, 3), (7, 16), (37, 16), (3, 3)] {
                for taps in taps(filter, source, target) {
                    assert!((taps.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{filter:?} {source} {target}");
                    assert!(taps.first + taps.weights.len() <= source);
                }
            }
        }
    }

    #[test]
    fn linear_halves_and_doubles_as_expected() {
        let weights = |filter, source, target, index: usize| taps(filter, source, target)[index].clone();
        assert_eq!(weights(Filter::Linear, 4, 2, 0), Taps { first: 0, weights: vec![0.5, 0.5] });
        assert_eq!(weights(Filter::LinearAveraging, 4, 2, 0).weights.len(), 3, "it averages over its area");
        assert_eq!(weights(Filter::Linear, 2, 4, 0).weights[0], 1.0, "the end is not extrapolated");
        assert_eq!(weights(Filter::Cubic, 3, 3, 1).weights.iter().filter(|weight| weight.abs() > 1e-12).count(), 1);
    }
}
