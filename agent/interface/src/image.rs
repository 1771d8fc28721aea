//! Images: row-major `[H, W, 3]`, 8-bit RGB.

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// Height and width in pixels, checked once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageSize {
    height: usize,
    width: usize,
}

impl ImageSize {
    /// Largest side of an image, pixels. A size beyond this is a mistake, not a camera.
    pub const MAX_SIDE: usize = 4096;

    /// A size of `height` x `width` pixels.
    ///
    /// # Errors
    /// [`Error::ImageSize`] unless both are in `1..=MAX_SIDE`.
    pub fn new(height: usize, width: usize) -> Result<Self> {
        let allowed = 1..=Self::MAX_SIDE;
        if allowed.contains(&height) && allowed.contains(&width) {
            Ok(Self { height, width })
        } else {
            Err(Error::ImageSize { max: Self::MAX_SIDE, height, width })
        }
    }

    /// A square of `side` x `side` pixels.
    ///
    /// # Errors
    /// [`Error::ImageSize`] unless `side` is in `1..=MAX_SIDE`.
    pub fn square(side: usize) -> Result<Self> {
        Self::new(side, side)
    }

    /// Pixels from top to bottom.
    pub fn height(self) -> usize {
        self.height
    }

    /// Pixels from left to right.
    pub fn width(self) -> usize {
        self.width
    }

    /// Number of pixels.
    pub fn area(self) -> usize {
        self.height * self.width
    }

    /// Number of bytes of an RGB image of this size.
    pub fn rgb_len(self) -> usize {
        self.area() * 3
    }
}

/// An RGB image, row-major `[H, W, 3]` `u8`.
#[derive(Clone, PartialEq, Eq)]
pub struct Image {
    size: ImageSize,
    pixels: Vec<u8>,
}

impl Image {
    /// Takes `pixels`, row-major `[H, W, 3]`.
    ///
    /// # Errors
    /// [`Error::Length`] unless there are `size.rgb_len()` bytes.
    pub fn new(size: ImageSize, pixels: Vec<u8>) -> Result<Self> {
        if pixels.len() == size.rgb_len() {
            Ok(Self { size, pixels })
        } else {
            Err(Error::Length { operation: "image", expected: size.rgb_len(), got: pixels.len() })
        }
    }

    /// One colour everywhere.
    pub fn filled(size: ImageSize, rgb: [u8; 3]) -> Self {
        Self { size, pixels: rgb.iter().copied().cycle().take(size.rgb_len()).collect() }
    }

    /// Height and width.
    pub fn size(&self) -> ImageSize {
        self.size
    }

    /// All bytes, row-major `[H, W, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// All bytes for writing, row-major `[H, W, 3]`.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// Colour at `row`, `column`.
    ///
    /// # Panics
    /// Outside of the image.
    pub fn rgb(&self, row: usize, column: usize) -> [u8; 3] {
        assert!(row < self.size.height && column < self.size.width, "pixel ({row}, {column}) outside {:?}", self.size);
        let start = (row * self.size.width + column) * 3;
        [self.pixels[start], self.pixels[start + 1], self.pixels[start + 2]]
    }

    /// The bytes, row-major `[H, W, 3]`.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }
}

/// The median of each channel of `pixels` `[N, 3]`; `None` without pixels.
pub fn median_rgb(pixels: &[u8]) -> Option<[u8; 3]> {
    let mut counts = [[0usize; 256]; 3];
    for pixel in pixels.chunks_exact(3) {
        pixel.iter().zip(&mut counts).for_each(|(value, counts)| counts[usize::from(*value)] += 1);
    }
    let half = (pixels.len() / 3).div_ceil(2);
    let median = |counts: &[usize; 256]| {
        let below = counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        (half > 0).then(|| below.take_while(|below| *below < half).count() as u8)
    };
    Some([median(&counts[0])?, median(&counts[1])?, median(&counts[2])?])
}

impl std::fmt::Debug for Image {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Image({}x{})", self.size.height, self.size.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absurd_sizes_are_refused() {
        for (height, width) in [(0, 64), (64, 0), (5000, 64), (64, usize::MAX)] {
            let error = ImageSize::new(height, width).unwrap_err().to_string();
            assert!(error.contains("image size") && error.contains(&height.to_string()), "{error}");
        }
    }

    #[test]
    fn an_image_has_exactly_its_pixels() {
        let size = ImageSize::new(2, 3).unwrap();
        assert!(Image::new(size, vec![0; 17]).is_err());
        let mut image = Image::filled(size, [1, 2, 3]);
        image.pixels_mut()[(3 + 2) * 3] = 9;
        assert_eq!(image.rgb(1, 2), [9, 2, 3]);
        assert_eq!(image.rgb(0, 0), [1, 2, 3]);
    }
    #[test]
    fn the_median_colour_ignores_a_minority_of_the_pixels() {
        let pixels = [[10, 20, 30], [10, 20, 30], [12, 22, 32], [200, 0, 255], [10, 20, 31]].concat();
        assert_eq!(median_rgb(&pixels), Some([10, 20, 31]));
        assert_eq!(median_rgb(&[]), None);
    }
}
