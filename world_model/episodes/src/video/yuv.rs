//! Planes of a decoded frame, and their conversion to and from RGB.

use mindseye_interface::{Image, ImageSize};

use super::colours::{Colours, Matrix};

/// A frame of eight bits per channel, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yuv {
    /// Columns of pixels.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Chroma subsampling of columns and rows as powers of 2: (1, 1) for 4:2:0.
    pub subsampling: (u32, u32),
    /// Luma, `[height, width]`.
    pub y: Vec<u8>,
    /// Blue difference (Cb); empty for grey frames.
    pub u: Vec<u8>,
    /// Red difference (Cr); empty for grey frames.
    pub v: Vec<u8>,
    /// Colour space.
    pub colours: Colours,
}

/// Rows of a plane without padding; `None` if the plane is too short.
pub(super) fn packed(plane: &[u8], stride: usize, width: usize, height: usize) -> Option<Vec<u8>> {
    let mut values = Vec::with_capacity(width.checked_mul(height)?);
    for row in 0..height {
        let start = row.checked_mul(stride)?;
        values.extend_from_slice(plane.get(start..start.checked_add(width)?)?);
    }
    Some(values)
}

impl Yuv {
    /// Columns and rows of the chroma planes.
    pub(super) fn colour_size(&self) -> (usize, usize) {
        let side = |pixels: usize, bits: u32| (pixels + (1 << bits) - 1) >> bits;
        (side(self.width, self.subsampling.0), side(self.height, self.subsampling.1))
    }

    /// The planes of `image` in BT.601 of limited range, 4:2:0. Chroma is averaged over 2x2 pixels (fewer at an odd
    /// edge).
    pub(super) fn from_rgb(image: &Image) -> Self {
        let (width, height) = (image.size().width(), image.size().height());
        let colours = Colours { matrix: Matrix::Bt601, full_range: false };
        let mut yuv = Self { width, height, subsampling: (1, 1), y: Vec::new(), u: Vec::new(), v: Vec::new(), colours };
        let weigh = Weigh::new();
        yuv.y.extend(image.pixels().chunks_exact(3).map(|rgb| weigh.y([rgb[0], rgb[1], rgb[2]])));
        let (colour_width, colour_height) = yuv.colour_size();
        for row in 0..colour_height {
            for column in 0..colour_width {
                let (mut sum, mut pixels) = ([0i64; 3], 0);
                for row in 2 * row..height.min(2 * row + 2) {
                    for column in 2 * column..width.min(2 * column + 2) {
                        sum.iter_mut().zip(image.rgb(row, column)).for_each(|(sum, value)| *sum += i64::from(value));
                        pixels += 1;
                    }
                }
                yuv.u.push(weigh.colour(weigh.u, sum, pixels));
                yuv.v.push(weigh.colour(weigh.v, sum, pixels));
            }
        }
        yuv
    }

    /// The image as RGB, with the nearest chroma sample of each pixel.
    ///
    /// # Errors
    /// A message on one line when the sides are too large for an image.
    pub fn rgb(&self) -> std::result::Result<Image, String> {
        let size = ImageSize::new(self.height, self.width).map_err(|error| error.to_string())?;
        let (across, down) = self.subsampling;
        let colour_width = self.colour_size().0;
        let grey = self.u.is_empty();
        let convert = Convert::of(self.colours);
        let mut pixels = Vec::with_capacity(size.rgb_len());
        for row in 0..self.height {
            let colours = (row >> down) * colour_width;
            for column in 0..self.width {
                let place = colours + (column >> across);
                let (u, v) = if grey { (128, 128) } else { (self.u[place], self.v[place]) };
                pixels.extend(convert.rgb(self.y[row * self.width + column], u, v));
            }
        }
        Image::new(size, pixels).map_err(|error| error.to_string())
    }
}

/// RGB of brightness and colours, with the arithmetic of FFmpeg's swscale on processors of PCs: weights in 8192ths,
/// each product cut down to a whole number. So images have the bits that PyAV gives, and with it what other tools train
/// on; they are up to 3 levels darker than without these roundings.
struct Convert {
    /// Whether the planes are green, blue and red already.
    is_rgb: bool,
    black: i32,
    brightness: i32,
    red_of_v: i32,
    green_of_u: i32,
    green_of_v: i32,
    blue_of_u: i32,
}

/// Eighths that values have before they are multiplied, so that a product of 16 bits keeps its upper half.
const EIGHTHS: i32 = 8;

impl Convert {
    fn of(colours: Colours) -> Self {
        let (red, blue) = colours.matrix.red_and_blue();
        let (green, is_full) = (1.0 - red - blue, colours.full_range);
        // 65536ths of limited range first, as in swscale: what is cut off there is not rounded again.
        let weight = |factor: f64| {
            let limited = (65_536.0 * factor * 255.0 / 224.0).round() as i64;
            let weight = if is_full { limited * 224 / 255 } else { limited };
            ((weight * 8192 + 32_768) >> 16) as i32
        };
        Self {
            is_rgb: colours.matrix == Matrix::Rgb,
            black: if is_full { 0 } else { 16 },
            brightness: if is_full { 8192 } else { 9539 }, // 8192 x 255 / 219
            red_of_v: weight(2.0 * (1.0 - red)),
            green_of_u: weight(-2.0 * (1.0 - blue) * blue / green),
            green_of_v: weight(-2.0 * (1.0 - red) * red / green),
            blue_of_u: weight(2.0 * (1.0 - blue)),
        }
    }

