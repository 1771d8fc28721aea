//! How success depends on what is asked of the block.

use anyhow::Result;

use super::{EvaluationReport, PairReport};
use crate::pictures::{BAD, CURVE, Canvas, FAINT, GOOD, INK, LETTER};

/// Edges of the columns of the first chart, degrees of rotation; the last is open.
const ROTATIONS_DEG: [f64; 6] = [0.0, 10.0, 20.0, 40.0, 60.0, 90.0];
/// Edges of the columns of the second chart, centimetres of distance; the last is open.
const DISTANCES_CM: [f64; 6] = [0.0, 4.0, 8.0, 12.0, 18.0, 25.0];
const WIDTH: usize = 420;
const HEIGHT: usize = 200;
const GAP: usize = 56;

/// Columns of success by how far the block has to turn, by how far it has to go, and every pair as a dot in the plane of both; `None`
/// in scenes without a block.
///
/// # Errors
/// When the picture is too large.
pub fn success_chart(report: &EvaluationReport) -> Result<Option<Canvas>> {
    let pairs: Vec<(f64, f64, &PairReport)> = report
        .results
        .iter()
        .filter_map(|pair| {
            let block = pair.pair.block?;
            Some((block.rotation_rad.to_degrees(), 100.0 * block.distance_m, pair))
        })
        .collect();
    if pairs.is_empty() {
        return Ok(None);
    }
    let mut canvas = Canvas::new(3 * WIDTH + 4 * GAP, HEIGHT + 3 * GAP)?;
    let title =
        format!("{}, {}: moderate {}", report.settings.scene, report.settings.pairs, report.rates.model.moderate);
    canvas.text(GAP, LETTER, &title, INK);
    let rotations = pairs.iter().map(|(rotation, _, pair)| (*rotation, pair.moderate_step.is_some()));
    columns(&mut canvas, GAP, "by rotation asked of the block, degrees", &ROTATIONS_DEG, rotations);
    let distances = pairs.iter().map(|(_, distance, pair)| (*distance, pair.moderate_step.is_some()));
    columns(&mut canvas, 2 * GAP + WIDTH, "by distance asked of the block, cm", &DISTANCES_CM, distances);
    let (left, top) = (3 * GAP + 2 * WIDTH, GAP);
    canvas.text(left, top - 2 * LETTER, "solved (green) and missed (red): degrees across, cm up", FAINT);
    canvas.frame(left, top, WIDTH, HEIGHT, FAINT);
    let widest = pairs.iter().map(|(rotation, _, _)| *rotation).fold(1.0, f64::max);
    let farthest = pairs.iter().map(|(_, distance, _)| *distance).fold(1.0, f64::max);
    for (rotation, distance, pair) in &pairs {
        let x = left as f64 + 3.0 + rotation / widest * (WIDTH - 6) as f64;
        let y = (top + HEIGHT) as f64 - 3.0 - distance / farthest * (HEIGHT - 6) as f64;
        let colour = if pair.moderate_step.is_some() { GOOD } else { BAD };
        for row in -1..=1 {
            canvas.line((x - 1.0, y + f64::from(row)), (x + 1.0, y + f64::from(row)), colour);
        }
    }
    canvas.text(left, top + HEIGHT + LETTER, &format!("0 to {widest:.0} degrees, 0 to {farthest:.0} cm"), FAINT);
    Ok(Some(canvas))
}

/// One chart: a column per interval, as high as its share of successes, the number of pairs under it.
fn columns(
    canvas: &mut Canvas,
    left: usize,
    title: &str,
    edges: &[f64],
    pairs: impl Iterator<Item = (f64, bool)> + Clone,
) {
    let top = GAP;
    canvas.text(left, top - 2 * LETTER, title, FAINT);
    canvas.frame(left, top, WIDTH, HEIGHT, FAINT);
    let width = WIDTH / edges.len();
    for (index, &from) in edges.iter().enumerate() {
        let to = edges.get(index + 1).copied().unwrap_or(f64::INFINITY);
        let inside = pairs.clone().filter(|(value, _)| (from..to).contains(value));
        let (count, solved) = (inside.clone().count(), inside.filter(|(_, solved)| *solved).count());
        let column = left + index * width;
        if let Some(height) = (HEIGHT * solved).checked_div(count) {
            for row in 0..height {
                let y = (top + HEIGHT - 1 - row) as f64;
                canvas.line(((column + 6) as f64, y), ((column + width - 6) as f64, y), CURVE);
            }
            let label = format!("{:.0} %", 100.0 * solved as f64 / count as f64);
            canvas.text(column + 8, (top + HEIGHT - height).saturating_sub(LETTER + 2).max(top + 2), &label, INK);
        }
        let range = if to.is_finite() { format!("{from:.0}-{to:.0}") } else { format!("{from:.0}+") };
        canvas.text(column + 8, top + HEIGHT + LETTER, &range, INK);
        canvas.text(column + 8, top + HEIGHT + 2 * LETTER + 4, &format!("n {count}"), FAINT);
    }
}
