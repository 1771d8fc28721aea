//! How success depends on what a goal asks.

use plotters::prelude::*;

use super::figure::{self, Figure, Plot};
use super::{Area, Axis, Drawn, Panel, Rate, axes, colour, legend, percent, rounded_up, tick, whisker};
use crate::{BAD, CURVE, Canvas, Error, GOOD, INK, LETTER, MUTED, Result, Rgb};

/// One start and goal, and whether the goal was reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attempt {
    /// Angle between start and goal of the object, degrees.
    pub rotation_deg: f64,
    /// Distance between start and goal of the object, centimetres.
    pub distance_cm: f64,
    /// Whether the goal was reached at some step.
    pub reached: bool,
}

/// Success by rotation, by distance, and every attempt in the plane of both.
#[derive(Debug, Clone, PartialEq)]
pub struct SuccessChart {
    /// Heading of the chart.
    pub title: String,
    /// All attempts.
    pub attempts: Vec<Attempt>,
}

/// Lower edges of the bins of the first panel, degrees; the last bin is open.
const ROTATIONS_DEG: [f64; 6] = [0.0, 10.0, 20.0, 40.0, 60.0, 90.0];
/// Lower edges of the bins of the second panel, centimetres; the last bin is open.
const DISTANCES_CM: [f64; 6] = [0.0, 4.0, 8.0, 12.0, 18.0, 25.0];
/// Titles of the axes.
const ROTATION: &str = "rotation of the object, degrees";
const DISTANCE: &str = "distance of the object, cm";
/// Width and height of a panel with its axes, pixels.
const SIZE: (usize, usize) = (430, 380);
const GAP: usize = 16;
const TOP: usize = 56;

impl SuccessChart {
    /// Draws the chart; `interval(successes, attempts)` is the 95 % interval of a share.
    ///
    /// # Errors
    /// When there is no attempt, or the chart cannot be drawn.
    pub fn draw(&self, interval: impl Fn(usize, usize) -> Rate) -> Result<Canvas> {
        let (columns, plane) = self.plots(&interval)?;
        let mut canvas = Canvas::new(3 * SIZE.0 + GAP, TOP + SIZE.1 + GAP)?;
        canvas.heading(GAP, GAP, &self.title, INK);
        let panel = |index: usize| Panel::new((index * SIZE.0, TOP), SIZE);
        let left = 2 * SIZE.0 + 250;
        for (index, entry) in outcomes().into_iter().enumerate() {
            legend(&mut canvas, left + 96 * index, TOP, &[entry]);
        }
        for (index, columns) in columns.iter().enumerate() {
            columns.paint(&mut canvas, panel(index))?;
        }
        plane.paint(&mut canvas, panel(2))?;
        Ok(canvas)
    }

    /// The three panels for a page.
    ///
    /// # Errors
    /// As [`SuccessChart::draw`].
    pub fn figures(&self, interval: impl Fn(usize, usize) -> Rate) -> Result<Vec<Figure>> {
        let ([by_rotation, by_distance], plane) = self.plots(&interval)?;
        let size = (figure::WIDTH, figure::HEIGHT);
        Ok(vec![
            Figure::of("Success by rotation", &by_rotation, size, Vec::new())?,
            Figure::of("Success by distance", &by_distance, size, Vec::new())?,
            Figure::of("Every episode", &plane, size, outcomes().into())?,
        ])
    }

    fn plots(&self, interval: &impl Fn(usize, usize) -> Rate) -> Result<([ColumnPlot; 2], PlanePlot<'_>)> {
        if self.attempts.is_empty() {
            let (expected, got) = ("at least one attempt".into(), "none".into());
            return Err(Error::Data { operation: "success chart", expected, got });
        }
        let rotations = bins(&ROTATIONS_DEG, self.attempts.iter().map(|goal| (goal.rotation_deg, goal.reached)));
        let distances = bins(&DISTANCES_CM, self.attempts.iter().map(|goal| (goal.distance_cm, goal.reached)));
        let columns = |title, bins: Vec<Bin>| ColumnPlot {
            title,
            columns: bins.into_iter().map(|bin| (interval(bin.reached, bin.count), bin)).collect(),
        };
        Ok(([columns(ROTATION, rotations), columns(DISTANCE, distances)], PlanePlot(&self.attempts)))
    }
}

