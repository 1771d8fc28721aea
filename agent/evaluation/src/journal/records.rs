//! What is in the file of a journal: records one after the other, each with its length and checksum.

use std::collections::HashMap;

use super::{Key, MAX_RECORD};

/// Bytes of a record before its payload: length and checksum, both little-endian.
const PREFIX: usize = 8;

/// The records of a journal.
#[derive(Default)]
pub(super) struct Records {
    pub found: HashMap<Key, Vec<u8>>,
    /// Bytes that they take, with damaged ones between them.
    pub length: usize,
    /// Number of damaged ones.
    pub damaged: usize,
}

/// The records of `bytes` by their keys, up to the last whole one. What follows it was cut off by a crash.
pub(super) fn read_records(bytes: &[u8]) -> Records {
    let mut records = Records::default();
    let (mut place, mut damaged) = (0, 0);
    while let Some((record, checksum)) = read_record(&bytes[place..]) {
        place += PREFIX + record.len();
        if crc32c::crc32c(record) != checksum {
            damaged += 1;
            continue;
        }
        if let Some((key, payload)) = record.split_first_chunk::<32>() {
            records.found.insert(Key(*key), payload.to_vec());
        }
        (records.length, records.damaged) = (place, damaged);
    }
    records
}

/// The first record of `bytes` and what its checksum should be; none where it is cut off.
fn read_record(bytes: &[u8]) -> Option<(&[u8], u32)> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (checksum, rest) = rest.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    let record = rest.get(..length).filter(|_| length <= MAX_RECORD)?;
    Some((record, u32::from_le_bytes(*checksum)))
}
