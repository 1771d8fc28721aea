//! Bitshuffle (HDF5 filter 32008): in each block, the first bits of all values come first, then the second ones, and so
//! on; the result may be packed by LZ4 or Zstandard.

/// Bytes of a block by default.
const BLOCK_BYTES: usize = 8192;
/// Fewest values of a default block.
const SHORTEST_BLOCK: usize = 128;
const LZ4: u32 = 2;
const ZSTD: u32 = 3;

/// The `expected` bytes of `packed`, values of `element` bytes. `options` are the filter's: two numbers of its version,
/// the size of a value, values per block, and the kind of compression.
///
/// # Errors
/// What is broken, in words.
pub(super) fn unpack(packed: &[u8], options: &[u32], expected: usize, element: usize) -> Result<Vec<u8>, String> {
    let short = || String::from("a chunk that ends too early");
    let option = |index: usize| options.get(index).copied().unwrap_or(0);
    let element = if option(2) == 0 { element } else { option(2) as usize };
    if element == 0 || !expected.is_multiple_of(element) {
        return Err(format!("values of {element} bytes in a chunk of {expected}"));
    }
    let default_block = (BLOCK_BYTES / element / 8 * 8).max(SHORTEST_BLOCK);
    let (mut block, compression, mut rest) = (option(3) as usize, option(4), packed);
    if compression != 0 {
        let (size, after) = rest.split_first_chunk::<8>().ok_or_else(short)?;
        let (block_bytes, after) = after.split_first_chunk::<4>().ok_or_else(short)?;
        if u64::from_be_bytes(*size) != expected as u64 {
            return Err(format!("{} bytes where {expected} were expected", u64::from_be_bytes(*size)));
        }
        (block, rest) = (u32::from_be_bytes(*block_bytes) as usize / element, after);
    }
    let block = if block == 0 { default_block } else { block };
    if block % 8 != 0 {
        return Err(format!("blocks of {block} values"));
    }
    let values = expected / element;
    let mut bytes = Vec::with_capacity(expected);
    let mut done = 0;
    // What is left after whole blocks of eight values is neither shuffled nor packed.
    while values - done >= 8 {
        let count = block.min((values - done) / 8 * 8);
        let size = count * element;
        let shuffled = match compression {
            0 => {
                let (plain, after) = rest.split_at_checked(size).ok_or_else(short)?;
                rest = after;
                plain.to_vec()
            }
            LZ4 | ZSTD => {
                let (length, after) = rest.split_first_chunk::<4>().ok_or_else(short)?;
                let (part, after) = after.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(short)?;
                rest = after;
                if compression == LZ4 {
                    lz4_flex::block::decompress(part, size).map_err(|error| error.to_string())?
                } else {
                    zstd::bulk::decompress(part, size).map_err(|error| error.to_string())?
                }
            }
            other => return Err(format!("bitshuffle with compression {other}")),
        };
        if shuffled.len() != size {
            return Err(format!("a block of {} bytes where {size} were expected", shuffled.len()));
        }
        bytes.extend(unshuffled(&shuffled, element));
        done += count;
    }
    bytes.extend_from_slice(rest.get(..expected - bytes.len()).ok_or_else(short)?);
    Ok(bytes)
}

/// Undoes the shuffle of a block of values of `element` bytes, a multiple of eight of them.
fn unshuffled(block: &[u8], element: usize) -> Vec<u8> {
    let plane = block.len() / element / 8;
    let mut values = vec![0; block.len()];
    for byte in 0..element {
        for bit in 0..8 {
            let bits = &block[(byte * 8 + bit) * plane..][..plane];
            for (group, bits) in bits.iter().enumerate() {
                for value in 0..8 {
                    values[(group * 8 + value) * element + byte] |= (bits >> value & 1) << bit;
                }
            }
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unshuffling_gathers_the_bits_of_each_value() {
        // Eight values of one byte: bit 0 is set in the first two, bit 7 in the last.
        assert_eq!(unshuffled(&[3, 0, 0, 0, 0, 0, 0, 128], 1), [1, 1, 0, 0, 0, 0, 0, 128]);
        // The first byte of the third value, and bit 1 of the second byte of the fourth.
        let mut block = [0; 16];
        (block[0], block[9]) = (4, 8);
        assert_eq!(unshuffled(&block, 2), [0, 0, 0, 0, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn broken_chunks_are_refused() {
        let options = [0, 3, 1, 0, LZ4];
        let mut chunk = [&[0u8; 7][..], &[9], &[0, 0, 32, 0], &[0, 0, 0, 9], &[128]].concat();
        chunk.extend([0; 8]);
        chunk.push(5);
        assert_eq!(unpack(&chunk, &options, 9, 1), Ok(vec![0, 0, 0, 0, 0, 0, 0, 0, 5]));
        for length in 0..chunk.len() {
            assert!(unpack(&chunk[..length], &options, 9, 1).is_err(), "{length}");
        }
        assert!(unpack(&chunk, &[0, 3, 0, 4, 0], 9, 1).is_err_and(|error| error.contains("blocks of 4")));
        assert!(unpack(&chunk, &[0, 3, 2, 0, LZ4], 9, 1).is_err());
    }
}
