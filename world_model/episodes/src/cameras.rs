//! Cameras of a data set, and the vertical stack in which the images of several cameras are stored.

use mindseye_interface::ImageSize;

use crate::Result;

/// One camera of a data set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedCamera {
    /// Column that holds its images, for example `observation.images.front`.
    pub column: String,
    /// Name of the camera: the column without the prefix of its format, for example `front`.
    pub name: String,
    /// Size of its images as recorded.
    pub size: ImageSize,
}

/// Which images of an episode are read, and in which size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageOptions {
    /// Only the images of timesteps 0, `stride`, 2 `stride`, ... are read; at least 1.
    pub stride: usize,
    /// Size of the stack of all cameras, `[C * H, W]`. Each camera's image is scaled to `[H, W]` by area averages.
    pub size: ImageSize,
}

/// Size of a stack of `cameras` images of `each`.
///
/// # Errors
/// [`crate::Error::Interface`] when the stack is larger than an image may be.
pub(crate) fn stack_size(each: ImageSize, cameras: usize) -> Result<ImageSize> {
    Ok(ImageSize::new(cameras * each.height(), each.width())?)
}

/// Size of the images of which `cameras` make up a stack of size `stack`.
///
/// # Errors
/// [`crate::Error::Interface`] when the stack has fewer rows than cameras.
pub(crate) fn size_in_stack(stack: ImageSize, cameras: usize) -> Result<ImageSize> {
    Ok(ImageSize::new(stack.height() / cameras.max(1), stack.width())?)
}

/// Fills the last argument with images `[T, H, W, 3]` of one camera, as the options say.
pub(crate) type FillCamera<'a> = dyn FnMut(&RecordedCamera, ImageOptions, &mut [u8]) -> Result<()> + 'a;

/// Fills `target [T, C * H, W, 3]` with the images of all `cameras`, stacked vertically; `fill` writes those of one
/// camera.
///
/// # Errors
/// The error of `fill`, and [`crate::Error::Interface`] for a stack with fewer rows than cameras.
pub(crate) fn fill_stack(
    cameras: &[RecordedCamera],
    options: ImageOptions,
    target: &mut [u8],
    fill: &mut FillCamera<'_>,
) -> Result<()> {
    if let [only] = cameras {
        return fill(only, options, target);
    }
    let each = size_in_stack(options.size, cameras.len())?;
    let mut images = vec![0; target.len() / options.size.rgb_len() * each.rgb_len()];
    for (number, camera) in cameras.iter().enumerate() {
        fill(camera, ImageOptions { size: each, ..options }, &mut images)?;
        let stacks = target.chunks_exact_mut(options.size.rgb_len());
        for (stack, image) in stacks.zip(images.chunks_exact(each.rgb_len())) {
            stack[number * each.rgb_len()..(number + 1) * each.rgb_len()].copy_from_slice(image);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_images_of_two_cameras_are_stacked_per_timestep() -> Result<()> {
        let size = ImageSize::square(1)?;
        let camera = |name: &str| RecordedCamera { column: name.into(), name: name.into(), size };
        let options = ImageOptions { stride: 1, size: stack_size(size, 2)? };
        let mut target = [0; 2 * 2 * 3];
        let mut calls = 0;
        fill_stack(&[camera("front"), camera("wrist")], options, &mut target, &mut |camera, options, target| {
            assert_eq!(options.size, size);
            calls += 1;
            let first = if camera.name == "front" { 1 } else { 5 };
            target.iter_mut().enumerate().for_each(|(byte, value)| *value = first + (byte / 3) as u8);
            Ok(())
        })?;
        assert_eq!((calls, target), (2, [1, 1, 1, 5, 5, 5, 2, 2, 2, 6, 6, 6]));
        Ok(())
    }
}
