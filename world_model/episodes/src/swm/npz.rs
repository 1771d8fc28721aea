//! npz files: a zip archive of arrays, as `numpy.savez` and `numpy.savez_compressed` write it.
//!
//! An array begins with `\x93NUMPY`, two bytes of version, the length of a text (two bytes, from version 2 on four, little-endian), and the text, a
//! Python dictionary with the members `descr`, `fortran_order` and `shape` (NEP 1). Its values follow, plain.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use zip::ZipArchive;

use crate::{Error, Result};

/// The array's name where none was given to `numpy.savez`.
const USUAL: &str = "arr_0.npy";
/// Texts that are believed to be one; numpy's are of 118 bytes.
const MOST_HEADER_BYTES: usize = 1 << 12;
/// Columns that are held in memory.
const MOST_BYTES: u64 = 2 << 30;

/// What an array says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Type of a value: byte order, kind and bytes, for example `<f4`.
    pub descr: String,
    /// Whether the first index runs fastest.
    fortran: bool,
    /// For example `[N, width]`.
    pub shape: Vec<u64>,
}

/// The only array of an npz file, or `arr_0` of several.
#[derive(Debug)]
pub(super) struct Array {
    pub header: Header,
    /// As they lie in the file.
    bytes: Vec<u8>,
}

/// Reads what the array in `path` says of itself.
pub(super) fn read_header(path: &Path) -> Result<Header> {
    with_member(path, |member, _| Header::read(member).map(|(header, _)| header))
}

/// Reads the array in `path`; what it says is compared with what there is before memory is taken.
pub(super) fn read(path: &Path) -> Result<Array> {
    with_member(path, |member, size| {
        let (header, header_bytes) = Header::read(member)?;
        let kind = header.kind().ok_or_else(|| format!("values of type {}", header.descr))?;
        let values = header.shape.iter().try_fold(1u64, |all, side| all.checked_mul(*side));
        let wanted = values.and_then(|values| values.checked_mul(kind.bytes as u64));
        let there = size.saturating_sub(header_bytes);
        let Some(wanted) = wanted.filter(|wanted| *wanted == there) else {
            return Err(format!("{:?} values of {} bytes in {there} bytes", header.shape, kind.bytes));
        };
        if wanted > MOST_BYTES {
            return Err(format!("{wanted} bytes (at most {MOST_BYTES} are held in memory)"));
        }
        // Grows with what comes, whatever was promised; asking for one byte more makes the archive's check sum count.
        let mut bytes = Vec::new();
        member.take(wanted + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        if bytes.len() as u64 != wanted {
            return Err(format!("{} bytes of values where {wanted} were promised", bytes.len()));
        }
        Ok(Array { header, bytes })
    })
}

/// Calls `read` with the array's member of the archive at `path` and its unpacked size.
fn with_member<T>(path: &Path, read: impl FnOnce(&mut dyn Read, u64) -> std::result::Result<T, String>) -> Result<T> {
    let file = File::open(path).map_err(|error| Error::file(path, "opening", error))?;
    let broken = |error: zip::result::ZipError| Error::file(path, "reading npz", error);
    let mut archive = ZipArchive::new(BufReader::new(file)).map_err(broken)?;
    let index = match archive.index_for_name(USUAL) {
        Some(index) => index,
        None if archive.len() == 1 => 0,
        None => return Err(Error::content(path, "arrays", "arr_0 or a single one", archive.len())),
    };
    let mut member = archive.by_index(index).map_err(broken)?;
    let size = member.size();
    read(&mut member, size).map_err(|got| Error::content(path, "array", "numbers as numpy.savez writes them", got))
}

/// What a value is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Kind {
    big_endian: bool,
    letter: u8,
    bytes: usize,
}

impl Header {
    /// Reads from the beginning of an array; says how many bytes that took, too.
    fn read(from: &mut dyn Read) -> std::result::Result<(Self, u64), String> {
        let mut exactly = |count: usize| -> std::result::Result<Vec<u8>, String> {
            let mut bytes = vec![0; count];
            from.read_exact(&mut bytes).map_err(|error| error.to_string())?;
            Ok(bytes)
        };
        let magic = exactly(8)?;
        if !magic.starts_with(b"\x93NUMPY") {
            return Err("something else than an array of numpy".into());
        }
        let size_bytes = if magic[6] == 1 { 2 } else { 4 };
        let length = exactly(size_bytes)?.iter().rev().fold(0, |length, byte| length << 8 | usize::from(*byte));
        if length > MOST_HEADER_BYTES {
            return Err(format!("a header of {length} bytes"));
        }
        let text = String::from_utf8_lossy(&exactly(length)?).trim_end().to_owned();
        let header = Self::parse(&text).ok_or_else(|| format!("the header {text}"))?;
        Ok((header, (8 + size_bytes + length) as u64))
    }

    /// Only what numpy writes for arrays of one type; records, which are lists of types, are none.
    fn parse(text: &str) -> Option<Self> {
        let member = |name: &str| Some(text.split_once(&format!("'{name}':"))?.1.trim_start());
        let descr = member("descr")?.strip_prefix('\'')?.split_once('\'')?.0;
        let fortran = match member("fortran_order")?.split_once(|next: char| !next.is_alphabetic())?.0 {
            "True" => true,
            "False" => false,
            _ => return None,
        };
        let sides = member("shape")?.strip_prefix('(')?.split_once(')')?.0;
        let sides = sides.split(',').map(str::trim).filter(|side| !side.is_empty());
        let shape = sides.map(str::parse).collect::<std::result::Result<_, _>>().ok()?;
        Some(Self { descr: descr.to_owned(), fortran, shape })
    }

