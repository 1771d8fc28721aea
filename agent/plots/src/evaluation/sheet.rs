//! The episodes of an evaluation as a sheet of images.

use mindseye_evaluation::{EpisodeResult, EvaluationReport};

use crate::{Canvas, EpisodeCell, EpisodeSheet, Result};

/// Start, goal and end of the episodes: failures by the moderate predicate first, then successes, the slowest first.
///
/// # Errors
/// When there is no episode, or its images are too large for a sheet.
pub fn sheet(report: &EvaluationReport, results: &[EpisodeResult]) -> Result<Canvas> {
    let mut order: Vec<usize> = (0..results.len()).collect();
    order.sort_by_key(|&index| {
        let result = &results[index];
        (result.first_success_step.map_or(0, |step| usize::MAX - step), result.strict, index)
    });
    let cell = |index: usize| {
        let (result, pair) = (&results[index], &report.results[index].pair);
        let outcome = outcome(result.first_success_step, result.strict);
        let caption =
            format!("seed {}, pair {}: {outcome}, ends {:.3} away", pair.seed, pair.index, result.final_distance);
        EpisodeCell { images: &result.images, caption, reached: result.first_success_step.is_some() }
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

/// What became of an episode, in words.
pub(crate) fn outcome(first_success_step: Option<usize>, strict: bool) -> String {
    match (first_success_step, strict) {
        (Some(step), true) => format!("reached at step {step}, strict"),
        (Some(step), false) => format!("reached at step {step}"),
        (None, true) => "missed, but strict".into(),
        (None, false) => "missed".into(),
    }
}
