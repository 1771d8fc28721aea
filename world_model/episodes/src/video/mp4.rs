//! Reading of the container: the places of a track's samples, and their presentation times.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use mindseye_interface::{ImageSize, inputs};
use re_mp4::{Mp4, StsdBoxContent, TrackKind};

use super::{boxes, sample_count};
use crate::guard::guarded;
use crate::{Error, Result};

/// Largest sample, bytes; a larger one is taken for a broken file.
const MAX_SAMPLE_BYTES: u64 = 64 << 20;

/// Codec of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Codec {
    Av1,
    H264(Units),
    /// Any other codec, by its name.
    Other(String),
}

/// Packing of a stream of H.264.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Units {
    /// Parameter sets, to be preceded by a start code each.
    pub parameters: Vec<Vec<u8>>,
    /// Bytes of the length field before every unit.
    pub length_bytes: usize,
}

/// One compressed frame.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    pub offset: u64,
    pub size: u64,
    /// Whether this is a key frame.
    pub is_sync: bool,
    /// Its number in presentation order.
    pub shown: usize,
}

/// A video track.
#[derive(Debug)]
pub(super) struct Track {
    pub path: PathBuf,
    pub codec: Codec,
    /// Samples in coding order.
    pub samples: Vec<Sample>,
    /// Presentation time of each frame, seconds, ascending.
    pub times: Vec<f64>,
    /// Shortest time between two frames, seconds.
    pub frame_secs: f64,
    pub width: usize,
    pub height: usize,
}

impl Track {
    pub fn open(path: &Path) -> Result<Self> {
        let broken = |field: &str, expected: &str, got: String| Error::content(path, field, expected, got);
        let file = inputs::open(path, u64::MAX).map_err(|error| Error::file(path, "opening", error))?;
        let bytes = file.metadata().map_err(|error| Error::file(path, "opening", error))?.len();
        let mp4 = parse(path, &file, bytes)?;
        let video = mp4.tracks().values().find(|track| track.kind == Some(TrackKind::Video));
        let track = video.ok_or_else(|| broken("video", "a video track", "none".into()))?;
        let (width, height) = (usize::from(track.width), usize::from(track.height));
        ImageSize::new(height, width).map_err(|error| broken("video", "an image's size", error.to_string()))?;
        let codec = match &track.trak(&mp4).mdia.minf.stbl.stsd.contents {
            StsdBoxContent::Av01(_) => Codec::Av1,
            StsdBoxContent::Avc1(_) => {
                let raw = track.raw_codec_config(&mp4).unwrap_or_default();
                let units =
                    parameters(&raw).ok_or_else(|| broken("avcC", "parameter sets", format!("{} bytes", raw.len())))?;
                Codec::H264(units)
            }
            _ => Codec::Other(track.codec_string(&mp4).unwrap_or_else(|| "an unknown codec".into())),
        };
        let scale = track.timescale.max(1) as f64;
        let mut order: Vec<usize> = (0..track.samples.len()).collect();
        order.sort_by_key(|&index| (track.samples[index].composition_timestamp, index));
        let time = |index: &usize| track.samples[*index].composition_timestamp as f64 / scale;
        let times: Vec<f64> = order.iter().map(time).collect();
        let mut shown = vec![0; order.len()];
        order.iter().enumerate().for_each(|(number, &index)| shown[index] = number);
        let mut samples = Vec::with_capacity(order.len());
        for (index, sample) in track.samples.iter().enumerate() {
            let end = sample.offset.checked_add(sample.size);
            if sample.size > MAX_SAMPLE_BYTES || end.is_none_or(|end| end > bytes) {
                let got = format!("{} bytes at {} of {bytes}", sample.size, sample.offset);
                return Err(broken(&format!("video sample {index}"), "bytes within the file", got));
            }
            let Some(&shown) = shown.get(index) else { continue };
            samples.push(Sample { offset: sample.offset, size: sample.size, is_sync: sample.is_sync, shown });
        }
        let spans = times.windows(2).map(|pair| pair[1] - pair[0]);
        let frame_secs = spans.filter(|span| *span > 0.0).fold(f64::INFINITY, f64::min);
        let frame_secs = if frame_secs.is_finite() { frame_secs } else { 1.0 };
        Ok(Self { path: path.to_path_buf(), codec, samples, times, frame_secs, width, height })
    }

