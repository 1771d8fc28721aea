//! Charts with axes, units and 95 % intervals.

pub(crate) mod ablation;
pub(crate) mod bars;
pub(crate) mod curves;
pub(crate) mod figure;
pub(crate) mod histogram;
pub(crate) mod planners;
pub(crate) mod probes;
pub(crate) mod scaling;
pub(crate) mod success;

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use crate::{Canvas, Error, FAINT, GOOD, INK, LETTER, MUTED, Result, Rgb, font};

/// A success rate with its 95 % interval, all in 0..=1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Share of the episodes that succeeded.
    pub rate: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Number of episodes.
    pub episodes: usize,
}

impl Rate {
    /// In per cent, as `93.3 % [89.9, 95.6]`.
    fn caption(self) -> String {
        format!("{:.1} % [{:.1}, {:.1}]", 100.0 * self.rate, 100.0 * self.low, 100.0 * self.high)
    }
}

/// Colours of curves in the order of a legend, as different as eight colours can be on white.
pub const COLOURS: [Rgb; 8] =
    [[32, 96, 176], [206, 92, 0], GOOD, [192, 48, 40], [120, 80, 168], [20, 150, 160], [140, 86, 75], [214, 90, 160]];

/// Grid lines.
pub(crate) const GRID: Rgb = [228, 230, 232];
/// Height of tick labels, pixels.
const TICKS: usize = 13;

/// An area that plotters draws into: of a canvas, or of an SVG.
pub(crate) type Area<B> = DrawingArea<B, Shift>;
/// Whether plotters could draw.
pub(crate) type Drawn<B> = std::result::Result<(), DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Draws on `canvas` with plotters.
pub(crate) fn draw<'a>(
    canvas: &'a mut Canvas,
    chart: &'static str,
    draw: impl FnOnce(&Area<BitMapBackend<'a>>) -> Drawn<BitMapBackend<'a>>,
) -> Result<()> {
    let (buffer, size) = canvas.buffer();
    draw_with(BitMapBackend::with_buffer(buffer, size), chart, draw)
}

/// Draws with any of plotters' backends.
pub(crate) fn draw_with<B: DrawingBackend>(
    backend: B,
    chart: &'static str,
    draw: impl FnOnce(&Area<B>) -> Drawn<B>,
) -> Result<()> {
    font::register();
    let area = backend.into_drawing_area();
    draw(&area).and_then(|()| area.present()).map_err(|error| Error::Drawing { chart, reason: error.to_string() })
}

pub(crate) fn colour(rgb: Rgb) -> RGBColor {
    RGBColor(rgb[0], rgb[1], rgb[2])
}

/// Text in letters `size` pixels high.
pub(crate) fn text(size: usize, rgb: Rgb) -> TextStyle<'static> {
    // plotters takes points of a font whose lines are 1.24 times as high.
    let mut style: TextStyle<'static> = (font::NAME, size as f64 / 1.24 * 1.2).into();
    style.color = colour(rgb).to_backend_color();
    style
}

/// A linear axis with its ticks.
#[derive(Clone)]
pub(crate) struct Axis {
    range: RangedCoordf64,
    ticks: Vec<f64>,
}

impl Axis {
    /// An axis with about five ticks at round numbers.
    pub(crate) fn new(range: Range<f64>) -> Self {
        Self { ticks: round_ticks(range.start, range.end), range: range.into() }
    }

    /// An axis with ticks at `ticks`.
    pub(crate) fn with_ticks(range: Range<f64>, ticks: Vec<f64>) -> Self {
        Self { range: range.into(), ticks }
    }
}

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.range.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, _hint: Hint) -> Vec<f64> {
        self.ticks.clone()
    }

    fn range(&self) -> Range<f64> {
        self.range.range()
    }
}

/// A chart with two such axes.
pub(crate) type Chart<'b, B> = ChartContext<'b, B, Cartesian2d<Axis, Axis>>;
/// The same, or why there is none.
pub(crate) type Begun<'b, B> =
    std::result::Result<Chart<'b, B>, DrawingAreaErrorKind<<B as DrawingBackend>::ErrorType>>;

/// Where a chart is on its canvas, with its axis labels and titles, pixels.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Panel {
    left: usize,
    top: usize,
    width: usize,
    height: usize,
    /// Room for the title of the upward axis, above it, and of the axis across, below its labels.
    title_room: (usize, usize),
    /// Room for the labels of the upward axis.
    label_room: usize,
}

impl Panel {
    /// Room for the labels of the axes, left and below.
    const LABELS: (usize, usize) = (58, 26);
    const RIGHT: usize = 16;

    /// A chart with room for its titles.
    pub(crate) fn new((left, top): (usize, usize), (width, height): (usize, usize)) -> Self {
        Self { left, top, width, height, title_room: (LETTER + 8, LETTER + 6), label_room: Self::LABELS.0 }
    }

    /// A chart whose titles are elsewhere.
    pub(crate) fn untitled(width: usize, height: usize) -> Self {
        Self { left: 0, top: 0, width, height, title_room: (0, 0), label_room: Self::LABELS.0 }
    }

    /// The same for an upward axis without labels.
    pub(crate) fn without_labels_left(self) -> Self {
        Self { label_room: Self::RIGHT, ..self }
    }

