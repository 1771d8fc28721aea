//! JPEG and PNG images from outside.

use mindseye_episodes::image_codec::{decode_image, decode_jpeg, encoded_image_size};
use mindseye_interface::Image;

use crate::framing::{Framing, JpegFraming};

/// The image in the JPEG or PNG `bytes`. Sides are checked before memory is allocated. JPEG images without Huffman
/// tables, as webcams send them, have the standard ones.
///
/// Unless `tolerant`, what breaks the standard is an error, as far as [`decode_jpeg`] finds it, and an image that ends
/// twice is one, which damage in the middle made.
///
/// # Errors
/// The defect, on one line.
pub fn decode_encoded(bytes: &[u8], tolerant: bool) -> Result<Image, String> {
    if !bytes.starts_with(&[0xff, 0xd8]) {
        return decode_image(bytes, encoded_image_size(bytes)?);
    }
    if !tolerant && ends_twice(bytes) {
        return Err("JPEG: an end marker before the end".into());
    }
    decode_jpeg(bytes, tolerant)
}

/// Whether another end marker follows the end of the image: damage made the first.
fn ends_twice(bytes: &[u8]) -> bool {
    let mut framing = JpegFraming::new(bytes.len());
    framing.push(bytes);
    let end = if let Ok(Framing::Image(image)) = framing.next() { image.len() } else { bytes.len() };
    bytes[end..].windows(2).any(|pair| pair == [0xff, 0xd9])
}

#[cfg(test)]
mod tests {
    use image::ExtendedColorType;
    use image::codecs::jpeg::JpegEncoder;
    use mindseye_interface::ImageSize;

    use super::*;

    fn jpeg(width: usize, height: usize) -> Vec<u8> {
        let pixels: Vec<u8> = (0..width * height * 3).map(|value| (value * 7 % 251) as u8).collect();
        let mut bytes = Vec::new();
        JpegEncoder::new_with_quality(&mut bytes, 90)
            .encode(&pixels, width as u32, height as u32, ExtendedColorType::Rgb8)
            .unwrap();
        bytes
    }

    /// `bytes` without its Huffman tables.
    fn without_tables(bytes: &[u8]) -> Vec<u8> {
        let (mut kept, mut at) = (bytes[..2].to_vec(), 2);
        while bytes[at + 1] != 0xda {
            let length = 2 + usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]]));
            if bytes[at + 1] != 0xc4 {
                kept.extend(&bytes[at..at + length]);
            }
            at += length;
        }
        kept.extend(&bytes[at..]);
        kept
    }

    #[test]
    fn a_webcams_image_without_huffman_tables_has_the_standard_ones() {
        let bytes = jpeg(32, 24);
        let short = without_tables(&bytes);
        assert!(short.len() + 400 < bytes.len());
        let image = decode_encoded(&short, false);
        assert_eq!(image, decode_encoded(&bytes, false));
        assert_eq!(image.unwrap().size(), ImageSize::new(24, 32).unwrap());
    }

    #[test]
    fn half_an_image_is_no_image_unless_that_is_asked_for() {
        let bytes = jpeg(64, 64);
        let (half, rest) = bytes.split_at(bytes.len() / 2);
        for damaged in [half.to_vec(), [half, &[0xff, 0xd9], rest].concat()] {
            let error = decode_encoded(&damaged, false).unwrap_err();
            assert!(error.starts_with("JPEG") && !error.contains('\n'), "{error}");
            assert_eq!(decode_encoded(&damaged, true).unwrap().size(), ImageSize::square(64).unwrap());
        }
        for length in [0, 2, 20, 200] {
            assert!(decode_encoded(&bytes[..length], true).is_err(), "{length}");
        }
    }

    /// The size that a header states costs nothing: a bomb is refused by it.
    #[test]
    fn sides_are_checked_before_memory_is_taken() {
        let mut bytes = jpeg(16, 16);
        let frame = bytes.windows(2).position(|pair| pair == [0xff, 0xc0]).unwrap();
        bytes[frame + 5..frame + 9].copy_from_slice(&[0xea, 0x60, 0xea, 0x60]); // 60000 x 60000
        let error = decode_encoded(&bytes, false).unwrap_err();
        assert!(error.contains("60000") && error.contains("4096"), "{error}");
        assert!(decode_encoded(&bytes, true).is_err());
    }
}
