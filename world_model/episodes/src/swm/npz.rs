//! npz files: a zip archive of arrays, as `numpy.savez` and `numpy.savez_compressed` write it.
//!
//! The crate `npyz` parses and converts the arrays. Around it, this module bounds what a broken or hostile file can
//! cost: the length and the nesting of a header, and the memory for values.

use std::io::{BufReader, Read};
use std::path::Path;

use mindseye_interface::inputs;
use npyz::{DType, Deserialize, NpyFile, NpyHeader, Order, TypeChar};
use zip::ZipArchive;

use crate::guard::guarded;
use crate::{Error, Result};

/// The array's name if none was given to `numpy.savez`.
const DEFAULT_NAME: &str = "arr_0.npy";
/// Longest header that is parsed, bytes; numpy's have 118.
const MAX_HEADER_BYTES: usize = 1 << 12;
/// Most brackets of a header; numpy's have 2.
const MAX_HEADER_BRACKETS: usize = 64;
/// Most brackets within each other; numpy's have 2, records up to 5. The parser is recursive, and tries what is within
/// a bracket that does not end several times, at each level: 40 of them take for ever.
const MAX_HEADER_DEPTH: usize = 6;
/// Largest column that is held in memory, bytes.
pub(super) const MAX_BYTES: u64 = 2 << 30;

type Parsed<T> = std::result::Result<T, String>;

/// The description of an array.
pub(super) struct Header(NpyHeader);

/// The values of an array of numbers.
pub(super) enum Values {
    Integers(Vec<i64>),
    /// The last index runs fastest.
    Floats(Vec<f32>),
}

/// The only array of an npz file, or `arr_0` of several.
pub(super) struct Array {
    pub header: Header,
    values: Values,
}

/// Reads the description of the array in `path`.
///
/// # Errors
/// [`Error::File`] when the archive is broken, [`Error::Content`] when it holds no array.
pub(super) fn read_header(path: &Path) -> Result<Header> {
    with_member(path, |member, _| Header::read(member).map(|(header, _)| header))
}

/// Reads the array in `path`. The stated size is compared with the size of the archive's member before memory is
/// allocated.
///
/// # Errors
/// [`Error::File`] when the archive is broken, [`Error::Content`] when it holds no array of numbers.
pub(super) fn read(path: &Path) -> Result<Array> {
    with_member(path, |member, size| {
        let (header, header_bytes) = Header::read(member)?;
        let item_bytes = header.number_bytes().ok_or_else(|| format!("values of type {}", header.type_name()))?;
        let values = header.shape().iter().try_fold(1u64, |all, side| all.checked_mul(*side));
        let needed = values.and_then(|values| values.checked_mul(item_bytes as u64));
        let available = size.saturating_sub(header_bytes);
        let Some(needed) = needed.filter(|needed| *needed == available) else {
            return Err(format!("{:?} values of {item_bytes} bytes in {available} bytes", header.shape()));
        };
        if needed > MAX_BYTES {
            return Err(format!("{needed} bytes (at most {MAX_BYTES} are held in memory)"));
        }
        // The buffer grows with the bytes that are read, not with the stated size. Reading one byte more makes the
        // archive verify its checksum.
        let mut bytes = Vec::new();
        member.take(needed + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 != needed {
            return Err(format!("{} bytes of values where {needed} were stated", bytes.len()));
        }
        let values = header.values(&bytes)?;
        Ok(Array { header, values })
    })
}

/// Calls `read` with the array's member of the archive at `path` and its uncompressed size.
fn with_member<T>(path: &Path, read: impl FnOnce(&mut dyn Read, u64) -> Parsed<T>) -> Result<T> {
    let file = inputs::open(path, u64::MAX).map_err(|error| Error::file(path, "opening", error))?;
    let broken = |error: zip::result::ZipError| Error::file(path, "reading npz", error);
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    let index = match archive.index_for_name(DEFAULT_NAME) {
        Some(index) => index,
        None if archive.len() == 1 => 0,
        None => return Err(Error::content(path, "arrays", "arr_0 or a single one", archive.len())),
    };
    let mut member = archive.by_index(index).map_err(broken)?;
    let size = member.size();
    guarded(path, "reading npz", || {
        read(&mut member, size).map_err(|got| Error::content(path, "array", "numbers as numpy.savez writes them", got))
    })
}

/// How many brackets `text` opens outside of quotes, and how many at most within each other.
fn brackets(text: &[u8]) -> (usize, usize) {
    let (mut count, mut depth, mut deepest, mut quote) = (0, 0usize, 0, None);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match (byte, quote) {
            (b'\\', Some(_)) => drop(bytes.next()),
            (byte, Some(end)) if byte == end => quote = None,
            (b'\'' | b'"', None) => quote = Some(byte),
            (b'(' | b'[' | b'{', None) => {
                (count, depth) = (count + 1, depth + 1);
                deepest = deepest.max(depth);
            }
            (b')' | b']' | b'}', None) => depth = depth.saturating_sub(1),
            _ => (),
        }
    }
    (count, deepest)
}

