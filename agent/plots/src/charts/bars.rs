//! Success rates as horizontal bars with their intervals.

use plotters::prelude::*;

use super::figure::{Figure, Plot, WIDTH};
use super::{Area, Axis, Drawn, Panel, Rate, axes, colour, percent, text, tick, whisker};
use crate::{INK, LETTER, MUTED, Result, Rgb};

/// The bars of one name.
#[derive(Debug, Clone, PartialEq)]
pub struct RateBars {
    /// The name.
    pub name: String,
    /// Line below it: conditions, numbers; empty for none.
    pub detail: String,
    /// Rates with their colours, from top to bottom.
    pub bars: Vec<(Rate, Rgb)>,
}

/// Groups of bars from top to bottom.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BarPlot {
    /// Title of the axis.
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<RateBars>,
    /// Whether names and conditions are written above the bars; they are beside the chart otherwise.
    pub(crate) is_named: bool,
}

/// Title of the axis of most charts.
pub(crate) const SUCCESS: &str = "success rate, with 95 % interval";
/// Height of a group of bars with names above them, pixels: the names, and each bar.
const NAMED_ROW: (usize, usize) = (46, 18);
/// Tops of both lines of names, pixels under the top of their row.
const LINES: [f64; 2] = [9.0, 26.0];
/// Height of the labels below, pixels.
const BELOW: usize = 34;

impl Figure {
    /// Rates as bars for a page, the names above them.
    ///
    /// # Errors
    /// When the chart cannot be drawn.
    pub fn rates(title: &str, axis: &'static str, rows: Vec<RateBars>, legend: Vec<(String, Rgb)>) -> Result<Self> {
        let plot = BarPlot { title: axis, rows, is_named: true };
        let height = plot.rows.len() * (NAMED_ROW.0 + NAMED_ROW.1 * plot.most()) + BELOW;
        Self::of(title, &plot, (WIDTH, height), legend)
    }
}

impl BarPlot {
    /// Most bars of a row.
    fn most(&self) -> usize {
        self.rows.iter().map(|row| row.bars.len()).max().unwrap_or(1)
    }
}

impl Plot for BarPlot {
    const NAME: &'static str = "bars";

    fn titles(&self) -> [&str; 2] {
        [self.title, ""]
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>, panel: Panel) -> Drawn<B> {
        let rows = self.rows.len();
        let up = Axis::with_ticks(0.0..rows as f64, Vec::new());
        let panel = if self.is_named { panel.without_labels_left() } else { panel };
        let mut chart = panel.chart(area, Axis::new(0.0..1.0), up)?;
        axes(&mut chart, &percent, &tick)?;
        // Shares of a row: where its bars begin and end.
        let row_height = (NAMED_ROW.0 + NAMED_ROW.1 * self.most()) as f64;
        let (begin, end) = if self.is_named { (NAMED_ROW.0 as f64 / row_height, 0.97) } else { (0.16, 0.78) };
        for (index, row) in self.rows.iter().enumerate() {
            let top = (rows - index) as f64;
            if self.is_named {
                let line = |content: &str, below: f64, rgb| {
                    Text::new(content.to_owned(), (0.008, top - below / row_height), text(LETTER - 1, rgb))
                };
                chart.draw_series([line(&row.name, LINES[0], INK), line(&row.detail, LINES[1], MUTED)])?;
            }
            let count = row.bars.len().max(1) as f64;
            let gap = 0.06;
            let thickness = (end - begin - gap * (count - 1.0)) / count;
            for (bar, (rate, rgb)) in row.bars.iter().enumerate() {
                let from = begin + bar as f64 * (thickness + gap);
                let corners = [(0.0, top - from - thickness), (rate.rate, top - from)];
                chart.draw_series([Rectangle::new(corners, colour(*rgb).mix(0.75).filled())])?;
                let middle = top - from - thickness / 2.0;
                whisker(&mut chart, (rate.low, middle), (rate.high, middle), (0.0, 0.32 * thickness))?;
            }
        }
        Ok(())
    }
}
