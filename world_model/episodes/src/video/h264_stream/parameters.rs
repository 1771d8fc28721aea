//! Parameter sets of H.264 (ITU-T H.264, 7.3.2.1 and E.1.1): what the decoder needs to be able to do, and the colours.

use crate::video::colours::Label;

/// Type of a unit that is a sequence parameter set.
pub(in crate::video) const SEQUENCE: u8 = 7;
/// Type of a unit that is a slice of any other picture.
const SLICE: u8 = 1;
/// Type of a unit that is a slice of a picture at which decoding can begin.
pub(in crate::video) const INSTANT_REFRESH: u8 = 5;

/// Type of a unit.
pub(in crate::video) fn unit_type(unit: &[u8]) -> Option<u8> {
    unit.first().map(|header| header & 0x1f)
}

/// Bytes of a slice that its type is read from.
const SLICE_START: usize = 16;
/// Type of slices of B pictures, modulo 5.
const BIPREDICTED: u32 = 1;

/// Whether a unit is a slice of a B picture (7.3.3).
pub(in crate::video) fn is_bipredicted(unit: &[u8]) -> bool {
    let start = || unit.get(1..unit.len().min(SLICE_START)).map(without_escapes);
    let kind = |bytes: Vec<u8>| {
        let mut bits = Bits { bytes: &bytes, place: 0 };
        bits.count()?; // its first macroblock
        bits.count()
    };
    unit_type(unit) == Some(SLICE) && start().and_then(kind).is_some_and(|kind| kind % 5 == BIPREDICTED)
}

/// Part of a sequence parameter set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::video) struct Sequence {
    profile: u8,
    /// 0 to 3: grey, 4:2:0, 4:2:2, 4:4:4.
    chroma: u32,
    bits: u32,
    is_progressive: bool,
    pub label: Label,
}

/// Profiles whose sets state the chroma format.
const WITH_CHROMA: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// A profile with data partitions, which are not decoded here.
const EXTENDED: u8 = 88;

impl Sequence {
    /// Reads a unit, whose header is its first byte; `None` if it is no complete set.
    pub fn read(unit: &[u8]) -> Option<Self> {
        let mut bits = Bits { bytes: &without_escapes(unit.get(1..)?), place: 0 };
        let profile = bits.read(8)? as u8;
        bits.read(16)?; // constraints and level
        bits.count()?;
        let (mut chroma, mut depth) = (1, 8);
        if WITH_CHROMA.contains(&profile) {
            chroma = bits.count()?;
            if chroma == 3 {
                bits.read(1)?;
            }
            depth = bits.count()?.max(bits.count()?).saturating_add(8);
            bits.read(1)?;
            if bits.flag()? {
                for list in 0..if chroma == 3 { 12 } else { 8 } {
                    if bits.flag()? {
                        bits.skip_scaling(if list < 6 { 16 } else { 64 })?;
                    }
                }
            }
        }
        bits.count()?;
        match bits.count()? {
            0 => bits.count().map(drop)?,
            1 => {
                bits.read(1)?;
                bits.count()?;
                bits.count()?;
                for _ in 0..bits.count()?.min(255) {
                    bits.count()?;
                }
            }
            _ => (),
        }
        bits.count()?; // reference frames
        bits.read(1)?;
        bits.count()?;
        bits.count()?; // width and height
        let is_progressive = bits.flag()?;
        if !is_progressive {
            bits.read(1)?;
        }
        bits.read(1)?;
        if bits.flag()? {
            for _ in 0..4 {
                bits.count()?; // cropping
            }
        }
        // What follows may be cut off without harm.
        let label = bits.label().unwrap_or_default();
        Some(Self { profile, chroma, bits: depth, is_progressive, label })
    }

    /// Whether there are no chroma planes; those of the decoder are not filled then.
    pub fn is_grey(&self) -> bool {
        self.chroma == 0
    }

    /// What the decoder of this crate lacks for the stream, by name.
    pub fn lacking(&self) -> Option<String> {
        let chroma = ["grey", "4:2:0", "4:2:2", "4:4:4"].get(self.chroma as usize).copied().unwrap_or("unknown chroma");
        let lacks = self.chroma > 1 || self.bits != 8 || !self.is_progressive || self.profile == EXTENDED;
        let interlaced = if self.is_progressive { "" } else { ", interlaced" };
        lacks.then(|| format!("H.264 of profile {}, {chroma}, {} bits{interlaced}", self.profile, self.bits))
    }
}

/// The bytes of a unit without those that keep start codes from appearing in it.
fn without_escapes(unit: &[u8]) -> Vec<u8> {
    let (mut bytes, mut zeros) = (Vec::with_capacity(unit.len()), 0);
    for &byte in unit {
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        bytes.push(byte);
    }
    bytes
}

/// Bits, the most significant of a byte first; `None` beyond the end.
struct Bits<'a> {
    bytes: &'a [u8],
    place: usize,
}