impl Header {
    /// Reads the start of an array; returns the number of bytes read as well.
    fn read(from: &mut dyn Read) -> Parsed<(Self, u64)> {
        let mut bytes = Vec::new();
        let mut append = |count: usize| -> Parsed<Vec<u8>> {
            let mut part = vec![0; count];
            from.read_exact(&mut part).map_err(|error| error.to_string())?;
            bytes.extend_from_slice(&part);
            Ok(part)
        };
        let magic = append(8)?;
        if !magic.starts_with(b"\x93NUMPY") {
            return Err("something else than an array of numpy".into());
        }
        // From version 2 on, the length of the header has four bytes instead of two.
        let length = append(if magic[6] == 1 { 2 } else { 4 })?;
        let length = length.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
        if length > MAX_HEADER_BYTES {
            return Err(format!("a header of {length} bytes"));
        }
        let text = append(length)?;
        let broken = |reason: &str| {
            let text = String::from_utf8_lossy(&text);
            format!("the header {} ({})", text.trim_end(), reason.replace('\n', " "))
        };
        let (brackets, depth) = brackets(&text);
        if brackets > MAX_HEADER_BRACKETS || depth > MAX_HEADER_DEPTH {
            return Err(broken("too many brackets"));
        }
        let header = NpyHeader::from_reader(&bytes[..]).map_err(|error| broken(&error.to_string()))?;
        Ok((Self(header), bytes.len() as u64))
    }

    /// For example `[N, width]`.
    pub fn shape(&self) -> &[u64] {
        self.0.shape()
    }

    /// Kind and size in bytes of a value; `None` for records.
    fn scalar(&self) -> Option<(TypeChar, usize)> {
        match self.0.dtype() {
            DType::Plain(kind) => Some((kind.type_char(), kind.num_bytes()?)),
            _ => None,
        }
    }

    /// Bytes of a value; `None` for values that are not read as numbers (texts, objects, records, half floats).
    fn number_bytes(&self) -> Option<usize> {
        match self.scalar()? {
            (TypeChar::Bool | TypeChar::Int | TypeChar::Uint, bytes) => Some(bytes),
            (TypeChar::Float, bytes @ (4 | 8)) => Some(bytes),
            _ => None,
        }
    }

    /// The type of a value in the words of other formats: `f32`, `i64`, `bool`; numpy's own name for other types than
    /// numbers.
    pub fn type_name(&self) -> String {
        match (self.scalar(), self.number_bytes()) {
            (Some((TypeChar::Bool, _)), _) => "bool".into(),
            (Some((kind, bytes)), Some(_)) => format!("{}{}", kind.to_str(), 8 * bytes),
            _ => self.0.dtype().descr().trim_matches('\'').to_owned(),
        }
    }

    /// Converts `bytes`, the values of this array.
    fn values(&self, bytes: &[u8]) -> Parsed<Values> {
        match self.scalar() {
            Some((TypeChar::Int, 1)) => self.integers::<i8>(bytes),
            Some((TypeChar::Int, 2)) => self.integers::<i16>(bytes),
            Some((TypeChar::Int, 4)) => self.integers::<i32>(bytes),
            Some((TypeChar::Int, 8)) => self.integers::<i64>(bytes),
            Some((TypeChar::Uint, 1)) => self.integers::<u8>(bytes),
            Some((TypeChar::Uint, 2)) => self.integers::<u16>(bytes),
            Some((TypeChar::Uint, 4)) => self.integers::<u32>(bytes),
            Some((TypeChar::Uint, 8)) => self.integers::<u64>(bytes),
            Some((TypeChar::Bool, _)) => self.floats(bytes, |value: bool| f32::from(u8::from(value))),
            Some((TypeChar::Float, 4)) => self.floats(bytes, |value: f32| value),
            Some((TypeChar::Float, 8)) => self.floats(bytes, |value: f64| value as f32),
            _ => Err(format!("values of type {}", self.type_name())),
        }
    }

    fn integers<T: Deserialize + Copy + TryInto<i64>>(&self, bytes: &[u8]) -> Parsed<Values> {
        let integer = |value: T| value.try_into().map_err(|_| format!("an integer above {}", i64::MAX));
        let values = self.in_c_order::<T>(bytes)?.into_iter().map(integer);
        Ok(Values::Integers(values.collect::<Parsed<_>>()?))
    }

