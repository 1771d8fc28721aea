//! Frames of an episode as the encoded images of every camera.

use std::borrow::Cow;

use mindseye_interface::Image;
use rayon::prelude::*;

use super::info::CAMERA_PREFIX;
use crate::image_codec::encode_png;
use crate::spec::{DatasetSpec, ImageStorage};
use crate::video::encode;
use crate::{Error, Result};

/// The images of one camera, `T` of them, by its feature.
pub(super) type CameraImages<'a> = (String, Cow<'a, [Image]>);

/// The images of every camera of `spec`, out of `frames`, which are stacks of them.
///
/// # Errors
/// [`Error::Interface`] when a frame is no stack.
pub(super) fn by_camera<'a>(frames: &'a [Image], spec: &DatasetSpec) -> Result<Vec<CameraImages<'a>>> {
    let feature = |camera: &String| format!("{CAMERA_PREFIX}{camera}");
    if spec.more_cameras.is_empty() {
        return Ok(vec![(feature(&spec.camera), Cow::Borrowed(frames))]);
    }
    let bytes = spec.image_size.rgb_len();
    let of_camera = |(number, camera): (usize, &String)| -> Result<CameraImages<'a>> {
        let part = |frame: &Image| {
            let pixels = frame.pixels().get(number * bytes..(number + 1) * bytes).unwrap_or_default();
            Image::new(spec.image_size, pixels.to_vec())
        };
        Ok((feature(camera), Cow::Owned(frames.iter().map(part).collect::<mindseye_interface::Result<_>>()?)))
    };
    spec.cameras().enumerate().map(of_camera).collect()
}

/// Encodes the images of every camera as `spec` says, for episode number `episode`.
///
/// # Errors
/// [`Error::Episode`] when they cannot be encoded.
pub(super) fn encoded(
    cameras: &[CameraImages<'_>],
    spec: &DatasetSpec,
    episode: usize,
) -> Result<Vec<(String, Vec<Vec<u8>>)>> {
    let one = |(feature, frames): &CameraImages<'_>| {
        let (encoded, expected) = match spec.image_storage {
            ImageStorage::Png => (frames.par_iter().map(encode_png).collect(), "a PNG encoding"),
            ImageStorage::Av1 => (encode(frames, spec.image_size, spec.frames_per_second), "an AV1 encoding"),
        };
        let images: Vec<Vec<u8>> = encoded.map_err(|reason| Error::episode(episode, "image", expected, reason))?;
        Ok((feature.clone(), images))
    };
    cameras.iter().map(one).collect()
}
