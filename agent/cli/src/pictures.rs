//! Pictures for people: panels, captions, curves, and animations of them.

use std::path::Path;

use anyhow::{Context, Result};
use font8x8::UnicodeFonts;
use mindseye_interface::{Image, ImageSize, files};

/// A colour, RGB.
pub type Rgb = [u8; 3];

/// Paper.
pub const PAPER: Rgb = [250, 250, 247];
/// Text and axes.
pub const INK: Rgb = [40, 44, 52];
/// Secondary text and frames.
pub const FAINT: Rgb = [176, 180, 186];
/// What is good: success, the chosen plan.
pub const GOOD: Rgb = [24, 132, 74];
/// What is bad.
pub const BAD: Rgb = [192, 48, 40];
/// Curves.
pub const CURVE: Rgb = [32, 96, 176];

/// Height and width of a letter, pixels.
pub const LETTER: usize = 8;

/// A picture being drawn. Coordinates are (left, top) in pixels; what lies outside is not drawn.
#[derive(Debug, Clone)]
pub struct Canvas {
    image: Image,
}

impl Canvas {
    /// Empty paper.
    ///
    /// # Errors
    /// When a side is beyond [`ImageSize::MAX_SIDE`].
    pub fn new(width: usize, height: usize) -> Result<Self> {
        Ok(Self { image: Image::filled(ImageSize::new(height, width)?, PAPER) })
    }

    /// The picture drawn so far.
    pub fn image(&self) -> &Image {
        &self.image
    }

    fn dot(&mut self, left: usize, top: usize, colour: Rgb) {
        let size = self.image.size();
        if left < size.width() && top < size.height() {
            let start = (top * size.width() + left) * 3;
            self.image.pixels_mut()[start..start + 3].copy_from_slice(&colour);
        }
    }

    /// Draws `picture` with its pixels `scale` times as large, in a thin frame.
    pub fn picture(&mut self, left: usize, top: usize, picture: &Image, scale: usize, frame: Rgb) {
        let (height, width) = (picture.size().height() * scale, picture.size().width() * scale);
        for row in 0..height {
            for column in 0..width {
                self.dot(left + column, top + row, picture.rgb(row / scale, column / scale));
            }
        }
        self.frame(left.saturating_sub(1), top.saturating_sub(1), width + 2, height + 2, frame);
    }

    /// Draws the outline of a box.
    pub fn frame(&mut self, left: usize, top: usize, width: usize, height: usize, colour: Rgb) {
        for column in left..left + width {
            self.dot(column, top, colour);
            self.dot(column, top + height - 1, colour);
        }
        for row in top..top + height {
            self.dot(left, row, colour);
            self.dot(left + width - 1, row, colour);
        }
    }

    /// Writes a line of text.
    pub fn text(&mut self, left: usize, top: usize, text: &str, colour: Rgb) {
        for (index, letter) in text.chars().enumerate() {
            let Some(rows) = font8x8::BASIC_FONTS.get(letter) else { continue };
            for (row, bits) in rows.iter().enumerate() {
                for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                    self.dot(left + index * LETTER + column, top + row, colour);
                }
            }
        }
    }

    /// Draws a straight line.
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

    /// Draws `values` as a curve in a box, from zero to the largest value, over `slots` places from left to right.
    pub fn curve(&mut self, area: (usize, usize, usize, usize), values: &[f64], slots: usize, colour: Rgb) {
        let (left, top, width, height) = area;
        self.frame(left, top, width, height, FAINT);
        let most = values.iter().copied().filter(|value| value.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
        let place = |(index, value): (usize, &f64)| {
            let across = index as f64 / slots.saturating_sub(1).max(1) as f64;
            let up = (value / most).clamp(0.0, 1.0);
            (
                left as f64 + 2.0 + across * (width as f64 - 5.0),
                top as f64 + height as f64 - 3.0 - up * (height as f64 - 6.0),
            )
        };
        let points: Vec<(f64, f64)> = values.iter().enumerate().map(place).collect();
        for pair in points.windows(2) {
            self.line(pair[0], pair[1], colour);
            self.line((pair[0].0, pair[0].1 + 1.0), (pair[1].0, pair[1].1 + 1.0), colour);
        }
        if let [point] = points[..] {
            self.line(point, (point.0 + 2.0, point.1), colour);
        }
    }
}

/// Writes a PNG, whole or not at all.
///
/// # Errors
/// When it cannot be encoded or written.
pub fn write_png(path: &Path, image: &Image) -> Result<()> {
    let size = image.size();
    let mut bytes = std::io::Cursor::new(Vec::new());
    image::write_buffer_with_format(
        &mut bytes,
        image.pixels(),
        size.width() as u32,
        size.height() as u32,
        image::ExtendedColorType::Rgb8,
        image::ImageFormat::Png,
    )
    .with_context(|| format!("{}: encoding", path.display()))?;
    files::write_whole(path, bytes.get_ref()).with_context(|| format!("{}", path.display()))
}

/// Writes an endless animation of equally large frames, whole or not at all.
///
/// # Errors
/// When there is no frame, a frame is too large, or the file cannot be written.
pub fn write_gif(path: &Path, frames: &[Canvas], hundredths_per_frame: u16) -> Result<()> {
    let size = frames.first().context("animation: expected at least one frame, got none")?.image.size();
    let (width, height) = (u16::try_from(size.width())?, u16::try_from(size.height())?);
    let mut bytes = Vec::new();
    {
        let mut encoder = gif::Encoder::new(&mut bytes, width, height, &[])?;
        encoder.set_repeat(gif::Repeat::Infinite)?;
        for frame in frames {
            // Speed 10 of 1..30: good colours at a few milliseconds a frame.
            let mut encoded = gif::Frame::from_rgb_speed(width, height, frame.image.pixels(), 10);
            encoded.delay = hundredths_per_frame;
            encoder.write_frame(&encoded)?;
        }
    }
    files::write_whole(path, &bytes).with_context(|| format!("{}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawing_outside_is_harmless() {
        let mut canvas = Canvas::new(20, 10).unwrap();
        canvas.text(15, 5, "over the edge", INK);
        canvas.line((-5.0, -5.0), (40.0, 40.0), INK);
        canvas.curve((0, 0, 20, 10), &[f64::NAN, 1.0, 0.0], 3, CURVE);
        canvas.picture(15, 5, &Image::filled(ImageSize::square(4).unwrap(), GOOD), 3, INK);
        assert_eq!(canvas.image().rgb(9, 19), GOOD);
    }

    #[test]
    fn an_animation_has_its_frames() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("two.gif");
        let mut second = Canvas::new(16, 16).unwrap();
        second.text(0, 0, "2", BAD);
        write_gif(&path, &[Canvas::new(16, 16).unwrap(), second], 10).unwrap();
        let mut decoder = gif::DecodeOptions::new().read_info(std::fs::File::open(&path).unwrap()).unwrap();
        let mut count = 0;
        while decoder.read_next_frame().unwrap().is_some() {
            count += 1;
        }
        assert_eq!(count, 2);
        assert!(write_gif(&path, &[], 10).is_err());
    }
}
