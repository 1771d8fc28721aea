//! Columns compressed by Blosc (HDF5 filter 32001) with LZ4 and byte shuffle, as in stable-worldmodel's older recorder.
//!
//! A chunk is a 16-byte header (version, LZ4 version, flags, size of a value; then total, block and compressed size as
//! little-endian `u32`), the offsets of its blocks, and the blocks, each split into streams with their own compressed
//! lengths (Blosc 1 format, `README_HEADER.rst` of c-blosc).

use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use hdf5_pure::{DType, Dataset as Column};
use mindseye_interface::inputs;

use crate::{Error, Result};

/// Blosc's number among HDF5's filters.
const FILTER: u16 = 32_001;
/// Largest chunk, bytes; a larger one is taken for a broken file.
const MAX_CHUNK_BYTES: usize = 1 << 30;

/// Whether `column` is compressed by Blosc.
pub(super) fn is_used(column: &Column) -> bool {
    column.filters().contains(&FILTER)
}

/// Bytes of rows `start..start + count` of `column`, which is chunked along its first axis only, in the file at `path`.
///
/// # Errors
/// [`Error::Content`] for other layouts and for broken chunks.
pub(super) fn read_rows(column: &Column, path: &Path, start: u64, count: u64) -> Result<Vec<u8>> {
    let broken = |error: hdf5_pure::Error| Error::file(path, "reading HDF5", error);
    let refused = |expected: &str, got: String| Error::content(path, "Blosc column", expected, got);
    let (shape, element) = (column.shape().map_err(broken)?, column.element_size().map_err(broken)?);
    let chunk_shape = column.chunk_shape().map_err(broken)?.unwrap_or_default();
    if column.filters() != [FILTER] || chunk_shape.get(1..) != shape.get(1..) || chunk_shape.is_empty() {
        let got = format!("filters {:?}, chunks of {chunk_shape:?} of {shape:?}", column.filters());
        return Err(refused("whole rows through Blosc alone", got));
    }
    let row = shape[1..].iter().try_fold(element, |bytes, side| bytes.checked_mul(*side));
    let chunk = row.and_then(|row| row.checked_mul(chunk_shape[0]));
    let sizes = row.zip(chunk).filter(|(_, chunk)| (1..=MAX_CHUNK_BYTES as u64).contains(chunk));
    let Some((row, chunk)) = sizes else { return Err(refused("chunks of at most 1 GiB", format!("{chunk_shape:?}"))) };
    let mut bytes = vec![0; (count * row) as usize];
    let mut file = inputs::open(path, u64::MAX).map_err(|error| Error::file(path, "opening", error))?;
    for part in column.chunks().map_err(broken)? {
        let first = part.offset.first().copied().unwrap_or(0);
        let (from, to) = (first.max(start), (first + chunk_shape[0]).min(start + count));
        if from >= to {
            continue;
        }
        if part.storage_size as usize > MAX_CHUNK_BYTES {
            return Err(refused("chunks of at most 1 GiB", format!("{} bytes", part.storage_size)));
        }
        let mut stored = vec![0; part.storage_size as usize];
        file.seek(SeekFrom::Start(part.address))
            .and_then(|_| file.read_exact(&mut stored))
            .map_err(|error| Error::file(path, "reading a chunk", error))?;
        let rows = if part.filter_mask & 1 == 1 { Ok(stored) } else { decompress(&stored, chunk as usize) };
        let rows = rows.map_err(|reason| refused("a chunk of Blosc with LZ4", format!("{reason} at row {first}")))?;
        let place = |row_number: u64| (row_number * row) as usize;
        let source = rows.get(place(from - first)..place(to - first));
        let source = source.ok_or_else(|| refused("whole chunks", format!("{} bytes at row {first}", rows.len())))?;
        bytes[place(from - start)..place(to - start)].copy_from_slice(source);
    }
    Ok(bytes)
}

