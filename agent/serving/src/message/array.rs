//! Numbers with a type and a shape, as numpy has them.

use std::fmt::{Display, Formatter};

use crate::{Error, Result};

/// Most dimensions of an array.
const MAX_DIMENSIONS: usize = 8;

/// The type of an array's numbers: booleans, integers and floats, of either order of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dtype {
    kind: Kind,
    bytes: usize,
    is_big_endian: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Bool,
    Signed,
    Unsigned,
    Float,
}

impl Dtype {
    /// 8-bit integers without a sign: images.
    pub const U8: Self = Self { kind: Kind::Unsigned, bytes: 1, is_big_endian: false };
    /// 32-bit floats.
    pub const F32: Self = Self { kind: Kind::Float, bytes: 4, is_big_endian: false };
    /// 64-bit floats.
    pub const F64: Self = Self { kind: Kind::Float, bytes: 8, is_big_endian: false };

    /// The type that numpy calls `name`, as `<f4` or `|u1`.
    ///
    /// # Errors
    /// [`Error::Message`] for objects, text, complex numbers, records and sizes that numpy does not have.
    pub fn of_numpy(name: &str) -> Result<Self> {
        let unknown = || Error::message(format!("dtype: expected one such as <f4, <f8, |u1 or <i8, got {name:?}"));
        let (order, rest) = name.split_at_checked(1).ok_or_else(unknown)?;
        let (kind, bytes) = rest.split_at_checked(1).ok_or_else(unknown)?;
        let is_big_endian = match order {
            "<" | "|" | "=" => false,
            ">" => true,
            _ => return Err(unknown()),
        };
        let (kind, sizes): (Kind, &[&str]) = match kind {
            "b" => (Kind::Bool, &["1"]),
            "i" => (Kind::Signed, &["1", "2", "4", "8"]),
            "u" => (Kind::Unsigned, &["1", "2", "4", "8"]),
            "f" => (Kind::Float, &["2", "4", "8"]),
            _ => return Err(unknown()),
        };
        let bytes = sizes.iter().find(|size| **size == bytes).and_then(|size| size.parse().ok()).ok_or_else(unknown)?;
        if order == "|" && bytes > 1 {
            return Err(unknown());
        }
        Ok(Self { kind, bytes, is_big_endian })
    }

    /// Numpy's name of it.
    pub fn numpy(&self) -> String {
        let order = match (self.bytes, self.is_big_endian) {
            (1, _) => '|',
            (_, true) => '>',
            (_, false) => '<',
        };
        let kind = match self.kind {
            Kind::Bool => 'b',
            Kind::Signed => 'i',
            Kind::Unsigned => 'u',
            Kind::Float => 'f',
        };
        format!("{order}{kind}{}", self.bytes)
    }

    /// Bytes of one number.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether its numbers are floats.
    pub fn is_float(&self) -> bool {
        self.kind == Kind::Float
    }

    /// The number in `bytes`, as near as 64-bit floats come to it.
    fn number(&self, bytes: &[u8]) -> f64 {
        let mut low = [0; 8]; // lowest first
        bytes.iter().zip(&mut low).for_each(|(byte, low)| *low = *byte);
        if self.is_big_endian {
            low[..self.bytes].reverse();
        }
        let all = u64::from_le_bytes(low);
        match (self.kind, self.bytes) {
            (Kind::Bool, _) => f64::from(u8::from(all != 0)),
            (Kind::Unsigned, _) => all as f64,
            (Kind::Signed, bytes) => {
                let unused = 64 - 8 * bytes as u32;
                (((all << unused) as i64) >> unused) as f64
            }
            (Kind::Float, 2) => half(all as u16),
            (Kind::Float, 4) => f64::from(f32::from_bits(all as u32)),
            (Kind::Float, _) => f64::from_bits(all),
        }
    }
}

/// The 16-bit float with these bits.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from((bits >> 10) & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

impl Display for Dtype {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            Kind::Bool => return formatter.write_str("bool"),
            Kind::Signed => "int",
            Kind::Unsigned => "uint",
            Kind::Float => "float",
        };
        write!(formatter, "{kind}{}", 8 * self.bytes)
    }
}

