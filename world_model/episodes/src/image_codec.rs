//! Images as PNG or JPEG bytes and at other sizes.

mod jpeg;

use std::io::Cursor;

use image::codecs::png::{CompressionType, FilterType, PngEncoder};
use image::metadata::Orientation;
use image::{
    ColorType, DynamicImage, ExtendedColorType, ImageDecoder, ImageEncoder, ImageFormat, ImageReader, Limits, RgbImage,
};
use mindseye_interface::{Image, ImageSize};

use self::jpeg::Jpeg;

pub use self::jpeg::decode_jpeg;

/// PNG bytes of `image`, with fast lossless compression.
///
/// # Errors
/// The encoder's message, on one line.
pub fn encode_png(image: &Image) -> std::result::Result<Vec<u8>, String> {
    let size = image.size();
    let mut bytes = Vec::with_capacity(size.rgb_len() / 4);
    // Sides are at most `ImageSize::MAX_SIDE`, so the casts are exact.
    PngEncoder::new_with_quality(&mut bytes, CompressionType::Fast, FilterType::Adaptive)
        .write_image(image.pixels(), size.width() as u32, size.height() as u32, ExtendedColorType::Rgb8)
        .map_err(|error| one_line(&error))?;
    Ok(bytes)
}

/// Decodes PNG or JPEG `bytes` of an image of `size`, which is checked before memory is allocated. Grey becomes equal
/// colours, opacity is dropped.
///
/// # Errors
/// The defect of the bytes, on one line.
pub fn decode_image(bytes: &[u8], size: ImageSize) -> std::result::Result<Image, String> {
    decode(bytes, size).map(|(image, _)| image)
}

/// As [`decode_image`], of any size and turned as viewers turn it: a camera held sideways notes that in the file. For
/// images that a person chose; recorded ones are left as their writers' own readers give them.
///
/// # Errors
/// The defect of the bytes, on one line.
pub fn decode_upright(bytes: &[u8]) -> std::result::Result<Image, String> {
    let (image, orientation) = decode(bytes, encoded_image_size(bytes)?)?;
    let (width, height) = (image.size().width() as u32, image.size().height() as u32);
    let pixels = RgbImage::from_raw(width, height, image.into_pixels()).ok_or("an image of another size")?;
    let mut turned = DynamicImage::from(pixels);
    turned.apply_orientation(orientation);
    let size = ImageSize::new(turned.height() as usize, turned.width() as usize);
    size.and_then(|size| Image::new(size, turned.into_rgb8().into_raw())).map_err(|error| error.to_string())
}

/// The size of a PNG or JPEG image, from the header of its `bytes`.
///
/// # Errors
/// The defect of the bytes, on one line.
pub fn encoded_image_size(bytes: &[u8]) -> std::result::Result<ImageSize, String> {
    match png_or_jpeg(bytes)? {
        ImageFormat::Jpeg => Ok(Jpeg::open(bytes)?.size()),
        _ => size_of(&png(bytes, OVERHEAD)?),
    }
}

fn png_or_jpeg(bytes: &[u8]) -> std::result::Result<ImageFormat, String> {
    match image::guess_format(bytes) {
        Ok(format @ (ImageFormat::Png | ImageFormat::Jpeg)) => Ok(format),
        _ => Err("neither PNG nor JPEG".into()),
    }
}

/// Memory that a decoder may take beyond its pixels, bytes: for texts, profiles and tables.
const OVERHEAD: u64 = 8 << 20;

/// A decoder that takes at most `most_bytes` of memory.
fn png(bytes: &[u8], most_bytes: u64) -> std::result::Result<impl ImageDecoder + '_, String> {
    let mut reader = ImageReader::with_format(Cursor::new(bytes), ImageFormat::Png);
    let mut limits = Limits::default();
    limits.max_image_width = Some(ImageSize::MAX_SIDE as u32);
    limits.max_image_height = Some(ImageSize::MAX_SIDE as u32);
    limits.max_alloc = Some(most_bytes);
    reader.limits(limits);
    reader.into_decoder().map_err(|error| one_line(&error))
}

fn size_of(decoder: &impl ImageDecoder) -> std::result::Result<ImageSize, String> {
    let (width, height) = decoder.dimensions();
    ImageSize::new(height as usize, width as usize).map_err(|error| error.to_string())
}

