//! Delivery of decoded pictures to a visitor, in order and within a range.

use std::ops::Range;

use super::mp4::Track;
use super::yuv::Yuv;
use crate::{Error, Result};

/// Called with the number and the planes of a decoded frame.
pub type FrameVisitor<'a> = dyn FnMut(usize, Yuv) -> Result<()> + 'a;

/// Passes the pictures of a decoder that lie within `range` to `visit`, and checks that none is missing.
///
/// Here and in the decoders, pictures are numbered in the order of their composition times, including those that an
/// edit list hides.
pub(super) struct Delivery<'a, 'b> {
    track: &'a Track,
    range: Range<usize>,
    /// Number of the next picture to pass on.
    next: usize,
    visit: &'a mut FrameVisitor<'b>,
}

impl<'a, 'b> Delivery<'a, 'b> {
    pub fn new(track: &'a Track, range: Range<usize>, visit: &'a mut FrameVisitor<'b>) -> Self {
        Self { track, next: range.start, range, visit }
    }

    pub fn is_done(&self) -> bool {
        self.next >= self.range.end
    }

    /// Delivers picture `number`; `planes` is called only if it lies within the range.
    ///
    /// # Errors
    /// [`Error::Content`] when a picture between this and the one before is missing, or `planes` fails; the error of
    /// the visitor.
    pub fn deliver(&mut self, number: usize, planes: impl FnOnce() -> std::result::Result<Yuv, String>) -> Result<()> {
        if !self.range.contains(&number) {
            return Ok(());
        }
        if number != self.next {
            return Err(self.broken(format!("picture {number} of the file in its place")));
        }
        self.next += 1;
        let planes = planes().map_err(|reason| self.broken_picture(number, reason))?;
        (self.visit)(number, planes)
    }

    /// Refuses a picture that cannot be decoded, even outside the range, because later ones may depend on it.
    pub fn refuse(&self, reason: String) -> Result<()> {
        Err(self.broken(reason))
    }

    /// Refuses a stream that ends before the range does.
    pub fn finish(&self) -> Result<()> {
        if self.is_done() { Ok(()) } else { Err(self.broken("the end of the stream".into())) }
    }

    fn broken(&self, reason: String) -> Error {
        self.broken_picture(self.next, reason)
    }

    fn broken_picture(&self, number: usize, reason: String) -> Error {
        Error::content(&self.track.path, format!("video frame {number}"), "an image", reason)
    }
}
