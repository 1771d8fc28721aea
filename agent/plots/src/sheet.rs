//! A sheet of episodes: start, goal and end of each.

use mindseye_interface::{Image, ImageSize};

use crate::{BAD, Canvas, Error, FAINT, GOOD, INK, LETTER, MUTED, Result};

/// One episode on the sheet.
#[derive(Debug, Clone)]
pub struct EpisodeCell<'a> {
    /// First image, goal, last image.
    pub images: &'a [Image; 3],
    /// Line under the images.
    pub caption: String,
    /// Whether the goal was reached: colours frame and caption.
    pub reached: bool,
}

/// Episodes side by side, in their order.
#[derive(Debug, Clone)]
pub struct EpisodeSheet<'a> {
    /// Heading of the sheet.
    pub title: String,
    /// Second line.
    pub subtitle: String,
    /// The episodes, as many as fit are drawn.
    pub cells: Vec<EpisodeCell<'a>>,
}

/// Side of an image on the sheet, pixels; smaller images are enlarged by whole factors.
const SIDE: usize = 128;
/// Episodes side by side.
const ACROSS: usize = 3;
/// Most episodes on a sheet.
const MOST: usize = 24;
const GAP: usize = 8;
const TOP: usize = 86;
/// Narrowest cell: its caption has to fit.
const NARROWEST: usize = 320;

impl EpisodeSheet<'_> {
    /// Draws the sheet.
    ///
    /// # Errors
    /// When there is no episode, or its images are too large for a sheet.
    pub fn draw(&self) -> Result<Canvas> {
        let Some(size) = self.cells.first().map(|cell| cell.images[0].size()) else {
            let (expected, got) = ("at least one episode".into(), "none".into());
            return Err(Error::Data { operation: "episode sheet", expected, got });
        };
        let scale = (SIDE / size.height().max(size.width())).max(1);
        let (height, width) = (size.height() * scale, size.width() * scale);
        let (cell_height, cell_width) = (height + LETTER + 22, (3 * (width + GAP) + 2 * GAP).max(NARROWEST));
        let across = (ImageSize::MAX_SIDE / cell_width).clamp(1, ACROSS);
        let fitting = across * ((ImageSize::MAX_SIDE - TOP) / cell_height).max(1);
        let cells = &self.cells[..self.cells.len().min(MOST).min(fitting)];
        let rows = cells.len().div_ceil(across);
        let mut canvas = Canvas::new(across * cell_width + 2 * GAP, TOP + rows * cell_height + GAP)?;
        canvas.heading(2 * GAP, 2 * GAP, &self.title, INK);
        canvas.text(2 * GAP, 2 * GAP + 28, &self.subtitle, MUTED);
        for (slot, cell) in cells.iter().enumerate() {
            let (left, top) = (2 * GAP + slot % across * cell_width, TOP + slot / across * cell_height);
            let outcome = if cell.reached { GOOD } else { BAD };
            for (which, image) in cell.images.iter().enumerate() {
                canvas.draw_image(
                    left + which * (width + GAP),
                    top,
                    image,
                    scale,
                    if which == 2 { outcome } else { FAINT },
                );
            }
            let caption = Canvas::fitted_text(&cell.caption, cell_width - 2 * GAP);
            canvas.text(left, top + height + 5, &caption, outcome);
        }
        Ok(canvas)
    }
}
