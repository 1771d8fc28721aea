//! How success depends on planning time, planner by planner.

use plotters::prelude::*;

use super::{Axis, COLOURS, Panel, Rate, axes, colour, draw, legend, percent};
use crate::{Canvas, Error, INK, MUTED, Result};

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
        let place = |point: &PlannerPoint| point.planning_ms.max(SHORTEST_MS).log10();
        let places: Vec<f64> = self.curves.iter().flat_map(|curve| curve.points.iter().map(place)).collect();
        if places.is_empty() {
            let (expected, got) = ("at least one point".into(), "none".into());
            return Err(Error::Data { operation: "planner chart", expected, got });
        }
        let low = places.iter().copied().fold(f64::INFINITY, f64::min) - 0.08;
        let high = places.iter().copied().fold(f64::NEG_INFINITY, f64::max) + 0.08;
        let mut canvas = Canvas::new(WIDTH, HEIGHT)?;
        canvas.heading(GAP, GAP, &self.title, INK);
        canvas.text(GAP, GAP + 28, &self.subtitle, MUTED);
        let panel = Panel { left: GAP / 2, top: TOP, width: WIDTH - LEGEND - GAP / 2, height: HEIGHT - TOP - GAP / 2 };
        let x_title = "median planning time of a tick, ms (logarithmic)";
        panel.titles(&mut canvas, x_title, "success rate, with 95 % interval");
        draw(&mut canvas, "planner chart", |area| {
            let across = Axis::with_ticks(low..high, ticks(low, high));
            let up = Axis::with_ticks(-0.02..1.02, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
            let mut chart = panel.chart(area, across, up)?;
            axes(&mut chart, &|place| super::tick(&10f64.powf(*place)), &percent)?;
            for (index, curve) in self.curves.iter().enumerate() {
                let style = colour(COLOURS[index % COLOURS.len()]);
                for point in &curve.points {
                    let Rate { rate, low, high, .. } = point.success;
                    let thin = style.mix(0.5).stroke_width(1);
                    chart.draw_series([ErrorBar::new_vertical(place(point), low, rate, high, thin, 7)])?;
                }
                let points = || curve.points.iter().map(|point| (place(point), point.success.rate));
                chart.draw_series(LineSeries::new(points(), style.stroke_width(2)))?;
                chart.draw_series(points().map(|point| Circle::new(point, 4, style.filled())))?;
            }
            Ok(())
        })?;
        let colours = COLOURS.iter().cycle();
        let entries: Vec<_> = self.curves.iter().zip(colours).map(|(curve, rgb)| (curve.name.clone(), *rgb)).collect();
        legend(&mut canvas, WIDTH - LEGEND + GAP, TOP + GAP, &entries);
        Ok(canvas)
    }
}

/// Places of 1, 2 and 5 times powers of ten between `low` and `high`, all decimal logarithms.
fn ticks(low: f64, high: f64) -> Vec<f64> {
    let decades = low.floor() as i32..=high.ceil() as i32;
    let all = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|factor: f64| f64::from(decade) + factor.log10()));
    all.filter(|place| (low..=high).contains(place)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_milliseconds() {
        let shown: Vec<f64> = ticks(0.2, 1.4).iter().map(|place| 10f64.powf(*place).round()).collect();
        assert_eq!(shown, [2.0, 5.0, 10.0, 20.0]);
    }

    #[test]
    fn a_chart_without_points_is_refused() {
        let chart = PlannerChart { title: "a".into(), subtitle: "b".into(), curves: Vec::new() };
        assert!(chart.draw().unwrap_err().to_string().contains("at least one point"));
    }
}
