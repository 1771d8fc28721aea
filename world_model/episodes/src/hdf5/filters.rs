//! Columns whose chunks are compressed by filters that the HDF5 library of this crate lacks: Blosc, LZ4, Zstandard and
//! bitshuffle, as h5py and hdf5plugin write them. Their chunks are read and unpacked here.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::Path;

use hdf5_pure::{Chunk, DType, Dataset, Filter};
use mindseye_interface::inputs;

use super::{bitshuffle, blosc};
use crate::{Error, Result};

const DEFLATE: u16 = 1;
const SHUFFLE: u16 = 2;
/// A checksum behind the chunk.
const FLETCHER_32: u16 = 3;
const BLOSC: u16 = 32_001;
const LZ4: u16 = 32_004;
const BITSHUFFLE: u16 = 32_008;
const ZSTD: u16 = 32_015;
/// Filters that the library has: deflate, shuffle, Fletcher-32, scale-offset, LZF.
const OF_LIBRARY: [u16; 5] = [DEFLATE, SHUFFLE, FLETCHER_32, 6, 32_000];
/// Filters that are read here.
const OF_THIS_MODULE: [u16; 4] = [BLOSC, LZ4, BITSHUFFLE, ZSTD];
/// Names of registered filters that cannot be read.
const NAMES: [(u16, &str); 9] = [
    (4, "szip"),
    (5, "n-bit"),
    (307, "bzip2"),
    (32_013, "ZFP"),
    (32_017, "SZ"),
    (32_024, "SZ3"),
    (32_018, "FCIDECOMP"),
    (32_026, "Blosc2"),
    (32_028, "SPERR"),
];
/// Largest chunk, bytes; a larger one is taken for a broken file.
const MAX_CHUNK_BYTES: u64 = 1 << 30;

/// Whether the chunks of `column` are unpacked here.
pub(super) fn are_used(column: &Dataset) -> bool {
    column.filters().iter().any(|id| OF_THIS_MODULE.contains(id))
}

/// Largest ratio at which the filters of `column` can compress.
pub(super) fn largest_ratio(column: &Dataset) -> u64 {
    match &column.filters()[..] {
        [] => 1,
        filters if filters.iter().any(|id| [BLOSC, BITSHUFFLE, ZSTD].contains(id)) => 1 << 15,
        _ => 1100, // deflate reaches 1032
    }
}

/// The name of the first filter of `column` that nobody here knows.
pub(super) fn unknown(column: &Dataset) -> Option<String> {
    let unknown = |filter: &Filter| !OF_LIBRARY.contains(&filter.id) && !OF_THIS_MODULE.contains(&filter.id);
    let filter = column.filter_pipeline().into_iter().find(unknown)?;
    let known = NAMES.iter().find(|(id, _)| *id == filter.id).map(|(_, name)| String::from(*name));
    let name = known.or(filter.name).unwrap_or_else(|| "an unknown filter".into());
    Some(format!("{name} (HDF5 filter {})", filter.id))
}

