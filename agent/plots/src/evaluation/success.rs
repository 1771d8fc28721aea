//! Success by what a goal asks of the object, as a chart.

use mindseye_evaluation::EvaluationReport;
use mindseye_evaluation::interval::SuccessRate;

use crate::{Attempt, Canvas, Rate, Result, SuccessChart};

/// Success by rotation and by distance of the object, with 95 % intervals; none in scenes without an object.
///
/// # Errors
/// When the chart cannot be drawn.
pub fn success_chart(report: &EvaluationReport) -> Result<Option<Canvas>> {
    let draw = |chart: SuccessChart| chart.draw(|reached, attempts| as_rate(SuccessRate::of(reached, attempts)));
    success(report).map(draw).transpose()
}

/// The same chart as data.
pub(crate) fn success(report: &EvaluationReport) -> Option<SuccessChart> {
    let attempts: Vec<Attempt> = report
        .results
        .iter()
        .filter_map(|result| {
            let metric = |name: &str| result.pair.metrics.get(name).copied();
            Some(Attempt {
                rotation_deg: metric("block_rotation_rad")?.to_degrees(),
                distance_cm: 100.0 * metric("block_distance_m")?,
                reached: result.first_success_step.is_some(),
            })
        })
        .collect();
    let moderate = report.rates.model.moderate;
    let title = format!("{}, {}: {}", report.settings.benchmark, report.settings.goals, moderate.to_string().trim());
    (!attempts.is_empty()).then_some(SuccessChart { title, attempts })
}

/// A success rate as charts take it.
pub(crate) fn as_rate(rate: SuccessRate) -> Rate {
    let SuccessRate { rate, low, high, episodes } = rate;
    Rate { rate, low, high, episodes }
}
