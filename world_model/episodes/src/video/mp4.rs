//! Reading of the container: where a track's samples are, and which of them are shown when.

mod boxes;
mod edits;
mod entry;
mod fragments;
mod tables;

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use mindseye_interface::{ImageSize, inputs};

use self::boxes::{Boxes, Fault, Fields, Index, child, descendant};
use self::edits::Scales;
use self::tables::Samples;
use super::colours::Label;
use crate::{Error, Result};

pub(super) use self::entry::Codec;

/// Largest sample, bytes; a larger one is taken for a broken file.
const MAX_SAMPLE_BYTES: u64 = 64 << 20;

/// One compressed picture.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sample {
    offset: u64,
    size: u64,
    /// Whether the container calls it a place where decoding can begin.
    is_sync: bool,
    /// Its number in the order of composition times.
    pub number: usize,
}

/// A video track.
///
/// Pictures have two numbers: that in the order of composition times, of all pictures in the file, and that of a frame,
/// which counts only the pictures that are shown.
#[derive(Debug)]
pub(super) struct Track {
    pub path: PathBuf,
    pub codec: Codec,
    /// Colours as the container states them.
    pub label: Label,
    /// Samples in coding order.
    pub samples: Vec<Sample>,
    /// Composition time of each picture, in units of the container, ascending.
    pub composition: Vec<i64>,
    /// Units of the container in a second, above 0.
    pub units_per_sec: u32,
    /// What `ffmpeg` adds to the composition times of fragments, so that none is before its decoding time.
    pub ffmpeg_delay: i64,
    /// Number of the picture of each frame, ascending.
    pub pictures: Vec<usize>,
    /// Presentation time of each frame, seconds, ascending.
    pub times: Vec<f64>,
    /// Shortest time between two frames, seconds.
    pub frame_secs: f64,
    pub width: usize,
    pub height: usize,
}

impl Track {
    pub fn open(path: &Path) -> Result<Self> {
        let mut file = inputs::open(path, u64::MAX).map_err(|error| Error::file(path, "opening", error))?;
        let bytes = file.metadata().map_err(|error| Error::file(path, "opening", error))?.len();
        let index = Index::read(&mut file, bytes);
        let index = index.map_err(|error| Error::file(path, "reading the video's index", error))?;
        let index = index.ok_or_else(|| Error::content(path, "video", "an mp4 file with an index (moov)", "none"))?;
        let described = Self::from_index(path, &index, bytes);
        let mut track =
            described.map_err(|Fault { field, expected, got }| Error::content(path, field, expected, got))?;
        ImageSize::new(track.height, track.width)
            .map_err(|error| Error::content(path, "video", "an image's size", error))?;
        if let (Codec::H264(stream), Some(first)) = (&track.codec, track.samples.first())
            && let Some(name) = stream.lacking(&track.read(&mut file, first)?)
        {
            track.codec = Codec::Other(name);
        }
        Ok(track)
    }

    /// The first video track of the `index` of a file of `bytes` bytes.
    fn from_index(path: &Path, index: &Index, bytes: u64) -> std::result::Result<Self, Fault> {
        let tracks = || Boxes(&index.movie).filter(|(name, _)| name == b"trak").map(|(_, content)| content);
        let is_video = |track: &&[u8]| {
            let handler = descendant(track, &[b"mdia", b"hdlr"]);
            handler.and_then(|content| content.get(8..12)) == Some(b"vide")
        };
        let track = tracks().find(is_video).ok_or_else(|| Fault::new("video", "a video track", "none"))?;
        let table = descendant(track, &[b"mdia", b"minf", b"stbl"]).ok_or_else(|| Fault::broken("stbl"))?;
        let id = full_box_number(child(track, b"tkhd")).ok_or_else(|| Fault::broken("tkhd"))?;
        let scale = |content| full_box_number(content).filter(|scale| *scale > 0);
        let scales = Scales {
            movie: scale(child(&index.movie, b"mvhd")).unwrap_or(1),
            track: scale(descendant(track, &[b"mdia", b"mdhd"])).ok_or_else(|| Fault::broken("mdhd"))?,
        };
        let mut samples = Samples::new(bytes);
        tables::read(table, &mut samples)?;
        for (offset, content) in &index.fragments {
            fragments::read(&index.movie, id, (*offset, content), &mut samples)?;
        }
        let description = child(table, b"stsd").ok_or_else(|| Fault::broken("stsd"))?;
        let entry = entry::read(description, samples.description.unwrap_or(1))?;
        let (mut listed, early) = (samples.listed, samples.early);
        for (number, sample) in listed.iter().enumerate() {
            if sample.size > MAX_SAMPLE_BYTES || sample.offset.checked_add(sample.size).is_none_or(|end| end > bytes) {
                let got = format!("{} bytes at {} of {bytes}", sample.size, sample.offset);
                return Err(Fault::new(format!("video sample {number}"), "bytes within the file", got));
            }
        }
        // A recorder marks a picture that it lost with a sample of no bytes; no picture comes of it.
        listed.retain(|sample| sample.size > 0);
        let mut order: Vec<usize> = (0..listed.len()).collect();
        order.sort_by_key(|&index| (listed[index].time, index));
        let composition: Vec<i64> = order.iter().map(|&index| listed[index].time).collect();
        let mut numbers = vec![0; order.len()];
        order.iter().enumerate().for_each(|(number, &index)| numbers[index] = number);
        let samples = listed.iter().zip(numbers).map(|(sample, number)| {
            Sample { offset: sample.offset, size: sample.size, is_sync: sample.is_sync, number } //
        });
        let edits = descendant(track, &[b"edts", b"elst"]).map(edits::read).transpose()?.unwrap_or_default();
        let shown = edits::shown(&edits, &composition, scales, !index.fragments.is_empty())?;
        let (pictures, times): (Vec<usize>, Vec<f64>) = shown.into_iter().unzip();
        let spans = times.windows(2).map(|pair| pair[1] - pair[0]);
        let frame_secs = spans.filter(|span| *span > 0.0).fold(f64::INFINITY, f64::min);
        Ok(Self {
            path: path.to_path_buf(),
            codec: entry.codec,
            label: entry.label,
            samples: samples.collect(),
            composition,
            units_per_sec: scales.track,
            ffmpeg_delay: early,
            pictures,
            times,
            frame_secs: if frame_secs.is_finite() { frame_secs } else { 1.0 },
            width: entry.width,
            height: entry.height,
        })
    }

    /// Index of the sample at which decoding has to start for picture `number`: the last before it that the container
    /// calls a key frame and of which `begins` is true. `None` when there is none.
    pub fn start_for(&self, file: &mut File, number: usize, begins: impl Fn(&[u8]) -> bool) -> Result<Option<usize>> {
        let starts = self.samples.iter().enumerate().filter(|(_, sample)| sample.is_sync && sample.number <= number);
        for (index, sample) in starts.rev() {
            if begins(&self.read(file, sample)?) {
                return Ok(Some(index));
            }
        }
        Ok(None)
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

/// The number behind two times, which are of 4 or 8 bytes: the track's number in `tkhd`, units per second in `mvhd` and
/// `mdhd`.
fn full_box_number(content: Option<&[u8]>) -> Option<u32> {
    let mut fields = Fields(content?);
    let (version, _) = fields.version()?;
    fields.take(if version == 1 { 16 } else { 8 })?;
    fields.u32()
}
