//! Planes of a decoded frame, and its RGB.

use mindseye_interface::{Image, ImageSize};

/// What the three channels mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Colours {
    /// Whether BT.709 instead of BT.601, which unlabelled files mean.
    pub bt709: bool,
    /// Whether values go from 0 to 255 instead of 16 to 235.
    pub full_range: bool,
}

/// A frame of eight bits per channel, without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Yuv {
    /// Columns of pixels.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
    /// By how many bits columns and rows of the colours are fewer: (1, 1) for 4:2:0.
    pub subsampling: (u32, u32),
    /// Brightness, `[height, width]`.
    pub y: Vec<u8>,
    /// Blue against brightness; empty for grey frames.
    pub u: Vec<u8>,
    /// Red against brightness; empty for grey frames.
    pub v: Vec<u8>,
    /// What the channels mean.
    pub colours: Colours,
}

/// Rows of a plane without what pads them; `None` if the plane is too short.
pub(super) fn packed(plane: &[u8], stride: usize, width: usize, height: usize) -> Option<Vec<u8>> {
    let mut values = Vec::with_capacity(width.checked_mul(height)?);
    for row in 0..height {
        let start = row.checked_mul(stride)?;
        values.extend_from_slice(plane.get(start..start.checked_add(width)?)?);
    }
    Some(values)
}

impl Yuv {
    /// Columns and rows of the colour planes.
    pub(super) fn colour_size(&self) -> (usize, usize) {
        let side = |pixels: usize, bits: u32| (pixels + (1 << bits) - 1) >> bits;
        (side(self.width, self.subsampling.0), side(self.height, self.subsampling.1))
    }

    /// The picture, colours taken from the nearest place that has them.
    ///
    /// # Errors
    /// When the sides are too large for a picture, on one line.
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

/// Weights in 65536ths: ITU-R BT.601 and BT.709, from limited or full range.
struct Convert {
    black: i32,
    brightness: i32,
    red_of_v: i32,
    green_of_u: i32,
    green_of_v: i32,
    blue_of_u: i32,
}

impl Convert {
    fn of(colours: Colours) -> Self {
        let (red, blue) = if colours.bt709 { (0.2126, 0.0722) } else { (0.299, 0.114) };
        let green = 1.0 - red - blue;
        let (black, y_range, c_range) = if colours.full_range { (0, 255.0, 255.0) } else { (16, 219.0, 224.0) };
        let whole = |factor: f64, range: f64| (65_536.0 * factor * 255.0 / range).round() as i32;
        Self {
            black,
            brightness: whole(1.0, y_range),
            red_of_v: whole(2.0 * (1.0 - red), c_range),
            green_of_u: whole(2.0 * (1.0 - blue) * blue / green, c_range),
            green_of_v: whole(2.0 * (1.0 - red) * red / green, c_range),
            blue_of_u: whole(2.0 * (1.0 - blue), c_range),
        }
    }

    fn rgb(&self, y: u8, u: u8, v: u8) -> [u8; 3] {
        let bright = self.brightness * (i32::from(y) - self.black) + 32_768;
        let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
        let byte = |value: i32| (value >> 16).clamp(0, 255) as u8;
        [
            byte(bright + self.red_of_v * v),
            byte(bright - self.green_of_u * u - self.green_of_v * v),
            byte(bright + self.blue_of_u * u),
        ]
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
    fn white_black_and_red_are_what_the_standard_says() {
        let limited = Colours { bt709: false, full_range: false };
        assert_eq!(one(235, 128, 128, limited), Ok(vec![255; 3]));
        assert_eq!(one(16, 128, 128, limited), Ok(vec![0; 3]));
        assert_eq!(one(81, 90, 240, limited), Ok(vec![254, 0, 0])); // BT.601's red
        assert_eq!(one(63, 102, 240, Colours { bt709: true, ..limited }), Ok(vec![255, 1, 0])); // BT.709's
        assert_eq!(one(77, 128, 128, Colours { full_range: true, ..limited }), Ok(vec![77; 3]));
    }

    #[test]
    fn colours_of_odd_sides_reach_to_the_edge() -> Result<(), String> {
        let yuv = Yuv {
            width: 3,
            height: 3,
            subsampling: (1, 1),
            y: vec![128; 9],
            u: vec![128, 128, 128, 255],
            v: vec![128; 4],
            colours: Colours { bt709: false, full_range: true },
        };
        let picture = yuv.rgb()?;
        assert_eq!(picture.rgb(0, 0), [128; 3]);
        assert!(picture.rgb(2, 2)[2] > 250 && picture.rgb(1, 1) == [128; 3]);
        Ok(())
    }

    #[test]
    fn padding_is_left_out_and_short_planes_are_noticed() {
        assert_eq!(packed(&[1, 2, 0, 3, 4, 0], 3, 2, 2), Some(vec![1, 2, 3, 4]));
        assert_eq!(packed(&[1, 2, 0, 3], 3, 2, 2), None);
    }
}
