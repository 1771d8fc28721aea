//! How the time of a rollout grows with its size.

use super::curves::{Curve, CurvePlot, CurveStyle, Scale};
use super::figure::{Figure, HEIGHT, Plot, WIDTH};
use super::{COLOURS, Panel, legend};
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
        let [by_plans, by_horizon] = self.plots()?;
        by_plans.paint(&mut canvas, Panel::new((0, TOP), PANEL))?;
        by_horizon.paint(&mut canvas, Panel::new((PANEL.0, TOP), PANEL))?;
        legend(&mut canvas, 2 * PANEL.0 + GAP, TOP + GAP, &by_plans.legend());
        Ok(canvas)
    }

    /// Both panels for a page.
    ///
    /// # Errors
    /// As [`ScalingChart::draw`].
    pub fn figures(&self) -> Result<Vec<Figure>> {
        let [by_plans, by_horizon] = self.plots()?;
        let figure = |title, plot: &CurvePlot| Figure::of(title, plot, (WIDTH, HEIGHT), plot.legend());
        Ok(vec![figure("By number of plans", &by_plans)?, figure("By horizon", &by_horizon)?])
    }

    fn plots(&self) -> Result<[CurvePlot; 2]> {
        Ok([plot("plans", &self.by_plans)?, plot("horizon, action chunks", &self.by_horizon)?])
    }
}

fn plot(x_title: &str, points: &[ScalingPoint]) -> Result<CurvePlot> {
    let threads = points.iter().map(|point| point.ms.len()).max().unwrap_or(0);
    if threads == 0 {
        let (expected, got) = ("at least one time".into(), "none".into());
        return Err(Error::Data { operation: "scaling chart", expected, got });
    }
    let widest = points.iter().map(|point| point.size).max().unwrap_or(1) as f64;
    let highest = points.iter().flat_map(|point| point.ms.iter().copied()).fold(0.0, f64::max);
    let curve = |thread: usize| Curve {
        name: if thread == 0 { "1 thread".into() } else { format!("{} threads", thread + 1) },
        rgb: COLOURS[thread % COLOURS.len()],
        points: points.iter().filter_map(|point| Some((point.size as f64, *point.ms.get(thread)?).into())).collect(),
        style: CurveStyle::LineAndPoints,
    };
    Ok(CurvePlot {
        titles: [x_title.to_owned(), "time of rollout and cost, ms".into()],
        across: Scale::linear(0.0..1.04 * widest),
        upward: Scale::from_zero(1.02 * highest),
        curves: (0..threads).map(curve).collect(),
    })
}
