//! Maps a background of another colour to that of the training images.
//!
//! An encoder knows the colours it was trained on. Where the floor has another one, the whole image is out of
//! distribution although nothing that matters has changed. The colour of most of an image is the background's; it is
//! moved to the colour of most of the training images (a form of chromatic adaptation; von Kries 1902). Objects keep
//! their colours. At an object's edge the two are mixed: the background's share follows from the distance of the
//! pixel's colour to the object's, where the object with the colour nearest to the background's stands for all, so that
//! no object's own colour moves. An encoder trained on objects of one colour needs this exactness: an error of a few
//! levels halves the success rate (docs/log.md).

use mindseye_interface::Image;
use mindseye_interface::image::median_rgb;

/// Moves one colour of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct BackgroundAdaptation {
    trained: [u8; 3],
}

/// Where a smaller share of the image is near one colour, there is no background.
const LEAST_SHARE: f64 = 1.0 / 3.0;
/// An object covers at least one pixel of so many.
const PIXELS_PER_OBJECT_PIXEL: usize = 200;
/// Colours at most this far apart (per channel) are the same.
const SAME: u8 = 6;

impl BackgroundAdaptation {
    /// To backgrounds of the colour `trained`.
    pub fn new(trained: [u8; 3]) -> Self {
        Self { trained }
    }

    /// `image` with the background of the training images; unchanged where it has no background, or that one already.
    pub fn adapt(&self, image: &Image) -> Image {
        let mut adapted = image.clone();
        let Some(background) = background(image.pixels()).filter(|background| *background != self.trained) else {
            return adapted;
        };
        let (from, to) = (background.map(f32::from), self.trained.map(f32::from));
        let reach = distance_of_objects(image.pixels(), from);
        for pixel in adapted.pixels_mut().chunks_exact_mut(3) {
            let share = (1.0 - distance(pixel, from) / reach).max(0.0);
            for (value, (from, to)) in pixel.iter_mut().zip(from.into_iter().zip(to)) {
                *value = (f32::from(*value) + share * (to - from)).round() as u8; // ends at 0 and 255
            }
        }
        adapted
    }
}

/// Euclidean distance of two colours, of 255 per channel.
fn distance(pixel: &[u8], colour: [f32; 3]) -> f32 {
    pixel.iter().zip(colour).map(|(value, colour)| (f32::from(*value) - colour).powi(2)).sum::<f32>().sqrt()
}

/// The distance of the nearest object colour from the background's: the commonest of the first few neighbouring
/// distances at which there are enough pixels. Infinite without objects.
fn distance_of_objects(pixels: &[u8], background: [f32; 3]) -> f32 {
    let mut counts = [0usize; 450]; // up to 255 sqrt 3
    for pixel in pixels.chunks_exact(3) {
        counts[distance(pixel, background).round() as usize] += 1;
    }
    let enough = (pixels.len() / 3).div_ceil(PIXELS_PER_OBJECT_PIXEL);
    let neighbours = counts.windows(usize::from(SAME)).enumerate().skip(2 * usize::from(SAME));
    let first = neighbours.into_iter().find(|(_, counts)| counts.iter().sum::<usize>() >= enough);
    let commonest =
        first.and_then(|(first, counts)| Some(first + (0..counts.len()).max_by_key(|index| counts[*index])?));
    commonest.map_or(f32::INFINITY, |distance| distance as f32)
}

/// The colour of most of `pixels`, if there is one.
fn background(pixels: &[u8]) -> Option<[u8; 3]> {
    let colour = median_rgb(pixels)?;
    let near = |pixel: &&[u8]| pixel.iter().zip(colour).all(|(value, median)| value.abs_diff(median) <= SAME);
    let share = pixels.chunks_exact(3).filter(near).count() as f64 / (pixels.len() / 3) as f64;
    (share >= LEAST_SHARE).then_some(colour)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mindseye_interface::ImageSize;

    const WHITE: [u8; 3] = [250, 250, 250];
    const SAND: [u8; 3] = [235, 215, 180];
    const BLUE: [u8; 3] = [40, 60, 200];

    /// An image of `floor` with a square of `object` in its corner, and a pixel between the two.
    fn image(floor: [u8; 3], object: [u8; 3]) -> mindseye_interface::Result<Image> {
        let mut image = Image::filled(ImageSize::square(8)?, floor);
        for (index, pixel) in image.pixels_mut().chunks_exact_mut(3).enumerate() {
            if index % 8 < 3 && index / 8 < 3 {
                pixel.copy_from_slice(&object);
            }
        }
        let between: Vec<u8> = floor.iter().zip(object).map(|(a, b)| a.midpoint(b)).collect();
        image.pixels_mut()[9..12].copy_from_slice(&between);
        Ok(image)
    }

    #[test]
    fn another_floor_is_mapped_to_the_trained_one_and_objects_stay() -> mindseye_interface::Result<()> {
        let adaptation = BackgroundAdaptation::new(WHITE);
        let (known, changed) = (image(WHITE, BLUE)?, image(SAND, BLUE)?);
        assert_eq!(adaptation.adapt(&known), known, "what is as trained stays as it is, to the bit");
        let adapted = adaptation.adapt(&changed);
        for (row, column) in [(7, 7), (0, 0), (2, 2), (4, 0)] {
            assert_eq!(adapted.rgb(row, column), known.rgb(row, column), "row {row}, column {column}");
        }
        let apart =
            |a: &Image| a.pixels().iter().zip(known.pixels()).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>();
        assert!(20 * apart(&adapted) < apart(&changed));
        Ok(())
    }

    #[test]
    fn an_image_without_a_background_stays_unchanged() -> mindseye_interface::Result<()> {
        let mut colourful = Image::filled(ImageSize::square(8)?, WHITE);
        colourful.pixels_mut().iter_mut().enumerate().for_each(|(index, value)| *value = (index * 97 % 256) as u8);
        assert_eq!(BackgroundAdaptation::new(SAND).adapt(&colourful), colourful);
        Ok(())
    }
}
