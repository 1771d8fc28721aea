//! Boxes of an mp4 file (ISO/IEC 14496-12, 4.2) and the fields in them.
//!
//! Whatever the bytes are, nothing here panics, and no more is allocated than the file has bytes.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// Most bytes of the index (`moov` and all `moof`); a larger one is taken for a broken file.
const MAX_INDEX_BYTES: u64 = 256 << 20;

/// What is wrong with an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    /// Part of the index.
    pub field: String,
    pub expected: String,
    pub got: String,
}

impl Fault {
    pub fn new(field: impl Into<String>, expected: impl ToString, got: impl ToString) -> Self {
        Self { field: field.into(), expected: expected.to_string(), got: got.to_string() }
    }

    /// A box that is missing, or shorter than its fields.
    pub fn broken(name: &str) -> Self {
        Self::new(format!("video index {name}"), "a complete box", "none, or one that is cut off")
    }
}

/// Bytes that are read field by field, most significant byte first; `None` beyond the end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    pub fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_be_bytes)
    }

    pub fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// A number of 8 bytes if `wide`, otherwise of 4.
    pub fn either(&mut self, wide: bool) -> Option<u64> {
        if wide { self.u64() } else { self.u32().map(u64::from) }
    }

    /// The version and the flags at the start of a full box.
    pub fn version(&mut self) -> Option<(u8, u32)> {
        let word = self.u32()?;
        Some(((word >> 24) as u8, word & 0xff_ffff))
    }
}

/// The boxes in a part of the index: name and content. Ends at a box that does not fit.
#[derive(Debug, Clone)]
pub(super) struct Boxes<'a>(pub &'a [u8]);

impl<'a> Iterator for Boxes<'a> {
    type Item = ([u8; 4], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut fields = Fields(self.0);
        let (size, name) = (fields.u32()?, fields.array::<4>()?);
        let length = match size {
            0 => self.0.len(),
            1 => usize::try_from(fields.u64()?).ok()?,
            size => size as usize,
        };
        let header = self.0.len() - fields.0.len();
        let content = self.0.get(header..length)?;
        self.0 = self.0.get(length..)?;
        Some((name, content))
    }
}

/// The first box called `name` in `content`.
pub(super) fn child<'a>(content: &'a [u8], name: &[u8; 4]) -> Option<&'a [u8]> {
    Boxes(content).find(|(found, _)| found == name).map(|(_, content)| content)
}

/// The box at the end of a path of names.
pub(super) fn descendant<'a>(content: &'a [u8], names: &[&[u8; 4]]) -> Option<&'a [u8]> {
    names.iter().try_fold(content, |content, name| child(content, name))
}

/// The index of a file.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Content of `moov`.
    pub movie: Vec<u8>,
    /// Offset of each fragment (`moof`) in the file, and its content.
    pub fragments: Vec<(u64, Vec<u8>)>,
}

impl Index {
    /// Reads the index of a file of `bytes` bytes; `Ok(None)` if there is none.
    pub fn read(file: &mut File, bytes: u64) -> std::io::Result<Option<Self>> {
        let (mut index, mut found, mut left) = (Self::default(), false, MAX_INDEX_BYTES);
        let mut place = 0u64;
        while bytes.saturating_sub(place) >= 8 {
            file.seek(SeekFrom::Start(place))?;
            let mut header = [0; 16];
            let known = if bytes - place >= 16 { 16 } else { 8 };
            file.read_exact(&mut header[..known])?;
            let mut fields = Fields(&header);
            let (size, name) = (u64::from(fields.u32().unwrap_or(0)), fields.array::<4>().unwrap_or_default());
            let (size, header) = match size {
                0 => (bytes - place, 8),
                1 => (fields.u64().unwrap_or(0), 16),
                size => (size, 8),
            };
            // A box of samples may be cut off: samples beyond the end are refused by their numbers.
            let Some(end) = place.checked_add(size).filter(|end| size >= header && *end <= bytes) else { break };
            if name == *b"moov" || name == *b"moof" {
                left = left.checked_sub(size).ok_or_else(|| {
                    std::io::Error::other(format!("an index of more than {} MiB", MAX_INDEX_BYTES >> 20))
                })?;
                file.seek(SeekFrom::Start(place + header))?;
                let mut content = vec![0; (size - header) as usize];
                file.read_exact(&mut content)?;
                if name == *b"moof" {
                    index.fragments.push((place, content));
                } else if !found {
                    (index.movie, found) = (content, true);
                }
            }
            place = end;
        }
        Ok(found.then_some(index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_of_all_three_forms_of_size_are_found_and_those_that_do_not_fit_end_the_list() {
        let short = [0, 0, 0, 10, b'a', b'a', b'a', b'a', 1, 2];
        let long = [&[0, 0, 0, 1][..], b"bbbb", &17u64.to_be_bytes(), &[3]].concat();
        let to_the_end = [&[0, 0, 0, 0][..], b"cccc", &[4, 5, 6]].concat();
        let all = [&short[..], &long, &to_the_end].concat();
        let found: Vec<_> = Boxes(&all).collect();
        assert_eq!(found, [(*b"aaaa", &[1, 2][..]), (*b"bbbb", &[3]), (*b"cccc", &[4, 5, 6])]);
        assert_eq!(child(&all, b"bbbb"), Some(&[3][..]));
        for broken in [&all[..9], &[0, 0, 0, 7, b'a', b'a', b'a', b'a'][..], &[0, 0, 0, 1, 9, 9, 9, 9, 255][..]] {
            assert_eq!(Boxes(broken).count(), 0, "{broken:?}");
        }
    }
}