    fn floats<T: Deserialize + Copy>(&self, bytes: &[u8], float: impl Fn(T) -> f32) -> Parsed<Values> {
        Ok(Values::Floats(self.in_c_order(bytes)?.into_iter().map(float).collect()))
    }

    /// All values, the last index running fastest.
    fn in_c_order<T: Deserialize + Copy>(&self, bytes: &[u8]) -> Parsed<Vec<T>> {
        let values = NpyFile::with_header(self.0.clone(), bytes).into_vec::<T>().map_err(|error| error.to_string())?;
        match (self.0.order(), self.shape()) {
            (Order::Fortran, &[rows, width]) => {
                let (rows, width) = (rows as usize, width as usize);
                Ok((0..values.len()).map(|index| values[index % width * rows + index / width]).collect())
            }
            (Order::Fortran, [_, _, ..]) => Err(format!("an array in Fortran order of shape {:?}", self.shape())),
            _ => Ok(values),
        }
    }
}

impl Array {
    /// All values as integers; `None` for other types.
    pub fn integers(self) -> Option<Vec<i64>> {
        match self.values {
            Values::Integers(values) => Some(values),
            Values::Floats(_) => None,
        }
    }

    /// All values as `f32`, the last index running fastest.
    pub fn floats(self) -> Vec<f32> {
        match self.values {
            Values::Integers(values) => values.into_iter().map(|value| value as f32).collect(),
            Values::Floats(values) => values,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(text: &str) -> Parsed<Header> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((text.len() as u16).to_le_bytes());
        bytes.extend(text.as_bytes());
        Header::read(&mut &bytes[..]).map(|(header, length)| {
            assert_eq!(length, bytes.len() as u64);
            header
        })
    }

    fn array(descr: &str, order: &str, shape: &str, bytes: &[u8]) -> Parsed<Array> {
        let text = format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
        let header = header(&text)?;
        let values = header.values(bytes)?;
        Ok(Array { header, values })
    }

    #[test]
    fn npy_headers_are_parsed_and_broken_ones_refused() {
        let plain = "{'descr': '<f8', 'fortran_order': False, 'shape': (60, 3), }";
        let shape = |text: &str| header(&plain.replace("(60, 3)", text)).map(|header| header.shape().to_vec());
        assert_eq!(shape("(60, 3)"), Ok(vec![60, 3]));
        assert_eq!(shape("(7,)"), Ok(vec![7]));
        assert_eq!(shape("()"), Ok(vec![]));
        for wrong in ["(-1,)", "(99999999999999999999,)", "((1,),)", "7", "(1", "(1.5,)"] {
            assert!(shape(wrong).is_err_and(|error| error.contains("the header")), "{wrong}");
        }
        for wrong in ["", "{}", "[]", &plain.replace("False", "0")] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
        for nested in ["(".repeat(4000), "{[(".repeat(1300)] {
            assert!(shape(&nested).is_err_and(|error| error.contains("brackets")));
        }
        assert!(shape(&"1".repeat(5000)).is_err_and(|error| error.contains("a header of")));
    }

    #[test]
    fn npy_values_of_all_number_types_and_byte_orders_are_converted() {
        let integers = |descr, shape, bytes: &[u8]| array(descr, "False", shape, bytes).map(Array::integers);
        assert_eq!(integers("<i2", "(2,)", &[254, 255, 3, 0]), Ok(Some(vec![-2, 3])));
        assert_eq!(integers(">i4", "(1,)", &[0, 0, 1, 0]), Ok(Some(vec![256])));
        assert!(integers("<u8", "(1,)", &[255; 8]).is_err_and(|error| error.contains("an integer above")));
        assert_eq!(integers("<f4", "(1,)", &[0; 4]), Ok(None), "floats are no integers");
        let floats = |descr, order, shape, bytes: &[u8]| array(descr, order, shape, bytes).map(Array::floats);
        assert_eq!(floats("|b1", "False", "(2,)", &[0, 1]), Ok(vec![0.0, 1.0]));
        assert_eq!(floats(">f4", "False", "(1,)", &1.5f32.to_be_bytes()), Ok(vec![1.5]));
        assert_eq!(floats("<f8", "False", "(1,)", &(-2.5f64).to_le_bytes()), Ok(vec![-2.5]));
        assert_eq!(floats("|u1", "True", "(2, 3)", &[0, 3, 1, 4, 2, 5]), Ok(vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]));
        for unknown in ["|O", "<U3", "<f2", "|S1", "", "<", "<c8", "<f16"] {
            assert!(floats(unknown, "False", "(0,)", &[]).is_err(), "{unknown}");
        }
        let records = header("{'descr': [('x', '<f8')], 'fortran_order': False, 'shape': (1,), }");
        assert!(records.is_ok_and(|header| header.number_bytes().is_none()));
    }
}
