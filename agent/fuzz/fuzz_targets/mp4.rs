//! A video, and its first frames.
#![no_main]

use std::fs;

use mindseye_episodes::Video;
use mindseye_fuzz::{FOLDER, accepted};

/// Largest frames that are decoded, pixels: others take long, and are not broken.
const MAX_PIXELS: usize = 1 << 15;

libfuzzer_sys::fuzz_target!(init: mindseye_fuzz::begin(), |bytes: &[u8]| {
    let path = FOLDER.join("video.mp4");
    fs::write(&path, bytes).expect("a file in memory");
    let Some(video) = accepted(Video::open(&path)) else { return };
    accepted(video.frame_at(0.1));
    if accepted(video.image_size()).is_some_and(|size| size.height() * size.width() <= MAX_PIXELS) {
        accepted(video.decode(0..video.len().min(3), &mut |_, planes| {
            accepted(planes.rgb());
            Ok(())
        }));
    }
});
