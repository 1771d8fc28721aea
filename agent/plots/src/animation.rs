//! Animations as GIF files: one palette for all frames, so that colours do not flicker.

use std::collections::BTreeMap;
use std::path::Path;

use mindseye_interface::{ImageSize, files};

use crate::palette::{Palette, UNCHANGED};
use crate::{Canvas, Error, Result, Rgb};

/// An endless animation being made. Only what changes from frame to frame is kept in memory.
#[derive(Debug, Default)]
pub struct Animation {
    size: Option<ImageSize>,
    last: Vec<u8>,
    frames: Vec<Frame>,
    counts: BTreeMap<Rgb, u64>,
}

/// What a frame changes, and how long it is shown.
#[derive(Debug)]
struct Frame {
    changes: Vec<Run>,
    hundredths: u16,
}

/// Neighbouring pixels of one row that change.
#[derive(Debug)]
struct Run {
    row: usize,
    column: usize,
    pixels: Vec<Rgb>,
}

impl Animation {
    /// An animation without frames.
    pub fn new() -> Self {
        Self::default()
    }

    /// Number of frames that differ from the one before.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Adds a frame that is shown for `hundredths` of a second. A frame equal to the last one prolongs it.
    ///
    /// # Errors
    /// When its size is not that of the first frame.
    pub fn push(&mut self, canvas: &Canvas, hundredths: u16) -> Result<()> {
        let (image, size) = (canvas.image(), canvas.image().size());
        let expected = *self.size.get_or_insert(size);
        if size != expected {
            return Err(Error::Data {
                operation: "animation",
                expected: format!("frames of {}x{} pixels", expected.width(), expected.height()),
                got: format!("one of {}x{}", size.width(), size.height()),
            });
        }
        let changes = changes(&self.last, image.pixels(), size.width());
        self.last.clear();
        self.last.extend_from_slice(image.pixels());
        if let (true, Some(frame)) = (changes.is_empty(), self.frames.last_mut()) {
            frame.hundredths = frame.hundredths.saturating_add(hundredths);
            return Ok(());
        }
        for pixel in changes.iter().flat_map(|run| &run.pixels) {
            *self.counts.entry(*pixel).or_default() += 1;
        }
        self.frames.push(Frame { changes, hundredths });
        Ok(())
    }

    /// Writes a GIF, whole or not at all; missing folders are made.
    ///
    /// # Errors
    /// When there is no frame, the frames are too large for a GIF, or the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        let Some(size) = self.size else {
            return Err(Error::Data {
                operation: "animation",
                expected: "at least one frame".into(),
                got: "none".into(),
            });
        };
        let failed = |error: gif::EncodingError| Error::encode(path, "GIF", error);
        let palette = Palette::of(&self.counts);
        let mut bytes = Vec::new();
        {
            // `ImageSize` keeps both sides at or below MAX_SIDE.
            let (width, height) = (size.width() as u16, size.height() as u16);
            let mut encoder = gif::Encoder::new(&mut bytes, width, height, &palette.bytes()).map_err(failed)?;
            encoder.set_repeat(gif::Repeat::Infinite).map_err(failed)?;
            for frame in &self.frames {
                encoder.write_frame(&frame.encoded(&palette)).map_err(failed)?;
            }
        }
        files::write_whole_with_folders(path, &bytes).map_err(|error| Error::write(path, error))
    }
}

impl Frame {
    /// The smallest box around all changes; pixels in it that do not change are transparent.
    fn encoded(&self, palette: &Palette) -> gif::Frame<'static> {
        let ends = |run: &Run| run.column + run.pixels.len();
        let left = self.changes.iter().map(|run| run.column).min().unwrap_or(0);
        let right = self.changes.iter().map(ends).max().unwrap_or(1);
        let top = self.changes.iter().map(|run| run.row).min().unwrap_or(0);
        let bottom = self.changes.iter().map(|run| run.row + 1).max().unwrap_or(1);
        let (width, height) = (right - left, bottom - top);
        let mut indices = vec![UNCHANGED; width * height];
        for run in &self.changes {
            let start = (run.row - top) * width + run.column - left;
            for (index, pixel) in indices[start..].iter_mut().zip(&run.pixels) {
                *index = palette.index(*pixel);
            }
        }
        gif::Frame {
            delay: self.hundredths,
            dispose: gif::DisposalMethod::Keep,
            transparent: Some(UNCHANGED),
            left: left as u16,
            top: top as u16,
            width: width as u16,
            height: height as u16,
            buffer: indices.into(),
            ..gif::Frame::default()
        }
    }
}