impl Bits<'_> {
    fn flag(&mut self) -> Option<bool> {
        let byte = self.bytes.get(self.place / 8)?;
        let bit = byte >> (7 - self.place % 8) & 1;
        self.place += 1;
        Some(bit == 1)
    }

    /// A number of at most 32 bits.
    fn read(&mut self, bits: u32) -> Option<u32> {
        (0..bits).try_fold(0u32, |value, _| Some(value << 1 | u32::from(self.flag()?)))
    }

    /// A number in exponential Golomb code; signed ones have the same length.
    fn count(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while !self.flag()? {
            zeros += 1;
            if zeros == 32 {
                return None;
            }
        }
        Some((1u32 << zeros) - 1 + self.read(zeros)?)
    }

    fn signed(&mut self) -> Option<i64> {
        let code = i64::from(self.count()?);
        Some(if code % 2 == 1 { (code + 1) / 2 } else { -code / 2 })
    }

    fn skip_scaling(&mut self, size: usize) -> Option<()> {
        let (mut last, mut next) = (8i64, 8i64);
        for _ in 0..size {
            if next != 0 {
                next = (last + self.signed()?).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
        Some(())
    }

    /// The colours of the usability information (VUI).
    fn label(&mut self) -> Option<Label> {
        if !self.flag()? {
            return None;
        }
        if self.flag()? && self.read(8)? == 255 {
            self.read(32)?;
        }
        if self.flag()? {
            self.read(1)?;
        }
        if !self.flag()? {
            return None;
        }
        self.read(3)?;
        let full_range = self.flag()?;
        let matrix = if self.flag()? { Some(self.read(24)? as u8) } else { None };
        Some(Label::new(matrix, Some(full_range)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sets that x264 writes for 48 x 32 pixels.
    const BT709_FULL: [u8; 26] = [
        0x67, 0x64, 0x00, 0x0a, 0xac, 0xb2, 0x1a, 0xd3, 0x70, 0x10, 0x10, 0x14, 0x00, 0x00, 0x03, 0x00, 0x04, 0x00,
        0x00, 0x03, 0x00, 0x50, 0x3c, 0x48, 0x99, 0x20,
    ];
    const UNLABELLED: [u8; 21] = [
        0x67, 0x64, 0x00, 0x0a, 0xac, 0xb2, 0x1a, 0xd0, 0x80, 0x00, 0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x0a, 0x07,
        0x89, 0x13, 0x24,
    ];
    const WITHOUT_SUBSAMPLING: [u8; 13] =
        [0x67, 0xf4, 0x00, 0x0a, 0x91, 0x96, 0x43, 0x5a, 0x6a, 0x02, 0x02, 0x02, 0x80];
    const TEN_BITS: [u8; 12] = [0x67, 0x6e, 0x00, 0x0a, 0xa6, 0xcb, 0x21, 0xad, 0x35, 0x01, 0x01, 0x01];
    const INTERLACED: [u8; 12] = [0x67, 0x64, 0x00, 0x15, 0xac, 0xd9, 0x4e, 0xd3, 0x50, 0x60, 0x60, 0x64];

    #[test]
    fn colours_and_what_the_decoder_lacks_are_read_from_the_sets_of_an_encoder() {
        let label = |set: &[u8]| Sequence::read(set).map(|set| set.label);
        assert_eq!(label(&BT709_FULL), Some(Label::new(Some(1), Some(true))));
        assert_eq!(label(&UNLABELLED), Some(Label::default()));
        let lacking = |set: &[u8]| Sequence::read(set).and_then(|set| set.lacking());
        assert_eq!(lacking(&BT709_FULL), None);
        assert_eq!(lacking(&WITHOUT_SUBSAMPLING).as_deref(), Some("H.264 of profile 244, 4:4:4, 8 bits"));
        assert_eq!(lacking(&TEN_BITS).as_deref(), Some("H.264 of profile 110, 4:2:0, 10 bits"));
        assert_eq!(lacking(&INTERLACED).as_deref(), Some("H.264 of profile 100, 4:2:0, 8 bits, interlaced"));
    }

    #[test]
    fn sets_that_are_cut_off_or_broken_end_without_a_panic() {
        for length in 0..8 {
            assert_eq!(Sequence::read(&BT709_FULL[..length]), None, "{length} bytes");
        }
        let mut state = 1u32;
        for _ in 0..20_000 {
            let mut broken = BT709_FULL;
            for _ in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                broken[1 + (state >> 24) as usize % 25] = (state >> 16) as u8;
            }
            let _ = Sequence::read(&broken).and_then(|set| set.lacking());
        }
    }

    #[test]
    fn numbers_are_read_bit_by_bit_and_not_beyond_the_end() {
        let mut bits = Bits { bytes: &[0b1010_0110, 0b0100_0000], place: 0 };
        let four = [bits.count(), bits.count(), bits.count(), bits.count()];
        assert_eq!(four, [Some(0), Some(1), Some(2), Some(3)]);
        let mut bits = Bits { bytes: &[0; 8], place: 0 };
        assert_eq!(bits.count(), None);
        assert_eq!(without_escapes(&[0, 0, 3, 1, 0, 0, 3, 0, 0, 3]), [0, 0, 1, 0, 0, 0, 0]);
    }
}