    /// Writes the titles of both axes: the upward one's above the chart, where it reads without turning one's head.
    pub(crate) fn titles(self, canvas: &mut Canvas, x_title: &str, y_title: &str) {
        canvas.text(self.left + Self::LABELS.0 - 30, self.top, y_title, MUTED);
        let middle = self.left + (Self::LABELS.0 + self.width - Self::RIGHT) / 2;
        let left = middle.saturating_sub(Canvas::text_width(x_title) / 2);
        canvas.text(left, (self.top + self.height).saturating_sub(LETTER + 2), x_title, MUTED);
    }

    /// A chart in the panel, inside of `area`, the whole canvas.
    pub(crate) fn chart<'b, B: DrawingBackend>(self, area: &'b Area<B>, x: Axis, y: Axis) -> Begun<'b, B> {
        let corner = (pixels(self.left), pixels(self.top + self.title_room.0));
        let height = self.height.saturating_sub(self.title_room.0 + self.title_room.1);
        let inside = area.clone().shrink(corner, (pixels(self.width), pixels(height)));
        ChartBuilder::on(&inside)
            .set_label_area_size(LabelAreaPosition::Left, pixels(self.label_room))
            .set_label_area_size(LabelAreaPosition::Bottom, pixels(Self::LABELS.1))
            .margin_right(pixels(Self::RIGHT))
            .margin_top(4)
            .build_cartesian_2d(x, y)
    }
}

/// A coordinate as plotters takes it; an image is at most 4096 pixels wide.
pub(crate) fn pixels(count: usize) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

/// Frame, grid and ticks of a chart.
pub(crate) fn axes<B: DrawingBackend>(
    chart: &mut Chart<'_, B>,
    x_label: &dyn Fn(&f64) -> String,
    y_label: &dyn Fn(&f64) -> String,
) -> Drawn<B> {
    chart
        .configure_mesh()
        .bold_line_style(colour(GRID))
        .light_line_style(TRANSPARENT)
        .axis_style(colour(FAINT))
        .label_style(text(TICKS, INK))
        .x_label_formatter(x_label)
        .y_label_formatter(y_label)
        .draw()
}

/// Writes a legend of coloured lines downwards from (left, top).
pub(crate) fn legend(canvas: &mut Canvas, left: usize, top: usize, entries: &[(String, Rgb)]) {
    for (index, (name, rgb)) in entries.iter().enumerate() {
        let top = top + index * (LETTER + 6);
        canvas.fill(left, top + LETTER / 2 - 1, 18, 3, *rgb);
        canvas.fill(left + 6, top + LETTER / 2 - 3, 7, 7, *rgb);
        canvas.text(left + 26, top, name, INK);
    }
}

/// A number for a tick: without digits that say nothing.
pub(crate) fn tick(value: &f64) -> String {
    let rounded = (value * 1e6).round() / 1e6;
    format!("{}", if rounded == 0.0 { 0.0 } else { rounded })
}

/// A share for a tick, in per cent.
pub(crate) fn percent(share: &f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// About five round numbers from `low` to `high`.
fn round_ticks(low: f64, high: f64) -> Vec<f64> {
    let step = rounded((high - low) / 5.0, &[1.0, 2.0, 2.5, 5.0, 10.0]);
    let (first, last) = ((low / step - 1e-9).ceil() as i64, (high / step + 1e-9).floor() as i64);
    (first..=last).map(|index| index as f64 * step).collect()
}

/// An axis end of at least `value`, that of few digits.
pub(crate) fn rounded_up(value: f64) -> f64 {
    rounded(value, &[1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0])
}

/// The smallest of `factors` times a power of ten that is at least `value`; 1 if `value` is not above zero.
fn rounded(value: f64, factors: &[f64]) -> f64 {
    if !value.is_finite() || value <= 0.0 {
        return 1.0;
    }
    let power = 10f64.powf(value.log10().floor());
    let factor = factors.iter().copied().find(|factor| factor * power >= value * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

/// The 95 % interval of a column or bar: a line from `from` to `to` with a short stroke at either end.
pub(crate) fn whisker<B: DrawingBackend>(
    chart: &mut Chart<'_, B>,
    from: (f64, f64),
    to: (f64, f64),
    stroke: (f64, f64),
) -> Drawn<B> {
    let end = |at: (f64, f64)| vec![(at.0 - stroke.0, at.1 - stroke.1), (at.0 + stroke.0, at.1 + stroke.1)];
    let style = colour(INK).stroke_width(2);
    chart.draw_series([vec![from, to], end(from), end(to)].map(|line| PathElement::new(line, style)))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_end_at_round_numbers() {
        for (value, end) in [(0.37, 0.4), (2.1, 2.5), (100.0, 100.0), (118.0, 125.0), (0.0, 1.0), (f64::NAN, 1.0)] {
            assert!((rounded_up(value) - end).abs() < 1e-9, "{value}: {}", rounded_up(value));
        }
    }

    #[test]
    fn about_five_ticks_are_round() {
        let shown = |low, high| round_ticks(low, high).iter().map(tick).collect::<Vec<_>>().join(" ");
        assert_eq!(shown(-0.29, 0.29), "-0.2 0 0.2");
        assert_eq!(shown(0.0, 2130.0), "0 500 1000 1500 2000");
        assert_eq!(shown(0.0, 1.0), "0 0.2 0.4 0.6 0.8 1");
    }

    #[test]
    fn ticks_have_no_rounding_noise() {
        assert_eq!(tick(&0.30000000000000004), "0.3");
        assert_eq!(tick(&-1e-12), "0");
        assert_eq!(percent(&0.2), "20 %");
    }
}
