//! Success with and without each module.

use plotters::prelude::*;

use super::{Axis, Panel, Rate, axes, colour, draw, legend, percent, tick, whisker};
use crate::{BAD, Canvas, Error, GOOD, HEADING, INK, LETTER, MUTED, Result};

/// What was measured of one module.
#[derive(Debug, Clone, PartialEq)]
pub struct AblationBar {
    /// What was taken away, as `memory: without its last 8 transitions`.
    pub name: String,
    /// Under what conditions both were measured, and what counted as success.
    pub conditions: String,
    /// Success of the whole agent.
    pub with: Rate,
    /// Success without the part.
    pub without: Rate,
}

/// Two bars for each module, with 95 % intervals.
#[derive(Debug, Clone, PartialEq)]
pub struct AblationChart {
    /// Heading of the chart.
    pub title: String,
    /// One entry per comparison, from top to bottom.
    pub bars: Vec<AblationBar>,
}

/// Width of the captions left of the bars, pixels.
const CAPTIONS: usize = 330;
const BARS: usize = 510;
/// Width of the numbers right of the bars, pixels.
const NUMBERS: usize = 180;
const GAP: usize = 16;
/// Height of a pair of bars with its gap, pixels.
const ROW: usize = 58;
const TOP: usize = 56;
/// Height of the axes around the bars, pixels: title above, labels and title below.
const AXES: usize = 72;
/// Top of the first bar under the top of the chart, pixels.
const BARS_TOP: usize = 26;

impl AblationChart {
    /// Draws the chart.
    ///
    /// # Errors
    /// When there is no bar, or there are too many for an image.
    pub fn draw(&self) -> Result<Canvas> {
        if self.bars.is_empty() {
            let (expected, got) = ("at least one comparison".into(), "none".into());
            return Err(Error::Data { operation: "ablation chart", expected, got });
        }
        let rows = self.bars.len();
        let height = rows * ROW;
        let mut canvas = Canvas::new(GAP + CAPTIONS + BARS + NUMBERS, TOP + height + AXES + GAP / 2)?;
        canvas.heading(GAP, GAP, &self.title, INK);
        let panel = Panel { left: CAPTIONS, top: TOP, width: BARS, height: height + AXES };
        panel.titles(&mut canvas, "success rate, with 95 % interval", "");
        legend(&mut canvas, CAPTIONS + 58, TOP - 4, &[("whole agent".into(), GOOD)]);
        legend(&mut canvas, CAPTIONS + 208, TOP - 4, &[("without the part".into(), BAD)]);
        draw(&mut canvas, "ablation chart", |area| {
            let up = Axis::with_ticks(0.0..rows as f64, Vec::new());
            let mut chart = panel.chart(area, Axis::new(0.0..1.0), up)?;
            axes(&mut chart, &percent, &tick)?;
            for (index, bar) in self.bars.iter().enumerate() {
                let top = (rows - index) as f64;
                for (rate, rgb, from, to) in [(bar.with, GOOD, 0.16, 0.44), (bar.without, BAD, 0.5, 0.78)] {
                    let area = [(0.0, top - to), (rate.rate, top - from)];
                    chart.draw_series([Rectangle::new(area, colour(rgb).mix(0.75).filled())])?;
                    let middle = top - (from + to) / 2.0;
                    whisker(&mut chart, (rate.low, middle), (rate.high, middle), (0.0, 0.09))?;
                }
            }
            Ok(())
        })?;
        for (index, bar) in self.bars.iter().enumerate() {
            let top = TOP + BARS_TOP + index * ROW;
            canvas.text(GAP, top + ROW / 4 - 4, &Canvas::fitted_text(&bar.name, CAPTIONS), INK);
            let conditions = Canvas::fitted_text(&bar.conditions, CAPTIONS);
            canvas.text(GAP, top + ROW / 4 + LETTER + 2, &conditions, MUTED);
            let left = CAPTIONS + BARS + GAP;
            canvas.text(left, top + 10, &bar.with.caption(), GOOD);
            canvas.text(left, top + 10 + HEADING, &bar.without.caption(), BAD);
        }
        Ok(canvas)
    }
}
