//! How well a critic foresees what its agent's life costs.

use serde::Serialize;

use super::EpisodeResult;

/// The critic's word against what came, over all ticks of all episodes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Foresight {
    /// Share of the variance of what came that the critic foresaw, 1 at most; to say the mean always is 0.
    pub r2: f64,
    /// The same of saying that all goes on costing what it costs now.
    pub r2_as_now: f64,
    /// Ticks.
    pub ticks: usize,
}

impl Foresight {
    /// Compares what the critic said with the discounted sum of what came; where an episode ends, its last state is taken to last. `None` where
    /// no critic spoke.
    pub fn of<'a>(results: impl Iterator<Item = &'a EpisodeResult>, discount: f64) -> Option<Self> {
        let mut rows = Vec::new();
        for result in results {
            let mut came = result.costs.last().map_or(0.0, |(cost, _)| f64::from(*cost));
            for (now, next) in result.costs.iter().zip(result.costs.iter().skip(1)).rev() {
                came = (1.0 - discount) * f64::from(next.0) + discount * came;
                rows.extend(now.1.map(|foreseen| [came, f64::from(foreseen), f64::from(now.0)]));
            }
        }
        let varies = rows.iter().any(|row| row[0] != rows[0][0]);
        varies.then(|| Self { r2: r2(&rows, 1), r2_as_now: r2(&rows, 2), ticks: rows.len() })
    }
}

/// Share of the variance of the first column that column `which` foresees, 1 at most; to say the mean always is 0.
pub fn r2<const COLUMNS: usize>(rows: &[[f64; COLUMNS]], which: usize) -> f64 {
    let mean = rows.iter().map(|row| row[0]).sum::<f64>() / rows.len().max(1) as f64;
    let squares = |of: &dyn Fn(&[f64; COLUMNS]) -> f64| rows.iter().map(|row| of(row).powi(2)).sum::<f64>();
    1.0 - squares(&|row| row[0] - row[which]) / squares(&|row| row[0] - mean).max(f64::MIN_POSITIVE)
}
