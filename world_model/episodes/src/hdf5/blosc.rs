//! Columns compressed by Blosc (HDF5 filter 32001) with LZ4 or Zstandard and byte shuffle, as in stable-worldmodel's
//! older recorder.
//!
//! A chunk is a 16-byte header (version, LZ4 version, flags, size of a value; then total, block and compressed size as
//! little-endian `u32`), the offsets of its blocks, and the blocks, each split into streams with their own compressed
//! lengths (Blosc 1 format, `README_HEADER.rst` of c-blosc).

/// The `expected` bytes of a compressed chunk.
pub(super) fn decompress(chunk: &[u8], expected: usize) -> Result<Vec<u8>, String> {
    const SHUFFLED: u8 = 1;
    const STORED: u8 = 2;
    const BITS_SHUFFLED: u8 = 4;
    const NOT_SPLIT: u8 = 16;
    const LZ4: u8 = 1;
    const ZSTD: u8 = 4;
    let short = || String::from("a chunk that ends too early");
    let number = |place: usize| -> Result<usize, String> {
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
    let codec = flags >> 5;
    if !matches!(codec, LZ4 | ZSTD) || flags & BITS_SHUFFLED != 0 {
        return Err(format!("flags {flags:#x} (LZ4 and Zstandard with byte shuffle can be read)"));
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
            } else if codec == LZ4 {
                decompressed.extend(lz4_flex::block::decompress(packed, stream).map_err(|error| error.to_string())?);
            } else {
                decompressed.extend(zstd::bulk::decompress(packed, stream).map_err(|error| error.to_string())?);
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
pub(super) fn unshuffled(bytes: &[u8], size: usize) -> Vec<u8> {
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