/// The pixels as they are stored, of `size`, and how they are to be turned.
fn decode(bytes: &[u8], size: ImageSize) -> std::result::Result<(Image, Orientation), String> {
    let check = |got: ImageSize| match got == size {
        true => Ok(()),
        false => Err(format!(
            "{}x{} pixels where {}x{} were expected",
            got.height(),
            got.width(),
            size.height(),
            size.width()
        )),
    };
    if png_or_jpeg(bytes)? == ImageFormat::Jpeg {
        if is_cut_off(bytes) {
            return Err("JPEG: expected an end marker after the image, got none: the file was cut off".into());
        }
        let jpeg = Jpeg::open(bytes)?;
        check(jpeg.size())?;
        let orientation = jpeg.orientation();
        return Ok((jpeg.image(false)?, orientation));
    }
    // Four channels of 16 bits, and as much again.
    let mut decoder = png(bytes, 16 * (size.height() * size.width()) as u64 + OVERHEAD)?;
    check(size_of(&decoder)?)?;
    // Sixteen bits of grey are distances, and would be almost black as an image.
    if matches!(decoder.color_type(), ColorType::L16 | ColorType::La16) {
        return Err("grey of 16 bits (a depth image?), which is not read".into());
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms); // broken: as if there were none
    let decoded = DynamicImage::from_decoder(decoder).map_err(|error| one_line(&error))?;
    let image = Image::new(size, decoded.into_rgb8().into_raw()).map_err(|error| error.to_string())?;
    Ok((image, orientation))
}

/// Whether a JPEG image begins and does not end: decoders fill the rest with grey. Previews within the header have ends
/// of their own, so they are stepped over.
fn is_cut_off(bytes: &[u8]) -> bool {
    let mut at = 2;
    while let Some(&[0xff, marker, high, low]) = bytes.get(at..at + 4) {
        match marker {
            0xff => at += 1, // a fill byte
            0xda => return !bytes[at..].windows(2).any(|pair| pair == [0xff, 0xd9]),
            0x01 | 0xd0..=0xd7 => at += 2,
            _ => at += 2 + usize::from(u16::from_be_bytes([high, low])),
        }
    }
    false // the decoder says what is wrong
}

fn one_line(error: &image::ImageError) -> String {
    error.to_string().replace('\n', " ")
}

/// Writes `image` to `target`, scaled to `size` if it has another size.
pub(crate) fn fit(image: &Image, size: ImageSize, target: &mut [u8]) {
    if image.size() == size {
        target.copy_from_slice(image.pixels());
    } else {
        target.copy_from_slice(&resized(image, size));
    }
}

/// The pixels `[H, W, 3]` of `image` scaled to `size` by area averages; deterministic.
pub fn resized(image: &Image, size: ImageSize) -> Vec<u8> {
    let from = image.size();
    // Weight of each source row or column in a target one, as integers: exact, so equal on every machine.
    let weights = |source: usize, target: usize, index: usize| {
        let (start, end) = (index * source, (index + 1) * source);
        (start / target..end.div_ceil(target)).map(move |cell| {
            let overlap = end.min((cell + 1) * target) - start.max(cell * target);
            (cell, overlap as u64)
        })
    };
    let mut pixels = Vec::with_capacity(size.rgb_len());
    let total = (from.height() * from.width()) as u64;
    for row in 0..size.height() {
        for column in 0..size.width() {
            let mut sums = [0u64; 3];
            for (source_row, row_weight) in weights(from.height(), size.height(), row) {
                for (source_column, column_weight) in weights(from.width(), size.width(), column) {
                    let rgb = image.rgb(source_row, source_column);
                    sums.iter_mut()
                        .zip(rgb)
                        .for_each(|(sum, channel)| *sum += row_weight * column_weight * u64::from(channel));
                }
            }
            pixels.extend(sums.map(|sum| ((sum + total / 2) / total) as u8));
        }
    }
    pixels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scaling_averages_areas() {
        let size = |height, width| ImageSize::new(height, width).unwrap();
        let pixels: Vec<u8> = [0, 100, 200, 40].into_iter().flat_map(|grey| [grey; 3]).collect();
        let image = Image::new(size(2, 2), pixels).unwrap();
        assert_eq!(resized(&image, size(1, 1)), [85; 3]);
        assert_eq!(resized(&image, size(1, 2)), [100, 100, 100, 70, 70, 70]);
        assert_eq!(resized(&image, size(4, 4))[..6], [0; 6]);
        let flat = Image::filled(size(7, 5), [9, 8, 7]);
        assert_eq!(resized(&flat, size(3, 4)), Image::filled(size(3, 4), [9, 8, 7]).into_pixels());
    }

    #[test]
    fn an_image_survives_png_and_broken_bytes_are_refused() {
        let size = ImageSize::new(5, 7).unwrap();
        let pixels = (0..size.rgb_len()).map(|value| (value * 37 % 251) as u8).collect();
        let image = Image::new(size, pixels).unwrap();
        let bytes = encode_png(&image).unwrap();
        assert_eq!(decode_image(&bytes, size).unwrap(), image);
        assert!(decode_image(&bytes, ImageSize::square(5).unwrap()).unwrap_err().contains("5x7"));
        for length in [0, 7, 20, bytes.len() / 2, bytes.len() - 13] {
            let error = decode_image(&bytes[..length], size).unwrap_err();
            assert!(!error.contains('\n'), "{error}");
        }
    }
}
