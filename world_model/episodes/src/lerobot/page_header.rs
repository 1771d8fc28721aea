//! The header of a page of a Parquet table, which is a structure of Thrift's compact protocol.
//!
//! The library keeps its own parser to itself. This one reads the sizes and skips the rest.

use std::io::Read;

/// Deepest nesting of structures; headers have 2.
const MAX_DEPTH: usize = 8;
/// Longest header, bytes: statistics hold values of the column.
const MAX_BYTES: u64 = 64 << 20;

/// Sizes of one page.
#[derive(Debug, Default, PartialEq)]
pub(super) struct PageHeader {
    /// Bytes after the header.
    pub packed: u64,
    /// Bytes of the page in memory.
    pub unpacked: u64,
    /// Bytes at the start of the page that are never compressed (levels, in pages of version 2).
    pub levels: u64,
    /// Whether the rest is compressed.
    pub is_packed: bool,
}

impl PageHeader {
    /// Reads a header; returns its length in bytes as well.
    ///
    /// # Errors
    /// What is wrong, on one line.
    pub fn read(input: &mut impl Read) -> Result<(Self, u64), String> {
        let mut thrift = Thrift { input: input.take(MAX_BYTES), bytes: 0 };
        let mut header = Self { is_packed: true, ..Self::default() };
        let (mut last, mut sizes) = (0, [None; 2]);
        while let Some((field, kind)) = thrift.field(&mut last)? {
            match (field, kind) {
                (2 | 3, INTEGER_32) => sizes[field as usize - 2] = Some(thrift.size()?),
                (8, STRUCTURE) => {
                    let mut last = 0;
                    while let Some((field, kind)) = thrift.field(&mut last)? {
                        match (field, kind) {
                            (5 | 6, INTEGER_32) => header.levels += thrift.size()?,
                            (7, TRUE | FALSE) => header.is_packed = kind == TRUE,
                            _ => thrift.skip(kind, 1)?,
                        }
                    }
                }
                _ => thrift.skip(kind, 0)?,
            }
        }
        let [Some(unpacked), Some(packed)] = sizes else { return Err("a page without sizes".into()) };
        (header.unpacked, header.packed) = (unpacked, packed);
        if header.levels > packed.min(unpacked) {
            return Err(format!("a page of {packed} bytes with {} bytes of levels", header.levels));
        }
        Ok((header, thrift.bytes))
    }
}

const TRUE: u8 = 1;
const FALSE: u8 = 2;
const INTEGER_32: u8 = 5;
const STRUCTURE: u8 = 12;

struct Thrift<R> {
    input: R,
    bytes: u64,
}

impl<R: Read> Thrift<R> {
    fn byte(&mut self) -> Result<u8, String> {
        let mut byte = [0];
        self.input.read_exact(&mut byte).map_err(|_| "a page header that ends too early".to_string())?;
        self.bytes += 1;
        Ok(byte[0])
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 127) << shift;
            if byte < 128 {
                return Ok(value);
            }
        }
        Err("a page header with a number of more than 64 bits".into())
    }

    fn zigzag(&mut self) -> Result<i64, String> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// A number of bytes.
    fn size(&mut self) -> Result<u64, String> {
        let value = self.zigzag()?;
        let size = i32::try_from(value).ok().and_then(|value| u64::try_from(value).ok());
        size.ok_or_else(|| format!("a page of {value} bytes"))
    }

    /// Number and kind of the next field; `None` at the end of the structure. `last` is the number of the one before.
    fn field(&mut self, last: &mut i64) -> Result<Option<(i64, u8)>, String> {
        let byte = self.byte()?;
        if byte == 0 {
            return Ok(None);
        }
        *last = if byte >> 4 == 0 { self.zigzag()? } else { last.saturating_add(i64::from(byte >> 4)) };
        Ok(Some((*last, byte & 15)))
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Result<(), String> {
        if depth == MAX_DEPTH {
            return Err("a page header that is nested too deeply".into());
        }
        match kind {
            TRUE | FALSE => Ok(()),
            3 => self.byte().map(drop),
            4..=6 => self.varint().map(drop),
            7 => self.discard(8),
            8 => {
                let length = self.varint()?;
                self.discard(length)
            }
            9 | 10 => {
                let byte = self.byte()?;
                let count = if byte >> 4 == 15 { self.varint()? } else { u64::from(byte >> 4) };
                (0..count).try_for_each(|_| self.skip_element(byte & 15, depth + 1))
            }
            11 => {
                let count = self.varint()?;
                let kinds = if count > 0 { self.byte()? } else { 0 };
                (0..count).try_for_each(|_| {
                    self.skip_element(kinds >> 4, depth + 1)?;
                    self.skip_element(kinds & 15, depth + 1)
                })
            }
            STRUCTURE => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip(kind, depth + 1)?;
                }
                Ok(())
            }
            _ => Err(format!("a page header with a field of kind {kind}")),
        }
    }

    /// An element of a list, set or map: there a truth value takes a byte.
    fn skip_element(&mut self, kind: u8, depth: usize) -> Result<(), String> {
        if matches!(kind, TRUE | FALSE) { self.byte().map(drop) } else { self.skip(kind, depth) }
    }

    fn discard(&mut self, bytes: u64) -> Result<(), String> {
        let copied = std::io::copy(&mut (&mut self.input).take(bytes), &mut std::io::sink());
        let copied = copied.map_err(|error| error.to_string())?;
        self.bytes += copied;
        if copied == bytes { Ok(()) } else { Err("a page header that ends too early".into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_everything_else_is_skipped() {
        // type 0; sizes 150 and 20; crc; a page of version 2 with statistics, levels of 3 and 4 bytes, not compressed.
        let mut bytes = vec![0x15, 0, 0x15, 0xac, 0x02, 0x15, 40, 0x15, 9, 0x4c];
        bytes.extend([0x15, 2, 0x15, 0, 0x15, 2, 0x15, 0, 0x15, 6, 0x15, 8, 0x12, 0x1c, 0x18, 2, b'a', b'b', 0, 0, 0]);
        bytes.push(99);
        let (header, length) = PageHeader::read(&mut &bytes[..]).unwrap();
        assert_eq!(header, PageHeader { packed: 20, unpacked: 150, levels: 7, is_packed: false });
        assert_eq!(length as usize, bytes.len() - 1);
        for end in 0..bytes.len() - 1 {
            assert!(PageHeader::read(&mut &bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn negative_sizes_and_deep_nesting_are_refused() {
        assert!(PageHeader::read(&mut &[0x25, 1, 0x15, 2, 0][..]).unwrap_err().contains("-1 bytes"));
        assert!(PageHeader::read(&mut &[0x1c; 100][..]).unwrap_err().contains("nested"));
        assert!(PageHeader::read(&mut &[0][..]).unwrap_err().contains("without sizes"));
    }
}
