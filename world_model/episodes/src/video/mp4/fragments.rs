//! The samples of fragments (`moof`): files that were written while they were recorded.

use super::boxes::{Boxes, Fault, Fields, child};
use super::tables::Samples;

/// Flags of `tfhd`: which fields are there.
const HAS_BASE: u32 = 0x1;
const HAS_DESCRIPTION: u32 = 0x2;
const HAS_DURATION: u32 = 0x8;
const HAS_SIZE: u32 = 0x10;
const HAS_FLAGS: u32 = 0x20;
const BASE_IS_FRAGMENT: u32 = 0x2_0000;
/// Flags of `trun`: which fields are there.
const HAS_OFFSET: u32 = 0x1;
const HAS_FIRST_FLAGS: u32 = 0x4;
const EACH_DURATION: u32 = 0x100;
const EACH_SIZE: u32 = 0x200;
const EACH_FLAGS: u32 = 0x400;
const EACH_SHIFT: u32 = 0x800;
/// In the flags of a sample: decoding cannot begin here.
const NOT_SYNC: u32 = 0x1_0000;

/// What samples have unless they say otherwise.
#[derive(Debug, Clone, Copy, Default)]
struct Defaults {
    description: u32,
    duration: u32,
    size: u32,
    flags: u32,
}

/// Adds the samples of track `track` in the fragment `content` at `offset`; `movie` is the content of `moov`.
pub(super) fn read(
    movie: &[u8],
    track: u32,
    (offset, content): (u64, &[u8]),
    samples: &mut Samples,
) -> Result<(), Fault> {
    let extends = child(movie, b"mvex").map(Boxes).into_iter().flatten();
    let extends = extends.filter(|(name, _)| name == b"trex").filter_map(|(_, content)| {
        let mut fields = Fields(content.get(4..)?);
        let track = fields.u32()?;
        let (description, duration) = (fields.u32()?, fields.u32()?);
        Some((track, Defaults { description, duration, size: fields.u32()?, flags: fields.u32()? }))
    });
    let defaults = extends.into_iter().find(|(of, _)| *of == track).map(|(_, defaults)| defaults).unwrap_or_default();
    let mut data_end = offset;
    for (_, part) in Boxes(content).filter(|(name, _)| name == b"traf") {
        let header = child(part, b"tfhd").ok_or_else(|| Fault::broken("tfhd"))?;
        let broken = || Fault::broken("tfhd");
        let mut fields = Fields(header);
        let (_, flags) = fields.version().ok_or_else(broken)?;
        let of = fields.u32().ok_or_else(broken)?;
        let base = if flags & HAS_BASE != 0 { Some(fields.u64().ok_or_else(broken)?) } else { None };
        let mut own = defaults;
        for (flag, value) in [
            (HAS_DESCRIPTION, &mut own.description),
            (HAS_DURATION, &mut own.duration),
            (HAS_SIZE, &mut own.size),
            (HAS_FLAGS, &mut own.flags),
        ] {
            if flags & flag != 0 {
                *value = fields.u32().ok_or_else(broken)?;
            }
        }
        // Without a base, data follow those of the part before; of the first part, they count from the fragment.
        let base = base.unwrap_or(if flags & BASE_IS_FRAGMENT != 0 { offset } else { data_end });
        if of == track {
            samples.describe(own.description)?;
            if let Some(content) = child(part, b"tfdt") {
                let mut fields = Fields(content);
                let time = fields.version().and_then(|(version, _)| fields.either(version == 1));
                let broken = || Fault::broken("tfdt");
                samples.end = time.and_then(|time| i64::try_from(time).ok()).ok_or_else(broken)?;
            }
        }
        data_end = base;
        for (_, run) in Boxes(part).filter(|(name, _)| name == b"trun") {
            // Runs of other tracks are read for the place where their data end.
            let into = (of == track).then_some(&mut *samples);
            data_end = read_run(run, (base, data_end), own, into)?;
        }
    }
    Ok(())
}

