//! The demo's film: what the agent sees, wants and imagines, tick by tick.

use std::sync::Arc;

use anyhow::Result;
use mindseye_interface::Image;
use mindseye_world_model::Checkpoint;

use crate::evaluation::{EpisodeResult, Glimpse};
use crate::pictures::{BAD, CURVE, Canvas, FAINT, GOOD, INK, LETTER};

/// A film under way.
pub struct Film {
    checkpoint: Arc<Checkpoint>,
    frames: Vec<Canvas>,
    title: String,
    distances: Vec<f64>,
    energies: Vec<f64>,
}

/// Side of the large panels, pixels.
const PANEL: usize = 192;
const GAP: usize = 12;
/// Largest number of imagined states shown.
const IMAGINED: usize = 8;
/// Ticks that a curve has room for.
const TICKS: usize = 21;
/// How many frames the end of an episode is shown.
const LAST_FRAMES: usize = 4;

impl Film {
    /// A film of an agent with the model of `checkpoint`, whose decoder draws what is imagined.
    pub fn new(checkpoint: Arc<Checkpoint>) -> Self {
        let (frames, title) = (Vec::new(), String::new());
        Self { checkpoint, frames, title, distances: Vec::new(), energies: Vec::new() }
    }

    /// Begins an episode.
    pub fn begin(&mut self, title: &str) {
        self.title = title.to_owned();
        self.distances.clear();
        self.energies.clear();
    }

    /// Adds a frame of a tick.
    ///
    /// # Errors
    /// When the decoder does not fit the model.
    pub fn shoot(&mut self, glimpse: &Glimpse<'_>) -> Result<()> {
        let report = glimpse.report;
        self.distances.push(glimpse.distance);
        self.energies.push(report.energies.first().map_or(0.0, |(_, energy)| f64::from(*energy)));
        let imagined = match (&self.checkpoint.decoder, &report.expected) {
            (Some(decoder), Some(expected)) => {
                let blocks = expected.horizon().min(IMAGINED);
                let states: Vec<f32> =
                    (0..blocks).flat_map(|block| expected.state(0, 0, block).values().to_vec()).collect();
                decoder.draw(&states)?
            }
            _ => Vec::new(),
        };
        let caption = format!("step {}, planned in {:.1} ms", glimpse.step, report.planning_ms);
        let frame = self.frame(glimpse.picture, glimpse.goal, &imagined, &caption, INK)?;
        self.frames.push(frame);
        Ok(())
    }

    /// Ends an episode: how it went stays in view for a while.
    ///
    /// # Errors
    /// When the picture is too large.
    pub fn end(&mut self, result: &EpisodeResult) -> Result<()> {
        self.distances.push(result.final_distance);
        let (caption, colour) = match result.moderate_step {
            Some(step) => (format!("arrived after {step} steps"), GOOD),
            None => (format!("ended {:.3} away", result.final_distance), BAD),
        };
        let [_, goal, end] = &result.pictures;
        let frame = self.frame(end, goal, &[], &caption, colour)?;
        self.frames.extend(std::iter::repeat_n(frame, LAST_FRAMES));
        Ok(())
    }

    /// All frames so far.
    pub fn frames(&self) -> &[Canvas] {
        &self.frames
    }

    fn frame(&self, seen: &Image, goal: &Image, imagined: &[Image], caption: &str, colour: [u8; 3]) -> Result<Canvas> {
        let side = seen.size().height().max(seen.size().width());
        let (scale, small_scale) = ((PANEL / side).max(1), (PANEL / 2 / side).max(1));
        let (panel, small) = (side * scale, side * small_scale);
        let columns = IMAGINED / 2;
        let strip_left = 3 * GAP + 2 * panel;
        let width = strip_left + columns * (small + GAP / 2) + GAP;
        let (top, curve_height) = (4 * LETTER, 6 * LETTER);
        let curve_top = top + panel + 6 * LETTER;
        let mut canvas = Canvas::new(width, curve_top + curve_height + GAP)?;
        canvas.text(GAP, LETTER, &self.title, INK);
        canvas.text(GAP + panel + GAP, LETTER, caption, colour);
        canvas.picture(GAP, top, seen, scale, colour);
        canvas.picture(2 * GAP + panel, top, goal, scale, FAINT);
        for (index, picture) in imagined.iter().enumerate() {
            let (row, column) = (index / columns, index % columns);
            canvas.picture(
                strip_left + column * (small + GAP / 2),
                top + row * (small + 2),
                picture,
                small_scale,
                FAINT,
            );
        }
        let under = top + panel + LETTER;
        canvas.text(GAP, under, "what the camera sees", FAINT);
        canvas.text(2 * GAP + panel, under, "the goal", FAINT);
        canvas.text(strip_left, under, "the best plan, as imagined", FAINT);
        let half = (width - 3 * GAP) / 2;
        canvas.text(GAP, curve_top - 2 * LETTER, "goal energy in the latent space", FAINT);
        canvas.curve((GAP, curve_top, half, curve_height), &self.energies, TICKS, CURVE);
        canvas.text(2 * GAP + half, curve_top - 2 * LETTER, "true distance (the agent never sees it)", FAINT);
        canvas.curve((2 * GAP + half, curve_top, half, curve_height), &self.distances, TICKS, GOOD);
        Ok(canvas)
    }
}