    fn rgb(&self, y: u8, u: u8, v: u8) -> [u8; 3] {
        let cut = |weight: i32, value: i32| (weight * EIGHTHS * value) >> 16;
        let byte = |value: i32| value.clamp(0, 255) as u8;
        if self.is_rgb {
            let rounded = |value: u8| (self.brightness * EIGHTHS * (i32::from(value) - self.black) + 32_768) >> 16;
            return [v, y, u].map(|value| byte(rounded(value)));
        }
        let bright = cut(self.brightness, i32::from(y) - self.black);
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        [
            byte(bright + cut(self.red_of_v, v)),
            byte(bright + cut(self.green_of_u, u) + cut(self.green_of_v, v)),
            byte(bright + cut(self.blue_of_u, u)),
        ]
    }
}

/// Weights of red, green and blue in 65536ths: to ITU-R BT.601 of limited range.
struct Weigh {
    y: [i64; 3],
    u: [i64; 3],
    v: [i64; 3],
}

impl Weigh {
    fn new() -> Self {
        let share = [0.299, 0.587, 0.114];
        let whole = |factor: f64, range: f64| (65_536.0 * factor * range / 255.0).round() as i64;
        // Chroma is the difference of blue or red from luma, scaled to the range.
        let colour = |own: usize| {
            let stretch = 0.5 / (1.0 - share[own]);
            std::array::from_fn(|channel| {
                whole(stretch * (f64::from(u8::from(channel == own)) - share[channel]), 224.0)
            })
        };
        Self { y: share.map(|share| whole(share, 219.0)), u: colour(2), v: colour(0) }
    }

    fn y(&self, rgb: [u8; 3]) -> u8 {
        let sum: i64 = self.y.iter().zip(rgb).map(|(weight, value)| weight * i64::from(value)).sum();
        (16 + ((sum + 32_768) >> 16)).clamp(0, 255) as u8
    }

    /// The chroma value of the `sum` over `pixels` pixels.
    fn colour(&self, weights: [i64; 3], sum: [i64; 3], pixels: i64) -> u8 {
        let sum: i64 = weights.iter().zip(sum).map(|(weight, value)| weight * value).sum();
        let scale = 65_536 * pixels;
        (128 + (sum + scale / 2).div_euclid(scale)).clamp(0, 255) as u8
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(y: u8, u: u8, v: u8, colours: Colours) -> Result<Vec<u8>, String> {
        let yuv = Yuv { width: 1, height: 1, subsampling: (1, 1), y: vec![y], u: vec![u], v: vec![v], colours };
        yuv.rgb().map(Image::into_pixels)
    }

    #[test]
    fn yuv_white_black_and_red_have_the_rgb_of_the_standard() {
        let limited = Colours { matrix: Matrix::Bt601, full_range: false };
        assert_eq!(one(235, 128, 128, limited), Ok(vec![255; 3]));
        assert_eq!(one(16, 128, 128, limited), Ok(vec![0; 3]));
        assert_eq!(one(81, 90, 240, limited), Ok(vec![253, 0, 0])); // BT.601's red
        assert_eq!(one(63, 102, 240, Colours { matrix: Matrix::Bt709, ..limited }), Ok(vec![254, 0, 0])); // BT.709's
        assert_eq!(one(77, 128, 128, Colours { full_range: true, ..limited }), Ok(vec![77; 3]));
        let rgb = Colours { matrix: Matrix::Rgb, full_range: true };
        assert_eq!(one(20, 30, 10, rgb), Ok(vec![10, 20, 30]));
        assert_eq!(one(235, 16, 126, Colours { full_range: false, ..rgb }), Ok(vec![128, 255, 0]));
    }

    #[test]
    fn chroma_of_odd_sides_covers_the_last_row_and_column() -> Result<(), String> {
        let yuv = Yuv {
            width: 3,
            height: 3,
            subsampling: (1, 1),
            y: vec![128; 9],
            u: vec![128, 128, 128, 255],
            v: vec![128; 4],
            colours: Colours { matrix: Matrix::Bt601, full_range: true },
        };
        let image = yuv.rgb()?;
        assert_eq!(image.rgb(0, 0), [128; 3]);
        assert!(image.rgb(2, 2)[2] > 250 && image.rgb(1, 1) == [128; 3]);
        Ok(())
    }

    #[test]
    fn rgb_to_yuv_and_back_keeps_flat_colours() -> Result<(), String> {
        let size = ImageSize::new(3, 5).map_err(|error| error.to_string())?;
        for rgb in [[0; 3], [255; 3], [255, 0, 0], [0, 255, 0], [0, 0, 255], [13, 130, 77], [201, 33, 240]] {
            let planes = Yuv::from_rgb(&Image::filled(size, rgb));
            assert_eq!((planes.y.len(), planes.u.len(), planes.v.len()), (15, 6, 6));
            let back = planes.rgb()?;
            for (value, expected) in back.rgb(2, 4).into_iter().zip(rgb) {
                assert!(value.abs_diff(expected) <= 2, "{:?} for {rgb:?}", back.rgb(2, 4));
            }
        }
        Ok(())
    }

    #[test]
    fn plane_padding_is_removed_and_short_planes_are_refused() {
        assert_eq!(packed(&[1, 2, 0, 3, 4, 0], 3, 2, 2), Some(vec![1, 2, 3, 4]));
        assert_eq!(packed(&[1, 2, 0, 3], 3, 2, 2), None);
    }
}
