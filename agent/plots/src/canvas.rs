//! A raster image being drawn: text, lines, boxes, pasted images.

use mindseye_interface::{Image, ImageSize};

use crate::{Result, font};

/// A colour, RGB.
pub type Rgb = [u8; 3];

/// Background.
pub const PAPER: Rgb = [252, 252, 250];
/// Text and axes.
pub const INK: Rgb = [34, 38, 46];
/// Secondary text.
pub const MUTED: Rgb = [92, 98, 108];
/// Frames and grid lines.
pub const FAINT: Rgb = [176, 180, 186];
/// Success, the chosen plan.
pub const GOOD: Rgb = [24, 132, 74];
/// Failure.
pub const BAD: Rgb = [192, 48, 40];
/// Curves.
pub const CURVE: Rgb = [32, 96, 176];

/// Height of a line of text, pixels.
pub const LETTER: usize = 14;
/// Height of a line of a heading, pixels.
pub const HEADING: usize = 20;

/// An image being drawn. Coordinates are (left, top) in pixels; what lies outside is not drawn.
#[derive(Debug, Clone)]
pub struct Canvas {
    image: Image,
}

impl Canvas {
    /// An empty canvas of `width` x `height` pixels.
    ///
    /// # Errors
    /// When a side is zero or above [`ImageSize::MAX_SIDE`].
    pub fn new(width: usize, height: usize) -> Result<Self> {
        Ok(Self { image: Image::filled(ImageSize::new(height, width)?, PAPER) })
    }

    /// The image drawn so far.
    pub fn image(&self) -> &Image {
        &self.image
    }

    /// Draws `image` with each of its pixels `scale` pixels wide, inside a frame of one pixel.
    pub fn draw_image(&mut self, left: usize, top: usize, image: &Image, scale: usize, frame: Rgb) {
        let (height, width) = (image.size().height() * scale, image.size().width() * scale);
        for row in 0..height {
            for column in 0..width {
                self.dot(left + column, top + row, image.rgb(row / scale, column / scale));
            }
        }
        self.frame(left.saturating_sub(1), top.saturating_sub(1), width + 2, height + 2, frame);
    }

    /// Draws the outline of a box.
    pub fn frame(&mut self, left: usize, top: usize, width: usize, height: usize, colour: Rgb) {
        let (right, bottom) = (left + width.saturating_sub(1), top + height.saturating_sub(1));
        for column in left..left + width {
            self.dot(column, top, colour);
            self.dot(column, bottom, colour);
        }
        for row in top..top + height {
            self.dot(left, row, colour);
            self.dot(right, row, colour);
        }
    }

    /// Fills a box.
    pub fn fill(&mut self, left: usize, top: usize, width: usize, height: usize, colour: Rgb) {
        for row in top..top + height {
            for column in left..left + width {
                self.dot(column, row, colour);
            }
        }
    }

    /// Writes a line of text, [`LETTER`] pixels high.
    pub fn text(&mut self, left: usize, top: usize, text: &str, colour: Rgb) {
        self.write(left, top, text, LETTER, colour);
    }

    /// Writes a heading, [`HEADING`] pixels high.
    pub fn heading(&mut self, left: usize, top: usize, text: &str, colour: Rgb) {
        self.write(left, top, text, HEADING, colour);
    }

    /// Width of a line of text, pixels.
    pub fn text_width(text: &str) -> usize {
        font::width(text, LETTER as f32)
    }

    /// `text` as it fits into `width` pixels: whole, or cut with an ellipsis.
    pub fn fitted_text(text: &str, width: usize) -> String {
        if Self::text_width(text) <= width {
            return text.to_owned();
        }
        let mut letters: Vec<char> = text.chars().collect();
        loop {
            letters.pop();
            let cut: String = letters.iter().chain(&['…']).collect();
            if letters.is_empty() || Self::text_width(&cut) <= width {
                return cut;
            }
        }
    }

