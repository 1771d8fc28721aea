//! Decoding of AV1, the codec of LeRobot's videos.

use std::ops::Range;

use re_rav1d::dav1d::{Decoder, Error as Av1Error, Picture, PixelLayout, PlanarImageComponent, Settings, pixel};

use super::delivery::{Delivery, FrameVisitor};
use super::mp4::Track;
use super::yuv::{Colours, Yuv, packed};
use crate::{Error, Result};

/// Decodes frames `range`, starting at the last key frame before them.
pub(super) fn decode(track: &Track, range: Range<usize>, visit: &mut FrameVisitor<'_>) -> Result<()> {
    let broken = |reason: String| Error::content(&track.path, "video", "a stream of AV1", reason);
    let mut settings = Settings::new();
    settings.set_n_threads(1); // work is split by the caller
    settings.set_max_frame_delay(1);
    settings.set_frame_size_limit((4 * track.width * track.height).try_into().unwrap_or(u32::MAX));
    let mut decoder = Decoder::with_settings(&settings).map_err(|error| broken(error.to_string()))?;
    let (first, shown) = track.start_for(range.start);
    let mut delivery = Delivery { track, range, next: shown, visit };
    let mut file = track.file()?;
    for sample in &track.samples[first..] {
        if delivery.is_done() {
            return Ok(());
        }
        let mut sent_before = false;
        let mut sent = decoder.send_data(track.read(&mut file, sample)?, None, None, None);
        // A full decoder accepts more data after a frame is taken from it.
        while let Err(error) = sent {
            if !error.is_again() {
                return Err(broken(error.to_string()));
            }
            if drain(&mut decoder, &mut delivery)? == 0 && sent_before {
                return Err(broken("frames that never end".into()));
            }
            sent_before = true;
            sent = decoder.send_pending_data();
        }
        drain(&mut decoder, &mut delivery)?;
    }
    drain(&mut decoder, &mut delivery)?;
    delivery.finish()
}

/// Delivers all frames that are ready, and returns their number.
fn drain(decoder: &mut Decoder, delivery: &mut Delivery<'_, '_>) -> Result<usize> {
    let mut count = 0;
    loop {
        match decoder.get_picture() {
            Ok(decoded) => delivery.deliver(|| planes(&decoded))?,
            Err(Av1Error::Again) => return Ok(count),
            Err(error) => delivery.refuse(error.to_string())?,
        }
        count += 1;
    }
}

fn planes(decoded: &Picture) -> std::result::Result<Yuv, String> {
    if decoded.bit_depth() != 8 {
        return Err(format!("{} bits per channel where 8 can be read", decoded.bit_depth()));
    }
    let subsampling = match decoded.pixel_layout() {
        PixelLayout::I400 | PixelLayout::I420 => (1, 1),
        PixelLayout::I422 => (1, 0),
        PixelLayout::I444 => (0, 0),
    };
    let colours = Colours {
        bt709: decoded.matrix_coefficients() == pixel::MatrixCoefficients::BT709,
        full_range: decoded.color_range() == pixel::YUVRange::Full,
    };
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
