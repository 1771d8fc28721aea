//! The rows of an ablation as a chart.

use mindseye_evaluation::ablation::{AblationRow, Score};

use super::success::as_rate;
use crate::{AblationBar, AblationChart, Canvas, Result};

/// Two bars for each row, success with and without the part, with 95 % intervals.
///
/// # Errors
/// When there is no row, or there are too many for an image.
pub fn ablation_chart(scene: &str, rows: &[AblationRow]) -> Result<Canvas> {
    ablation(scene, rows).draw()
}

/// The same chart as data.
pub(crate) fn ablation(scene: &str, rows: &[AblationRow]) -> AblationChart {
    let bar = |row: &AblationRow| {
        let score = match row.score {
            Score::Moderate => "moderate success",
            Score::Strict => "strict success",
        };
        // The explanation after the colon is in the text of the report; here it would not fit.
        let part = row.part.split(':').next().unwrap_or(&row.part);
        AblationBar {
            name: format!("{}: without {part}", row.module),
            conditions: format!("{}, {score}", row.conditions),
            with: as_rate(row.with),
            without: as_rate(row.without),
        }
    };
    let episodes = rows.first().map_or(0, |row| row.with.episodes);
    let title = format!("{scene}: success with and without each module, {episodes} episodes");
    AblationChart { title, bars: rows.iter().map(bar).collect() }
}