/// Reads a `trun`, the data of which are at `base` plus its offset, or at `next` without one; returns their end.
fn read_run(
    content: &[u8],
    (base, next): (u64, u64),
    defaults: Defaults,
    mut into: Option<&mut Samples>,
) -> Result<u64, Fault> {
    let broken = || Fault::broken("trun");
    let mut fields = Fields(content);
    let (_, flags) = fields.version().ok_or_else(broken)?;
    let count = fields.u32().ok_or_else(broken)?;
    let mut place = next;
    if flags & HAS_OFFSET != 0 {
        let offset = fields.i32().ok_or_else(broken)?;
        place = base.checked_add_signed(i64::from(offset)).ok_or_else(broken)?;
    }
    let first_flags = if flags & HAS_FIRST_FLAGS != 0 { Some(fields.u32().ok_or_else(broken)?) } else { None };
    let each = [EACH_DURATION, EACH_SIZE, EACH_FLAGS, EACH_SHIFT];
    let words = each.iter().filter(|flag| flags & **flag != 0).count() as u64;
    if u64::from(count) * words * 4 > fields.0.len() as u64 {
        return Err(broken());
    }
    let Some(samples) = into.as_mut() else {
        // Nothing is listed: the sizes are added up, or multiplied where there is no table.
        let mut bytes = u64::from(count).checked_mul(u64::from(defaults.size));
        if flags & EACH_SIZE != 0 {
            let before = if flags & EACH_DURATION != 0 { 4 } else { 0 };
            let entries = fields.0.chunks_exact(words as usize * 4).take(count as usize);
            let sizes = entries.filter_map(|entry| Fields(entry.get(before..)?).u32());
            bytes = Some(sizes.map(u64::from).sum());
        }
        return bytes.and_then(|bytes| place.checked_add(bytes)).ok_or_else(broken);
    };
    samples.promise(count, if flags & EACH_SIZE != 0 { 0 } else { defaults.size })?;
    for number in 0..count {
        let mut values = [defaults.duration, defaults.size, defaults.flags, 0];
        if let Some(first) = first_flags.filter(|_| number == 0) {
            values[2] = first;
        }
        for (flag, value) in each.iter().zip(&mut values) {
            if flags & flag != 0 {
                *value = fields.u32().ok_or_else(broken)?;
            }
        }
        let [duration, size, flags, shift] = values;
        let shift = shift.cast_signed();
        samples.early = samples.early.max(-i64::from(shift));
        samples.push([place, u64::from(size)], flags & NOT_SYNC == 0, shift, duration)?;
        place = place.checked_add(u64::from(size)).ok_or_else(broken)?;
    }
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::video::mp4::tables::Listed;

    fn boxed(name: &[u8; 4], words: &[u32]) -> Vec<u8> {
        let content: Vec<u8> = words.iter().flat_map(|word| word.to_be_bytes()).collect();
        nested(name, &[&content])
    }

    fn nested(name: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        [&(8 + content.len() as u32).to_be_bytes()[..], name, &content].concat()
    }

    #[test]
    fn runs_of_several_tracks_in_a_fragment_have_the_places_of_their_data() {
        let movie = nested(b"mvex", &[&boxed(b"trex", &[0, 2, 1, 10, 0, NOT_SYNC])]);
        // Track 1 has two samples of 50 bytes at 1000 + 80; the data of track 2 follow.
        let other = nested(b"traf", &[&boxed(b"tfhd", &[HAS_SIZE, 1, 50]), &boxed(b"trun", &[HAS_OFFSET, 2, 80])]);
        let flags = EACH_SIZE | EACH_SHIFT | HAS_FIRST_FLAGS;
        let own = nested(
            b"traf",
            &[
                &boxed(b"tfhd", &[0, 2]),
                &boxed(b"tfdt", &[1 << 24, 0, 700]),
                &boxed(b"trun", &[flags, 2, 0, 5, 20, 6, u32::MAX]),
                &boxed(b"trun", &[EACH_SIZE, 1, 7]),
            ],
        );
        let mut samples = Samples::new(10_000);
        let fragment = [other, own].concat();
        assert_eq!(read(&movie, 2, (1000, &fragment), &mut samples), Ok(()));
        let listed = |offset, size, is_sync, time| Listed { offset, size, is_sync, time };
        let expected = [listed(1180, 5, true, 720), listed(1185, 6, false, 709), listed(1191, 7, false, 720)];
        assert_eq!((samples.listed, samples.end), (expected.to_vec(), 730));
        for length in 8..fragment.len() {
            let _ = read(&movie, 2, (1000, &fragment[..length]), &mut Samples::new(10_000)); // no panic
        }
    }

    #[test]
    fn samples_of_fragments_without_a_table_are_counted() {
        let fragment = |count: u32| nested(b"traf", &[&boxed(b"tfhd", &[0, 1]), &boxed(b"trun", &[0, count])]);
        let check = |counts: &[u32]| {
            let mut samples = Samples::new(60);
            counts.iter().try_for_each(|count| read(&[], 1, (0, &fragment(*count)), &mut samples))
        };
        assert_eq!(check(&[20, 30]), Ok(()));
        for many in [&[1, u32::MAX][..], &[30, 20, 30]] {
            let fault = check(many).unwrap_err();
            assert!(fault.expected.contains("60 bytes") && fault.got.contains("or more"), "{fault:?}");
        }
    }
}
