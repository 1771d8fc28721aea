//! The episodes of an evaluation as a sheet of images.

use mindseye_evaluation::{EpisodeResult, EvaluationReport};

use crate::{Canvas, EpisodeCell, EpisodeSheet, Result};

/// Start, goal and end of the episodes: failures first, then successes, the slowest first.
///
/// # Errors
/// When there is no episode, or its images are too large for a sheet.
pub fn sheet(report: &EvaluationReport, results: &[EpisodeResult]) -> Result<Canvas> {
    let mut order: Vec<usize> = (0..results.len()).collect();
    order.sort_by_key(|&index| {
        let result = &results[index];
        (result.strict, result.first_success_step.map_or(0, |step| usize::MAX - step), index)
    });
    let cell = |index: usize| {
        let (result, pair) = (&results[index], &report.results[index].pair);
        let outcome = result.first_success_step.map_or("missed".into(), |step| format!("reached at step {step}"));
        let caption =
            format!("seed {}, pair {}: {outcome}, ends {:.3} away", pair.seed, pair.index, result.final_distance);
        EpisodeCell { images: &result.images, caption, reached: result.strict }
    };
    let rates = &report.rates.model;
    EpisodeSheet {
        title: format!("{}, {}", report.settings.benchmark, report.settings.goals),
        subtitle: format!(
            "moderate {}, strict {}; start, goal, end; failures first, then the slowest successes",
            rates.moderate.to_string().trim(),
            rates.strict.to_string().trim()
        ),
        cells: order.into_iter().map(cell).collect(),
    }
    .draw()
}
