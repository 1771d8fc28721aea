//! A PNG or JPEG image.
#![no_main]

use mindseye_episodes::image_codec::{decode_image, encoded_image_size};
use mindseye_fuzz::accepted;

/// Largest image that is decoded, pixels: others take long, and are not broken.
const MAX_PIXELS: usize = 1 << 18;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let size = accepted(encoded_image_size(bytes));
    if let Some(size) = size.filter(|size| size.height() * size.width() <= MAX_PIXELS) {
        accepted(decode_image(bytes, size));
    }
});
