//! Video files as recorders write them: mp4 with AV1 or H.264, decoded in this process; anything else through `ffmpeg` where it is
//! installed.
//!
//! Decoding AV1 and H.264 is normative: every right decoder gives the same planes (tests compare hashes with another library's). What becomes of
//! them as RGB is not; here it is BT.601 or BT.709 in whole numbers, the same on every machine.
//!
//! What this crate writes itself is AV1 in mp4.

mod av1;
mod encode;
mod ffmpeg;
mod h264;
mod mp4;
mod mp4_writer;
mod yuv;

use std::ops::Range;
use std::path::Path;

pub(crate) use encode::{KEY_EVERY, SHORTEST_SIDE, encode};
use mindseye_interface::{Image, ImageSize};
use mp4::{Codec, Track};
pub(crate) use mp4_writer::mp4;
pub use yuv::Yuv;

use crate::{Error, Result};

/// How far from a frame's time a moment may lie, in durations of a frame.
const TOLERANCE: f64 = 0.5;

/// The first video track of a file; its frames are numbered in the order in which they are shown.
#[derive(Debug)]
pub struct Video {
    track: Track,
}

/// Gets a frame's number and its planes.
pub type Visit<'a> = dyn FnMut(usize, Yuv) -> Result<()> + 'a;

impl Video {
    /// Reads what the file at `path` holds, not its frames.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read; [`Error::Content`] when it is no mp4 with a video track, or promises more than it holds.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { track: Track::open(path)? })
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.track.samples.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.track.samples.is_empty()
    }

    /// Number of the frame that is shown `seconds` after the beginning.
    ///
    /// # Errors
    /// [`Error::Content`] when the nearest frame is more than half a frame away.
    pub fn frame_at(&self, seconds: f64) -> Result<usize> {
        let times = &self.track.times;
        let after = times.partition_point(|time| *time < seconds);
        let near = |index: &usize| times.get(*index).map_or(f64::INFINITY, |time| (time - seconds).abs());
        let nearest = [after.saturating_sub(1), after].into_iter().min_by(|a, b| near(a).total_cmp(&near(b)));
        match nearest.filter(|index| near(index) <= TOLERANCE * self.track.frame_secs) {
            Some(index) => Ok(index),
            None => {
                let last = times.last().copied().unwrap_or(0.0);
                let expected = format!("a frame {seconds:.4} seconds after the beginning");
                let got = format!("{} frames until {last:.4}", self.len());
                Err(Error::content(&self.track.path, "video", expected, got))
            }
        }
    }

    /// Size of the frames.
    ///
    /// # Errors
    /// [`Error::Border`] when it is none of a picture.
    pub fn image_size(&self) -> Result<ImageSize> {
        Ok(ImageSize::new(self.track.height, self.track.width)?)
    }

    /// Decodes the frames `wanted`, ascending, each of `size`; `visit` gets their places in `wanted`.
    ///
    /// # Errors
    /// As [`Video::decode`], and [`Error::Content`] for a frame of another size.
    pub fn pictures(&self, wanted: &[usize], size: ImageSize, visit: &mut dyn FnMut(usize, &Image)) -> Result<()> {
        let Some((first, last)) = wanted.first().zip(wanted.last()) else { return Ok(()) };
        let mut next = 0;
        self.decode(*first..*last + 1, &mut |number, planes| {
            if wanted.get(next) != Some(&number) {
                return Ok(());
            }
            let broken = |expected: String, got: String| {
                Error::content(&self.track.path, format!("video frame {number}"), expected, got) //
            };
            let picture = planes.rgb().map_err(|got| broken("a picture".into(), got))?;
            if picture.size() != size {
                let pixels = |size: ImageSize| format!("{}x{} pixels", size.height(), size.width());
                return Err(broken(pixels(size), pixels(picture.size())));
            }
            visit(next, &picture);
            next += 1;
            Ok(())
        })
    }

    /// Decodes frames `range` in their order.
    ///
    /// # Errors
    /// [`Error::Content`] when the stream is broken or its codec cannot be read here; what `visit` says.
    pub fn decode(&self, range: Range<usize>, visit: &mut Visit<'_>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        if range.end > self.len() {
            let expected = format!("at least {} frames", range.end);
            return Err(Error::content(&self.track.path, "video", expected, self.len()));
        }
        match &self.track.codec {
            Codec::Av1 => av1::decode(&self.track, range, visit),
            Codec::H264(stream) => h264::decode(&self.track, stream, range, visit),
            Codec::Other(name) => ffmpeg::decode(&self.track, name, range, visit),
        }
    }
}

/// Hands on what a decoder gives, frame by frame from number `next` on, until `range` is done.
struct Delivery<'a, 'b> {
    track: &'a Track,
    range: Range<usize>,
    next: usize,
    visit: &'a mut Visit<'b>,
}

impl Delivery<'_, '_> {
    fn is_done(&self) -> bool {
        self.next >= self.range.end
    }

    fn deliver(&mut self, planes: impl FnOnce() -> std::result::Result<Yuv, String>) -> Result<()> {
        let frame = self.next;
        self.next += 1;
        if !self.range.contains(&frame) {
            return Ok(());
        }
        let broken = |reason| Error::content(&self.track.path, format!("video frame {frame}"), "a picture", reason);
        (self.visit)(frame, planes().map_err(broken)?)
    }

    /// Refuses a frame that cannot be decoded, whether it was asked for or not: what follows it may be wrong, too.
    fn refuse(&self, reason: String) -> Result<()> {
        Err(Error::content(&self.track.path, format!("video frame {}", self.next), "a picture", reason))
    }

    /// Refuses a stream that ended too early.
    fn finish(&self) -> Result<()> {
        if self.is_done() {
            return Ok(());
        }
        let field = format!("video frame {}", self.next);
        Err(Error::content(&self.track.path, field, "a picture", "the end of the stream"))
    }
}