    /// `None` for what is no number (texts, objects) and for halves.
    fn kind(&self) -> Option<Kind> {
        let (order, rest) = self.descr.split_at_checked(1)?;
        let (letter, bytes) = rest.split_at_checked(1)?;
        let kind = Kind { big_endian: order == ">", letter: rest.bytes().next()?, bytes: bytes.parse().ok()? };
        let known = match letter {
            "f" => matches!(kind.bytes, 4 | 8),
            "i" | "u" => matches!(kind.bytes, 1 | 2 | 4 | 8),
            "b" => kind.bytes == 1,
            _ => false,
        };
        (known && matches!(order, "<" | ">" | "|" | "=")).then_some(kind)
    }

    /// The type of a value as other formats call it: `f32`, `i64`, `bool`; numpy's own name for what is no number.
    pub fn type_name(&self) -> String {
        match self.kind() {
            Some(Kind { letter: b'b', .. }) => "bool".into(),
            Some(Kind { letter, bytes, .. }) => format!("{}{}", char::from(letter), 8 * bytes),
            None => self.descr.clone(),
        }
    }
}

impl Array {
    /// All values as whole numbers; `None` when they are none.
    pub fn wholes(&self) -> Option<Vec<i64>> {
        let kind = self.header.kind().filter(|kind| matches!(kind.letter, b'i' | b'u'))?;
        let values = self.bytes.chunks_exact(kind.bytes).map(|bytes| match kind.letter {
            b'i' => Some(kind.signed(bytes)),
            _ => i64::try_from(kind.word(bytes)).ok(),
        });
        values.collect()
    }

    /// All values, the last index running fastest; `None` when they are no numbers.
    pub fn floats(&self) -> Option<Vec<f32>> {
        let kind = self.header.kind()?;
        let float = |bytes: &[u8]| match (kind.letter, kind.bytes) {
            (b'f', 4) => f32::from_bits(kind.word(bytes) as u32),
            (b'f', _) => f64::from_bits(kind.word(bytes)) as f32,
            (b'i', _) => kind.signed(bytes) as f32,
            _ => kind.word(bytes) as f32,
        };
        let values: Vec<f32> = self.bytes.chunks_exact(kind.bytes).map(float).collect();
        match (self.header.fortran, &self.header.shape[..]) {
            (true, &[rows, width]) => {
                let (rows, width) = (rows as usize, width as usize);
                let at = |index: usize| values[index % width * rows + index / width];
                Some((0..values.len()).map(at).collect())
            }
            (true, [_, _, ..]) => None,
            _ => Some(values),
        }
    }
}

impl Kind {
    fn word(self, bytes: &[u8]) -> u64 {
        let add = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
        if self.big_endian { bytes.iter().fold(0, add) } else { bytes.iter().rev().fold(0, add) }
    }

    fn signed(self, bytes: &[u8]) -> i64 {
        let unused = 64 - 8 * self.bytes as u32;
        (self.word(bytes) << unused) as i64 >> unused
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(descr: &str, fortran: bool, shape: &[u64], bytes: &[u8]) -> Array {
        Array { header: Header { descr: descr.into(), fortran, shape: shape.into() }, bytes: bytes.into() }
    }

    #[test]
    fn headers_are_read_and_what_is_no_plain_array_is_not() {
        let plain = "{'descr': '<f8', 'fortran_order': False, 'shape': (60, 3), }";
        let expected = Header { descr: "<f8".into(), fortran: false, shape: vec![60, 3] };
        assert_eq!(Header::parse(plain), Some(expected));
        let shape = |text: &str| Header::parse(&plain.replace("(60, 3)", text)).map(|header| header.shape);
        assert_eq!(shape("(7,)"), Some(vec![7]));
        assert_eq!(shape("()"), Some(vec![]));
        for wrong in ["(-1,)", "(99999999999999999999,)", "((1,),)", "7", "(1", "(1.5,)"] {
            assert_eq!(shape(wrong), None, "{wrong}");
        }
        for wrong in ["", "{}", "[]", &plain.replace("'<f8'", "[('x', '<f8')]"), &plain.replace("False", "0")] {
            assert_eq!(Header::parse(wrong), None, "{wrong}");
        }
        assert_eq!(shape(&"(".repeat(4000)), None);
    }

    #[test]
    fn numbers_of_all_kinds_and_orders_come_out() {
        assert_eq!(array("<i2", false, &[2], &[254, 255, 3, 0]).wholes(), Some(vec![-2, 3]));
        assert_eq!(array(">i4", false, &[1], &[0, 0, 1, 0]).wholes(), Some(vec![256]));
        assert_eq!(array("<u8", false, &[1], &[255; 8]).wholes(), None);
        assert_eq!(array("|b1", false, &[2], &[0, 1]).floats(), Some(vec![0.0, 1.0]));
        assert_eq!(array(">f4", false, &[1], &1.5f32.to_be_bytes()).floats(), Some(vec![1.5]));
        assert_eq!(array("<f8", false, &[1], &(-2.5f64).to_le_bytes()).floats(), Some(vec![-2.5]));
        assert_eq!(array("|u1", true, &[2, 3], &[0, 3, 1, 4, 2, 5]).floats(), Some(vec![0., 1., 2., 3., 4., 5.]));
        for unknown in ["|O", "<U3", "<f2", "|S1", "", "é", "<", "<c8", "<f16"] {
            assert_eq!(array(unknown, false, &[0], &[]).floats(), None, "{unknown}");
        }
    }
}
