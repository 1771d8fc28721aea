//! What linear probes read from latents, against the truth.

use plotters::prelude::*;

use super::{Axis, Panel, axes, colour, draw, tick};
use crate::{CURVE, Canvas, Error, GOOD, INK, LETTER, MUTED, Result};

/// One dimension of what the probes read.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbePanel {
    /// Name of the dimension.
    pub name: String,
    /// Unit of the values; empty where it is not known.
    pub unit: String,
    /// True values and what the probe read, in `unit`.
    pub points: Vec<(f64, f64)>,
    /// Median absolute error, in `unit`.
    pub median_error: f64,
    /// Coefficient of determination, at most 1.
    pub r2: f64,
}

/// A scatter plot per dimension.
#[derive(Debug, Clone, PartialEq)]
pub struct ProbeChart {
    /// Heading of the chart.
    pub title: String,
    /// One panel per dimension.
    pub panels: Vec<ProbePanel>,
}

/// Width and height of a panel with its axes, pixels.
const PANEL: usize = 330;
const CAPTION: usize = 56;
/// Panels side by side.
const ACROSS: usize = 4;
const GAP: usize = 16;
const TOP: usize = 56;
/// Share of the range of the truth that is shown on either side of it.
const MARGIN: f64 = 0.08;

impl ProbeChart {
    /// Draws the chart. What is read outside of the range of the truth is drawn at the edge.
    ///
    /// # Errors
    /// When there is no panel, there are too many for an image, or a panel cannot be drawn.
    pub fn draw(&self) -> Result<Canvas> {
        if self.panels.is_empty() {
            let (expected, got) = ("at least one dimension".into(), "none".into());
            return Err(Error::Data { operation: "probe chart", expected, got });
        }
        let across = self.panels.len().min(ACROSS);
        let rows = self.panels.len().div_ceil(across);
        let mut canvas = Canvas::new((across * PANEL + 2 * GAP).max(640), TOP + rows * (PANEL + CAPTION) + GAP)?;
        canvas.heading(GAP, GAP, &self.title, INK);
        for (index, panel) in self.panels.iter().enumerate() {
            let (left, top) = (GAP + index % across * PANEL, TOP + index / across * (PANEL + CAPTION));
            canvas.text(left + 28, top, &panel.name, INK);
            let unit = &panel.unit;
            let errors = format!("median error {:.3} {unit}, R² {:.3}", panel.median_error, panel.r2);
            canvas.text(left + 28, top + LETTER + 4, &errors, MUTED);
            scatter(&mut canvas, (left, top + CAPTION - 10), panel)?;
        }
        Ok(canvas)
    }
}

fn scatter(canvas: &mut Canvas, (left, top): (usize, usize), panel: &ProbePanel) -> Result<()> {
    let truths = || panel.points.iter().map(|(truth, _)| *truth);
    let (low, high) = (truths().fold(f64::INFINITY, f64::min), truths().fold(f64::NEG_INFINITY, f64::max));
    let (low, high) = if high > low { (low, high) } else { (low.min(0.0) - 0.5, low.max(0.0) + 0.5) };
    let (low, high) = if low.is_finite() { (low, high) } else { (0.0, 1.0) };
    let margin = MARGIN * (high - low);
    let (low, high) = (low - margin, high + margin);
    let unit = if panel.unit.is_empty() { String::new() } else { format!(", {}", panel.unit) };
    let frame = Panel::new((left, top), (PANEL - 8, PANEL));
    frame.titles(canvas, &format!("truth{unit}"), &format!("read from the latent{unit}"));
    draw(canvas, "probe chart", |area| {
        let mut chart = frame.chart(area, Axis::new(low..high), Axis::new(low..high))?;
        axes(&mut chart, &tick, &tick)?;
        chart.draw_series(LineSeries::new([(low, low), (high, high)], colour(GOOD).stroke_width(2)))?;
        let points = panel.points.iter().map(|(truth, read)| (*truth, read.clamp(low, high)));
        chart.draw_series(points.map(|point| Circle::new(point, 2, colour(CURVE).mix(0.6).filled())))?;
        Ok(())
    })
}
