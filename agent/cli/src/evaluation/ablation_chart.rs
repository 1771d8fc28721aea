//! What is lost without each module, as a picture.

use anyhow::Result;

use super::ablation::{AblationRow, Score};
use super::interval::SuccessRate;
use crate::pictures::{BAD, Canvas, FAINT, GOOD, INK, LETTER};

const WIDTH: usize = 860;
const ROW: usize = 5 * LETTER;
const LEFT: usize = 24;

/// Two bars a row, success with and without, each with its 95 % interval.
///
/// # Errors
/// When the picture is too large.
pub fn ablation_chart(scene: &str, rows: &[AblationRow]) -> Result<Canvas> {
    let mut canvas = Canvas::new(WIDTH + 2 * LEFT, ROW * rows.len() + 5 * LETTER)?;
    canvas.text(LEFT, LETTER, &format!("{scene}: with (green) and without (red), 95 % intervals"), INK);
    for (index, row) in rows.iter().enumerate() {
        let top = 3 * LETTER + index * ROW;
        let score = match row.score {
            Score::Moderate => "moderate",
            Score::Strict => "strict",
        };
        canvas.text(LEFT, top, &format!("{} without {}", row.module, row.off), INK);
        let numbers =
            format!("{score}, {}: {} / {}", row.under, row.with.to_string().trim(), row.without.to_string().trim());
        canvas.text(LEFT, top + LETTER + 4, &numbers, FAINT);
        bar(&mut canvas, top + 2 * LETTER + 8, row.with, GOOD);
        bar(&mut canvas, top + 3 * LETTER + 4, row.without, BAD);
    }
    Ok(canvas)
}

fn bar(canvas: &mut Canvas, top: usize, rate: SuccessRate, colour: crate::pictures::Rgb) {
    let place = |share: f64| LEFT as f64 + share * WIDTH as f64;
    for line in 0..4 {
        canvas.line(
            (place(0.0), (top + line) as f64),
            (place(rate.rate).max(place(0.0) + 1.0), (top + line) as f64),
            colour,
        );
    }
    let middle = top as f64 + 1.5;
    canvas.line((place(rate.low), middle), (place(rate.high), middle), INK);
    for end in [rate.low, rate.high] {
        canvas.line((place(end), middle - 3.0), (place(end), middle + 3.0), INK);
    }
}