    /// Index of the sample at which decoding has to start for `frame`, and the number of the first decoded frame.
    pub fn start_for(&self, frame: usize) -> (usize, usize) {
        let starts = self.samples.iter().enumerate().filter(|(_, sample)| sample.is_sync && sample.shown <= frame);
        starts.max_by_key(|(_, sample)| sample.shown).map_or((0, 0), |(index, sample)| (index, sample.shown))
    }

    /// Opens the file for [`Track::read`].
    pub fn file(&self) -> Result<File> {
        File::open(&self.path).map_err(|error| Error::file(&self.path, "opening", error))
    }

    /// The bytes of a sample.
    pub fn read(&self, file: &mut File, sample: &Sample) -> Result<Vec<u8>> {
        let mut bytes = vec![0; sample.size as usize];
        file.seek(SeekFrom::Start(sample.offset))
            .and_then(|_| file.read_exact(&mut bytes))
            .map_err(|error| Error::file(&self.path, "reading a video sample", error))?;
        Ok(bytes)
    }
}

/// Parses the boxes of the file. Panics and endless loops of the parser on broken files become errors of the file.
fn parse(path: &Path, file: &File, bytes: u64) -> Result<Mp4> {
    const DESCRIPTION: &str = "reading the video's description";
    let limited = || Limited { inner: std::io::BufReader::new(file), left: 4 * bytes + (1 << 20) };
    let rewind = || (&*file).rewind().map_err(|error| Error::file(path, DESCRIPTION, error));
    let refused =
        |field: &'static str| move |(expected, got): (String, String)| Error::content(path, field, expected, got);
    boxes::check(limited(), bytes).map_err(refused("video boxes"))?;
    rewind()?;
    guarded(path, DESCRIPTION, || sample_count::check(limited(), bytes).map_err(refused("video samples")))?;
    rewind()?;
    guarded(path, DESCRIPTION, || {
        Mp4::read(limited(), bytes).map_err(|error| Error::content(path, "video", "an mp4 file", error))
    })
}

/// A reader with a budget of bytes, so that a parser that loops over broken boxes ends with an error.
struct Limited<R> {
    inner: R,
    /// Bytes that may still be read; a seek costs [`SEEK_COST`] of them.
    left: u64,
}

/// Cost of a seek, in bytes read.
const SEEK_COST: u64 = 8;

impl<R> Limited<R> {
    fn spend(&mut self, bytes: u64) -> std::io::Result<()> {
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(std::io::Error::other("boxes that go round in circles")),
        }
    }
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.spend(count as u64 + 1)?;
        Ok(count)
    }
}

impl<R: Seek> Seek for Limited<R> {
    fn seek(&mut self, place: SeekFrom) -> std::io::Result<u64> {
        self.spend(SEEK_COST)?;
        self.inner.seek(place)
    }
}

/// Reads an `avcC` record (ISO/IEC 14496-15, 5.3.3.1.2).
fn parameters(record: &[u8]) -> Option<Units> {
    let length_bytes = usize::from(record.get(4)? & 3) + 1;
    let mut parameters = Vec::new();
    let mut place = 5;
    for mask in [0x1f, 0xff] {
        let count = record.get(place)? & mask;
        place += 1;
        for _ in 0..count {
            let length = usize::from(u16::from_be_bytes([*record.get(place)?, *record.get(place + 1)?]));
            parameters.push(record.get(place + 2..place + 2 + length)?.to_vec());
            place += 2 + length;
        }
    }
    Some(Units { parameters, length_bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameter_sets_are_parsed_and_cut_ones_refused() {
        let record = [1, 100, 0, 10, 0xff, 0xe1, 0, 2, 7, 8, 1, 0, 1, 9];
        let expected = Units { parameters: vec![vec![7, 8], vec![9]], length_bytes: 4 };
        assert_eq!(parameters(&record), Some(expected));
        for length in 0..record.len() {
            assert_eq!(parameters(&record[..length]), None, "{length} bytes");
        }
    }
}
