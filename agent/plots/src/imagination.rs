//! What a world model imagines, drawn by its decoder, under what the camera recorded.

use mindseye_interface::Image;

use crate::{CURVE, Canvas, Error, FAINT, GOOD, INK, LETTER, MUTED, Result};

/// One window of an episode.
#[derive(Debug, Clone)]
pub struct ImaginedWindow {
    /// Recorded images, from the start of the window, one per action chunk.
    pub observed: Vec<Image>,
    /// Decoded latents: the first is encoded from the first image, the others are rolled out.
    pub imagined: Vec<Image>,
}

/// Windows of held-out episodes under each other.
#[derive(Debug, Clone)]
pub struct ImaginationSheet {
    /// Heading of the sheet.
    pub title: String,
    /// Duration of an action chunk, seconds.
    pub chunk_secs: f64,
    /// The windows, equally long, with images of equal size.
    pub windows: Vec<ImaginedWindow>,
}

/// Side of an image on the sheet, pixels; smaller images are enlarged by whole factors.
const SIDE: usize = 128;
const GAP: usize = 16;
/// Width of the names of the rows, pixels.
const NAMES: usize = 84;
const TOP: usize = 74;

impl ImaginationSheet {
    /// Draws the sheet.
    ///
    /// # Errors
    /// When there is no image, or the sheet is too large for an image.
    pub fn draw(&self) -> Result<Canvas> {
        let Some(size) = self.windows.first().and_then(|window| window.observed.first()).map(Image::size) else {
            let (expected, got) = ("at least one window of images".into(), "none".into());
            return Err(Error::Data { operation: "imagination sheet", expected, got });
        };
        let frames = self.windows.iter().map(|window| window.observed.len()).max().unwrap_or(0);
        let scale = (SIDE / size.height().max(size.width())).max(1);
        let (cell_width, cell_height) = (size.width() * scale + 6, size.height() * scale + 6);
        let row = 2 * cell_height + GAP;
        let width = (NAMES + frames * cell_width + 2 * GAP).max(720);
        let mut canvas = Canvas::new(width, TOP + self.windows.len() * row + GAP)?;
        canvas.heading(GAP, GAP, &self.title, INK);
        for frame in 0..frames {
            let label = if frame == 0 { "start".into() } else { format!("+{:.1} s", frame as f64 * self.chunk_secs) };
            canvas.text(NAMES + GAP + frame * cell_width, TOP - LETTER - 6, &label, MUTED);
        }
        for (index, window) in self.windows.iter().enumerate() {
            let top = TOP + index * row;
            canvas.text(GAP, top + cell_height / 2 - LETTER / 2, "recorded", INK);
            canvas.text(GAP, top + 3 * cell_height / 2 - LETTER / 2, "imagined", INK);
            for (frame, image) in window.observed.iter().enumerate() {
                canvas.draw_image(NAMES + GAP + frame * cell_width, top, image, scale, FAINT);
            }
            for (frame, image) in window.imagined.iter().enumerate() {
                let colour = if frame == 0 { GOOD } else { CURVE };
                canvas.draw_image(NAMES + GAP + frame * cell_width, top + cell_height, image, scale, colour);
            }
        }
        Ok(canvas)
    }
}
