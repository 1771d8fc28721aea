//! The bytes of an HDF5 file as its structures refer to them: by address, in numbers of the file's widths.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use hdf5_pure::Superblock;
use mindseye_interface::inputs;

/// Largest structure that is read at once, bytes.
pub(super) const MAX_BYTES: u64 = 64 << 20;
/// Most bytes that are read from a file: a small one can lead in circles.
const MAX_READ: u64 = 4 << 30;

/// The result of a parser: what is broken, in words.
pub(super) type Parsed<T> = Result<T, String>;

/// An open file.
pub(super) struct FileBytes {
    file: File,
    bytes: u64,
    base: u64,
    /// Bytes of an address, and of a length.
    widths: [usize; 2],
    /// Bytes that were read.
    spent: u64,
}

impl FileBytes {
    /// Opens the file at `path`.
    pub fn open(path: &Path, superblock: &Superblock) -> Parsed<Self> {
        let file = inputs::open(path, u64::MAX).map_err(|error| error.to_string())?;
        let bytes = file.metadata().map_err(|error| error.to_string())?.len();
        let widths = [superblock.offset_size, superblock.length_size].map(usize::from);
        Ok(Self { file, bytes, base: superblock.base_address.get(), widths, spent: 0 })
    }

    /// `length` bytes at `address`.
    pub fn read(&mut self, address: u64, length: u64) -> Parsed<Vec<u8>> {
        self.spent = self.spent.saturating_add(length).saturating_add(64);
        if self.spent > MAX_READ {
            return Err("more links than are followed".into());
        }
        let place = self.base.checked_add(address).filter(|place| place.saturating_add(length) <= self.bytes);
        let Some(place) = place.filter(|_| length <= MAX_BYTES) else {
            return Err(format!("{length} bytes at {address} of {}", self.bytes));
        };
        let mut bytes = vec![0; length as usize];
        self.file.seek(SeekFrom::Start(place)).map_err(|error| error.to_string())?;
        self.file.read_exact(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    /// Widths of addresses and lengths, bytes.
    pub fn widths(&self) -> [usize; 2] {
        self.widths
    }

    /// Whether an address leads anywhere.
    pub fn is_defined(&self, address: u64) -> bool {
        address != u64::MAX >> (64 - 8 * self.widths[0].clamp(1, 8))
    }
}

/// Bytes that are taken from the front.
pub(super) struct Bytes<'a> {
    rest: &'a [u8],
    widths: [usize; 2],
}

impl<'a> Bytes<'a> {
    pub fn of(rest: &'a [u8], widths: [usize; 2]) -> Self {
        Self { rest, widths }
    }

    pub fn left(&self) -> usize {
        self.rest.len()
    }

    pub fn take(&mut self, count: usize) -> Parsed<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or("a structure that ends too early")?;
        self.rest = rest;
        Ok(taken)
    }

    /// A little-endian number of `width` bytes, at most 8.
    pub fn number(&mut self, width: usize) -> Parsed<u64> {
        Ok(self.take(width)?.iter().take(8).rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    pub fn address(&mut self) -> Parsed<u64> {
        self.number(self.widths[0])
    }

    pub fn length(&mut self) -> Parsed<u64> {
        self.number(self.widths[1])
    }

    pub fn expect(&mut self, signature: &[u8]) -> Parsed<()> {
        let found = self.take(signature.len())? == signature;
        if found { Ok(()) } else { Err(format!("no signature {}", String::from_utf8_lossy(signature))) }
    }
}
