//! Success with and without each module.

use super::bars::{BarPlot, RateBars, SUCCESS};
use super::figure::{Figure, Plot};
use super::{Panel, Rate, legend};
use crate::{BAD, Canvas, Error, GOOD, HEADING, INK, LETTER, MUTED, Result, Rgb};

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
        let plot = self.plot()?;
        let height = self.bars.len() * ROW;
        let mut canvas = Canvas::new(GAP + CAPTIONS + BARS + NUMBERS, TOP + height + AXES + GAP / 2)?;
        canvas.heading(GAP, GAP, &self.title, INK);
        for (index, entry) in legends().into_iter().enumerate() {
            legend(&mut canvas, CAPTIONS + 58 + 150 * index, TOP - 4, &[entry]);
        }
        plot.paint(&mut canvas, Panel::new((CAPTIONS, TOP), (BARS, height + AXES)))?;
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

    /// The chart for a page.
    ///
    /// # Errors
    /// As [`AblationChart::draw`].
    pub fn figure(&self) -> Result<Figure> {
        Figure::rates("Success with and without each part", SUCCESS, self.plot()?.rows, legends().into())
    }

    fn plot(&self) -> Result<BarPlot> {
        if self.bars.is_empty() {
            let (expected, got) = ("at least one comparison".into(), "none".into());
            return Err(Error::Data { operation: "ablation chart", expected, got });
        }
        let row = |bar: &AblationBar| RateBars {
            name: bar.name.clone(),
            detail: bar.conditions.clone(),
            bars: vec![(bar.with, GOOD), (bar.without, BAD)],
        };
        Ok(BarPlot { title: SUCCESS, rows: self.bars.iter().map(row).collect(), is_named: false })
    }
}

fn legends() -> [(String, Rgb); 2] {
    [("whole agent".into(), GOOD), ("without the part".into(), BAD)]
}