/// Little-endian numbers of `kind` as `f32`; `None` for other types than floats.
pub(super) fn floats(bytes: &[u8], kind: &DType) -> Option<Vec<f32>> {
    match kind {
        DType::F32 => Some(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        DType::F64 => Some(bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()),
        _ => None,
    }
}

/// The `expected` bytes of a compressed chunk.
fn decompress(chunk: &[u8], expected: usize) -> std::result::Result<Vec<u8>, String> {
    const SHUFFLED: u8 = 1;
    const STORED: u8 = 2;
    const BITS_SHUFFLED: u8 = 4;
    const NOT_SPLIT: u8 = 16;
    const LZ4: u8 = 1;
    let short = || String::from("a chunk that ends too early");
    let number = |place: usize| -> std::result::Result<usize, String> {
        let bytes = chunk.get(place..place + 4).and_then(|bytes| bytes.as_array()).ok_or_else(short)?;
        Ok(u32::from_le_bytes(*bytes) as usize)
    };
    let header = chunk.get(..16).ok_or_else(short)?;
    let (flags, value_size) = (header[2], usize::from(header[3]));
    let (whole, block) = (number(4)?, number(8)?);
    if whole != expected || value_size == 0 || (block == 0 && whole > 0) {
        return Err(format!("{whole} bytes where {expected} were expected"));
    }
    if flags & STORED != 0 {
        return chunk.get(16..16 + whole).map(<[u8]>::to_vec).ok_or_else(short);
    }
    if flags >> 5 != LZ4 || flags & BITS_SHUFFLED != 0 {
        return Err(format!("flags {flags:#x} (LZ4 with byte shuffle can be read)"));
    }
    let mut bytes = Vec::with_capacity(whole);
    for index in 0..whole.div_ceil(block.max(1)) {
        let size = block.min(whole - bytes.len());
        let leftover = size < block;
        // A split stream holds one byte of every value. The last, shorter block is never split.
        let split = flags & NOT_SPLIT == 0 && !leftover && value_size <= 16 && block / value_size >= 128;
        let streams = if split { value_size } else { 1 };
        let mut place = number(16 + 4 * index)?;
        let mut decompressed = Vec::with_capacity(size);
        for _ in 0..streams {
            let (length, stream) = (number(place)?, size / streams);
            let packed = place.checked_add(4).and_then(|from| chunk.get(from..from.checked_add(length)?));
            let packed = packed.ok_or_else(short)?;
            if length == stream {
                decompressed.extend_from_slice(packed); // stored uncompressed
            } else {
                decompressed.extend(lz4_flex::block::decompress(packed, stream).map_err(|error| error.to_string())?);
            }
            place += 4 + length;
        }
        if decompressed.len() != size {
            return Err(format!("a block of {} bytes where {size} were expected", decompressed.len()));
        }
        if flags & SHUFFLED != 0 && value_size > 1 {
            decompressed = unshuffled(&decompressed, value_size);
        }
        bytes.extend_from_slice(&decompressed);
    }
    Ok(bytes)
}

/// Undoes the byte shuffle: in `bytes`, the first bytes of all values of `size` bytes come first, then the second ones,
/// and so on. An incomplete value at the end is not shuffled.
fn unshuffled(bytes: &[u8], size: usize) -> Vec<u8> {
    let count = bytes.len() / size;
    let mut values = Vec::with_capacity(bytes.len());
    for value in 0..count {
        values.extend((0..size).map(|byte| bytes[byte * count + value]));
    }
    values.extend_from_slice(&bytes[count * size..]);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unshuffling_restores_the_bytes_of_each_value() {
        assert_eq!(unshuffled(&[1, 3, 5, 2, 4, 6, 9], 2), [1, 2, 3, 4, 5, 6, 9]);
    }

    #[test]
    fn broken_chunks_are_refused() {
        for chunk in
            [&[][..], &[2, 1, 0x21, 1][..], &[2, 1, 0x21, 1, 9, 0, 0, 0, 9, 0, 0, 0, 30, 0, 0, 0, 20, 0, 0, 0][..]]
        {
            assert!(decompress(chunk, 9).is_err());
        }
        let stored = [&[2, 1, 2, 1, 3, 0, 0, 0, 3, 0, 0, 0, 19, 0, 0, 0][..], &[7, 8, 9]].concat();
        assert_eq!(decompress(&stored, 3), Ok(vec![7, 8, 9]));
        assert!(decompress(&stored, 4).is_err());
    }
}