/// Bytes of rows `start..start + count` of `column` in the file at `path`.
///
/// # Errors
/// [`Error::Content`] for filters that are not read together, and for broken chunks.
pub(super) fn read_rows(column: &Dataset, path: &Path, name: &str, start: u64, count: u64) -> Result<Vec<u8>> {
    let broken = |error: hdf5_pure::Error| Error::file(path, "reading HDF5", error);
    let refused = |expected: &str, got: String| Error::content(path, name, expected, got);
    let (shape, element) = (column.shape().map_err(broken)?, column.element_size().map_err(broken)?);
    let chunk = column.chunk_shape().map_err(broken)?.unwrap_or_default();
    let chunk_bytes = chunk.iter().try_fold(element, |bytes, side| bytes.checked_mul(*side));
    let chunk_bytes = chunk_bytes.filter(|bytes| (1..=MAX_CHUNK_BYTES).contains(bytes));
    let Some(chunk_bytes) = chunk_bytes.filter(|_| !shape.is_empty() && chunk.len() == shape.len()) else {
        return Err(refused("chunks of at most 1 GiB", format!("{chunk:?} of {shape:?}")));
    };
    let row = shape[1..].iter().try_fold(element, |bytes, side| bytes.checked_mul(*side));
    let all = row.and_then(|row| usize::try_from(row.checked_mul(count)?).ok());
    let Some(all) = all else { return Err(refused("rows that fit in memory", format!("{shape:?}"))) };
    let mut bytes = vec![0; all];
    let filters = column.filter_pipeline();
    let mut file = inputs::open(path, u64::MAX).map_err(|error| Error::file(path, "opening", error))?;
    for part in column.chunks().map_err(broken)? {
        let first = part.offset.first().copied().unwrap_or(0);
        if part.offset.len() != shape.len()
            || first >= start.saturating_add(count)
            || first.saturating_add(chunk[0]) <= start
        {
            continue;
        }
        let stored = stored_bytes(&mut file, &part).map_err(|error| Error::file(path, "reading a chunk", error))?;
        let unpacked = unpack(stored, &filters, part.filter_mask, chunk_bytes as usize, element as usize);
        let unpacked = unpacked.map_err(|reason| refused("whole chunks", format!("{reason} at row {first}")))?;
        if unpacked.len() as u64 != chunk_bytes {
            return Err(refused("whole chunks", format!("{} bytes at row {first}", unpacked.len())));
        }
        place(&unpacked, &part.offset, [&chunk, &shape], element as usize, start..start + count, &mut bytes);
    }
    Ok(bytes)
}

fn stored_bytes(file: &mut File, part: &Chunk) -> std::io::Result<Vec<u8>> {
    if part.storage_size > MAX_CHUNK_BYTES {
        return Err(std::io::Error::other(format!("{} bytes (at most 1 GiB are read)", part.storage_size)));
    }
    file.seek(SeekFrom::Start(part.address))?;
    let mut stored = Vec::new();
    file.take(part.storage_size).read_to_end(&mut stored)?;
    Ok(stored)
}

/// Undoes `filters` on a chunk of `expected` bytes and values of `element` bytes; those whose bit is in `skipped` were
/// not applied.
fn unpack(
    mut bytes: Vec<u8>,
    filters: &[Filter],
    skipped: u32,
    expected: usize,
    element: usize,
) -> std::result::Result<Vec<u8>, String> {
    for (number, filter) in filters.iter().enumerate().rev() {
        if number < 32 && skipped >> number & 1 == 1 {
            continue;
        }
        bytes = match filter.id {
            BLOSC => blosc::decompress(&bytes, expected)?,
            LZ4 => unpack_lz4(&bytes, expected)?,
            ZSTD => zstd::bulk::decompress(&bytes, expected).map_err(|error| error.to_string())?,
            BITSHUFFLE => bitshuffle::unpack(&bytes, &filter.client_data, expected, element)?,
            SHUFFLE => blosc::unshuffled(&bytes, element.max(1)),
            DEFLATE => {
                let mut unpacked = Vec::new();
                let mut reader = flate2::read::ZlibDecoder::new(&bytes[..]).take(expected as u64 + 1);
                reader.read_to_end(&mut unpacked).map_err(|error| error.to_string())?;
                unpacked
            }
            FLETCHER_32 => bytes.get(..bytes.len().saturating_sub(4)).unwrap_or_default().to_vec(),
            other => return Err(format!("filter {other}")),
        };
    }
    Ok(bytes)
}

