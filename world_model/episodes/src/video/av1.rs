//! Decoding of AV1, the codec of LeRobot's videos.

use std::ops::Range;

use super::av1_decoder::{Decoder, Frame, Layout};
use super::colours::Label;
use super::delivery::{Delivery, FrameVisitor};
use super::mp4::Track;
use super::yuv::Yuv;
use crate::{Error, Result};

/// Decodes pictures `range`, starting at the last key frame before them.
pub(super) fn decode(track: &Track, range: Range<usize>, visit: &mut FrameVisitor<'_>) -> Result<()> {
    let broken = |reason: String| Error::content(&track.path, "video", "a stream of AV1", reason);
    let limit = (4 * track.width * track.height).try_into().unwrap_or(u32::MAX);
    let mut decoder = Decoder::new(limit).map_err(broken)?;
    let mut file = track.file()?;
    let first = track.start_for(&mut file, range.start, has_sequence_header)?.unwrap_or(0);
    let mut delivery = Delivery::new(track, range, visit);
    for sample in &track.samples[first..] {
        if delivery.is_done() {
            return Ok(());
        }
        let mut sent_before = false;
        // A decoded picture has the number of its data.
        let number = i64::try_from(sample.number).map_err(|_| broken("too many pictures".into()))?;
        let mut all = decoder.send(&track.read(&mut file, sample)?, number).map_err(broken)?;
        // A full decoder accepts more data after a frame is taken from it.
        while !all {
            if !take(&mut decoder, &mut delivery, track.label)? && sent_before {
                return Err(broken("frames that never end".into()));
            }
            sent_before = true;
            all = decoder.send_pending().map_err(broken)?;
        }
        take(&mut decoder, &mut delivery, track.label)?;
    }
    while !delivery.is_done() && take(&mut decoder, &mut delivery, track.label)? {}
    delivery.finish()
}

/// Delivers the next frame, and returns whether one was ready.
fn take(decoder: &mut Decoder, delivery: &mut Delivery<'_, '_>, container: Label) -> Result<bool> {
    match decoder.frame() {
        Ok(None) => return Ok(false),
        Ok(Some(decoded)) => match decoded.number() {
            Some(number) => delivery.deliver(number, || planes(&decoded, container))?,
            None => delivery.refuse("a picture without a number".into())?,
        },
        Err(reason) => delivery.refuse(reason)?,
    }
    Ok(true)
}

/// Whether a sample holds a sequence header (unit of type 1), which every key frame of a file has before it.
fn has_sequence_header(sample: &[u8]) -> bool {
    let mut rest = sample;
    while let Some((header, after)) = rest.split_first() {
        if header >> 3 & 15 == 1 {
            return true;
        }
        let after = if header & 4 != 0 { after.get(1..).unwrap_or_default() } else { after };
        if header & 2 == 0 {
            return false; // a unit without a size is the last
        }
        let bytes = after.iter().position(|byte| byte & 0x80 == 0).map_or(8, |last| last + 1).min(8);
        let Some((size, after)) = after.split_at_checked(bytes) else { return false };
        let size = size.iter().rev().fold(0u64, |size, byte| size << 7 | u64::from(byte & 0x7f));
        rest = usize::try_from(size).ok().and_then(|size| after.get(size..)).unwrap_or_default();
    }
    false
}

fn planes(decoded: &Frame, container: Label) -> std::result::Result<Yuv, String> {
    if decoded.bits() != 8 {
        return Err(format!("{} bits per channel where 8 can be read", decoded.bits()));
    }
    let subsampling = match decoded.layout() {
        Layout::Grey | Layout::Yuv420 => (1, 1),
        Layout::Yuv422 => (1, 0),
        Layout::Yuv444 => (0, 0),
    };
    let (matrix, is_full) = decoded.colours();
    let label = match decoded.layout() {
        Layout::Grey => Label::GREY,
        _ => Label::new(matrix, is_full),
    };
    let colours = label.or(container).colours()?;
    let (width, height) = decoded.size();
    let mut yuv = Yuv { width, height, subsampling, y: Vec::new(), u: Vec::new(), v: Vec::new(), colours };
    let plane = |index| decoded.plane(index).ok_or_else(|| String::from("a plane that is not there"));
    yuv.y = plane(0)?;
    if decoded.layout() != Layout::Grey {
        yuv.u = plane(1)?;
        yuv.v = plane(2)?;
    }
    Ok(yuv)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_header_is_found_behind_other_units_and_nothing_is_read_beyond_the_end() {
        let (delimiter, header, frame) = ([0x12, 0], [0x0a, 2, 9, 9], [0x32, 1, 7]);
        assert!(has_sequence_header(&[&delimiter[..], &header, &frame].concat()));
        assert!(!has_sequence_header(&[&delimiter[..], &frame].concat()));
        assert!(!has_sequence_header(&[0x32, 200, 200, 1]));
        assert!(!has_sequence_header(&[0x36, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
        assert!(!has_sequence_header(&[]));
    }
}
