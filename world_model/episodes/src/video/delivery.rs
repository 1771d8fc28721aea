//! Delivery of decoded frames to a visitor, in order and within a range.

use std::ops::Range;

use super::mp4::Track;
use super::yuv::Yuv;
use crate::{Error, Result};

/// Called with the number and the planes of a decoded frame.
pub type FrameVisitor<'a> = dyn FnMut(usize, Yuv) -> Result<()> + 'a;

/// Numbers the frames of a decoder from `next` on, and passes those within `range` to `visit`.
pub(super) struct Delivery<'a, 'b> {
    pub track: &'a Track,
    pub range: Range<usize>,
    pub next: usize,
    pub visit: &'a mut FrameVisitor<'b>,
}

impl Delivery<'_, '_> {
    pub fn is_done(&self) -> bool {
        self.next >= self.range.end
    }

    /// Delivers the next frame; `planes` is called only if it lies within the range.
    pub fn deliver(&mut self, planes: impl FnOnce() -> std::result::Result<Yuv, String>) -> Result<()> {
        let frame = self.next;
        self.next += 1;
        if !self.range.contains(&frame) {
            return Ok(());
        }
        let broken = |reason| Error::content(&self.track.path, format!("video frame {frame}"), "an image", reason);
        (self.visit)(frame, planes().map_err(broken)?)
    }

    /// Refuses a frame that cannot be decoded, even outside the range, because later frames may depend on it.
    pub fn refuse(&self, reason: String) -> Result<()> {
        Err(Error::content(&self.track.path, format!("video frame {}", self.next), "an image", reason))
    }

    /// Refuses a stream that ends before the range does.
    pub fn finish(&self) -> Result<()> {
        if self.is_done() {
            return Ok(());
        }
        let field = format!("video frame {}", self.next);
        Err(Error::content(&self.track.path, field, "an image", "the end of the stream"))
    }
}