/// The LZ4 filter: the size and the block size as big-endian numbers of 8 and 4 bytes, then each block with its
/// packed size in 4 bytes; a block of its own size is not packed.
fn unpack_lz4(packed: &[u8], expected: usize) -> std::result::Result<Vec<u8>, String> {
    let short = || String::from("a chunk that ends too early");
    let (size, rest) = packed.split_first_chunk::<8>().ok_or_else(short)?;
    let (block, mut rest) = rest.split_first_chunk::<4>().ok_or_else(short)?;
    let (size, block) = (u64::from_be_bytes(*size), u32::from_be_bytes(*block) as usize);
    if size != expected as u64 || block == 0 {
        return Err(format!("{size} bytes where {expected} were expected"));
    }
    let mut bytes = Vec::with_capacity(expected);
    while bytes.len() < expected {
        let length = block.min(expected - bytes.len());
        let (packed, after) = rest.split_first_chunk::<4>().ok_or_else(short)?;
        let packed = after.split_at_checked(u32::from_be_bytes(*packed) as usize).ok_or_else(short)?;
        rest = packed.1;
        if packed.0.len() == length {
            bytes.extend_from_slice(packed.0);
        } else {
            bytes.extend(lz4_flex::block::decompress(packed.0, length).map_err(|error| error.to_string())?);
        }
    }
    Ok(bytes)
}

/// Copies what a chunk at `offset` has of `rows` to `target`, which is those rows of a column of `shape`.
fn place(
    chunk: &[u8],
    offset: &[u64],
    [chunk_shape, shape]: [&[u64]; 2],
    element: usize,
    rows: Range<u64>,
    target: &mut [u8],
) {
    // The part of the chunk within the rows, in each dimension: an edge chunk is longer than the column.
    let mut part = Vec::with_capacity(shape.len());
    for (axis, (&first, &side)) in offset.iter().zip(chunk_shape).enumerate() {
        let bounds = if axis == 0 { rows.clone() } else { 0..shape[axis] };
        let (from, to) = (first.max(bounds.start), (first.saturating_add(side)).min(bounds.end));
        if from >= to {
            return;
        }
        part.push(from - first..to - first);
    }
    let last = shape.len() - 1;
    let run = (part[last].end - part[last].start) as usize * element;
    let mut index: Vec<u64> = part.iter().map(|range| range.start).collect();
    loop {
        let (mut from, mut to) = (0usize, 0usize);
        for axis in 0..=last {
            let position = index[axis] + offset[axis] - if axis == 0 { rows.start } else { 0 };
            from = from * chunk_shape[axis] as usize + index[axis] as usize;
            to = to * shape[axis] as usize + position as usize;
        }
        target[to * element..to * element + run].copy_from_slice(&chunk[from * element..from * element + run]);
        // The next run: all axes but the last count up.
        let Some(axis) = (0..last).rev().find(|&axis| index[axis] + 1 < part[axis].end) else { return };
        index[axis] += 1;
        (axis + 1..last).for_each(|axis| index[axis] = part[axis].start);
    }
}

/// Little-endian numbers of `kind` as `f32`; `None` for other types than floats.
pub(super) fn floats(bytes: &[u8], kind: &DType) -> Option<Vec<f32>> {
    match kind {
        DType::F32 => Some(bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()),
        DType::F64 => Some(bytes.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes) as f32).collect()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_put_in_their_place_and_cut_at_the_edges() {
        // A column of 5 x 3 in chunks of 2 x 2, of which rows 1 to 3 are read.
        let (shape, chunk) = ([5, 3], [2, 2]);
        let mut rows = [0; 9];
        for (offset, values) in [
            ([0, 0], [0, 1, 10, 11]),
            ([0, 2], [2, 99, 12, 99]),
            ([2, 0], [20, 21, 30, 31]),
            ([2, 2], [22, 99, 32, 99]),
            ([4, 0], [40, 41, 99, 99]),
        ] {
            place(&values, &offset, [&chunk, &shape], 1, 1..4, &mut rows);
        }
        assert_eq!(rows, [10, 11, 12, 20, 21, 22, 30, 31, 32]);
    }

    #[test]
    fn broken_chunks_of_lz4_are_refused() {
        let stored = [&[0, 0, 0, 0, 0, 0, 0, 3][..], &[0, 0, 0, 9], &[0, 0, 0, 3], &[7, 8, 9]].concat();
        assert_eq!(unpack_lz4(&stored, 3), Ok(vec![7, 8, 9]));
        assert!(unpack_lz4(&stored, 4).is_err());
        for length in 0..stored.len() {
            assert!(unpack_lz4(&stored[..length], 3).is_err(), "{length}");
        }
    }
}
