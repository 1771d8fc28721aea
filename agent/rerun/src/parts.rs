//! Paths and images, as Rerun has them.

use anyhow::{Result, anyhow};
use mindseye_episodes::image_codec::encode_png;
use mindseye_interface::{Image, ImageSize};
use rerun::{EncodedImage, EntityPath, EntityPathPart, MediaType};

/// Gap between the images of a film strip, pixels.
const GAP: usize = 2;

/// `root/name`, whatever characters the name has.
pub fn under(root: &str, name: &str) -> EntityPath {
    EntityPath::new(vec![EntityPathPart::new(root), EntityPathPart::new(name)])
}

/// An image as PNG, without loss.
///
/// # Errors
/// The encoder's.
pub fn encoded(image: &Image) -> Result<EncodedImage> {
    let bytes = encode_png(image).map_err(|reason| anyhow!("an image as PNG: {reason}"))?;
    Ok(EncodedImage::new(bytes).with_media_type(MediaType::png()))
}

/// Images side by side, all of the first one's size; none for none.
///
/// # Errors
/// When the strip is larger than an image may be.
pub fn film_strip(images: &[Image]) -> Result<Option<Image>> {
    let Some(first) = images.first() else { return Ok(None) };
    let (height, width) = (first.size().height(), first.size().width());
    let size = ImageSize::new(height, images.len() * (width + GAP) - GAP)?;
    let mut strip = Image::filled(size, [0; 3]);
    let row_bytes = 3 * size.width();
    for (index, image) in images.iter().enumerate().filter(|(_, image)| image.size() == first.size()) {
        let left = 3 * index * (width + GAP);
        for (row, pixels) in image.pixels().chunks_exact(3 * width).enumerate() {
            let at = row * row_bytes + left;
            strip.pixels_mut()[at..at + 3 * width].copy_from_slice(pixels);
        }
    }
    Ok(Some(strip))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_a_plan_are_side_by_side_with_a_gap() {
        let image = |rgb| Image::filled(ImageSize::square(4).unwrap(), rgb);
        let strip = film_strip(&[image([255, 0, 0]), image([0, 255, 0])]).unwrap().unwrap();
        assert_eq!((strip.size().height(), strip.size().width()), (4, 10));
        assert_eq!([3, 4, 5, 6].map(|column| strip.rgb(3, column)), [[255, 0, 0], [0; 3], [0; 3], [0, 255, 0]]);
        assert!(film_strip(&[]).unwrap().is_none());
    }

    #[test]
    fn a_name_with_slashes_is_one_part_of_a_path() {
        assert_eq!(under("state", "arm/joint.pos").len(), 2);
    }
}
