//! What the pages of a table unpack to, from their headers, before the library unpacks them. A page of a few bytes may
//! promise 2 GiB, and some codecs of the library write as much as the bytes say, whatever was promised.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};

use parquet::basic::Compression;
use parquet::file::metadata::ColumnChunkMetaData;

use super::page_header::PageHeader;

/// Sizes of the unpacked pages of one column chunk, bytes, largest first; empty where nothing is compressed.
///
/// # Errors
/// What is wrong with a page, on one line: more than it promises, or bytes outside of the file.
pub(super) fn unpacked_sizes(file: &File, chunk: &ColumnChunkMetaData) -> Result<Vec<u64>, String> {
    if chunk.compression() == Compression::UNCOMPRESSED {
        return Ok(Vec::new());
    }
    let first = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
    let place = u64::try_from(first).ok().zip(u64::try_from(chunk.compressed_size()).ok());
    let Some((mut place, size)) = place else { return Err(format!("pages at byte {first}")) };
    let file_bytes = file.metadata().map_err(|error| error.to_string())?.len();
    let end = place.saturating_add(size);
    let mut reader = BufReader::new(file);
    let mut sizes = Vec::new();
    while place < end {
        reader.seek(SeekFrom::Start(place)).map_err(|error| error.to_string())?;
        let (header, header_bytes) = PageHeader::read(&mut reader)?;
        let next = place.saturating_add(header_bytes).saturating_add(header.packed);
        if next > file_bytes {
            return Err(format!("a page that ends at byte {next} of {file_bytes}"));
        }
        let packed = header.packed.saturating_sub(header.levels);
        reader.seek_relative(header.levels as i64).map_err(|error| error.to_string())?;
        let promised = header.unpacked.saturating_sub(header.levels);
        if header.is_packed && !keeps_promise(chunk.compression(), (&mut reader).take(packed), promised) {
            return Err(format!("a page of more than the {promised} bytes that it promises"));
        }
        sizes.push(header.unpacked);
        place = next;
    }
    sizes.sort_unstable_by(|one, other| other.cmp(one));
    Ok(sizes)
}

/// Whether `packed` unpacks to at most `promised` bytes. Broken bytes are left to the library, which says more about
/// them, as are the codecs that it holds to the promise itself.
fn keeps_promise(codec: Compression, packed: impl Read, promised: u64) -> bool {
    match codec {
        Compression::SNAPPY => snappy_length(packed).is_none_or(|length| length <= promised),
        Compression::GZIP(_) => is_at_most(flate2::read::MultiGzDecoder::new(packed), promised),
        Compression::BROTLI(_) => is_at_most(brotli::Decompressor::new(packed, 4096), promised),
        Compression::LZ4 => is_at_most(lz4_flex::frame::FrameDecoder::new(packed), promised),
        _ => true,
    }
}

/// Whether `unpacked` ends, or breaks off, within `bytes`.
fn is_at_most(unpacked: impl Read, bytes: u64) -> bool {
    let mut counted = Counted(0);
    // An error leaves the count of what came before it.
    let _ = std::io::copy(&mut unpacked.take(bytes.saturating_add(1)), &mut counted);
    counted.0 <= bytes
}

/// A writer that only counts.
struct Counted(u64);

impl std::io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The length that Snappy's block format begins with.
fn snappy_length(mut packed: impl Read) -> Option<u64> {
    let mut length = 0u64;
    for shift in [0, 7, 14, 21, 28] {
        let mut byte = [0];
        packed.read_exact(&mut byte).ok()?;
        length |= u64::from(byte[0] & 127) << shift;
        if byte[0] < 128 {
            return Some(length);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_page_of_more_bytes_than_it_promises_is_found_for_every_codec() {
        let plain = vec![7u8; 100_000];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&plain).unwrap();
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(&plain).unwrap();
        let mut brotli_bytes = Vec::new();
        brotli::CompressorWriter::new(&mut brotli_bytes, 4096, 1, 20).write_all(&plain).unwrap();
        let snappy = [&[0xa0, 0x8d, 0x06][..], &[0]].concat(); // 100000 as a varint
        for (codec, packed) in [
            (Compression::GZIP(Default::default()), gzip.finish().unwrap()),
            (Compression::LZ4, lz4.finish().unwrap()),
            (Compression::BROTLI(Default::default()), brotli_bytes),
            (Compression::SNAPPY, snappy),
        ] {
            assert!(keeps_promise(codec, &packed[..], 100_000), "{codec}");
            assert!(!keeps_promise(codec, &packed[..], 99_999), "{codec}");
            assert!(keeps_promise(codec, &[1u8, 2, 3][..], 9), "{codec}: broken bytes are the library's");
        }
    }
}
