//! Video files: mp4 with AV1 or H.264, decoded in this process; other codecs through the program `ffmpeg` where it is
//! installed.
//!
//! Decoding of AV1 and H.264 is normative: every correct decoder gives the same planes (tests compare hashes with
//! another library's). The decoder of H.264 in this process is not correct in some B frames, of which it gives a few
//! wrong blocks: where `ffmpeg` is installed, it decodes them; where not, [`Video::note`] says so. The conversion to
//! RGB is not normative; here it is in integer arithmetic, equal on every machine, with the matrix and the range that
//! the stream states, otherwise the container, otherwise BT.601 of limited range.
//!
//! A frame is a picture that is shown: pictures that an edit list hides are decoded where others depend on them, and
//! are no frames.
//!
//! This crate writes AV1 in mp4.

mod av1;
mod av1_decoder;
mod colours;
mod delivery;
mod encode;
mod ffmpeg;
mod h264;
mod h264_stream;
mod mp4;
mod mp4_writer;
mod yuv;

use std::ops::Range;
use std::path::Path;

pub use colours::{Colours, Matrix};
pub use delivery::FrameVisitor;
pub(crate) use encode::{KEY_EVERY, SHORTEST_SIDE, encode};
use mindseye_interface::{Image, ImageSize};
use mp4::{Codec, Track};
pub(crate) use mp4_writer::mp4;
pub use yuv::Yuv;

use crate::{Error, Result};

/// Largest distance of a timestep from the time of its frame, in durations of a frame.
const TOLERANCE: f64 = 0.5;
/// Frames from the first on in which B pictures are looked for when a data set is opened.
const FRAMES_NOTED: usize = 100;

/// The first video track of a file. Its frames are numbered in presentation order.
#[derive(Debug)]
pub struct Video {
    track: Track,
}

impl Video {
    /// Opens the file at `path`: reads its index, not its frames.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be read; [`Error::Content`] when it is no mp4 with a video track, or its index
    /// exceeds the file.
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { track: Track::open(path)? })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.track.path
    }

    /// Number of frames.
    pub fn len(&self) -> usize {
        self.track.times.len()
    }

    /// Whether there is no frame.
    pub fn is_empty(&self) -> bool {
        self.track.times.is_empty()
    }

    /// Presentation time of each frame, seconds, ascending; the first is at 0 unless an edit list delays it.
    pub fn times(&self) -> &[f64] {
        &self.track.times
    }

    /// Number of the frame that is presented `seconds` after the start.
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
                let expected = format!("a frame {seconds:.4} seconds after the start");
                let got = format!("{} frames until {last:.4}", self.len());
                Err(Error::content(&self.track.path, "video", expected, got))
            }
        }
    }

    /// What the user should know of the frames: that a few blocks of B frames of H.264 may be wrong, where the program
    /// `ffmpeg` is not installed.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be read.
    pub fn note(&self) -> Result<Option<String>> {
        let Codec::H264(stream) = &self.track.codec else { return Ok(None) };
        if ffmpeg::is_installed() || h264::start_with_b_pictures(&self.track, stream, &(0..FRAMES_NOTED))?.is_none() {
            return Ok(None);
        }
        let name = self.track.path.file_name().unwrap_or_default().to_string_lossy();
        Ok(Some(format!("{name}: H.264 with B frames, of which a few blocks may be wrong; with ffmpeg installed none")))
    }

    /// Size of the frames.
    ///
    /// # Errors
    /// [`Error::Interface`] when it is not the size of an image.
    pub fn image_size(&self) -> Result<ImageSize> {
        Ok(ImageSize::new(self.track.height, self.track.width)?)
    }

    /// Decodes the frames with the ascending `numbers`, each of `size`; `visit` is called with the index of each in
    /// `numbers`.
    ///
    /// # Errors
    /// As [`Video::decode`], and [`Error::Content`] for a frame of another size.
    pub fn images(&self, numbers: &[usize], size: ImageSize, visit: &mut dyn FnMut(usize, &Image)) -> Result<()> {
        let Some((first, last)) = numbers.first().zip(numbers.last()) else { return Ok(()) };
        let mut next = 0;
        self.decode(*first..*last + 1, &mut |number, planes| {
            if numbers.get(next) != Some(&number) {
                return Ok(());
            }
            let broken = |expected: String, got: String| {
                Error::content(&self.track.path, format!("video frame {number}"), expected, got) //
            };
            let image = planes.rgb().map_err(|got| broken("an image".into(), got))?;
            if image.size() != size {
                let pixels = |size: ImageSize| format!("{}x{} pixels", size.height(), size.width());
                return Err(broken(pixels(size), pixels(image.size())));
            }
            visit(next, &image);
            next += 1;
            Ok(())
        })
    }

    /// Decodes frames `range` in presentation order.
    ///
    /// # Errors
    /// [`Error::Content`] when the stream is broken or its codec cannot be decoded; the error of `visit`.
    pub fn decode(&self, range: Range<usize>, visit: &mut FrameVisitor<'_>) -> Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        if range.end > self.len() {
            let expected = format!("at least {} frames", range.end);
            return Err(Error::content(&self.track.path, "video", expected, self.len()));
        }
        let (first, last) = (self.track.pictures[range.start], self.track.pictures[range.end - 1]);
        let pictures = first..last + 1;
        let mut next = range.start;
        let visit: &mut FrameVisitor<'_> = &mut |number, planes| {
            if self.track.pictures.get(next) != Some(&number) {
                return Ok(()); // hidden
            }
            next += 1;
            visit(next - 1, planes)
        };
        match &self.track.codec {
            Codec::Av1 => av1::decode(&self.track, pictures, visit),
            Codec::H264(stream) => {
                if ffmpeg::is_installed()
                    && let Some(begin) = h264::start_with_b_pictures(&self.track, stream, &pictures)?
                {
                    return ffmpeg::decode(&self.track, "H.264 with B frames", Some(begin), pictures, visit);
                }
                match h264::decode(&self.track, stream, pictures.clone(), visit)? {
                    true => Ok(()),
                    false => ffmpeg::decode(&self.track, "H.264 without a place to begin", None, pictures, visit),
                }
            }
            Codec::Other(name) => ffmpeg::decode(&self.track, name, None, pictures, visit),
        }
    }
}