/// Numbers with a shape, the last index running fastest.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl Array {
    /// The array with these bytes.
    ///
    /// # Errors
    /// [`Error::Message`] unless there are as many bytes as the shape needs.
    pub fn new(dtype: Dtype, shape: Vec<usize>, data: Vec<u8>) -> Result<Self> {
        if shape.len() > MAX_DIMENSIONS {
            return Err(Error::message(format!("array: expected at most {MAX_DIMENSIONS} dimensions, got {shape:?}")));
        }
        let bytes = shape.iter().try_fold(dtype.bytes, |bytes, side| bytes.checked_mul(*side));
        if bytes != Some(data.len()) {
            let expected = bytes.map_or("more than there can be".to_owned(), |bytes| bytes.to_string());
            let got = data.len();
            let reason = format!("array of {dtype} {shape:?}: expected {expected} bytes, got {got}");
            return Err(Error::message(reason));
        }
        Ok(Self { dtype, shape, data })
    }

    /// 32-bit floats `[rows, width]`; rows of another length are cut, or end in zeros.
    pub fn of_rows(rows: &[Vec<f64>], width: usize) -> Self {
        let values = rows.iter().flat_map(|row| row.iter().copied().chain(std::iter::repeat(0.0)).take(width));
        let data = values.flat_map(|value| (value as f32).to_le_bytes()).collect();
        Self { dtype: Dtype::F32, shape: vec![rows.len(), width], data }
    }

    /// 32-bit floats `[N]`.
    pub fn of_floats(values: &[f32]) -> Self {
        let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: Dtype::F32, shape: vec![values.len()], data }
    }

    /// The pixels `[H, W, 3]` of an image.
    pub fn of_image(image: &mindseye_interface::Image) -> Self {
        let shape = vec![image.size().height(), image.size().width(), 3];
        Self { dtype: Dtype::U8, shape, data: image.pixels().to_vec() }
    }

    /// The type of its numbers.
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its sides.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its bytes.
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// How many numbers it has.
    pub fn len(&self) -> usize {
        self.data.len() / self.dtype.bytes
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// Its numbers.
    pub fn numbers(&self) -> impl Iterator<Item = f64> + '_ {
        self.data.chunks_exact(self.dtype.bytes).map(|bytes| self.dtype.number(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(dtype: &str, bytes: &[u8]) -> Vec<f64> {
        let dtype = Dtype::of_numpy(dtype).unwrap();
        Array::new(dtype, vec![bytes.len() / dtype.bytes()], bytes.to_vec()).unwrap().numbers().collect()
    }

    #[test]
    fn numbers_of_every_type_are_read_in_both_orders() {
        assert_eq!(numbers("|b1", &[0, 1, 7]), [0.0, 1.0, 1.0]);
        assert_eq!(numbers("|i1", &[255, 128, 127]), [-1.0, -128.0, 127.0]);
        assert_eq!(numbers("<i2", &[0xff, 0xff, 1, 0]), [-1.0, 1.0]);
        assert_eq!(numbers(">i2", &[0xff, 0xfe]), [-2.0]);
        assert_eq!(numbers("<u8", &[1, 0, 0, 0, 0, 0, 0, 0x80]), [9_223_372_036_854_775_809_u64 as f64]);
        assert_eq!(numbers("<f2", &[0x00, 0x3c, 0x00, 0xc1, 0x01, 0x00]), [1.0, -2.5, 2f64.powi(-24)]);
        assert_eq!(numbers("<f4", &1.5f32.to_le_bytes()), [1.5]);
        assert_eq!(numbers(">f8", &(-0.1f64).to_be_bytes()), [-0.1]);
    }

    #[test]
    fn other_types_and_wrong_sizes_are_refused() {
        for name in ["", "<", "O", "|O8", "<U5", "|S3", "<c8", "<f16", "<f3", "|f4", "<i0", "<M8[s]", "é4", "<f\u{e9}"]
        {
            let error = Dtype::of_numpy(name).unwrap_err().to_string();
            assert!(error.contains("dtype"), "{name}: {error}");
        }
        let short = Array::new(Dtype::F32, vec![2, 3], vec![0; 23]).unwrap_err().to_string();
        assert!(short.contains("[2, 3]") && short.contains("24") && short.contains("23"), "{short}");
        assert!(Array::new(Dtype::F32, vec![usize::MAX, 8], vec![]).is_err());
        assert!(Array::new(Dtype::U8, vec![1; 9], vec![0]).is_err());
        assert!(Array::new(Dtype::U8, vec![0, usize::MAX], vec![]).is_ok());
    }
}
