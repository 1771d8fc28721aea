//! How success depends on the time for thinking, planner by planner.

use anyhow::Result;

use crate::commands::compare::Comparison;
use crate::pictures::{BAD, CURVE, Canvas, FAINT, GOOD, INK, LETTER, Rgb};

const WIDTH: usize = 560;
const HEIGHT: usize = 360;
const GAP: usize = 48;
const LEGEND: usize = 240;
/// Colours of the curves, in the order of the planners.
const COLOURS: [Rgb; 8] =
    [CURVE, GOOD, BAD, [214, 132, 20], [128, 62, 168], [16, 150, 160], [120, 92, 60], [210, 80, 150]];

/// Moderate success (up, 0 to 100 %) against the median planning time (across, logarithmic), one curve per planner.
///
/// # Errors
/// When the picture is too large.
pub fn planner_chart(comparison: &Comparison) -> Result<Canvas> {
    let mut canvas = Canvas::new(WIDTH + LEGEND + 2 * GAP, HEIGHT + 2 * GAP + LETTER)?;
    let title = format!(
        "{}, {}: moderate success against median planning time, {} episodes",
        comparison.scene,
        comparison.pairs,
        comparison.episodes * comparison.seeds.len()
    );
    canvas.text(GAP, LETTER, &title, INK);
    canvas.frame(GAP, GAP, WIDTH, HEIGHT, FAINT);
    let times = || comparison.rows.iter().map(|row| row.planning_ms.p50.max(1e-3));
    let decades = (
        times().fold(f64::INFINITY, f64::min).log10().floor().min(2.0),
        times().fold(0.0, f64::max).max(1e-3).log10().ceil(),
    );
    let span = (decades.1 - decades.0).max(1.0);
    let across = |ms: f64| GAP as f64 + (ms.log10() - decades.0) / span * WIDTH as f64;
    let up = |share: f64| (GAP + HEIGHT) as f64 - share * HEIGHT as f64;
    for percent in (0..=100).step_by(20) {
        let y = up(f64::from(percent) / 100.0);
        canvas.line((GAP as f64, y), ((GAP + WIDTH) as f64, y), [228, 229, 226]);
        canvas.text(2, y as usize - LETTER / 2, &format!("{percent:>3} %"), FAINT);
    }
    for decade in 0..=span as i32 {
        for factor in [1.0, 2.0, 5.0] {
            let ms = factor * 10f64.powf(decades.0 + f64::from(decade));
            let x = across(ms);
            if x <= (GAP + WIDTH) as f64 + 1.0 {
                canvas.line((x, GAP as f64), (x, (GAP + HEIGHT) as f64), [228, 229, 226]);
                canvas.text(x as usize - LETTER, GAP + HEIGHT + LETTER, &format!("{ms}"), FAINT);
            }
        }
    }
    canvas.text(GAP + WIDTH - 3 * LETTER, GAP + HEIGHT + 3 * LETTER, "ms", FAINT);
    let mut names: Vec<&str> = Vec::new();
    for row in &comparison.rows {
        if names.last() != Some(&row.name.as_str()) {
            names.push(&row.name);
        }
    }
    for (index, name) in names.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        let of_planner = comparison.rows.iter().filter(|row| row.name == *name);
        let points: Vec<(f64, f64)> =
            of_planner.map(|row| (across(row.planning_ms.p50.max(1e-3)), up(row.moderate.rate))).collect();
        for pair in points.windows(2) {
            for row in 0..2 {
                let down = |(x, y): (f64, f64)| (x, y + f64::from(row));
                canvas.line(down(pair[0]), down(pair[1]), colour);
            }
        }
        for &(x, y) in &points {
            for row in -2..=2 {
                canvas.line((x - 2.0, y + f64::from(row)), (x + 2.0, y + f64::from(row)), colour);
            }
        }
        let top = GAP + 2 * LETTER * index;
        let left = WIDTH + GAP + 2 * LETTER;
        for row in 2..5 {
            canvas.line((left as f64, (top + row) as f64), ((left + 16) as f64, (top + row) as f64), colour);
        }
        canvas.text(left + 24, top, name, INK);
    }
    Ok(canvas)
}
