//! How many samples an mp4 file promises, before a table of them is made.
//!
//! The parser of the container makes an entry per sample when it has read the boxes. A count without a table beside it
//! (all samples of one size, or with a fragment's defaults) is not bounded by the bytes of the file: 5 kB can promise
//! 2^32 of them. So the boxes are read once before, with the same parser, and their counts are added up.

use std::io::{Read, Seek};

use re_mp4::{BoxHeader, BoxType, MoofBox, MoovBox, ReadBox as _, skip_box};

/// Most samples of all tracks together: 19 hours at 60 frames per second. The parser and this crate take 128 bytes for
/// each.
const MAX_SAMPLES: u64 = 1 << 22;

/// Reads the boxes of a file of `bytes` bytes and refuses more samples than it can hold.
///
/// # Errors
/// What was expected and got, on one line; a file that is broken in another way passes.
pub(super) fn check(mut reader: impl Read + Seek, bytes: u64) -> Result<(), (String, String)> {
    let most = bytes.min(MAX_SAMPLES);
    let mut samples = 0u64;
    let mut add = |count: u32, size: u32| {
        samples = samples.saturating_add(u64::from(count));
        let needed = u64::from(count) * u64::from(size);
        if samples > most {
            return Err((format!("at most {most} samples in {bytes} bytes"), format!("{samples} or more")));
        }
        if needed > bytes {
            return Err((format!("samples within {bytes} bytes"), format!("{count} samples of {size} bytes")));
        }
        Ok(())
    };
    let mut place = 0;
    while place < bytes {
        let Ok(BoxHeader { name, size }) = BoxHeader::read(&mut reader) else { return Ok(()) };
        if size == 0 || size > bytes {
            return Ok(());
        }
        match name {
            BoxType::MoovBox => {
                let Ok(movie) = MoovBox::read_box(&mut reader, size) else { return Ok(()) };
                for track in &movie.traks {
                    let table = &track.mdia.minf.stbl.stsz;
                    add(table.sample_count, table.sample_size)?;
                }
            }
            BoxType::MoofBox => {
                let Ok(fragment) = MoofBox::read_box(&mut reader, size) else { return Ok(()) };
                for run in fragment.trafs.iter().flat_map(|track| &track.truns) {
                    add(run.sample_count, 0)?;
                }
            }
            _ => {
                if skip_box(&mut reader, size).is_err() {
                    return Ok(());
                }
            }
        }
        match reader.stream_position() {
            Ok(next) => place = next,
            Err(_) => return Ok(()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn boxed(name: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&(8 + content.len() as u32).to_be_bytes()[..], name, content].concat()
    }

    /// A fragment with a run of `count` samples that all have the fragment's defaults.
    fn fragment(count: u32) -> Vec<u8> {
        let header = boxed(b"mfhd", &[0; 8]);
        let track = boxed(b"tfhd", &[0, 0, 0, 0, 0, 0, 0, 1]);
        let run = boxed(b"trun", &[&[0; 4][..], &count.to_be_bytes()].concat());
        boxed(b"moof", &[header, boxed(b"traf", &[track, run].concat())].concat())
    }

    #[test]
    fn samples_of_fragments_without_a_table_are_counted() {
        let check = |file: &[u8]| check(Cursor::new(file), file.len() as u64);
        let few = [fragment(20), fragment(30)].concat();
        assert_eq!(check(&few), Ok(()));
        for many in [[fragment(1), fragment(u32::MAX)].concat(), fragment(100).repeat(3)] {
            let (expected, got) = check(&many).unwrap_err();
            assert!(expected.contains(&format!("{} bytes", many.len())) && got.contains("or more"), "{expected} {got}");
        }
        assert_eq!(check(&fragment(u32::MAX)[..20]), Ok(()), "what is cut off is left to the parser");
    }
}
