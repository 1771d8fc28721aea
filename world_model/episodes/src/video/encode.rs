//! Encoding of AV1 in small groups of frames, so that a frame in the middle is decoded as quickly as the first.
//!
//! Groups are encoded independently and in parallel. The bytes depend on the images alone, not on the number of
//! threads.

use mindseye_interface::{Image, ImageSize};
use rav1e::prelude::{
    ChromaSampling, ColorDescription, ColorPrimaries, Config, Context, EncoderConfig, EncoderStatus, Frame,
    FrameParameters, FrameTypeOverride, MatrixCoefficients, PixelRange, Rational, TransferCharacteristics,
};
use rayon::prelude::*;

use super::yuv::Yuv;

/// Distance of key frames, as in LeRobot's own videos.
pub(crate) const KEY_EVERY: usize = 2;
/// Shortest side that can be encoded, pixels.
pub(crate) const SHORTEST_SIDE: usize = 16;
/// Frames per task, whole groups: enough to outweigh the cost of a new encoder.
const FRAMES_PER_TASK: usize = 8 * KEY_EVERY;
/// Quantiser, from 0 (fine) to 255 (coarse). It corresponds to 30 of 63 in other encoders.
const QUANTIZER: usize = 120;
/// Speed preset, from 0 (small files) to 10 (fast).
const SPEED: u8 = 9;

/// Encodes `frames`, all of `size`, at `fps` frames per second, one sample each. The sample of a key frame begins with
/// the sequence header.
///
/// # Errors
/// The encoder's message, on one line.
pub(crate) fn encode(frames: &[Image], size: ImageSize, fps: u32) -> Result<Vec<Vec<u8>>, String> {
    let config = Config::new().with_encoder_config(settings(size, fps));
    let tasks = frames.par_chunks(FRAMES_PER_TASK).map(|frames| encode_groups(&config, frames));
    Ok(tasks.collect::<Result<Vec<_>, String>>()?.concat())
}

fn settings(size: ImageSize, fps: u32) -> EncoderConfig {
    let mut settings = EncoderConfig::with_speed_preset(SPEED);
    settings.width = size.width();
    settings.height = size.height();
    settings.time_base = Rational::new(1, u64::from(fps));
    settings.bit_depth = 8;
    settings.chroma_sampling = ChromaSampling::Cs420;
    settings.pixel_range = PixelRange::Limited;
    settings.color_description = Some(ColorDescription {
        color_primaries: ColorPrimaries::Unspecified,
        transfer_characteristics: TransferCharacteristics::Unspecified,
        matrix_coefficients: MatrixCoefficients::BT601,
    });
    settings.min_key_frame_interval = KEY_EVERY as u64;
    settings.max_key_frame_interval = KEY_EVERY as u64;
    settings.low_latency = true; // presentation order equals coding order
    settings.quantizer = QUANTIZER;
    settings.speed_settings.rdo_lookahead_frames = 1;
    settings
}

/// The samples of `frames`, the first of which is a key frame.
fn encode_groups(config: &Config, frames: &[Image]) -> Result<Vec<Vec<u8>>, String> {
    let mut context: Context<u8> = config.new_context().map_err(|error| one_line(&error))?;
    for (number, image) in frames.iter().enumerate() {
        let is_key = number % KEY_EVERY == 0;
        let frame_type_override = if is_key { FrameTypeOverride::Key } else { FrameTypeOverride::No };
        let parameters = FrameParameters { frame_type_override, ..FrameParameters::default() };
        let mut frame = context.new_frame();
        fill(&mut frame, &Yuv::from_rgb(image));
        context.send_frame((frame, parameters)).map_err(|error| one_line(&error))?;
    }
    context.flush();
    let mut samples = Vec::with_capacity(frames.len());
    loop {
        match context.receive_packet() {
            Ok(packet) => {
                if packet.input_frameno != samples.len() as u64 {
                    return Err(format!("frame {} where {} was due", packet.input_frameno, samples.len()));
                }
                samples.push(without_delimiters(&packet.data).ok_or("units longer than their packet")?);
            }
            Err(EncoderStatus::Encoded) => {}
            Err(EncoderStatus::LimitReached) => break,
            Err(error) => return Err(one_line(&error)),
        }
    }
    if samples.len() != frames.len() {
        return Err(format!("{} frames out of {}", samples.len(), frames.len()));
    }
    Ok(samples)
}

fn fill(frame: &mut Frame<u8>, yuv: &Yuv) {
    let widths = [yuv.width, yuv.colour_size().0, yuv.colour_size().0];
    for ((plane, values), width) in frame.planes.iter_mut().zip([&yuv.y, &yuv.u, &yuv.v]).zip(widths) {
        plane.copy_from_raw_u8(values, width, 1);
    }
}

fn one_line(error: &impl ToString) -> String {
    error.to_string().replace('\n', " ")
}

/// Type of the unit that separates frames in a bare stream (temporal delimiter); containers must not have it.
const DELIMITER: u8 = 2;
/// Type of the unit that describes the stream.
const SEQUENCE_HEADER: u8 = 1;

/// The units (OBUs) in `bytes`, each with its type, header included; `None` when one is cut or has no length (AV1
/// specification, section 5.3).
fn units(bytes: &[u8]) -> Option<Vec<(u8, &[u8])>> {
    let (mut units, mut rest) = (Vec::new(), bytes);
    while let Some(&head) = rest.first() {
        let has_length = head & 2 != 0;
        let mut end = if head & 4 != 0 { 2 } else { 1 };
        let mut length = 0usize;
        for group in 0..5 {
            let byte = *rest.get(end)?;
            end += 1;
            length |= usize::from(byte & 0x7f) << (7 * group);
            if byte & 0x80 == 0 {
                break;
            }
        }
        if !has_length {
            return None;
        }
        let (unit, after) = rest.split_at_checked(end.checked_add(length)?)?;
        units.push(((head >> 3) & 15, unit));
        rest = after;
    }
    Some(units)
}

fn without_delimiters(packet: &[u8]) -> Option<Vec<u8>> {
    Some(
        units(packet)?.into_iter().filter(|(kind, _)| *kind != DELIMITER).flat_map(|(_, unit)| unit).copied().collect(),
    )
}

/// The sequence header at the start of a key frame's sample; `None` if there is none.
pub(super) fn sequence_header(sample: &[u8]) -> Option<&[u8]> {
    units(sample)?.into_iter().find(|(kind, _)| *kind == SEQUENCE_HEADER).map(|(_, unit)| unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_temporal_delimiters_are_removed() {
        // A delimiter of length 0; a sequence header of 3 bytes; a frame of 130 bytes, whose length takes two bytes.
        let description = [0x0a, 3, 7, 8, 9];
        let mut frame = vec![0x32, 0x82, 0x01];
        frame.extend([5; 130]);
        let packet = [&[0x12, 0][..], &description, &frame].concat();
        assert_eq!(without_delimiters(&packet), Some([&description[..], &frame].concat()));
        assert_eq!(sequence_header(&packet), Some(&description[..]));
        assert_eq!(without_delimiters(&packet[..packet.len() - 1]), None);
        assert_eq!(sequence_header(&frame), None);
    }
}
