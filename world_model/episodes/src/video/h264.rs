//! Decoding of H.264, the codec of most cameras, phones and older recorders.

use std::ops::Range;

use openh264::OpenH264API;
use openh264::decoder::{DecodedYUV, Decoder, DecoderConfig, Flush};
use openh264::formats::YUVSource as _;

use super::delivery::{Delivery, FrameVisitor};
use super::mp4::{Track, Units};
use super::yuv::{Colours, Yuv, packed};
use crate::{Error, Result};

/// Start code before every unit of a byte stream (Annex B).
const START: [u8; 4] = [0, 0, 0, 1];

/// Decodes frames `range`, starting at the last key frame before them.
pub(super) fn decode(track: &Track, stream: &Units, range: Range<usize>, visit: &mut FrameVisitor<'_>) -> Result<()> {
    let Units { parameters, length_bytes } = stream;
    let broken = |reason: String| Error::content(&track.path, "video", "a stream of H.264", reason);
    // Trap: with the default, the library flushes after every unit and loses frames.
    let config = DecoderConfig::new().flush_after_decode(Flush::NoFlush);
    let decoder = Decoder::with_api_config(OpenH264API::from_source(), config);
    let mut decoder = decoder.map_err(|error| broken(error.to_string()))?;
    let (first, shown) = track.start_for(range.start);
    let mut delivery = Delivery { track, range, next: shown, visit };
    let mut file = track.file()?;
    for (number, sample) in track.samples[first..].iter().enumerate() {
        if delivery.is_done() {
            return Ok(());
        }
        let bytes = track.read(&mut file, sample)?;
        let mut stream = Vec::with_capacity(bytes.len() + 64);
        if number == 0 {
            parameters.iter().for_each(|set| unit(&mut stream, set));
        }
        let units = units(&bytes, *length_bytes);
        units.ok_or_else(|| broken("units longer than their sample".into()))?.for_each(|part| unit(&mut stream, part));
        if let Some(decoded) = decoder.decode(&stream).map_err(|error| broken(error.to_string()))? {
            delivery.deliver(|| planes(&decoded))?;
        }
    }
    for decoded in decoder.flush_remaining().map_err(|error| broken(error.to_string()))? {
        delivery.deliver(|| planes(&decoded))?;
    }
    delivery.finish()
}

fn unit(stream: &mut Vec<u8>, bytes: &[u8]) {
    stream.extend_from_slice(&START);
    stream.extend_from_slice(bytes);
}

/// The units of a sample, each preceded by its length; `None` if a length is too large.
fn units(sample: &[u8], length_bytes: usize) -> Option<std::vec::IntoIter<&[u8]>> {
    let (mut units, mut rest) = (Vec::new(), sample);
    while !rest.is_empty() {
        let (length, after) = rest.split_at_checked(length_bytes)?;
        let length = length.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
        let (unit, after) = after.split_at_checked(length)?;
        units.push(unit);
        rest = after;
    }
    Some(units.into_iter())
}

fn planes(decoded: &DecodedYUV<'_>) -> std::result::Result<Yuv, String> {
    let ((width, height), strides) = (decoded.dimensions(), decoded.strides());
    // The decoder does not report the colour space: the default of unlabelled files.
    let colours = Colours { bt709: false, full_range: false };
    let mut yuv = Yuv { width, height, subsampling: (1, 1), y: Vec::new(), u: Vec::new(), v: Vec::new(), colours };
    let short = || String::from("a short plane");
    yuv.y = packed(decoded.y(), strides.0, width, height).ok_or_else(short)?;
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
        let all =
            |sample: &[u8], length_bytes| units(sample, length_bytes).map(|units| units.collect::<Vec<_>>().concat());
        assert_eq!(all(&[0, 2, 7, 8, 0, 1, 9], 2), Some(vec![7, 8, 9]));
        assert_eq!(all(&[0, 3, 7, 8], 2), None);
        assert_eq!(all(&[0], 2), None);
    }
}
