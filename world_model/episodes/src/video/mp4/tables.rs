//! The samples that the index of a file lists: where they are, and when they are decoded and shown.

use super::boxes::{Fault, Fields, child};

/// Most samples of a track: 19 hours at 60 frames per second.
const MAX_SAMPLES: u64 = 1 << 22;

/// One compressed frame, in coding order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Listed {
    pub offset: u64,
    pub size: u64,
    /// Whether the container calls it a place where decoding can begin.
    pub is_sync: bool,
    /// Composition time, in units of the track.
    pub time: i64,
}

/// The samples found so far.
#[derive(Debug)]
pub(super) struct Samples {
    pub listed: Vec<Listed>,
    /// Decoding time after the last sample.
    pub end: i64,
    /// By how much samples of fragments are shown before they are decoded, at most: 0 or more.
    pub early: i64,
    /// Number of the sample description that is in use.
    pub description: Option<u32>,
    /// Bytes of the file, which bound the number of samples.
    bytes: u64,
}

impl Samples {
    pub fn new(bytes: u64) -> Self {
        Self { listed: Vec::new(), end: 0, early: 0, description: None, bytes }
    }

    /// Refuses `more` samples if the file cannot hold them.
    ///
    /// A count without a table beside it (all samples of one size, or with a fragment's defaults) is not bounded by the
    /// bytes of the index: 5 kB can promise 2^32 of them.
    pub fn promise(&self, more: u32, size: u32) -> Result<(), Fault> {
        let (bytes, count) = (self.bytes, self.listed.len() as u64 + u64::from(more));
        let most = bytes.min(MAX_SAMPLES);
        if count > most {
            let expected = format!("at most {most} samples in {bytes} bytes");
            return Err(Fault::new("video samples", expected, format!("{count} or more")));
        }
        if u64::from(more) * u64::from(size) > bytes {
            let expected = format!("samples within {bytes} bytes");
            return Err(Fault::new("video samples", expected, format!("{more} samples of {size} bytes")));
        }
        Ok(())
    }

    /// Adds a sample that is shown `shift` after it is decoded; the next is decoded `duration` later.
    pub fn push(&mut self, place: [u64; 2], is_sync: bool, shift: i32, duration: u32) -> Result<(), Fault> {
        let times = self.end.checked_add(i64::from(shift)).zip(self.end.checked_add(i64::from(duration)));
        let broken = || Fault::new("video times", "times below 2^63", "larger ones");
        let (time, end) = times.ok_or_else(broken)?;
        let [offset, size] = place;
        self.listed.push(Listed { offset, size, is_sync, time });
        self.end = end;
        Ok(())
    }

    /// Notes the sample description that samples use. Only one can be used by all.
    pub fn describe(&mut self, description: u32) -> Result<(), Fault> {
        match self.description.replace(description) {
            Some(before) if before != description => {
                Err(Fault::new("video samples", "one description of all samples (stsd)", "several"))
            }
            _ => Ok(()),
        }
    }
}

/// Runs of equal values: each of `count` samples.
struct Runs<'a> {
    fields: Fields<'a>,
    left: u32,
    value: Option<u32>,
}

impl<'a> Runs<'a> {
    fn of(content: Option<&'a [u8]>) -> Self {
        let mut fields = Fields(content.unwrap_or_default());
        let _ = fields.version().and_then(|_| fields.u32()); // the count is that of what follows
        Self { fields, left: 0, value: None }
    }

    /// The value of the next sample; beyond the last run, `None`.
    fn next(&mut self) -> Option<u32> {
        while self.left == 0 {
            let (left, value) = (self.fields.u32()?, self.fields.u32()?);
            (self.left, self.value) = (left, Some(value));
        }
        self.left -= 1;
        self.value
    }
}

/// A table with a count before it, of entries of four bytes.
struct Table<'a>(&'a [u8]);

impl Table<'_> {
    fn get(&self, index: usize) -> Option<u32> {
        let place = index.checked_mul(4)?;
        Fields(self.0.get(place..)?).u32()
    }
}

/// Adds the samples of `stbl` to `samples`.
pub(super) fn read(stbl: &[u8], samples: &mut Samples) -> Result<(), Fault> {
    let sizes = child(stbl, b"stsz").ok_or_else(|| Fault::broken("stsz"))?;
    let mut fields = Fields(sizes);
    let header = fields.version().and_then(|_| fields.u32()).zip(fields.u32());
    let (size_of_all, count) = header.ok_or_else(|| Fault::broken("stsz"))?;
    samples.promise(count, size_of_all)?;
    if count == 0 {
        return Ok(()); // all samples are in fragments
    }
    let sizes = Table(fields.0);
    let mut chunks = Chunks::new(stbl)?;
    let mut durations = Runs::of(child(stbl, b"stts"));
    let mut shifts = Runs::of(child(stbl, b"ctts"));
    let mut keys = child(stbl, b"stss").map(|content| Fields(content.get(8..).unwrap_or_default()));
    let mut next_key = keys.as_mut().and_then(Fields::u32);
    samples.listed.reserve_exact(count as usize);
    let mut duration = 0;
    for number in 0..count {
        let size = match size_of_all {
            0 => sizes.get(number as usize).ok_or_else(|| Fault::broken("stsz"))?,
            size => size,
        };
        let size = u64::from(size);
        let offset = chunks.place(size, samples)?;
        duration = durations.next().unwrap_or(duration);
        // Signed in both versions: many writers store negative numbers in version 0.
        let shift = shifts.next().unwrap_or(0).cast_signed();
        let is_sync = keys.is_none() || next_key == Some(number + 1);
        if keys.is_some() && next_key.is_some_and(|key| key <= number + 1) {
            next_key = keys.as_mut().and_then(Fields::u32);
        }
        samples.push([offset, size], is_sync, shift, duration)?;
    }
    Ok(())
}

