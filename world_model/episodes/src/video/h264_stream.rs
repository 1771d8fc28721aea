//! What an H.264 stream is packed in: parameter sets, and units with their lengths before them.

mod parameters;

pub(super) use parameters::{INSTANT_REFRESH, SEQUENCE, Sequence, is_bipredicted, unit_type};

/// Packing of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    /// Parameter sets, to be preceded by a start code each.
    pub sets: Vec<Vec<u8>>,
    /// Bytes of the length field before every unit.
    pub length_bytes: usize,
}

impl Stream {
    /// Reads an `avcC` record (ISO/IEC 14496-15, 5.3.3.1.2).
    pub fn read(record: &[u8]) -> Option<Self> {
        let length_bytes = usize::from(record.get(4)? & 3) + 1;
        let mut sets = Vec::new();
        let mut place = 5;
        for mask in [0x1f, 0xff] {
            let count = record.get(place)? & mask;
            place += 1;
            for _ in 0..count {
                let length = usize::from(u16::from_be_bytes([*record.get(place)?, *record.get(place + 1)?]));
                sets.push(record.get(place + 2..place + 2 + length)?.to_vec());
                place += 2 + length;
            }
        }
        Some(Self { sets, length_bytes })
    }

    /// What the decoder lacks for this stream, the first sample of which is `first`; `None` if nothing.
    pub fn lacking(&self, first: &[u8]) -> Option<String> {
        let inside = units(first, self.length_bytes).unwrap_or_default();
        let sets = self.sets.iter().map(Vec::as_slice).chain(inside);
        sets.filter(|unit| unit_type(unit) == Some(SEQUENCE)).filter_map(Sequence::read).find_map(|set| set.lacking())
    }

    /// Whether a sample is a B picture, or a part of it is.
    pub fn is_bipredicted(&self, sample: &[u8]) -> bool {
        units(sample, self.length_bytes).unwrap_or_default().into_iter().any(is_bipredicted)
    }

    /// Whether a sample begins a sequence that depends on nothing before it. A container's key frame may be another: a
    /// picture with a recovery point, at which this decoder cannot begin.
    pub fn begins(&self, sample: &[u8]) -> bool {
        let units = units(sample, self.length_bytes).unwrap_or_default();
        units.iter().any(|unit| unit_type(unit) == Some(INSTANT_REFRESH))
    }
}

/// The units of a sample, each preceded by its length; `None` if a length is too large.
pub(super) fn units(sample: &[u8], length_bytes: usize) -> Option<Vec<&[u8]>> {
    let (mut units, mut rest) = (Vec::new(), sample);
    while !rest.is_empty() {
        let (length, after) = rest.split_at_checked(length_bytes)?;
        let length = length.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
        let (unit, after) = after.split_at_checked(length)?;
        units.push(unit);
        rest = after;
    }
    Some(units)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_prefixed_units_are_split_and_cut_ones_refused() {
        let all = |sample: &[u8], length_bytes| units(sample, length_bytes).map(|units| units.concat());
        assert_eq!(all(&[0, 2, 7, 8, 0, 1, 9], 2), Some(vec![7, 8, 9]));
        assert_eq!(all(&[0, 3, 7, 8], 2), None);
        assert_eq!(all(&[0], 2), None);
    }

    #[test]
    fn parameter_sets_are_parsed_and_cut_ones_refused() {
        let record = [1, 100, 0, 10, 0xff, 0xe1, 0, 2, 7, 8, 1, 0, 1, 9];
        let expected = Stream { sets: vec![vec![7, 8], vec![9]], length_bytes: 4 };
        assert_eq!(Stream::read(&record), Some(expected));
        for length in 0..record.len() {
            assert_eq!(Stream::read(&record[..length]), None, "{length} bytes");
        }
    }
}
