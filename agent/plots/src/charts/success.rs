//! How success depends on what a goal asks.

use plotters::prelude::*;

use super::{Area, Axis, Failure, Panel, Rate, axes, colour, draw, legend, percent, rounded_up, tick, whisker};
use crate::{BAD, CURVE, Canvas, Error, GOOD, INK, LETTER, MUTED, Result};

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
        if self.attempts.is_empty() {
            let (expected, got) = ("at least one attempt".into(), "none".into());
            return Err(Error::Data { operation: "success chart", expected, got });
        }
        let mut canvas = Canvas::new(3 * SIZE.0 + GAP, TOP + SIZE.1 + GAP)?;
        canvas.heading(GAP, GAP, &self.title, INK);
        let rotations = bins(&ROTATIONS_DEG, self.attempts.iter().map(|goal| (goal.rotation_deg, goal.reached)));
        let distances = bins(&DISTANCES_CM, self.attempts.iter().map(|goal| (goal.distance_cm, goal.reached)));
        let panel = |index: usize| Panel { left: index * SIZE.0, top: TOP, width: SIZE.0, height: SIZE.1 };
        let share = "success rate, with 95 % interval; n: episodes";
        panel(0).titles(&mut canvas, ROTATION, share);
        panel(1).titles(&mut canvas, DISTANCE, share);
        panel(2).titles(&mut canvas, ROTATION, DISTANCE);
        let left = 2 * SIZE.0 + 250;
        legend(&mut canvas, left, TOP, &[("reached".into(), GOOD)]);
        legend(&mut canvas, left + 96, TOP, &[("missed".into(), BAD)]);
        draw(&mut canvas, "success chart", |area| {
            columns(area, panel(0), &rotations, &interval)?;
            columns(area, panel(1), &distances, &interval)?;
            plane(area, panel(2), &self.attempts)
        })?;
        Ok(canvas)
    }
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
fn columns(
    area: &Area<'_>,
    panel: Panel,
    bins: &[Bin],
    interval: &impl Fn(usize, usize) -> Rate,
) -> std::result::Result<(), Failure> {
    let middles: Vec<f64> = (0..bins.len()).map(|index| index as f64 + 0.5).collect();
    let across = Axis::with_ticks(0.0..bins.len() as f64, middles.clone());
    let up = Axis::with_ticks(0.0..1.1, vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
    let mut chart = panel.chart(area, across, up)?;
    let label = |place: &f64| bins.get(*place as usize).map_or_else(String::new, |bin| bin.label.clone());
    axes(&mut chart, &label, &percent)?;
    for (bin, middle) in bins.iter().zip(middles) {
        let count = Text::new(format!("n {}", bin.count), (middle - 0.28, 1.09), super::text(LETTER - 2, MUTED));
        chart.draw_series([count])?;
        if bin.count == 0 {
            continue;
        }
        let Rate { rate, low, high, .. } = interval(bin.reached, bin.count);
        let column = [(middle - 0.34, 0.0), (middle + 0.34, rate)];
        chart.draw_series([Rectangle::new(column, colour(CURVE).mix(0.7).filled())])?;
        whisker(&mut chart, (middle, low), (middle, high), (0.1, 0.0))?;
    }
    Ok(())
}

/// Every attempt by rotation and distance.
fn plane(area: &Area<'_>, panel: Panel, attempts: &[Attempt]) -> std::result::Result<(), Failure> {
    let most = |of: fn(&Attempt) -> f64| rounded_up(attempts.iter().map(of).fold(0.0, f64::max));
    let (widest, farthest) = (most(|attempt| attempt.rotation_deg), most(|attempt| attempt.distance_cm));
    let mut chart = panel.chart(area, Axis::new(0.0..widest), Axis::new(0.0..farthest))?;
    axes(&mut chart, &tick, &tick)?;
    for (reached, rgb) in [(true, GOOD), (false, BAD)] {
        let these = attempts.iter().filter(|attempt| attempt.reached == reached);
        let points = these.map(|attempt| (attempt.rotation_deg, attempt.distance_cm));
        chart.draw_series(points.map(|point| Circle::new(point, 3, colour(rgb).mix(0.8).filled())))?;
    }
    Ok(())
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