/// What the colours of attempts say.
pub(crate) fn outcomes() -> [(String, Rgb); 2] {
    [("reached".into(), GOOD), ("missed".into(), BAD)]
}

/// A range of what is asked, how many goals were in it and how many of those were reached.
struct Bin {
    label: String,
    count: usize,
    reached: usize,
}

fn bins(edges: &[f64], goals: impl Iterator<Item = (f64, bool)> + Clone) -> Vec<Bin> {
    let bin = |(index, &from): (usize, &f64)| {
        let to = edges.get(index + 1).copied();
        let inside = |value: f64| value >= from && to.is_none_or(|to| value < to);
        let inside = goals.clone().filter(|(value, _)| inside(*value));
        let label = to.map_or(format!("{from:.0}+"), |to| format!("{from:.0}–{to:.0}"));
        Bin { label, count: inside.clone().count(), reached: inside.filter(|(_, reached)| *reached).count() }
    };
    edges.iter().enumerate().map(bin).collect()
}

/// A column per bin, as high as its share of successes.
struct ColumnPlot {
    title: &'static str,
    columns: Vec<(Rate, Bin)>,
}

impl Plot for ColumnPlot {
    const NAME: &'static str = "success chart";

    fn titles(&self) -> [&str; 2] {
        [self.title, "success rate, with 95 % interval; n: episodes"]
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>, panel: Panel) -> Drawn<B> {
        let count = self.columns.len();
        let middles: Vec<f64> = (0..count).map(|index| index as f64 + 0.5).collect();
        let across = Axis::with_ticks(0.0..count as f64, middles.clone());
        let up = Axis::with_ticks(0.0..1.1, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        let mut chart = panel.chart(area, across, up)?;
        let label =
            |place: &f64| self.columns.get(*place as usize).map_or_else(String::new, |(_, bin)| bin.label.clone());
        axes(&mut chart, &label, &percent)?;
        for ((rate, bin), middle) in self.columns.iter().zip(middles) {
            let count = Text::new(format!("n {}", bin.count), (middle - 0.28, 1.09), super::text(LETTER - 2, MUTED));
            chart.draw_series([count])?;
            if bin.count == 0 {
                continue;
            }
            let column = [(middle - 0.34, 0.0), (middle + 0.34, rate.rate)];
            chart.draw_series([Rectangle::new(column, colour(CURVE).mix(0.7).filled())])?;
            whisker(&mut chart, (middle, rate.low), (middle, rate.high), (0.1, 0.0))?;
        }
        Ok(())
    }
}

/// Every attempt by rotation and distance.
struct PlanePlot<'a>(&'a [Attempt]);

impl Plot for PlanePlot<'_> {
    const NAME: &'static str = "success chart";

    fn titles(&self) -> [&str; 2] {
        [ROTATION, DISTANCE]
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>, panel: Panel) -> Drawn<B> {
        let most = |of: fn(&Attempt) -> f64| rounded_up(self.0.iter().map(of).fold(0.0, f64::max));
        let (widest, farthest) = (most(|attempt| attempt.rotation_deg), most(|attempt| attempt.distance_cm));
        let mut chart = panel.chart(area, Axis::new(0.0..widest), Axis::new(0.0..farthest))?;
        axes(&mut chart, &tick, &tick)?;
        for (reached, rgb) in [(true, GOOD), (false, BAD)] {
            let these = self.0.iter().filter(|attempt| attempt.reached == reached);
            let points = these.map(|attempt| (attempt.rotation_deg, attempt.distance_cm));
            chart.draw_series(points.map(|point| Circle::new(point, 3, colour(rgb).mix(0.8).filled())))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_goal_is_in_one_bin() {
        let goals = [(0.0, true), (9.99, false), (10.0, true), (400.0, false)];
        let bins = bins(&ROTATIONS_DEG, goals.into_iter());
        let counts: Vec<(usize, usize)> = bins.iter().map(|bin| (bin.count, bin.reached)).collect();
        assert_eq!(counts, [(2, 1), (1, 1), (0, 0), (0, 0), (0, 0), (1, 0)]);
        assert_eq!(bins[5].label, "90+");
    }
}
