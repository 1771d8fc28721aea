//! Four letters that name a pixel format, as V4L2 and LeRobot write them.

use std::fmt::{Display, Formatter};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Error, Result};

/// A pixel format, for example `MJPG`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FourCc(pub [u8; 4]);

impl FourCc {
    /// JPEG images, often without Huffman tables.
    pub const MJPG: Self = Self(*b"MJPG");
    /// JPEG images.
    pub const JPEG: Self = Self(*b"JPEG");
    /// 4:2:2, packed: luma, Cb, luma, Cr.
    pub const YUYV: Self = Self(*b"YUYV");
    /// 4:2:2, packed: Cb, luma, Cr, luma.
    pub const UYVY: Self = Self(*b"UYVY");
    /// 4:2:0: a plane of luma, a plane of pairs Cb, Cr.
    pub const NV12: Self = Self(*b"NV12");
    /// As [`FourCc::NV12`] with pairs Cr, Cb.
    pub const NV21: Self = Self(*b"NV21");
    /// 4:2:0: planes of luma, Cb, Cr.
    pub const YU12: Self = Self(*b"YU12");
    /// Red, green, blue.
    pub const RGB3: Self = Self(*b"RGB3");
    /// Blue, green, red.
    pub const BGR3: Self = Self(*b"BGR3");
    /// Luma alone.
    pub const GREY: Self = Self(*b"GREY");

    /// Formats that are decoded here, the least work first.
    pub const DECODED: [Self; 10] = [
        Self::YUYV,
        Self::UYVY,
        Self::NV12,
        Self::NV21,
        Self::YU12,
        Self::RGB3,
        Self::BGR3,
        Self::GREY,
        Self::MJPG,
        Self::JPEG,
    ];

    /// Whether the images are JPEG.
    pub fn is_jpeg(self) -> bool {
        self == Self::MJPG || self == Self::JPEG
    }
}

impl Display for FourCc {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{}", byte.escape_ascii()))
    }
}

impl FromStr for FourCc {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bytes: [u8; 4] =
            text.as_bytes().try_into().map_err(|_| Error::argument("fourcc", "four letters, as MJPG", text))?;
        if bytes.iter().all(|byte| (0x20..0x7f).contains(byte)) {
            Ok(Self(bytes))
        } else {
            Err(Error::argument("fourcc", "four letters, as MJPG", text))
        }
    }
}

impl TryFrom<String> for FourCc {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<FourCc> for String {
    fn from(fourcc: FourCc) -> Self {
        fourcc.to_string()
    }
}
