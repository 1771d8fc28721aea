//! A comparison of planners as a chart.

use mindseye_evaluation::comparison::PlannerComparison;

use super::success::as_rate;
use crate::{Canvas, PlannerChart, PlannerCurve, PlannerPoint, Result};

/// Moderate success against the median planning time, one curve per planner, with 95 % intervals.
///
/// # Errors
/// When there is no row.
pub fn planner_chart(comparison: &PlannerComparison) -> Result<Canvas> {
    planners(comparison).draw()
}

/// The same chart as data.
pub(crate) fn planners(comparison: &PlannerComparison) -> PlannerChart {
    let mut curves: Vec<PlannerCurve> = Vec::new();
    for row in &comparison.rows {
        let point = PlannerPoint { planning_ms: row.planning_ms.p50, success: as_rate(row.moderate) };
        match curves.last_mut() {
            Some(curve) if curve.name == row.name => curve.points.push(point),
            _ => curves.push(PlannerCurve { name: row.name.clone(), points: vec![point] }),
        }
    }
    let episodes = comparison.episodes * comparison.seeds.len();
    PlannerChart {
        title: format!("{}: success against planning time", comparison.benchmark),
        subtitle: format!("{}, {episodes} episodes per point, moderate success", comparison.goals),
        curves,
    }
}
