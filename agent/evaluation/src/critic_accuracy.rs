//! How well a critic predicts the cost that its agent's episodes went on to have.

use serde::Serialize;

use crate::EpisodeResult;

/// The critic's predicted values against the discounted costs that followed, over all ticks of all episodes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CriticAccuracy {
    /// Coefficient of determination of the critic's predictions, 1 at most; a prediction of the mean has 0.
    pub r2: f64,
    /// The same of the prediction that every later state costs what the current one costs.
    pub r2_persistence: f64,
    /// Ticks compared.
    pub ticks: usize,
}

impl CriticAccuracy {
    /// Compares predicted values with the discounted sum of what followed, `(1 - discount) * sum discount^k * cost`;
    /// after the end of an episode its last state is taken to last. `None` without predictions, or where no cost
    /// differs.
    pub fn of<'a>(results: impl Iterator<Item = &'a EpisodeResult>, discount: f64) -> Option<Self> {
        let mut rows = Vec::new();
        for result in results {
            let mut discounted = result.costs.last().map_or(0.0, |(cost, _)| f64::from(*cost));
            for (now, next) in result.costs.iter().zip(result.costs.iter().skip(1)).rev() {
                discounted = (1.0 - discount) * f64::from(next.0) + discount * discounted;
                rows.extend(now.1.map(|predicted| [discounted, f64::from(predicted), f64::from(now.0)]));
            }
        }
        let varies = rows.iter().any(|row| row[0] != rows[0][0]);
        varies.then(|| Self { r2: r2(&rows, 1), r2_persistence: r2(&rows, 2), ticks: rows.len() })
    }
}

/// Coefficient of determination of column `predicted` as a prediction of column 0, 1 at most; the mean of column 0
/// has 0.
pub fn r2<const COLUMNS: usize>(rows: &[[f64; COLUMNS]], predicted: usize) -> f64 {
    let mean = rows.iter().map(|row| row[0]).sum::<f64>() / rows.len().max(1) as f64;
    let squares = |of: &dyn Fn(&[f64; COLUMNS]) -> f64| rows.iter().map(|row| of(row).powi(2)).sum::<f64>();
    1.0 - squares(&|row| row[0] - row[predicted]) / squares(&|row| row[0] - mean).max(f64::MIN_POSITIVE)
}