/// Runs of pixels in which `after` differs from `before`, both `[H, W, 3]`; all pixels if there is nothing before.
fn changes(before: &[u8], after: &[u8], width: usize) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (index, pixel) in after.chunks_exact(3).enumerate() {
        if before.get(index * 3..index * 3 + 3) == Some(pixel) {
            continue;
        }
        let (row, column, pixel) = (index / width, index % width, [pixel[0], pixel[1], pixel[2]]);
        match runs.last_mut() {
            Some(run) if run.row == row && run.column + run.pixels.len() == column => run.pixels.push(pixel),
            _ => runs.push(Run { row, column, pixels: vec![pixel] }),
        }
    }
    runs
}

/// Writes `frames` of equal size as an endless animation, each shown for `hundredths` of a second.
///
/// # Errors
/// Those of [`Animation::push`] and [`Animation::write`].
pub fn write_gif(path: &Path, frames: &[Canvas], hundredths: u16) -> Result<()> {
    let mut animation = Animation::new();
    for frame in frames {
        animation.push(frame, hundredths)?;
    }
    animation.write(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{BAD, GOOD};

    /// Every frame of the GIF at `path` as a viewer shows it, `[H, W, 4]`.
    fn shown(path: &Path) -> Vec<Vec<u8>> {
        let mut options = gif::DecodeOptions::new();
        options.set_color_output(gif::ColorOutput::RGBA);
        let mut decoder = options.read_info(std::fs::File::open(path).unwrap()).unwrap();
        let width = usize::from(decoder.width());
        let mut screen = vec![0; width * usize::from(decoder.height()) * 4];
        let mut screens = Vec::new();
        while let Some(frame) = decoder.read_next_frame().unwrap() {
            for (index, pixel) in frame.buffer.chunks_exact(4).enumerate() {
                let row = usize::from(frame.top) + index / usize::from(frame.width);
                let column = usize::from(frame.left) + index % usize::from(frame.width);
                if pixel[3] > 0 {
                    screen[(row * width + column) * 4..][..4].copy_from_slice(pixel);
                }
            }
            screens.push(screen.clone());
        }
        screens
    }

    #[test]
    fn every_frame_is_shown_with_its_own_colours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("film.gif");
        let mut frames = Vec::new();
        for left in [2, 6, 10] {
            let mut canvas = Canvas::new(24, 16).unwrap();
            canvas.fill(left, 3, 5, 5, BAD);
            canvas.fill(18, 10, 4, 4, GOOD);
            frames.push(canvas);
        }
        write_gif(&path, &frames, 10).unwrap();
        let shown = shown(&path);
        assert_eq!(shown.len(), 3);
        for (shown, frame) in shown.iter().zip(&frames) {
            let rgb: Vec<u8> = shown.chunks_exact(4).flat_map(|pixel| pixel[..3].to_vec()).collect();
            assert_eq!(rgb, frame.image().pixels());
        }
    }

    #[test]
    fn an_equal_frame_prolongs_the_last_one() {
        let mut animation = Animation::new();
        let canvas = Canvas::new(8, 8).unwrap();
        animation.push(&canvas, 10).unwrap();
        animation.push(&canvas, 30).unwrap();
        assert_eq!((animation.len(), animation.frames[0].hundredths), (1, 40));
    }

    #[test]
    fn an_animation_without_frames_or_with_unequal_ones_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none.gif");
        assert!(write_gif(&path, &[], 10).is_err());
        let frames = [Canvas::new(8, 8).unwrap(), Canvas::new(9, 8).unwrap()];
        let error = write_gif(&path, &frames, 10).unwrap_err().to_string();
        assert!(error.contains("8x8") && error.contains("9x8"), "{error}");
        assert!(!path.exists());
    }
}
