//! Columns of images: bytes or floats from 0 to 1, of 1, 3 or 4 channels, which come first or last.

use hdf5_pure::DType;
use mindseye_interface::ImageSize;

/// Shortest side of images of floats: smaller arrays are poses and the like.
const SHORTEST_SIDE: u64 = 8;
/// What columns of images are, for messages.
pub(super) const EXPECTED: &str =
    "images [T, height, width, 3] of u8 (also [T, 3, height, width], grey, or floats from 0 to 1)";

/// The layout of a column of images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Images {
    /// Number of images.
    pub rows: u64,
    pub size: ImageSize,
    channels: usize,
    channels_first: bool,
    pub value: Value,
}

/// The type of a channel's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value {
    U8,
    F32,
    F64,
}

impl Images {
    /// The layout of a column of `shape` and `kind`; `None` when it holds no images that can be read.
    pub fn of(shape: &[u64], kind: &DType) -> Option<Self> {
        let value = match kind {
            DType::U8 => Value::U8,
            DType::F32 => Value::F32,
            DType::F64 => Value::F64,
            _ => return None,
        };
        let is_channels = |side: u64| matches!(side, 1 | 3 | 4);
        let (rows, height, width, channels, channels_first) = match *shape {
            [rows, height, width, channels] if is_channels(channels) => (rows, height, width, channels, false),
            [rows, channels, height, width] if is_channels(channels) => (rows, height, width, channels, true),
            [rows, height, width] if value == Value::U8 => (rows, height, width, 1, false),
            _ => return None,
        };
        if value != Value::U8 && height.min(width) < SHORTEST_SIDE {
            return None;
        }
        let size = ImageSize::new(usize::try_from(height).ok()?, usize::try_from(width).ok()?).ok()?;
        Some(Self { rows, size, channels: channels as usize, channels_first, value })
    }

    /// Whether the images are coloured.
    pub fn is_colour(&self) -> bool {
        self.channels != 1
    }

    /// Whether the values are the bytes of RGB images, one after the other.
    pub fn are_rgb_bytes(&self) -> bool {
        self.value == Value::U8 && self.channels == 3 && !self.channels_first
    }

    /// Values of a image.
    pub fn values(&self) -> usize {
        self.size.height() * self.size.width() * self.channels
    }

    /// Bytes of a image in the file.
    pub fn bytes(&self) -> usize {
        let value_bytes = match self.value {
            Value::U8 => 1,
            Value::F32 => 4,
            Value::F64 => 8,
        };
        self.values() * value_bytes
    }

    /// The RGB bytes of the image of `values`. Grey becomes equal colours, the fourth channel (opacity) is dropped.
    pub fn rgb(&self, values: &[u8]) -> Vec<u8> {
        let pixels = self.size.height() * self.size.width();
        let value = |pixel: usize, channel: usize| match self.channels_first {
            true => values[channel * pixels + pixel],
            false => values[pixel * self.channels + channel],
        };
        let colour = |pixel: usize| [0, 1, 2].map(|channel| value(pixel, channel.min(self.channels - 1)));
        (0..pixels).flat_map(colour).collect()
    }
}

/// Floats from 0 to 1 as bytes from 0 to 255, to the nearest.
///
/// # Errors
/// The first value that is not from 0 to 1.
pub(super) fn bytes_of_floats(values: &[f32]) -> Result<Vec<u8>, f32> {
    let byte = |&value: &f32| {
        let scaled = (value * 255.0).round();
        if (0.0..=255.0).contains(&scaled) { Ok(scaled as u8) } else { Err(value) }
    };
    values.iter().map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_of_every_order_become_rgb() {
        let rgb = |shape: &[u64], values: &[u8]| Images::of(shape, &DType::U8).map(|images| images.rgb(values));
        assert_eq!(rgb(&[9, 1, 2, 3], &[1, 2, 3, 4, 5, 6]), Some(vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(rgb(&[9, 3, 1, 2], &[1, 4, 2, 5, 3, 6]), Some(vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(rgb(&[9, 1, 2, 4], &[1, 2, 3, 0, 4, 5, 6, 0]), Some(vec![1, 2, 3, 4, 5, 6]));
        assert_eq!(rgb(&[9, 1, 2, 1], &[7, 8]), Some(vec![7, 7, 7, 8, 8, 8]));
        assert_eq!(rgb(&[9, 1, 2], &[7, 8]), Some(vec![7, 7, 7, 8, 8, 8]));
        for (shape, kind) in [
            (&[9, 24, 24, 3][..], DType::U16),
            (&[9, 4, 4, 3], DType::F32),
            (&[9, 24, 24], DType::F32),
            (&[9, 24, 24, 2], DType::U8),
            (&[9, 24, 0, 3], DType::U8),
            (&[9, 1 << 40, 24, 3], DType::U8),
        ] {
            assert_eq!(Images::of(shape, &kind), None, "{shape:?}");
        }
    }

    #[test]
    fn floats_are_rounded_and_those_beyond_their_range_refused() {
        assert_eq!(bytes_of_floats(&[0.0, 1.0, 0.5, 0.003, 1.001, -0.001]), Ok(vec![0, 255, 128, 1, 255, 0]));
        assert_eq!(bytes_of_floats(&[0.0, 12.0]), Err(12.0));
        assert!(bytes_of_floats(&[f32::NAN]).is_err());
    }
}
