//! A linear map of the mean tokens, with a ridge that is chosen on episodes apart.

use nalgebra::DMatrix;

use super::Parts;
use super::labels::best;
use crate::{Error, Result};

/// Ridges that are tried, per row of standardised features.
const RIDGES: [f64; 7] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2];

/// What a linear map reads of the held-out clips, `[n, K]`.
pub(super) fn read(parts: &Parts<'_>) -> Result<Vec<f32>> {
    let mut chosen = (f64::INFINITY, RIDGES[0]);
    let fitting = Map::prepare(parts, &parts.fitting);
    for ridge in RIDGES {
        let Some(map) = fitting.fit(ridge) else { continue };
        let error = error(parts, &parts.choosing, &map.read(parts, &parts.choosing));
        if error < chosen.0 {
            chosen = (error, ridge);
        }
    }
    let all = Map::prepare(parts, &parts.all);
    let map = all.fit(chosen.1).ok_or_else(|| Error::Shape {
        operation: "a linear probe",
        expected: "finite tokens".into(),
        got: "others".into(),
    })?;
    Ok(map.read(parts, parts.held_out))
}

/// Mean squared error; of classes the share that is wrong.
pub(super) fn error(parts: &Parts<'_>, rows: &[usize], read: &[f32]) -> f64 {
    let width = parts.labels.width;
    let of_row = |(read, &row): (&[f32], &usize)| -> f64 {
        let target = parts.labels.target(row);
        match parts.labels.classes {
            true => f64::from(u8::from(best(read) != best(target))),
            false => read.iter().zip(target).map(|(read, target)| f64::from(read - target).powi(2)).sum(),
        }
    };
    read.chunks_exact(width).zip(rows).map(of_row).sum::<f64>() / rows.len().max(1) as f64
}

/// Standardised features and centred targets of some rows.
struct Map {
    mean: Vec<f64>,
    scale: Vec<f64>,
    target_mean: Vec<f64>,
    features: DMatrix<f64>,
    targets: DMatrix<f64>,
    /// `X Xᵀ` with more features than rows, else `Xᵀ X`.
    products: DMatrix<f64>,
}

struct Fitted<'a> {
    of: &'a Map,
    map: DMatrix<f64>,
}

impl Map {
    fn prepare(parts: &Parts<'_>, rows: &[usize]) -> Self {
        let (width, count) = (parts.samples.mean_width, rows.len());
        let mut features =
            DMatrix::from_fn(count, width, |row, column| f64::from(parts.samples.mean(rows[row])[column]));
        let mut targets = DMatrix::from_fn(count, parts.labels.width, |row, column| {
            f64::from(parts.labels.target(rows[row])[column])
        });
        let mut scale = Vec::with_capacity(width);
        let mean: Vec<f64> = features.column_iter().map(|column| column.mean()).collect();
        for (mut column, mean) in features.column_iter_mut().zip(&mean) {
            column.add_scalar_mut(-mean);
            let std = (column.norm_squared() / count.max(1) as f64).sqrt();
            scale.push(if std > 1e-9 { 1.0 / std } else { 0.0 });
            column.scale_mut(scale[scale.len() - 1]);
        }
        let target_mean: Vec<f64> = targets.column_iter().map(|column| column.mean()).collect();
        for (mut column, mean) in targets.column_iter_mut().zip(&target_mean) {
            column.add_scalar_mut(-mean);
        }
        let products = if width > count { &features * features.transpose() } else { features.tr_mul(&features) };
        Self { mean, scale, target_mean, features, targets, products }
    }

    fn fit(&self, ridge: f64) -> Option<Fitted<'_>> {
        let size = self.products.nrows();
        let ridge = ridge * self.features.nrows() as f64;
        let factor = (&self.products + DMatrix::identity(size, size) * ridge).cholesky()?;
        let map = match self.features.ncols() > self.features.nrows() {
            true => self.features.tr_mul(&factor.solve(&self.targets)),
            false => factor.solve(&self.features.tr_mul(&self.targets)),
        };
        Some(Fitted { of: self, map })
    }
}

impl Fitted<'_> {
    fn read(&self, parts: &Parts<'_>, rows: &[usize]) -> Vec<f32> {
        let mut output = Vec::with_capacity(rows.len() * self.of.target_mean.len());
        for &row in rows {
            let feature = parts.samples.mean(row).iter().zip(&self.of.mean).zip(&self.of.scale);
            let feature: Vec<f64> = feature.map(|((value, mean), scale)| (f64::from(*value) - mean) * scale).collect();
            for (column, mean) in self.map.column_iter().zip(&self.of.target_mean) {
                let product: f64 = column.iter().zip(&feature).map(|(weight, value)| weight * value).sum();
                output.push((mean + product) as f32);
            }
        }
        output
    }
}
