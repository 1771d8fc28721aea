//! How often values lie where.

use plotters::prelude::*;

use super::curves::Scale;
use super::figure::Plot;
use super::{Area, Axis, Drawn, Panel, axes, colour, rounded_up, tick};
use crate::Rgb;

/// Columns on top of each other, one colour per series.
#[derive(Debug, Clone)]
pub(crate) struct HistogramPlot {
    /// Titles of both axes.
    pub(crate) titles: [String; 2],
    /// Edges of the columns, one more than there are columns.
    pub(crate) edges: Vec<f64>,
    /// By series its colour and its counts, one per column; the first is at the bottom.
    pub(crate) series: Vec<(Rgb, Vec<usize>)>,
    /// The axis across.
    pub(crate) across: Scale,
}

impl HistogramPlot {
    /// Columns between zero and the largest of all `series`, a round number.
    pub(crate) fn of(titles: [String; 2], columns: usize, series: &[(Rgb, Vec<f64>)]) -> Self {
        let values = series.iter().flat_map(|(_, values)| values).copied().filter(|value| value.is_finite());
        let end = rounded_up(values.fold(0.0, f64::max));
        let column = |value: f64| ((value / end * columns as f64) as usize).min(columns - 1);
        let count = |values: &Vec<f64>| {
            let mut counts = vec![0; columns];
            values.iter().filter(|value| value.is_finite()).for_each(|value| counts[column(*value)] += 1);
            counts
        };
        Self {
            titles,
            edges: (0..=columns).map(|index| end * index as f64 / columns as f64).collect(),
            series: series.iter().map(|(rgb, values)| (*rgb, count(values))).collect(),
            across: Scale::linear(0.0..end),
        }
    }
}

impl Plot for HistogramPlot {
    const NAME: &'static str = "histogram";

    fn titles(&self) -> [&str; 2] {
        [&self.titles[0], &self.titles[1]]
    }

    fn draw<B: DrawingBackend>(&self, area: &Area<B>, panel: Panel) -> Drawn<B> {
        let columns = self.edges.len().saturating_sub(1);
        let height = |column: usize| self.series.iter().map(|(_, counts)| counts[column]).sum::<usize>();
        let highest = (0..columns).map(height).max().unwrap_or(1);
        let up = Axis::new(0.0..rounded_up(highest as f64));
        let mut chart = panel.chart(area, self.across.axis(), up)?;
        axes(&mut chart, &self.across.label, &tick)?;
        for column in 0..columns {
            let (from, to) = (self.across.place(self.edges[column]), self.across.place(self.edges[column + 1]));
            let gap = 0.06 * (to - from);
            let mut below = 0;
            for (rgb, counts) in &self.series {
                let count = counts[column];
                if count > 0 {
                    let corners = [(from + gap, below as f64), (to - gap, (below + count) as f64)];
                    chart.draw_series([Rectangle::new(corners, colour(*rgb).mix(0.75).filled())])?;
                }
                below += count;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BAD, GOOD};

    #[test]
    fn every_value_is_in_one_column() {
        let series = [(GOOD, vec![0.0, 0.99, 1.0]), (BAD, vec![4.0, f64::NAN])];
        let plot = HistogramPlot::of([String::new(), String::new()], 4, &series);
        assert_eq!(plot.edges, [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(plot.series, [(GOOD, vec![2, 1, 0, 0]), (BAD, vec![0, 0, 0, 1])]);
    }
}
