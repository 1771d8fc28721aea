//! Random crops and mirror images of clips: the same for all frames of a clip.

use mindseye_interface::Rng;
use rand::Rng as _;

use super::config::ClipConfig;

/// Aspect of a crop, width over height (V-JEPA's).
const ASPECT: [f64; 2] = [0.75, 1.35];

/// A part of a square image that is scaled to its whole, perhaps mirrored.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Crop {
    top: f64,
    left: f64,
    height: f64,
    width: f64,
    mirrored: bool,
}

impl Crop {
    /// A crop of an image of `side` pixels as the config asks for; none: the image as it is.
    pub fn draw(config: &ClipConfig, side: usize, rng: &mut Rng) -> Option<Self> {
        if config.smallest_crop >= 1.0 && !config.flip {
            return None;
        }
        let side = side as f64;
        let area = if config.smallest_crop < 1.0 { rng.random_range(config.smallest_crop..=1.0) } else { 1.0 };
        let spread = if config.smallest_crop < 1.0 { rng.random_range(ASPECT[0].ln()..=ASPECT[1].ln()) } else { 0.0 };
        let aspect = spread.exp();
        let (height, width) = ((area / aspect).sqrt().min(1.0) * side, (area * aspect).sqrt().min(1.0) * side);
        let (top, left) = (rng.random_range(0.0..=1.0) * (side - height), rng.random_range(0.0..=1.0) * (side - width));
        Some(Self { top, left, height, width, mirrored: config.flip && rng.random_bool(0.5) })
    }

    /// The crop of `pixels [side, side, 3]`, scaled to the same size by straight lines between pixels.
    pub fn apply(&self, pixels: &[u8], side: usize) -> Vec<u8> {
        let taps = |start: f64, length: f64, index: usize| {
            let place = (start + (index as f64 + 0.5) * length / side as f64 - 0.5).clamp(0.0, (side - 1) as f64);
            let first = place.floor() as usize;
            (first, (first + 1).min(side - 1), (place - place.floor()) as f32)
        };
        let mut output = Vec::with_capacity(pixels.len());
        for row in 0..side {
            let (upper, lower, down) = taps(self.top, self.height, row);
            for column in 0..side {
                let column = if self.mirrored { side - 1 - column } else { column };
                let (first, second, right) = taps(self.left, self.width, column);
                for channel in 0..3 {
                    let at = |row: usize, column: usize| f32::from(pixels[(row * side + column) * 3 + channel]);
                    let along = |row: usize| at(row, first) * (1.0 - right) + at(row, second) * right;
                    let value = along(upper) * (1.0 - down) + along(lower) * down;
                    output.push(value.round().clamp(0.0, 255.0) as u8);
                }
            }
        }
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_image_is_itself_and_a_mirrored_one_turned_round() {
        let pixels: Vec<u8> = (0..4 * 4 * 3).map(|index| (index * 5) as u8).collect();
        let whole = Crop { top: 0.0, left: 0.0, height: 4.0, width: 4.0, mirrored: false };
        assert_eq!(whole.apply(&pixels, 4), pixels);
        let mirrored = Crop { mirrored: true, ..whole }.apply(&pixels, 4);
        assert_eq!(mirrored[..3], pixels[9..12]);
        let corner = Crop { top: 2.0, left: 2.0, height: 2.0, width: 2.0, ..whole }.apply(&pixels, 4);
        assert_eq!(corner[45..], pixels[45..], "its last pixel is that of the image");
        assert!(corner[0] > pixels[0]);
    }
}
