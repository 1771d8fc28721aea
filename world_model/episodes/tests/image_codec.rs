//! Images of files as they are found: whole, cut off, turned.

#![allow(clippy::unwrap_used)] // clippy.toml allows it in tests, and takes helpers for something else

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageEncoder as _};
use mindseye_episodes::image_codec::{decode_image, decode_jpeg, decode_upright, encoded_image_size};
use mindseye_interface::ImageSize;

use crate::support::fixture;

fn jpeg(size: ImageSize) -> Vec<u8> {
    let pixels: Vec<u8> = (0..size.rgb_len()).map(|value| (value * 37 % 251) as u8).collect();
    let mut bytes = Vec::new();
    JpegEncoder::new(&mut bytes)
        .write_image(&pixels, size.width() as u32, size.height() as u32, ExtendedColorType::Rgb8)
        .unwrap();
    bytes
}

/// Symptom: values of JPEG images were up to 4 from what Pillow reads. Cause: the decoder scaled colours up with two
/// roundings. Fix: another decoder, with libjpeg-turbo's arithmetic.
#[test]
fn jpeg_images_have_the_bytes_that_pillow_reads() {
    for name in ["yuv420", "yuv422", "yuv444", "progressive", "restarts", "grey", "cmyk"] {
        let read = |end: &str| std::fs::read(fixture("jpeg").join(format!("{name}.{end}"))).unwrap();
        let (jpeg, png) = (read("jpg"), read("png"));
        let size = encoded_image_size(&jpeg).unwrap();
        assert_eq!((size.height(), size.width()), (29, 37), "{name}");
        let expected = decode_image(&png, size).unwrap();
        assert!(decode_image(&jpeg, size).unwrap() == expected, "{name}");
        assert!(decode_jpeg(&jpeg, true).unwrap() == expected, "{name}");
    }
}

/// Cameras and other libraries warn of such bytes, and read the image.
#[test]
fn a_jpeg_with_a_stray_byte_before_its_end_is_read() {
    let size = ImageSize::new(40, 48).unwrap();
    let bytes = jpeg(size);
    let (image, end) = bytes.split_at(bytes.len() - 2);
    let stray = [image, &[0x12], end].concat();
    assert_eq!(decode_image(&stray, size).unwrap(), decode_image(&bytes, size).unwrap());
}

/// Symptom: a recording whose JPEG images were cut in half counted as whole, with grey below. Cause: decoders fill
/// in what is missing. Fix: an image without its end marker is refused.
#[test]
fn half_a_jpeg_is_refused_and_what_follows_a_whole_one_is_not() {
    let size = ImageSize::new(40, 48).unwrap();
    let bytes = jpeg(size);
    assert!(decode_image(&bytes, size).is_ok());
    assert!(decode_image(&[&bytes[..], &[0; 16]].concat(), size).is_ok(), "padding");
    for length in [bytes.len() / 2, bytes.len() - 2] {
        assert!(decode_image(&bytes[..length], size).unwrap_err().contains("cut off"), "{length}");
    }
    // A preview in the header, which is whole, does not stand for the image.
    let preview = jpeg(ImageSize::square(8).unwrap());
    let length = u16::try_from(preview.len() + 2).unwrap().to_be_bytes();
    let [start, rest] = [&bytes[..2], &bytes[2..bytes.len() / 2]];
    let half = [start, &[0xff, 0xe1], &length, &preview, rest].concat();
    assert!(decode_image(&half, size).unwrap_err().contains("cut off"));
}

#[test]
fn an_image_that_a_person_chose_is_turned_as_viewers_turn_it() {
    let size = ImageSize::new(16, 32).unwrap();
    let bytes = jpeg(size);
    // Exif with one entry: orientation 6, to be turned by 90 degrees.
    let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
    let length = u16::try_from(exif.len() + 2).unwrap().to_be_bytes();
    let turned = [&bytes[..2], &[0xff, 0xe1], &length, exif, &bytes[2..]].concat();
    let upright = decode_upright(&turned).unwrap();
    assert_eq!((upright.size().height(), upright.size().width()), (32, 16));
    assert_eq!(decode_upright(&bytes).unwrap(), decode_image(&turned, size).unwrap());
}
