//! Decoding of AV1, the codec of LeRobot's videos.

use std::ops::Range;

use re_rav1d::dav1d::{Decoder, Error as Av1Error, Picture, PixelLayout, PlanarImageComponent, Settings, pixel};

use super::colours::Label;
use super::delivery::{Delivery, FrameVisitor};
use super::mp4::Track;
use super::yuv::{Yuv, packed};
use crate::{Error, Result};

/// Decodes pictures `range`, starting at the last key frame before them.
pub(super) fn decode(track: &Track, range: Range<usize>, visit: &mut FrameVisitor<'_>) -> Result<()> {
    let broken = |reason: String| Error::content(&track.path, "video", "a stream of AV1", reason);
    let mut settings = Settings::new();
    settings.set_n_threads(1); // work is split by the caller
    settings.set_max_frame_delay(1);
    settings.set_frame_size_limit((4 * track.width * track.height).try_into().unwrap_or(u32::MAX));
    let mut decoder = Decoder::with_settings(&settings).map_err(|error| broken(error.to_string()))?;
    let mut file = track.file()?;
    let first = track.start_for(&mut file, range.start, has_sequence_header)?.unwrap_or(0);
    let mut delivery = Delivery::new(track, range, visit);
    for sample in &track.samples[first..] {
        if delivery.is_done() {
            return Ok(());
        }
        let mut sent_before = false;
        // A decoded picture has the number of its data.
        let number = i64::try_from(sample.number).ok();
        let mut sent = decoder.send_data(track.read(&mut file, sample)?, None, number, None);
        // A full decoder accepts more data after a frame is taken from it.
        while let Err(error) = sent {
            if !error.is_again() {
                return Err(broken(error.to_string()));
            }
            if !take(&mut decoder, &mut delivery, track.label)? && sent_before {
                return Err(broken("frames that never end".into()));
            }
            sent_before = true;
            sent = decoder.send_pending_data();
        }
        take(&mut decoder, &mut delivery, track.label)?;
    }
    while !delivery.is_done() && take(&mut decoder, &mut delivery, track.label)? {}
    delivery.finish()
}

/// Delivers the next frame, and returns whether one was ready.
///
/// A sample of a file shows one frame, so that each is asked for one: the library (re_rav1d 0.1.3) loses 48 bytes
/// whenever it is asked for a frame and has none, as it does with every frame that is dropped.
fn take(decoder: &mut Decoder, delivery: &mut Delivery<'_, '_>, container: Label) -> Result<bool> {
    match decoder.get_picture() {
        Ok(decoded) => match decoded.timestamp().and_then(|number| usize::try_from(number).ok()) {
            Some(number) => delivery.deliver(number, || planes(&decoded, container))?,
            None => delivery.refuse("a picture without a number".into())?,
        },
        Err(Av1Error::Again) => return Ok(false),
        Err(error) => delivery.refuse(error.to_string())?,
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

/// Code of the matrix in the stream.
fn matrix(decoded: &Picture) -> Option<u8> {
    match decoded.matrix_coefficients() {
        pixel::MatrixCoefficients::Identity => Some(0),
        pixel::MatrixCoefficients::BT709 => Some(1),
        pixel::MatrixCoefficients::BT470M => Some(4),
        pixel::MatrixCoefficients::BT470BG | pixel::MatrixCoefficients::ST170M => Some(6),
        pixel::MatrixCoefficients::ST240M => Some(7),
        pixel::MatrixCoefficients::BT2020NonConstantLuminance => Some(9),
        pixel::MatrixCoefficients::YCgCo => Some(8),
        pixel::MatrixCoefficients::Unspecified => None,
        _ => Some(255),
    }
}

fn planes(decoded: &Picture, container: Label) -> std::result::Result<Yuv, String> {
    if decoded.bit_depth() != 8 {
        return Err(format!("{} bits per channel where 8 can be read", decoded.bit_depth()));
    }
    let subsampling = match decoded.pixel_layout() {
        PixelLayout::I400 | PixelLayout::I420 => (1, 1),
        PixelLayout::I422 => (1, 0),
        PixelLayout::I444 => (0, 0),
    };
    let is_full = decoded.color_range() == pixel::YUVRange::Full;
    let label = match decoded.pixel_layout() {
        PixelLayout::I400 => Label::GREY,
        _ => Label::new(matrix(decoded), Some(is_full)),
    };
    let colours = label.or(container).colours()?;
    let (width, height) = (decoded.width() as usize, decoded.height() as usize);
    let mut yuv = Yuv { width, height, subsampling, y: Vec::new(), u: Vec::new(), v: Vec::new(), colours };
    let plane = |component, width: usize, height: usize| {
        let (stride, _) = decoded.plane_data_geometry(component);
        packed(&decoded.plane(component), stride as usize, width, height).ok_or_else(|| String::from("a short plane"))
    };
    yuv.y = plane(PlanarImageComponent::Y, width, height)?;
    if decoded.pixel_layout() != PixelLayout::I400 {
        let (width, height) = yuv.colour_size();
        yuv.u = plane(PlanarImageComponent::U, width, height)?;
        yuv.v = plane(PlanarImageComponent::V, width, height)?;
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
