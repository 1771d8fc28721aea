//! The font of every image: DejaVu Sans, cut down to Latin and Greek (`fonts/LICENSE.txt`).

use std::sync::OnceLock;

use ab_glyph::{Font as _, FontRef, PxScale, ScaleFont as _, point};
use plotters::style::{FontStyle, register_font};

/// The font file.
const BYTES: &[u8] = include_bytes!("../fonts/DejaVuSans-subset.ttf");
/// Name under which plotters knows it.
pub(crate) const NAME: &str = "sans-serif";

/// The parsed font; none only if the file in this crate is broken, which a test excludes.
fn font() -> Option<&'static FontRef<'static>> {
    static FONT: OnceLock<Option<FontRef<'static>>> = OnceLock::new();
    FONT.get_or_init(|| FontRef::try_from_slice(BYTES).ok()).as_ref()
}

/// Makes the font known to plotters, once.
pub(crate) fn register() {
    static REGISTERED: OnceLock<bool> = OnceLock::new();
    REGISTERED.get_or_init(|| register_font(NAME, FontStyle::Normal, BYTES).is_ok());
}

/// Width of `text`, pixels, in letters `size` pixels high from the lowest descender to the highest ascender.
pub(crate) fn width(text: &str, size: f32) -> usize {
    let mut end = 0.0;
    lay_out(text, size, |_, _, right| end = right);
    end.ceil() as usize
}

/// Calls `blend(column, row, coverage)` for every pixel that `text` covers, relative to the left top corner of its
/// line.
pub(crate) fn rasterise(text: &str, size: f32, mut blend: impl FnMut(i64, i64, f32)) {
    let Some(font) = font() else { return };
    let scale = PxScale::from(size);
    let ascent = font.as_scaled(scale).ascent();
    lay_out(text, size, |id, left, _| {
        let glyph = id.with_scale_and_position(scale, point(left, ascent));
        let Some(outline) = font.outline_glyph(glyph) else { return };
        let corner = outline.px_bounds().min;
        let (left, top) = (corner.x.round() as i64, corner.y.round() as i64);
        outline.draw(|column, row, coverage| blend(left + i64::from(column), top + i64::from(row), coverage));
    });
}

/// Calls `place(glyph, left, right)` for every letter of `text`, pixels from the start of the line.
fn lay_out(text: &str, size: f32, mut place: impl FnMut(ab_glyph::GlyphId, f32, f32)) {
    let Some(font) = font() else { return };
    let scaled = font.as_scaled(PxScale::from(size));
    let (mut pen, mut previous) = (0.0, None);
    for letter in text.chars() {
        let id = scaled.glyph_id(letter);
        pen += previous.map_or(0.0, |previous| scaled.kern(previous, id));
        let left = pen;
        pen += scaled.h_advance(id);
        place(id, left, pen);
        previous = Some(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_font_has_every_letter_that_captions_use() {
        let font = font().unwrap();
        for letter in "aZ09 %[]().,:-_/±×°²µ→≤≥–…".chars() {
            assert_ne!(font.glyph_id(letter).0, 0, "{letter}");
        }
    }

    #[test]
    fn longer_text_is_wider() {
        assert!(width("success rate", 14.0) > width("success", 14.0));
        assert!(width("success", 20.0) > width("success", 14.0));
        assert_eq!(width("", 14.0), 0);
    }
}
