//! The picture sheet of an evaluation: what went wrong, and what went right.

use anyhow::Result;
use mindseye_interface::ImageSize;

use super::EvaluationReport;
use super::episode::EpisodeResult;
use crate::pictures::{BAD, Canvas, FAINT, GOOD, INK, LETTER};

/// Episodes on the sheet, and side by side.
const EPISODES: usize = 24;
const ACROSS: usize = 3;
const GAP: usize = 8;

/// Start, goal and end of up to 24 episodes: failures first, then successes by how long they took, longest first.
///
/// # Errors
/// When the pictures are too large for a sheet.
pub fn sheet(report: &EvaluationReport, results: &[EpisodeResult]) -> Result<Canvas> {
    let mut order: Vec<usize> = (0..results.len()).collect();
    order.sort_by_key(|&index| {
        let result = &results[index];
        (result.strict, result.moderate_step.map_or(0, |step| usize::MAX - step), index)
    });
    order.truncate(EPISODES);
    let size = results.first().map_or((64, 64), |result| {
        let size = result.pictures[0].size();
        (size.height(), size.width())
    });
    let scale = (96 / size.0.max(size.1)).max(1);
    let (height, width) = (size.0 * scale, size.1 * scale);
    let (cell_height, cell_width) = (height + 3 * LETTER, (3 * width + 2 * GAP).max(30 * LETTER) + 3 * GAP);
    let across = (ImageSize::MAX_SIDE / cell_width).clamp(1, ACROSS);
    order.truncate(across * ((ImageSize::MAX_SIDE - 8 * LETTER) / cell_height).max(1));
    let rows = order.len().div_ceil(across);
    let top = 6 * LETTER;
    let mut canvas = Canvas::new(across * cell_width + GAP, top + rows * cell_height + GAP)?;
    let title = format!("{} {}", report.settings.scene, report.settings.pairs);
    canvas.text(GAP, LETTER, &title, INK);
    canvas.text(
        GAP,
        5 * LETTER / 2,
        &format!("moderate {}   strict {}", report.rates.model.moderate, report.rates.model.strict),
        INK,
    );
    canvas.text(GAP, 4 * LETTER, "start, goal, end; failures first, then the slowest successes", FAINT);
    for (slot, &index) in order.iter().enumerate() {
        let (result, pair) = (&results[index], &report.results[index].pair);
        let (left, top) = (GAP + slot % across * cell_width, top + slot / across * cell_height);
        let frame = if result.strict { GOOD } else { BAD };
        for (which, picture) in result.pictures.iter().enumerate() {
            canvas.picture(left + which * (width + GAP), top, picture, scale, if which == 2 { frame } else { FAINT });
        }
        let steps = result.moderate_step.map_or("missed".into(), |step| format!("step {step}"));
        let caption = format!("{}/{} {steps}, ends {:.3} off", pair.seed, pair.index, result.final_distance);
        canvas.text(left, top + height + LETTER / 2, &caption, frame);
    }
    Ok(canvas)
}