    /// Draws a straight line, one pixel wide.
    pub fn line(&mut self, from: (f64, f64), to: (f64, f64), colour: Rgb) {
        let steps = (to.0 - from.0).abs().max((to.1 - from.1).abs()).ceil().max(1.0) as usize;
        for step in 0..=steps {
            let share = step as f64 / steps as f64;
            let at = (from.0 + (to.0 - from.0) * share, from.1 + (to.1 - from.1) * share);
            if at.0 >= 0.0 && at.1 >= 0.0 {
                self.dot(at.0.round() as usize, at.1.round() as usize, colour);
            }
        }
    }

    /// Draws a circle of `radius` pixels around `centre`, two pixels wide.
    pub fn ring(&mut self, centre: (f64, f64), radius: f64, colour: Rgb) {
        let reach = radius.max(0.0).ceil() as i64 + 2;
        let (middle_x, middle_y) = (centre.0.round() as i64, centre.1.round() as i64);
        for (row, column) in (-reach..=reach).flat_map(|row| (-reach..=reach).map(move |column| (row, column))) {
            let (x, y) = (middle_x + column, middle_y + row);
            let away = ((x as f64 - centre.0).hypot(y as f64 - centre.1) - radius).abs();
            if let (Ok(left), Ok(top)) = (usize::try_from(x), usize::try_from(y)) {
                self.blend(left, top, colour, (1.5 - away) as f32);
            }
        }
    }

    /// All bytes for a drawing library, row-major `[H, W, 3]`, with width and height.
    pub(crate) fn buffer(&mut self) -> (&mut [u8], (u32, u32)) {
        let size = self.image.size();
        // `ImageSize` keeps both sides at or below MAX_SIDE.
        (self.image.pixels_mut(), (size.width() as u32, size.height() as u32))
    }

    fn write(&mut self, left: usize, top: usize, text: &str, size: usize, colour: Rgb) {
        font::rasterise(text, size as f32, |column, row, coverage| {
            let (column, row) = (left as i64 + column, top as i64 + row);
            if let (Ok(column), Ok(row)) = (usize::try_from(column), usize::try_from(row)) {
                self.blend(column, row, colour, coverage);
            }
        });
    }

    fn dot(&mut self, left: usize, top: usize, colour: Rgb) {
        self.blend(left, top, colour, 1.0);
    }

    fn blend(&mut self, left: usize, top: usize, colour: Rgb, coverage: f32) {
        let size = self.image.size();
        if left < size.width() && top < size.height() {
            let start = (top * size.width() + left) * 3;
            for (pixel, wanted) in self.image.pixels_mut()[start..start + 3].iter_mut().zip(colour) {
                let (before, wanted) = (f32::from(*pixel), f32::from(wanted));
                *pixel = (before + (wanted - before) * coverage.clamp(0.0, 1.0)).round() as u8;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_outside_the_canvas_changes_nothing_else() {
        let mut canvas = Canvas::new(20, 10).unwrap();
        canvas.text(15, 5, "over the edge", INK);
        canvas.line((-5.0, -5.0), (40.0, 40.0), INK);
        canvas.frame(0, 0, 0, 0, INK);
        canvas.draw_image(15, 5, &Image::filled(ImageSize::square(4).unwrap(), GOOD), 3, INK);
        assert_eq!(canvas.image().rgb(9, 19), GOOD);
        assert_eq!(canvas.image().rgb(0, 19), PAPER);
    }

    #[test]
    fn text_leaves_ink_inside_its_line() {
        let mut canvas = Canvas::new(120, 40).unwrap();
        canvas.text(10, 12, "gyÄ|", INK);
        let inked: Vec<usize> =
            (0..40).filter(|&row| (0..120).any(|column| canvas.image().rgb(row, column) != PAPER)).collect();
        assert!(inked.first() >= Some(&12) && inked.last() <= Some(&(12 + LETTER)), "{inked:?}");
        assert!(inked.len() > LETTER / 2, "{inked:?}");
    }

    #[test]
    fn text_that_is_too_wide_is_cut_with_an_ellipsis() {
        assert_eq!(Canvas::fitted_text("short", 200), "short");
        let cut = Canvas::fitted_text("a long caption that does not fit", 100);
        assert!(cut.ends_with('…') && Canvas::text_width(&cut) <= 100, "{cut}");
    }
}
