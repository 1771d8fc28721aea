//! The description of a track's samples (`stsd`): codec, size, colours.

use super::boxes::{Boxes, Fault, Fields, child};
use crate::video::colours::Label;
use crate::video::h264_stream::Stream;

/// Codec of a track.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::video) enum Codec {
    Av1,
    H264(Stream),
    /// What is not decoded in this process, by its name.
    Other(String),
}

/// A sample description.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub codec: Codec,
    pub width: usize,
    pub height: usize,
    /// Colours as the container states them.
    pub label: Label,
}

/// Bytes of a video entry before its boxes.
const FIXED_BYTES: usize = 78;

/// Reads entry `number` (from 1) of an `stsd`.
pub(super) fn read(content: &[u8], number: u32) -> Result<Entry, Fault> {
    let broken = || Fault::broken("stsd");
    let index = (number as usize).saturating_sub(1);
    let (name, entry) = content.get(8..).and_then(|entries| Boxes(entries).nth(index)).ok_or_else(broken)?;
    let (fixed, boxes) = entry.split_at_checked(FIXED_BYTES).ok_or_else(broken)?;
    let mut size = Fields(fixed.get(24..).unwrap_or_default());
    let (width, height) = size.u16().zip(size.u16()).ok_or_else(broken)?;
    let codec = match &name {
        b"av01" => av1(child(boxes, b"av1C")),
        b"avc1" | b"avc3" => {
            let record = child(boxes, b"avcC").unwrap_or_default();
            let got = format!("{} bytes", record.len());
            let stream = Stream::read(record).ok_or_else(|| Fault::new("video avcC", "parameter sets", got))?;
            Codec::H264(stream)
        }
        _ => Codec::Other(codec_name(&name)),
    };
    let label = child(boxes, b"colr").and_then(colours).unwrap_or_default();
    Ok(Entry { codec, width: usize::from(width), height: usize::from(height), label })
}

/// The decoder of AV1 is built for 8 bits per channel; `av1C` states how many there are.
fn av1(record: Option<&[u8]>) -> Codec {
    let bits = record.and_then(|record| record.get(2)).map_or(8, |flags| match flags >> 5 & 3 {
        0 | 1 => 8,
        2 => 10,
        _ => 12,
    });
    if bits == 8 { Codec::Av1 } else { Codec::Other(format!("AV1 of {bits} bits")) }
}

fn codec_name(name: &[u8; 4]) -> String {
    let known = match name {
        b"hvc1" | b"hev1" => "HEVC",
        b"vp09" => "VP9",
        b"vp08" => "VP8",
        b"mp4v" => "MPEG-4",
        b"jpeg" | b"mjpa" | b"mjpg" => "MJPEG",
        b"ap4h" | b"ap4x" | b"apcn" | b"apch" | b"apcs" | b"apco" => "ProRes",
        b"encv" => "an encrypted stream",
        _ => "a codec",
    };
    format!("{known} ({})", name.escape_ascii())
}

/// The matrix and the range in a `colr`.
fn colours(content: &[u8]) -> Option<Label> {
    let mut fields = Fields(content);
    let kind = fields.take(4)?;
    fields.take(4)?; // primaries and transfer
    let matrix = u8::try_from(fields.u16()?).ok();
    match kind {
        b"nclx" => Some(Label::new(matrix, Some(fields.u8()? & 0x80 != 0))),
        b"nclc" => Some(Label::new(matrix, None)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn described(name: &[u8; 4], boxes: &[u8]) -> Vec<u8> {
        let mut fixed = [0; FIXED_BYTES];
        fixed[24..28].copy_from_slice(&[1, 64, 0, 240]);
        let length = 8 + FIXED_BYTES + boxes.len();
        [&[0, 0, 0, 0, 0, 0, 0, 1][..], &(length as u32).to_be_bytes(), name, &fixed, boxes].concat()
    }

    #[test]
    fn codec_size_and_colours_of_an_entry_are_read() {
        let colr = [&[0, 0, 0, 19][..], b"colrnclx", &[0, 1, 0, 1, 0, 1, 0x80]].concat();
        let entry = read(&described(b"hvc1", &colr), 1).unwrap();
        let expected = Entry {
            codec: Codec::Other("HEVC (hvc1)".into()),
            width: 320,
            height: 240,
            label: Label::new(Some(1), Some(true)),
        };
        assert_eq!(entry, expected);
        let ten_bits = [&[0, 0, 0, 12][..], b"av1C", &[0x81, 0, 0x4c, 0]].concat();
        assert_eq!(read(&described(b"av01", &ten_bits), 1).unwrap().codec, Codec::Other("AV1 of 10 bits".into()));
        assert_eq!(read(&described(b"av01", &[]), 1).unwrap().codec, Codec::Av1);
        assert_eq!(read(&described(b"avc1", &[]), 1).unwrap_err().field, "video avcC");
        assert!(read(&described(b"av01", &[]), 2).is_err());
        assert!(read(&described(b"av01", &[])[..60], 1).is_err());
    }
}
