//! Curves over a linear or logarithmic axis, with intervals.

use std::ops::Range;

use plotters::prelude::*;

use super::figure::Plot;
use super::{Area, Axis, Drawn, Panel, axes, colour, percent, rounded_up, tick};
use crate::Rgb;

/// One point of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CurvePoint {
    pub(crate) x: f64,
    pub(crate) y: f64,
    /// The 95 % interval of `y`.
    pub(crate) interval: Option<(f64, f64)>,
}

impl From<(f64, f64)> for CurvePoint {
    fn from((x, y): (f64, f64)) -> Self {
        Self { x, y, interval: None }
    }
}

/// A curve; what is not finite is left out.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Curve {
    pub(crate) name: String,
    pub(crate) rgb: Rgb,
    pub(crate) points: Vec<CurvePoint>,
    pub(crate) style: CurveStyle,
}

/// How a curve is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CurveStyle {
    /// As a line.
    Line,
    /// As points, without a line.
    Points,
    /// As a line through points.
    LineAndPoints,
}

/// How values become places on an axis.
#[derive(Debug, Clone)]
pub(crate) struct Scale {
    range: Range<f64>,
    ticks: Option<Vec<f64>>,
    is_logarithmic: bool,
    pub(crate) label: fn(&f64) -> String,
}

/// The smallest value that a logarithmic axis tells apart.
const SMALLEST: f64 = 1e-9;

impl Scale {
    /// From zero to at least `highest`, a round number.
    pub(crate) fn from_zero(highest: f64) -> Self {
        Self::linear(0.0..rounded_up(highest))
    }

    /// A range of numbers.
    pub(crate) fn linear(range: Range<f64>) -> Self {
        Self { range, ticks: None, is_logarithmic: false, label: tick }
    }

    /// Shares from 0 to 1, in per cent.
    pub(crate) fn shares() -> Self {
        let ticks = Some(vec![0.0, 0.2, 0.4, 0.6, 0.8, 1.0]);
        Self { range: -0.02..1.02, ticks, is_logarithmic: false, label: percent }
    }

    /// A logarithmic axis around `values`; those that are not above zero are put at its lower end. Without any it goes
    /// from 0.1 to 10.
    pub(crate) fn logarithmic(values: impl Iterator<Item = f64>) -> Self {
        let places = values.filter(|value| value.is_finite() && *value > 0.0).map(|value| value.max(SMALLEST).log10());
        let (low, high) =
            places.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), at| (low.min(at), high.max(at)));
        let (low, high) = if low <= high { (low - 0.08, high + 0.08) } else { (-1.0, 1.0) };
        let label = |place: &f64| tick(&10f64.powf(*place));
        Self { range: low..high, ticks: Some(decimal_ticks(low, high)), is_logarithmic: true, label }
    }

    /// Where `value` is on the axis; values beyond it are at its end.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let place = if self.is_logarithmic { value.max(SMALLEST).log10() } else { value };
        place.clamp(self.range.start, self.range.end)
    }

    pub(crate) fn axis(&self) -> Axis {
        let range = self.range.clone();
        self.ticks.clone().map_or_else(|| Axis::new(range.clone()), |ticks| Axis::with_ticks(range.clone(), ticks))
    }
}

/// Several curves between the same axes.
#[derive(Debug, Clone)]
pub(crate) struct CurvePlot {
    pub(crate) titles: [String; 2],
    pub(crate) across: Scale,
    pub(crate) upward: Scale,
    pub(crate) curves: Vec<Curve>,
}

impl CurvePlot {
    /// Names and colours of the curves.
    pub(crate) fn legend(&self) -> Vec<(String, Rgb)> {
        self.curves.iter().map(|curve| (curve.name.clone(), curve.rgb)).collect()
    }
}

impl Plot for CurvePlot {
    const NAME: &'static str = "curves";

    fn titles(&self) -> [&str; 2] {
        [&self.titles[0], &self.titles[1]]
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>, panel: Panel) -> Drawn<B> {
        let (across, upward) = (&self.across, &self.upward);
        let mut chart = panel.chart(area, across.axis(), upward.axis())?;
        axes(&mut chart, &across.label, &upward.label)?;
        for curve in &self.curves {
            let style = colour(curve.rgb);
            let points = || curve.points.iter().filter(|point| point.x.is_finite() && point.y.is_finite());
            for point in points() {
                let Some((low, high)) = point.interval else { continue };
                let [low, middle, high] = [low, point.y, high].map(|value| upward.place(value));
                let thin = style.mix(0.5).stroke_width(1);
                chart.draw_series([ErrorBar::new_vertical(across.place(point.x), low, middle, high, thin, 7)])?;
            }
            let places = || points().map(|point| (across.place(point.x), upward.place(point.y)));
            if curve.style != CurveStyle::Points {
                chart.draw_series(LineSeries::new(places(), style.stroke_width(2)))?;
            }
            if curve.style != CurveStyle::Line {
                chart.draw_series(places().map(|place| Circle::new(place, 4, style.filled())))?;
            }
        }
        Ok(())
    }
}

/// Places of 1, 2 and 5 times powers of ten between `low` and `high`, all decimal logarithms; of powers of ten alone
/// where the others would not fit.
fn decimal_ticks(low: f64, high: f64) -> Vec<f64> {
    /// Decades beside which further ticks fit.
    const FEW: f64 = 2.5;
    let factors: &[f64] = if high - low > FEW { &[1.0] } else { &[1.0, 2.0, 5.0] };
    let decades = low.floor() as i32..=high.ceil() as i32;
    let all = decades.flat_map(|decade| factors.iter().map(move |factor| f64::from(decade) + factor.log10()));
    all.filter(|place| (low..=high).contains(place)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_a_logarithmic_axis_are_round() {
        let shown = |low, high| decimal_ticks(low, high).iter().map(|place| 10f64.powf(*place)).collect::<Vec<_>>();
        let rounded = |values: Vec<f64>| values.iter().map(|value| value.round()).collect::<Vec<_>>();
        assert_eq!(rounded(shown(0.2, 1.4)), [2.0, 5.0, 10.0, 20.0]);
        assert_eq!(rounded(shown(0.0, 3.0)), [1.0, 10.0, 100.0, 1000.0]);
    }

    #[test]
    fn values_that_have_no_logarithm_stay_on_the_axis() {
        let scale = Scale::logarithmic([0.0, f64::NAN, 1.0, 100.0].into_iter());
        assert!(scale.place(0.0) == scale.range.start && (scale.place(10.0) - 1.0).abs() < 1e-12);
        assert_eq!(Scale::logarithmic([0.0].into_iter()).range, -1.0..1.0);
    }
}
