//! The labels of the nearest clips, by the cosine of their centred mean tokens.

use rayon::prelude::*;

use super::Parts;
use super::ridge::error;

/// Numbers of neighbours that are tried.
const COUNTS: [usize; 4] = [1, 5, 10, 20];

/// What the neighbours say of the held-out clips, `[n, K]`.
pub(super) fn read(parts: &Parts<'_>) -> Vec<f32> {
    let try_count =
        |&count: &usize| error(parts, &parts.choosing, &of_rows(parts, &parts.fitting, &parts.choosing, count));
    let count = COUNTS.iter().copied().min_by(|a, b| try_count(a).total_cmp(&try_count(b))).unwrap_or(1);
    of_rows(parts, &parts.all, parts.held_out, count)
}

/// Means over the `count` clips of `known` that are nearest to each of `rows`.
fn of_rows(parts: &Parts<'_>, known: &[usize], rows: &[usize], count: usize) -> Vec<f32> {
    let width = parts.samples.mean_width;
    let mut centre = vec![0.0f32; width];
    for &row in known {
        centre.iter_mut().zip(parts.samples.mean(row)).for_each(|(sum, value)| *sum += value / known.len() as f32);
    }
    let unit = |row: usize| -> Vec<f32> {
        let off: Vec<f32> = parts.samples.mean(row).iter().zip(&centre).map(|(value, mean)| value - mean).collect();
        let length = off.iter().map(|value| value * value).sum::<f32>().sqrt().max(1e-12);
        off.iter().map(|value| value / length).collect()
    };
    let directions: Vec<Vec<f32>> = known.iter().map(|&row| unit(row)).collect();
    let of_row = |&row: &usize| -> Vec<f32> {
        let own = unit(row);
        let cosine = |other: &[f32]| own.iter().zip(other).map(|(a, b)| a * b).sum::<f32>();
        let mut near: Vec<(f32, usize)> =
            directions.iter().map(|other| cosine(other)).zip(known.iter().copied()).collect();
        near.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut read = vec![0.0; parts.labels.width];
        let taken = count.min(near.len());
        for (_, row) in &near[..taken] {
            let target = parts.labels.target(*row);
            read.iter_mut().zip(target).for_each(|(sum, value)| *sum += value / taken.max(1) as f32);
        }
        read
    };
    rows.par_iter().flat_map_iter(of_row).collect()
}
