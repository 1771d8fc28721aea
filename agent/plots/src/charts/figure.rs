//! Charts as parts of a page: panels as SVG, with titles and legends that the page writes.

use plotters::backend::SVGBackend;
use plotters::prelude::DrawingBackend;

use super::{Area, Drawn, Panel, draw, draw_with};
use crate::{Canvas, Result, Rgb};

/// What is drawn between two axes. One piece of code draws it into images and into pages.
pub(crate) trait Plot {
    /// Name of the chart, for errors.
    const NAME: &'static str;

    /// Titles of the axis across and of the upward axis.
    fn titles(&self) -> [&str; 2];

    /// Draws the chart into `panel` of `area`.
    fn draw<B: DrawingBackend>(&self, area: &Area<B>, panel: Panel) -> Drawn<B>;

    /// Draws the chart with its titles on `canvas`.
    fn paint(&self, canvas: &mut Canvas, panel: Panel) -> Result<()> {
        let [across, upward] = self.titles();
        panel.titles(canvas, across, upward);
        draw(canvas, Self::NAME, |area| self.draw(area, panel))
    }
}

/// A chart on a page of a report.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// Heading above it.
    pub(crate) title: String,
    /// Titles of the axis across and of the upward axis.
    pub(crate) titles: [String; 2],
    /// Names and colours of what is drawn.
    pub(crate) legend: Vec<(String, Rgb)>,
    /// The chart: an `svg` element.
    pub(crate) svg: String,
}

/// Width of a chart on a page, pixels. A phone shows it a fifth smaller.
pub(crate) const WIDTH: usize = 440;
/// Height of most charts on a page, pixels.
pub(crate) const HEIGHT: usize = 280;

impl Figure {
    /// `plot` in `size` (width and height, pixels).
    pub(crate) fn of(
        title: impl Into<String>,
        plot: &impl Plot,
        size: (usize, usize),
        legend: Vec<(String, Rgb)>,
    ) -> Result<Self> {
        let titles = plot.titles().map(str::to_owned);
        Ok(Self { title: title.into(), titles, legend, svg: svg(plot, size)? })
    }
}

fn svg<P: Plot>(plot: &P, (width, height): (usize, usize)) -> Result<String> {
    let mut text = String::new();
    // Both are sizes of charts of this crate, far below 2^32.
    let backend = SVGBackend::with_string(&mut text, (width as u32, height as u32));
    draw_with(backend, P::NAME, |area| plot.draw(area, Panel::untitled(width, height)))?;
    Ok(text)
}
