//! Decoding of H.264, the codec of most cameras, phones and older recorders.

mod parameters;

use std::ops::Range;

use openh264::OpenH264API;
use openh264::decoder::{DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource as _;

use super::colours::Label;
use super::delivery::{Delivery, FrameVisitor};
use super::mp4::Track;
use super::yuv::{Yuv, packed};
use crate::{Error, Result};
use parameters::{INSTANT_REFRESH, SEQUENCE, Sequence, unit_type};

/// Start code before every unit of a byte stream (Annex B).
const START: [u8; 4] = [0, 0, 0, 1];

/// Packing of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    /// Parameter sets, to be preceded by a start code each.
    sets: Vec<Vec<u8>>,
    /// Bytes of the length field before every unit.
    length_bytes: usize,
}

impl Stream {
    /// Reads an `avcC` record (ISO/IEC 14496-15, 5.3.3.1.2).
    pub fn read(record: &[u8]) -> Option<Self> {
        let length_bytes = usize::from(record.get(4)? & 3) + 1;
        let mut sets = Vec::new();
        let mut place = 5;
        for mask in [0x1f, 0xff] {
            let count = record.get(place)? & mask;
            place += 1;
            for _ in 0..count {
                let length = usize::from(u16::from_be_bytes([*record.get(place)?, *record.get(place + 1)?]));
                sets.push(record.get(place + 2..place + 2 + length)?.to_vec());
                place += 2 + length;
            }
        }
        Some(Self { sets, length_bytes })
    }

    /// What the decoder lacks for this stream, the first sample of which is `first`; `None` if nothing.
    pub fn lacking(&self, first: &[u8]) -> Option<String> {
        let inside = units(first, self.length_bytes).unwrap_or_default();
        let sets = self.sets.iter().map(Vec::as_slice).chain(inside);
        sets.filter(|unit| unit_type(unit) == Some(SEQUENCE)).filter_map(Sequence::read).find_map(|set| set.lacking())
    }

    /// Whether a sample begins a sequence that depends on nothing before it. A container's key frame may be another: a
    /// picture with a recovery point, at which this decoder cannot begin.
    fn begins(&self, sample: &[u8]) -> bool {
        let units = units(sample, self.length_bytes).unwrap_or_default();
        units.iter().any(|unit| unit_type(unit) == Some(INSTANT_REFRESH))
    }
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

/// The units of a sample, each preceded by its length; `None` if a length is too large.
fn units(sample: &[u8], length_bytes: usize) -> Option<Vec<&[u8]>> {
    let (mut units, mut rest) = (Vec::new(), sample);
    while !rest.is_empty() {
        let (length, after) = rest.split_at_checked(length_bytes)?;
        let length = length.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
        let (unit, after) = after.split_at_checked(length)?;
        units.push(unit);
        rest = after;
    }
    Some(units)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_prefixed_units_are_split_and_cut_ones_refused() {
        let all = |sample: &[u8], length_bytes| units(sample, length_bytes).map(|units| units.concat());
        assert_eq!(all(&[0, 2, 7, 8, 0, 1, 9], 2), Some(vec![7, 8, 9]));
        assert_eq!(all(&[0, 3, 7, 8], 2), None);
        assert_eq!(all(&[0], 2), None);
    }

    #[test]
    fn parameter_sets_are_parsed_and_cut_ones_refused() {
        let record = [1, 100, 0, 10, 0xff, 0xe1, 0, 2, 7, 8, 1, 0, 1, 9];
        let expected = Stream { sets: vec![vec![7, 8], vec![9]], length_bytes: 4 };
        assert_eq!(Stream::read(&record), Some(expected));
        for length in 0..record.len() {
            assert_eq!(Stream::read(&record[..length]), None, "{length} bytes");
        }
    }
}