/// The chunks of a file, each of which holds some samples one after the other.
struct Chunks<'a> {
    /// Entries of `stsc` that are left: first chunk, samples per chunk, description.
    runs: Fields<'a>,
    offsets: Fields<'a>,
    wide: bool,
    /// Number of the next chunk, from 1.
    next: u32,
    /// First chunk of the next run.
    next_run: u32,
    per_chunk: u32,
    description: u32,
    /// Samples left in the chunk, and the place of the next one.
    left: u32,
    place: u64,
}

impl<'a> Chunks<'a> {
    fn new(stbl: &'a [u8]) -> Result<Self, Fault> {
        let table = |name: &[u8; 4]| child(stbl, name).and_then(|content| content.get(8..)).map(Fields);
        let mut runs = table(b"stsc").ok_or_else(|| Fault::broken("stsc"))?;
        let (offsets, wide) = match table(b"stco") {
            Some(offsets) => (offsets, false),
            None => (table(b"co64").ok_or_else(|| Fault::broken("stco"))?, true),
        };
        let next_run = runs.u32().ok_or_else(|| Fault::broken("stsc"))?;
        Ok(Self { runs, offsets, wide, next: 1, next_run, per_chunk: 0, description: 0, left: 0, place: 0 })
    }

    /// The offset of the next sample, of `size` bytes.
    fn place(&mut self, size: u64, samples: &mut Samples) -> Result<u64, Fault> {
        let missing = || Fault::new("video index stsc", "a chunk for every sample", "too few");
        while self.left == 0 {
            if self.next >= self.next_run {
                let run = self.runs.u32().zip(self.runs.u32());
                (self.per_chunk, self.description) = run.ok_or_else(missing)?;
                self.next_run = self.runs.u32().unwrap_or(u32::MAX);
            }
            self.place = self.offsets.either(self.wide).ok_or_else(missing)?;
            self.left = self.per_chunk;
            self.next = self.next.checked_add(1).ok_or_else(missing)?;
            if self.left > 0 {
                samples.describe(self.description)?;
            }
        }
        self.left -= 1;
        let place = self.place;
        self.place = place.checked_add(size).ok_or_else(missing)?;
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(name: &[u8; 4], words: &[u32]) -> Vec<u8> {
        let content: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        [&(8 + content.len() as u32).to_be_bytes()[..], name, &content].concat()
    }

    #[test]
    fn samples_have_the_places_times_and_key_frames_of_the_tables() {
        let minus_one = u32::MAX;
        let tables = [
            boxed(b"stsz", &[0, 0, 5, 10, 11, 12, 13, 14]),
            boxed(b"stsc", &[0, 2, 1, 2, 1, 3, 1, 1]), // chunks 1 and 2 hold two samples, the third holds one
            boxed(b"stco", &[0, 3, 100, 200, 300]),
            boxed(b"stts", &[0, 2, 2, 10, 3, 20]),
            boxed(b"ctts", &[0, 3, 1, 20, 0, 7, 2, minus_one]), // a run of none, and negative offsets of version 0
            boxed(b"stss", &[0, 2, 1, 4]),
        ];
        let mut samples = Samples::new(1000);
        assert_eq!(read(&tables.concat(), &mut samples), Ok(()));
        let listed = |offset, size, is_sync, time| Listed { offset, size, is_sync, time };
        let expected = [
            listed(100, 10, true, 20),
            listed(110, 11, false, 9),
            listed(200, 12, false, 19),
            listed(212, 13, true, 40),
            listed(300, 14, false, 60),
        ];
        assert_eq!((samples.listed, samples.end, samples.description), (expected.to_vec(), 80, Some(1)));
        for left_out in 0..3 {
            let mut tables = tables.to_vec();
            tables.remove(left_out);
            assert!(read(&tables.concat(), &mut Samples::new(1000)).is_err());
        }
        let two = [&tables[0], &boxed(b"stsc", &[0, 2, 1, 2, 1, 3, 1, 2]), &tables[2]].map(|table| &table[..]).concat();
        let fault = read(&two, &mut Samples::new(1000)).unwrap_err();
        assert_eq!((&*fault.field, &*fault.got), ("video samples", "several"));
    }

    #[test]
    fn more_samples_than_bytes_are_refused_before_they_are_listed() {
        for (size, count) in [(1, 100_000_000), (1, u32::MAX), (1 << 31, 20), (0, u32::MAX)] {
            let tables = [boxed(b"stsz", &[0, size, count]), boxed(b"stsc", &[0, 1, 1, count, 1])].concat();
            let mut samples = Samples::new(5000);
            assert_eq!(read(&tables, &mut samples).unwrap_err().field, "video samples");
            assert_eq!(samples.listed.capacity(), 0);
        }
    }
}
