//! How success depends on planning time, planner by planner.

use super::curves::{Curve, CurvePlot, CurvePoint, CurveStyle, Scale};
use super::figure::{self, Figure, Plot};
use super::{COLOURS, Panel, Rate, legend};
use crate::{Canvas, Error, INK, MUTED, Result, Rgb};

/// One setting of a planner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlannerPoint {
    /// Median planning time of a tick, milliseconds.
    pub planning_ms: f64,
    /// Success on the pairs of all planners.
    pub success: Rate,
}

/// A planner at several budgets.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannerCurve {
    /// Name of the planner.
    pub name: String,
    /// From small budgets to large ones.
    pub points: Vec<PlannerPoint>,
}

/// Success against planning time, a curve per planner, with 95 % intervals.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannerChart {
    /// Heading of the chart.
    pub title: String,
    /// Second line: episodes and how they were chosen.
    pub subtitle: String,
    /// One curve per planner, in the order of the legend.
    pub curves: Vec<PlannerCurve>,
}

const WIDTH: usize = 980;
const HEIGHT: usize = 560;
const LEGEND: usize = 200;
const GAP: usize = 16;
const TOP: usize = 70;
/// The shortest time that is told apart, milliseconds.
const SHORTEST_MS: f64 = 0.01;

impl PlannerChart {
    /// Draws the chart; time is on a logarithmic axis.
    ///
    /// # Errors
    /// When there is no point, or the chart cannot be drawn.
    pub fn draw(&self) -> Result<Canvas> {
        let plot = self.plot()?;
        let mut canvas = Canvas::new(WIDTH, HEIGHT)?;
        canvas.heading(GAP, GAP, &self.title, INK);
        canvas.text(GAP, GAP + 28, &self.subtitle, MUTED);
        let size = (WIDTH - LEGEND - GAP / 2, HEIGHT - TOP - GAP / 2);
        plot.paint(&mut canvas, Panel::new((GAP / 2, TOP), size))?;
        legend(&mut canvas, WIDTH - LEGEND + GAP, TOP + GAP, &plot.legend());
        Ok(canvas)
    }

    /// The chart for a page.
    ///
    /// # Errors
    /// As [`PlannerChart::draw`].
    pub fn figure(&self) -> Result<Figure> {
        let plot = self.plot()?;
        Figure::of("Success against planning time", &plot, (figure::WIDTH, 320), plot.legend())
    }

    fn plot(&self) -> Result<CurvePlot> {
        let times = || self.curves.iter().flat_map(|curve| &curve.points).map(|point| point.planning_ms);
        if times().next().is_none() {
            let (expected, got) = ("at least one point".into(), "none".into());
            return Err(Error::Data { operation: "planner chart", expected, got });
        }
        let point = |point: &PlannerPoint| CurvePoint {
            x: point.planning_ms.max(SHORTEST_MS),
            y: point.success.rate,
            interval: Some((point.success.low, point.success.high)),
        };
        let curve = |(curve, rgb): (&PlannerCurve, &Rgb)| Curve {
            name: curve.name.clone(),
            rgb: *rgb,
            points: curve.points.iter().map(point).collect(),
            style: CurveStyle::LineAndPoints,
        };
        Ok(CurvePlot {
            titles: [
                "median planning time of a tick, ms (logarithmic)".into(),
                "success rate, with 95 % interval".into(),
            ],
            across: Scale::logarithmic(times().map(|ms| ms.max(SHORTEST_MS))),
            upward: Scale::shares(),
            curves: self.curves.iter().zip(COLOURS.iter().cycle()).map(curve).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_without_points_is_refused() {
        let chart = PlannerChart { title: "a".into(), subtitle: "b".into(), curves: Vec::new() };
        assert!(chart.draw().unwrap_err().to_string().contains("at least one point"));
    }
}
