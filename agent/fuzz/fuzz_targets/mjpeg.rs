//! A stream of JPEG images as a server sends it: the first byte is the length of the pieces it comes in.
#![no_main]

use mindseye_cameras::{Framing, JpegFraming, decode_encoded};
use mindseye_episodes::image_codec::encoded_image_size;
use mindseye_fuzz::accepted;

/// Most bytes of an image.
const MAX_FRAME_BYTES: usize = 1 << 14;
/// Largest image that is decoded, pixels: others take long, and are not broken.
const MAX_PIXELS: usize = 1 << 18;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((piece, stream)) = bytes.split_first() else { return };
    let mut framing = JpegFraming::new(MAX_FRAME_BYTES);
    for bytes in stream.chunks(usize::from(*piece).max(1)) {
        framing.push(bytes);
        while let Some(found) = accepted(framing.next()) {
            match found {
                Framing::More => break,
                Framing::Broken(reason) => assert!(!reason.contains('\n'), "{reason:?}"),
                Framing::Image(image) => {
                    assert!(image.len() <= MAX_FRAME_BYTES && image.ends_with(&[0xff, 0xd9]));
                    let size = accepted(encoded_image_size(&image));
                    if size.is_some_and(|size| size.area() <= MAX_PIXELS) {
                        accepted(decode_encoded(&image, piece % 2 == 0));
                    }
                }
            }
        }
    }
});
