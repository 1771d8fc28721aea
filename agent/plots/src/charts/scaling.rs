//! How the time of a rollout grows with its size.

use plotters::prelude::*;

use super::{Axis, COLOURS, Panel, axes, colour, draw, legend, rounded_up, tick};
use crate::{Canvas, Error, INK, MUTED, Result};

/// Time of one size on every number of threads.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalingPoint {
    /// The size: number of plans, or action chunks ahead.
    pub size: usize,
    /// Milliseconds, by number of threads from 1.
    pub ms: Vec<f64>,
}

/// Two panels: time against the number of plans, and against the horizon.
#[derive(Debug, Clone, PartialEq)]
pub struct ScalingChart {
    /// Heading of the chart.
    pub title: String,
    /// Second line: what is held fixed.
    pub subtitle: String,
    /// Growing numbers of plans.
    pub by_plans: Vec<ScalingPoint>,
    /// Growing horizons, action chunks.
    pub by_horizon: Vec<ScalingPoint>,
}

/// Width and height of a panel with its axes, pixels.
const PANEL: (usize, usize) = (470, 380);
const LEGEND: usize = 150;
const GAP: usize = 16;
const TOP: usize = 70;

impl ScalingChart {
    /// Draws the chart. Both axes begin at zero: a straight line is time in proportion to size.
    ///
    /// # Errors
    /// When a panel has no point, or the chart cannot be drawn.
    pub fn draw(&self) -> Result<Canvas> {
        let mut canvas = Canvas::new(2 * PANEL.0 + LEGEND + GAP, TOP + PANEL.1 + GAP / 2)?;
        canvas.heading(GAP, GAP, &self.title, INK);
        canvas.text(GAP, GAP + 28, &self.subtitle, MUTED);
        panel(&mut canvas, 0, "plans", &self.by_plans)?;
        panel(&mut canvas, PANEL.0, "horizon, action chunks", &self.by_horizon)?;
        let threads = self.by_plans.first().map_or(0, |point| point.ms.len());
        let names = (1..=threads).map(|count| if count == 1 { "1 thread".into() } else { format!("{count} threads") });
        let entries: Vec<_> = names.zip(COLOURS.iter().copied().cycle()).collect();
        legend(&mut canvas, 2 * PANEL.0 + GAP, TOP + GAP, &entries);
        Ok(canvas)
    }
}

fn panel(canvas: &mut Canvas, left: usize, x_title: &str, points: &[ScalingPoint]) -> Result<()> {
    if points.iter().all(|point| point.ms.is_empty()) {
        let (expected, got) = ("at least one time".into(), "none".into());
        return Err(Error::Data { operation: "scaling chart", expected, got });
    }
    let widest = points.iter().map(|point| point.size).max().unwrap_or(1) as f64;
    let highest = points.iter().flat_map(|point| point.ms.iter().copied()).fold(0.0, f64::max);
    let frame = Panel { left, top: TOP, width: PANEL.0, height: PANEL.1 };
    frame.titles(canvas, x_title, "time of rollout and cost, ms");
    draw(canvas, "scaling chart", |area| {
        let up = Axis::new(0.0..rounded_up(1.02 * highest));
        let mut chart = frame.chart(area, Axis::new(0.0..1.04 * widest), up)?;
        axes(&mut chart, &tick, &tick)?;
        let threads = points.iter().map(|point| point.ms.len()).max().unwrap_or(0);
        for thread in 0..threads {
            let style = colour(COLOURS[thread % COLOURS.len()]);
            let curve = || points.iter().filter_map(|point| Some((point.size as f64, *point.ms.get(thread)?)));
            chart.draw_series(LineSeries::new(curve(), style.stroke_width(2)))?;
            chart.draw_series(curve().map(|point| Circle::new(point, 4, style.filled())))?;
        }
        Ok(())
    })
}
