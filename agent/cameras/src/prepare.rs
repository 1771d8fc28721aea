//! What is done to a decoded image before readers get it: rotation, crop, scaling, order of colours.

use mindseye_episodes::image_codec::resized;
use mindseye_interface::{Image, ImageSize};

use crate::pixels::swap_red_and_blue;
use crate::settings::{CameraSettings, ColorMode, Crop, Rotation};

/// `image` as `settings` ask for it. Scaling is by area averages, as recordings are scaled for training.
///
/// # Errors
/// A message on one line when the crop leaves the image.
pub fn prepare(image: Image, settings: &CameraSettings) -> Result<Image, String> {
    let mut image = rotate(image, settings.rotation)?;
    if let Some(crop) = settings.crop {
        image = cut(&image, crop)?;
    }
    if let Some(size) = settings.resize.filter(|size| *size != image.size()) {
        image = Image::new(size, resized(&image, size)).map_err(|error| error.to_string())?;
    }
    if settings.color_mode == ColorMode::Bgr {
        swap_red_and_blue(&mut image);
    }
    Ok(image)
}

fn rotate(image: Image, rotation: Rotation) -> Result<Image, String> {
    let (height, width) = (image.size().height(), image.size().width());
    let turned = |size: (usize, usize), from: &dyn Fn(usize, usize) -> (usize, usize)| {
        let size = ImageSize::new(size.0, size.1).map_err(|error| error.to_string())?;
        let mut pixels = Vec::with_capacity(size.rgb_len());
        for row in 0..size.height() {
            for column in 0..size.width() {
                let (row, column) = from(row, column);
                pixels.extend(image.rgb(row, column));
            }
        }
        Image::new(size, pixels).map_err(|error| error.to_string())
    };
    match rotation {
        Rotation::None => Ok(image),
        Rotation::Right => turned((width, height), &|row, column| (height - 1 - column, row)),
        Rotation::Half => turned((height, width), &|row, column| (height - 1 - row, width - 1 - column)),
        Rotation::Left => turned((width, height), &|row, column| (column, width - 1 - row)),
    }
}

fn cut(image: &Image, crop: Crop) -> Result<Image, String> {
    let (height, width) = (image.size().height(), image.size().width());
    let fits = |start: usize, length: usize, side: usize| start.checked_add(length).is_some_and(|end| end <= side);
    if !fits(crop.left, crop.width, width) || !fits(crop.top, crop.height, height) {
        let Crop { left, top, width: columns, height: rows } = crop;
        return Err(format!("crop {columns}x{rows}+{left}+{top}: expected a part of {width}x{height} pixels"));
    }
    let size = ImageSize::new(crop.height, crop.width).map_err(|error| error.to_string())?;
    let mut pixels = Vec::with_capacity(size.rgb_len());
    for row in image.pixels().chunks_exact(width * 3).skip(crop.top).take(crop.height) {
        pixels.extend_from_slice(&row[crop.left * 3..(crop.left + crop.width) * 3]);
    }
    Image::new(size, pixels).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two rows of three pixels: 0 1 2 / 3 4 5.
    fn image() -> Image {
        Image::new(ImageSize::new(2, 3).unwrap(), (0..6).flat_map(|value| [value, value, 10 + value]).collect())
            .unwrap()
    }

    fn prepared(setting: &str, value: &str) -> Result<(usize, Vec<u8>), String> {
        let mut settings = CameraSettings::default();
        settings.set(setting, value).unwrap();
        let image = prepare(image(), &settings)?;
        Ok((image.size().width(), image.pixels().iter().step_by(3).copied().collect()))
    }

    #[test]
    fn images_are_turned_cut_scaled_and_swapped() {
        assert_eq!(prepared("rotation", "90"), Ok((2, vec![3, 0, 4, 1, 5, 2])));
        assert_eq!(prepared("rotation", "180"), Ok((3, vec![5, 4, 3, 2, 1, 0])));
        assert_eq!(prepared("rotation", "270"), Ok((2, vec![2, 5, 1, 4, 0, 3])));
        assert_eq!(prepared("crop", "2x1+1+1"), Ok((2, vec![4, 5])));
        assert_eq!(prepared("resize", "3x1"), Ok((3, vec![2, 3, 4]))); // 1.5, 2.5 and 3.5
        assert_eq!(prepared("color_mode", "bgr"), Ok((3, vec![10, 11, 12, 13, 14, 15])));
        assert_eq!(prepared("color_mode", "rgb"), Ok((3, vec![0, 1, 2, 3, 4, 5])));
    }

    #[test]
    fn a_crop_outside_the_image_is_refused_with_both_sizes() {
        for crop in ["3x2+1+0", "3x3+0+0", "1x1+18446744073709551615+0"] {
            let error = prepared("crop", crop).unwrap_err();
            assert!(error.contains(crop) && error.contains("3x2"), "{error}");
        }
    }
}
