//! Pixels of drivers as RGB.

use mindseye_episodes::{Colours, Matrix, Yuv};
use mindseye_interface::{Image, ImageSize};

use crate::FourCc;
use crate::frame::RawPixels;

/// The image of `pixels`.
///
/// # Errors
/// A message on one line for a format that is not decoded, or bytes that are too few.
pub fn decode_pixels(pixels: &RawPixels) -> Result<Image, String> {
    let (height, width) = (pixels.size.height(), pixels.size.width());
    let planes = Planes { pixels, height, width };
    match pixels.fourcc {
        FourCc::YUYV => planes.packed_422([0, 2], 1, 3),
        FourCc::UYVY => planes.packed_422([1, 3], 0, 2),
        FourCc::NV12 => planes.semi_planar(0, 1),
        FourCc::NV21 => planes.semi_planar(1, 0),
        FourCc::YU12 => planes.planar(),
        FourCc::GREY => planes.yuv((0, 0), planes.rows(0, pixels.stride, height, width)?, Vec::new(), Vec::new()),
        FourCc::RGB3 => planes.rgb(),
        FourCc::BGR3 => {
            let mut image = planes.rgb()?;
            swap_red_and_blue(&mut image);
            Ok(image)
        }
        other => Err(format!("pixels of format {other}, which is not decoded")),
    }
}

/// Makes BGR of RGB, and RGB of BGR.
pub fn swap_red_and_blue(image: &mut Image) {
    image.pixels_mut().chunks_exact_mut(3).for_each(|pixel| pixel.swap(0, 2));
}

/// Matrix and range of pixels as V4L2 describes them: its `colorspace`, `ycbcr_enc` and `quantization`.
pub fn v4l2_colours(colorspace: u32, encoding: u32, quantization: u32) -> Colours {
    const SMPTE240M: u32 = 2;
    const REC709: u32 = 3;
    const JPEG: u32 = 7;
    const BT2020: u32 = 10;
    const DCI_P3: u32 = 12;
    // V4L2_MAP_YCBCR_ENC_DEFAULT and V4L2_MAP_QUANTIZATION_DEFAULT of linux/videodev2.h.
    let by_space = match colorspace {
        REC709 | DCI_P3 => Matrix::Bt709,
        BT2020 => Matrix::Bt2020,
        SMPTE240M => Matrix::Smpte240,
        _ => Matrix::Bt601,
    };
    let matrix = match encoding {
        1 | 3 | 5 => Matrix::Bt601, // and its xvYCC, sYCC
        2 | 4 => Matrix::Bt709,
        6 | 7 => Matrix::Bt2020,
        8 => Matrix::Smpte240,
        _ => by_space,
    };
    Colours { matrix, full_range: quantization == 1 || (quantization == 0 && colorspace == JPEG) }
}

struct Planes<'a> {
    pixels: &'a RawPixels,
    height: usize,
    width: usize,
}

