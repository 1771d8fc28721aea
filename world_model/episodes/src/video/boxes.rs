//! Whether the boxes around a video's metadata lie within each other, before an mp4 file is parsed.
//!
//! The parser of the container takes memory for the contents of a box `meta` by their stated sizes, which it compares
//! with nothing: 5 kB of file can ask for 2^60 bytes, and memory that is not there ends the process instead of reading.
//! So these boxes are walked before, as the parser walks them.

use std::io::{Read, Seek, SeekFrom};
use std::ops::Range;

type Name = [u8; 4];
type Checked = Result<(), (String, String)>;

/// Bytes of the size and the name of a box.
const HEADER: u64 = 8;

/// Walks the boxes of a file of `bytes` bytes.
///
/// # Errors
/// What was expected and got, on one line; a file that is cut off passes, and is left to the parser.
pub(super) fn check(mut reader: impl Read + Seek, bytes: u64) -> Checked {
    walk(&mut reader, None, 0..bytes)
}

/// The boxes in `parent` (`None` is the file) that are walked in turn.
fn walked_in(parent: Option<Name>) -> &'static [&'static Name] {
    match parent.as_ref() {
        None => &[b"moov"],
        Some(b"moov") => &[b"trak", b"udta", b"meta"],
        Some(b"trak" | b"udta") => &[b"meta"],
        Some(_) => &[],
    }
}

fn walk(reader: &mut (impl Read + Seek), parent: Option<Name>, inside: Range<u64>) -> Checked {
    let mut place = inside.start;
    while place < inside.end {
        let Some((size, name)) = read_pair(reader, place) else { return Ok(()) };
        let (size, content) = match u32::from_be_bytes(size) {
            0 if parent.is_none() => return Ok(()), // until the end of the file: the parser ends here
            1 => {
                let Some((high, low)) = read_pair(reader, place + HEADER) else { return Ok(()) };
                let size = u64::from(u32::from_be_bytes(high)) << 32 | u64::from(u32::from_be_bytes(low));
                (size, place + 2 * HEADER)
            }
            size => (u64::from(size), place + HEADER),
        };
        let end = place.saturating_add(size);
        if end < content || (parent.is_some() && end > inside.end) {
            let expected = format!("boxes within each other, until byte {}", inside.end);
            let name = name.escape_ascii();
            return Err((expected, format!("a box {name} of {size} bytes at byte {place}")));
        }
        if walked_in(parent).contains(&&name) {
            let content = if name == *b"meta" { meta_content(reader, content) } else { Some(content) };
            let Some(content) = content else { return Ok(()) };
            walk(reader, Some(name), content..end)?;
        }
        place = end;
    }
    Ok(())
}

/// Where the boxes in a `meta` begin whose content begins at `place`: behind version and flags, which some files leave
/// out. `None` for what the parser refuses.
fn meta_content(reader: &mut (impl Read + Seek), place: u64) -> Option<u64> {
    match read_pair(reader, place)? {
        ([0, 0, 0, 0], _) => Some(place + 4),
        (_, name) if name == *b"hdlr" => Some(place),
        _ => None,
    }
}

/// Two times four bytes at `place`; `None` where the file ends before.
fn read_pair(reader: &mut (impl Read + Seek), place: u64) -> Option<(Name, Name)> {
    let (mut first, mut second) = ([0; 4], [0; 4]);
    reader.seek(SeekFrom::Start(place)).ok()?;
    reader.read_exact(&mut first).ok()?;
    reader.read_exact(&mut second).ok()?;
    Some((first, second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn boxed(name: &Name, content: &[u8]) -> Vec<u8> {
        [&(8 + content.len() as u32).to_be_bytes()[..], name, content].concat()
    }

    /// A box with its size in 64 bits, which states `size` bytes.
    fn large(name: &Name, size: u64, content: &[u8]) -> Vec<u8> {
        [&1u32.to_be_bytes()[..], name, &size.to_be_bytes(), content].concat()
    }

    fn checked(file: &[u8]) -> Checked {
        check(Cursor::new(file), file.len() as u64)
    }

    /// A file whose metadata at each of the three places where the parser reads it has the `content`.
    fn files(content: &[u8]) -> [Vec<u8>; 3] {
        let meta = boxed(b"meta", content);
        let file = |inside: &[u8]| [boxed(b"ftyp", b"isom"), boxed(b"moov", inside), boxed(b"mdat", &[7; 9])].concat();
        [file(&meta), file(&boxed(b"udta", &meta)), file(&boxed(b"trak", &[boxed(b"tkhd", b""), meta].concat()))]
    }

    #[test]
    fn metadata_that_exceed_their_parent_are_refused_wherever_they_are() {
        for size in [40, 1 << 40, 1 << 60, u64::MAX] {
            for name in [b"hdlr", b"ilst", b"what"] {
                for file in files(&[&[0; 4][..], &large(name, size, &[0; 20])].concat()) {
                    let (expected, got) = checked(&file).unwrap_err();
                    assert!(expected.contains("within each other"), "{expected}");
                    assert!(got.contains(&format!("{} of {size} bytes", name.escape_ascii())), "{got}");
                }
            }
        }
    }

    #[test]
    fn metadata_within_their_parent_pass_with_and_without_version() {
        let handler = [boxed(b"hdlr", &[0; 25]), large(b"ilst", 20, &[0; 4])].concat();
        for content in [[vec![0; 4], handler.clone()].concat(), handler] {
            for file in files(&content) {
                assert_eq!(checked(&file), Ok(()));
                (0..file.len()).for_each(|length| drop(checked(&file[..length])));
            }
        }
    }

    #[test]
    fn boxes_smaller_than_their_header_are_refused() {
        let small = |size: u32| [&size.to_be_bytes()[..], b"free", &[0; 8]].concat();
        for size in 2..8 {
            assert!(checked(&small(size)).is_err(), "{size}");
        }
        assert_eq!(checked(&small(0)), Ok(()), "a box until the end of the file");
        assert!(checked(&boxed(b"moov", &small(0))).is_err(), "no end within a parent");
        assert!(checked(&large(b"free", 15, b"")).is_err());
    }
}
