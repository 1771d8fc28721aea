//! Decoding of H.264, the codec of most cameras, phones and older recorders.

use std::ops::Range;

use openh264::OpenH264API;
use openh264::decoder::{DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource as _;

use super::colours::Label;
use super::delivery::{Delivery, FrameVisitor};
use super::h264_stream::{SEQUENCE, Sequence, Stream, unit_type, units};
use super::mp4::Track;
use super::yuv::{Yuv, packed};
use crate::{Error, Result};

/// Most pictures that are coded before one that is shown earlier.
const MOST_REORDERED: usize = 16;
/// Start code before every unit of a byte stream (Annex B).
const START: [u8; 4] = [0, 0, 0, 1];

/// Where `ffmpeg` begins with pictures `range` that it has to decode: there is a place to begin, and B pictures are
/// among what has to be decoded. This decoder gives a few wrong blocks in such pictures (openh264 2.6, where motion is
/// derived from other pictures), and does not notice. `None` when there is no such picture.
pub(super) fn start_with_b_pictures(track: &Track, stream: &Stream, range: &Range<usize>) -> Result<Option<usize>> {
    let mut file = track.file()?;
    let Some(first) = track.start_for(&mut file, range.start, |sample| stream.begins(sample))? else {
        return Ok(None);
    };
    for sample in track.samples[first..].iter().take_while(|sample| sample.number < range.end + MOST_REORDERED) {
        if stream.is_bipredicted(&track.read(&mut file, sample)?) {
            return Ok(Some(track.samples[first].number));
        }
    }
    Ok(None)
}

/// Decodes pictures `range`, starting at the last place before them where decoding can begin. `Ok(false)` when there is
/// none.
///
/// # Errors
/// [`Error::Content`] when the stream is broken, and when the decoder did not give one picture for each sample: the
/// pictures that were passed on may be those of other samples then.
pub(super) fn decode(
    track: &Track,
    stream: &Stream,
    range: Range<usize>,
    visit: &mut FrameVisitor<'_>,
) -> Result<bool> {
    let broken = |reason: String| Error::content(&track.path, "video", "a stream of H.264", reason);
    // Trap: with the default, the library flushes after every unit and loses frames.
    let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
    let decoder = Decoder::with_api_config(OpenH264API::from_source(), config);
    let mut decoder = decoder.map_err(|error| broken(error.to_string()))?;
    let mut file = track.file()?;
    let Some(first) = track.start_for(&mut file, range.start, |sample| stream.begins(sample))? else {
        return Ok(false);
    };
    let mut delivery = Delivery::new(track, range, visit);
    let mut set = stream.sets.iter().find_map(|unit| sequence(unit));
    let start = track.samples[first].number;
    let (mut sent, mut received) = (0, 0);
    for (number, sample) in track.samples[first..].iter().enumerate() {
        if delivery.is_done() {
            break;
        }
        if sample.number < start {
            return Err(broken(format!("picture {} coded after picture {start}, which hides it", sample.number)));
        }
        let bytes = track.read(&mut file, sample)?;
        let mut annex_b = Vec::with_capacity(bytes.len() + 64);
        if number == 0 {
            stream.sets.iter().for_each(|set| push_unit(&mut annex_b, set));
        }
        let units = units(&bytes, stream.length_bytes);
        for part in units.ok_or_else(|| broken("units longer than their sample".into()))? {
            set = sequence(part).or(set);
            push_unit(&mut annex_b, part);
        }
        sent += 1;
        if let Some(decoded) = decoder.decode(&annex_b).map_err(|error| broken(error.to_string()))? {
            delivery.deliver(start + received, || planes(&decoded, set, track.label))?;
            received += 1;
        }
    }
    for decoded in decoder.flush_remaining().map_err(|error| broken(error.to_string()))? {
        delivery.deliver(start + received, || planes(&decoded, set, track.label))?;
        received += 1;
    }
    // The decoder does not say which sample a picture is from. It gives them in their order, so all is well if none is
    // missing.
    if received != sent {
        return Err(broken(format!("{received} pictures from {sent} samples")));
    }
    delivery.finish()?;
    Ok(true)
}

/// A unit as a sequence parameter set, if it is one.
fn sequence(unit: &[u8]) -> Option<Sequence> {
    (unit_type(unit) == Some(SEQUENCE)).then(|| Sequence::read(unit))?
}

fn push_unit(stream: &mut Vec<u8>, bytes: &[u8]) {
    stream.extend_from_slice(&START);
    stream.extend_from_slice(bytes);
}

fn planes(decoded: &DecodedYUV<'_>, set: Option<Sequence>, container: Label) -> std::result::Result<Yuv, String> {
    let colours = set.map(|set| set.label).unwrap_or_default().or(container).colours()?;
    let ((width, height), strides) = (decoded.dimensions(), decoded.strides());
    let mut yuv = Yuv { width, height, subsampling: (1, 1), y: Vec::new(), u: Vec::new(), v: Vec::new(), colours };
    let short = || String::from("a short plane");
    yuv.y = packed(decoded.y(), strides.0, width, height).ok_or_else(short)?;
    if set.is_some_and(|set| set.is_grey()) {
        return Ok(yuv);
    }
    let (width, height) = yuv.colour_size();
    yuv.u = packed(decoded.u(), strides.1, width, height).ok_or_else(short)?;
    yuv.v = packed(decoded.v(), strides.2, width, height).ok_or_else(short)?;
    Ok(yuv)
}