impl Planes<'_> {
    /// `count` rows of `bytes` bytes, `stride` apart, from byte `start` on, end to end.
    fn rows(&self, start: usize, stride: usize, count: usize, bytes: usize) -> Result<Vec<u8>, String> {
        let mut rows = Vec::with_capacity(count * bytes);
        for row in 0..count {
            let place = start + row * stride;
            let found = self.pixels.bytes.get(place..place + bytes).filter(|_| stride >= bytes);
            rows.extend_from_slice(found.ok_or_else(|| self.too_short(start + (count - 1) * stride + bytes))?);
        }
        Ok(rows)
    }

    fn too_short(&self, expected: usize) -> String {
        let RawPixels { fourcc, stride, bytes, .. } = self.pixels;
        let (width, height) = (self.width, self.height);
        format!("{width}x{height} of {fourcc}: expected {expected} bytes in rows of {stride}, got {}", bytes.len())
    }

    fn yuv(&self, subsampling: (u32, u32), y: Vec<u8>, u: Vec<u8>, v: Vec<u8>) -> Result<Image, String> {
        Yuv { width: self.width, height: self.height, subsampling, y, u, v, colours: self.pixels.colours }.rgb()
    }

    /// Two pixels in four bytes: luma at `y`, chroma at `u` and `v`.
    fn packed_422(&self, y: [usize; 2], u: usize, v: usize) -> Result<Image, String> {
        let pairs = self.width.div_ceil(2);
        let rows = self.rows(0, self.pixels.stride, self.height, pairs * 4)?;
        let chroma = |place: usize| rows.iter().skip(place).step_by(4).copied().collect();
        let mut luma = Vec::with_capacity(self.height * pairs * 2);
        for row in rows.chunks_exact(pairs * 4) {
            let start = luma.len();
            luma.extend(row.chunks_exact(4).flat_map(|pair| [pair[y[0]], pair[y[1]]]));
            luma.truncate(start + self.width);
        }
        self.yuv((1, 0), luma, chroma(u), chroma(v))
    }

    /// A plane of luma, and one of pairs for every 2 x 2 pixels, with Cb at `u` and Cr at `v` in each.
    fn semi_planar(&self, u: usize, v: usize) -> Result<Image, String> {
        let stride = self.pixels.stride;
        let luma = self.rows(0, stride, self.height, self.width)?;
        let pairs = self.width.div_ceil(2);
        let chroma = self.rows(stride * self.height, stride, self.height.div_ceil(2), pairs * 2)?;
        let every = |place: usize| chroma.iter().skip(place).step_by(2).copied().collect();
        self.yuv((1, 1), luma, every(u), every(v))
    }

    /// Three planes, those of chroma with half the stride.
    fn planar(&self) -> Result<Image, String> {
        let (stride, half) = (self.pixels.stride, self.pixels.stride / 2);
        let (rows, columns) = (self.height.div_ceil(2), self.width.div_ceil(2));
        let luma = self.rows(0, stride, self.height, self.width)?;
        let u = self.rows(stride * self.height, half, rows, columns)?;
        let v = self.rows(stride * self.height + half * rows, half, rows, columns)?;
        self.yuv((1, 1), luma, u, v)
    }

    fn rgb(&self) -> Result<Image, String> {
        let size: ImageSize = self.pixels.size;
        let rows = self.rows(0, self.pixels.stride, self.height, self.width * 3)?;
        Image::new(size, rows).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITED: Colours = Colours { matrix: Matrix::Bt601, full_range: false };

    fn image(fourcc: FourCc, [width, height]: [usize; 2], stride: usize, bytes: &[u8]) -> Result<Image, String> {
        let size = ImageSize::new(height, width).unwrap();
        decode_pixels(&RawPixels { fourcc, size, stride, colours: LIMITED, bytes: bytes.to_vec() })
    }

    #[test]
    fn every_order_of_pixels_gives_the_same_colours() {
        // BT.601's red (81, 90, 240) beside black (16), which share their chroma.
        let left = image(FourCc::YUYV, [2, 1], 4, &[81, 90, 16, 240]).unwrap();
        assert_eq!(left.rgb(0, 0), [253, 0, 0]);
        assert_eq!(image(FourCc::UYVY, [2, 1], 4, &[90, 81, 240, 16]).unwrap(), left);
        let red = [253, 0, 0];
        let luma = [81, 81, 0, 81, 81, 0]; // a third column of padding
        let planes = |chroma: &[u8]| [&luma[..], chroma].concat();
        for (fourcc, bytes) in [(FourCc::NV12, planes(&[90, 240, 0])), (FourCc::NV21, planes(&[240, 90, 0]))] {
            let image = image(fourcc, [2, 2], 3, &bytes).unwrap();
            assert_eq!((image.rgb(0, 0), image.rgb(1, 1)), (red, red), "{fourcc}");
        }
        assert_eq!(image(FourCc::YU12, [2, 2], 3, &planes(&[90, 240])).unwrap().rgb(1, 1), red);
        assert_eq!(image(FourCc::RGB3, [1, 2], 4, &[1, 2, 3, 0, 4, 5, 6]).unwrap().pixels(), [1, 2, 3, 4, 5, 6]);
        assert_eq!(image(FourCc::BGR3, [1, 1], 3, &[1, 2, 3]).unwrap().pixels(), [3, 2, 1]);
        assert_eq!(image(FourCc::GREY, [2, 1], 2, &[16, 235]).unwrap().pixels(), [0, 0, 0, 255, 255, 255]);
    }

    #[test]
    fn odd_widths_have_their_last_column() {
        let image = image(FourCc::YUYV, [3, 1], 8, &[16, 128, 235, 128, 16, 128, 99, 128]).unwrap();
        assert_eq!(image.pixels(), [0, 0, 0, 255, 255, 255, 0, 0, 0]);
    }

    #[test]
    fn too_few_bytes_and_strides_are_an_error_of_one_line() {
        for (fourcc, bytes) in [
            (FourCc::YUYV, 15),
            (FourCc::NV12, 11),
            (FourCc::YU12, 11),
            (FourCc::RGB3, 23),
            (FourCc::GREY, 0),
            (FourCc(*b"H264"), 100),
        ] {
            let error =
                image(fourcc, [4, 2], if fourcc == FourCc::RGB3 { 12 } else { 4 }, &vec![0; bytes]).unwrap_err();
            assert!(error.contains(&fourcc.to_string()) && !error.contains('\n'), "{error}");
        }
        assert!(image(FourCc::YUYV, [4, 2], 0, &[0; 64]).is_err());
    }

    #[test]
    fn the_range_and_the_matrix_are_those_of_the_kernels_defaults() {
        let colours = |matrix, full_range| Colours { matrix, full_range };
        let (srgb, rec709, jpeg) = (8, 3, 7);
        assert_eq!(v4l2_colours(srgb, 0, 0), colours(Matrix::Bt601, false), "a webcam");
        assert_eq!(v4l2_colours(jpeg, 0, 0), colours(Matrix::Bt601, true));
        assert_eq!(v4l2_colours(rec709, 0, 0), colours(Matrix::Bt709, false));
        assert_eq!(v4l2_colours(rec709, 1, 1), colours(Matrix::Bt601, true), "stated");
        assert_eq!(v4l2_colours(jpeg, 0, 2), colours(Matrix::Bt601, false));
    }
}
