//! JPEG, decoded to the very bytes that libjpeg-turbo gives, with which Pillow, OpenCV and torchvision read.

use image::metadata::Orientation;
use libjpeg_turbo_rs::{DecodeLimits, Decoder, PixelFormat};
use mindseye_interface::{Image, ImageSize};

use super::OVERHEAD;

/// Most scans of a progressive image: each takes time. Usual images have ten.
const MAX_SCANS: usize = 32;
/// Memory for a pixel, bytes: coefficients of 16 bits, samples and colours, of up to four components.
const BYTES_PER_PIXEL: usize = 24;

/// Decodes the JPEG image `bytes`, of any size, which is checked before memory is allocated. Grey becomes equal
/// colours. An image without Huffman tables, as webcams send them, has the standard ones.
///
/// A JPEG image has no checksum. Unless `tolerant`, bytes that are no code and an image that ends early are errors, so
/// that an image of which half is grey does not count as seen; damage that is still a valid image is not found.
///
/// # Errors
/// The defect of the bytes, on one line.
pub fn decode_jpeg(bytes: &[u8], tolerant: bool) -> Result<Image, String> {
    Jpeg::open(bytes)?.image(tolerant)
}

/// A JPEG image of which the header has been read.
pub(super) struct Jpeg<'a> {
    decoder: Decoder<'a>,
    size: ImageSize,
}

impl<'a> Jpeg<'a> {
    pub fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let mut limits = DecodeLimits { max_scans: MAX_SCANS, ..DecodeLimits::default() };
        let mut decoder = Decoder::new_with_limits(bytes, limits).map_err(one_line)?;
        let header = decoder.header();
        let size = ImageSize::new(header.height.into(), header.width.into()).map_err(|error| error.to_string())?;
        if header.precision != 8 {
            return Err(format!("JPEG: expected 8 bits per channel, got {}", header.precision));
        }
        limits.max_memory = Some((BYTES_PER_PIXEL * size.height() * size.width()) as u64 + OVERHEAD);
        decoder.set_limits(limits);
        decoder.set_output_format(PixelFormat::Rgb);
        Ok(Self { decoder, size })
    }

    pub fn size(&self) -> ImageSize {
        self.size
    }

    /// How viewers turn the image; broken notes count as none.
    pub fn orientation(&self) -> Orientation {
        self.decoder.exif_orientation().and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
    }

    pub fn image(mut self, tolerant: bool) -> Result<Image, String> {
        self.decoder.set_lenient(tolerant);
        let decoded = self.decoder.decode_image().map_err(one_line)?;
        Image::new(self.size, decoded.data).map_err(|error| error.to_string())
    }
}

fn one_line(error: impl std::fmt::Display) -> String {
    format!("JPEG: {error}").replace('\n', " ")
}
