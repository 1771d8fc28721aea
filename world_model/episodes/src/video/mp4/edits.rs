//! Edit lists (`elst`): which pictures of a track are shown, and when.
//!
//! Cutting without encoding anew leaves pictures in the file that are needed for decoding alone; the list says that
//! they are not shown. Players, ffmpeg and PyAV leave them out.

use super::boxes::{Fault, Fields};

/// One entry of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edit {
    /// Duration in units of the movie.
    duration: u64,
    /// Composition time of its start in units of the track; -1 when nothing is shown.
    start: i64,
    /// Speed as a whole number and 65536ths.
    rate: u32,
}

/// A picture is shown at the speed at which it was recorded.
const NORMAL: u32 = 1 << 16;

/// Reads the entries of an `elst`.
pub(super) fn read(content: &[u8]) -> Result<Vec<Edit>, Fault> {
    let mut fields = Fields(content);
    let broken = || Fault::broken("elst");
    let (version, _) = fields.version().ok_or_else(broken)?;
    let count = fields.u32().ok_or_else(broken)?;
    let mut edits = Vec::new(); // grows with what is there, whatever the count says
    for _ in 0..count {
        let wide = version == 1;
        let (duration, start) = fields.either(wide).zip(fields.either(wide)).ok_or_else(broken)?;
        let start = if wide { start.cast_signed() } else { i64::from((start as u32).cast_signed()) };
        edits.push(Edit { duration, start, rate: fields.u32().ok_or_else(broken)? });
    }
    Ok(edits)
}

/// Units per second of the movie and of the track.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scales {
    pub movie: u32,
    pub track: u32,
}

/// The pictures that are shown: for each its index in the ascending composition times `times`, and its time in seconds.
/// The first is shown at 0, unless the list begins with an empty edit.
///
/// Without a list, all are shown. A file of fragments states the duration of its first fragment: the end of its list is
/// ignored if `open_end`.
///
/// # Errors
/// A list that repeats or reorders pictures, changes their speed, or has gaps.
pub(super) fn shown(edits: &[Edit], times: &[i64], scales: Scales, open_end: bool) -> Result<Vec<(usize, f64)>, Fault> {
    let scale = f64::from(scales.track.max(1));
    let refused = |got: &str| {
        Fault::new("video edit list", "one after the other of the pictures, at their speed", got) //
    };
    let units = |duration: u64| {
        let (movie, track) = (i128::from(scales.movie.max(1)), i128::from(scales.track));
        (i128::from(duration) * track + movie / 2) / movie
    };
    let empty = edits.iter().take_while(|edit| edit.start == -1).count();
    let (before, edits) = edits.split_at(empty);
    let delay: i128 = before.iter().map(|edit| units(edit.duration)).sum();
    if edits.is_empty() && !before.is_empty() {
        return Err(refused("an empty edit alone"));
    }
    let whole = [Edit { duration: 0, start: times.first().copied().unwrap_or(0), rate: NORMAL }];
    let edits = if edits.is_empty() { &whole[..] } else { edits };
    let (mut pictures, mut position): (Vec<(usize, i128)>, i128) = (Vec::new(), delay);
    for (number, edit) in edits.iter().enumerate() {
        if edit.rate != NORMAL {
            return Err(refused("another speed"));
        }
        if edit.start < 0 {
            return Err(refused("a gap"));
        }
        let is_last = number + 1 == edits.len();
        let is_open = edit.duration == 0 || (open_end && is_last);
        if is_open && !is_last {
            return Err(refused("an edit without an end before another"));
        }
        let (start, duration) = (i128::from(edit.start), units(edit.duration));
        let first = times.partition_point(|time| i128::from(*time) < start);
        let end = match is_open {
            true => times.len(),
            false => times.partition_point(|time| i128::from(*time) < start + duration),
        };
        if pictures.last().is_some_and(|(last, _)| first <= *last && first < end) {
            return Err(refused("pictures twice or in another order"));
        }
        let inside = times.get(first..end).unwrap_or_default().iter().enumerate();
        pictures.extend(inside.map(|(index, time)| (first + index, position + i128::from(*time) - start)));
        position += duration;
    }
    // An edit may begin between two pictures: the first that it shows is the start.
    let shift = pictures.first().map_or(0, |(_, time)| time - delay);
    Ok(pictures.into_iter().map(|(index, time)| (index, (time - shift) as f64 / scale)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCALES: Scales = Scales { movie: 1000, track: 100 };
    const TIMES: [i64; 10] = [20, 30, 40, 50, 60, 70, 80, 90, 100, 110];

    fn edit(duration: u64, start: i64) -> Edit {
        Edit { duration, start, rate: NORMAL }
    }

    fn numbers(edits: &[Edit]) -> Result<Vec<usize>, String> {
        let pictures = shown(edits, &TIMES, SCALES, false).map_err(|fault| fault.got)?;
        Ok(pictures.into_iter().map(|(index, _)| index).collect())
    }

    #[test]
    fn pictures_within_the_edits_are_shown_at_their_times() {
        let all = (0..10).map(|index| (index, index as f64 / 10.0)).collect();
        assert_eq!(shown(&[], &TIMES, SCALES, false), Ok(all));
        assert_eq!(numbers(&[edit(1000, 20)]), Ok((0..10).collect()));
        assert_eq!(numbers(&[edit(300, 50)]), Ok(vec![3, 4, 5]));
        assert_eq!(numbers(&[edit(300, 53)]), Ok(vec![4, 5, 6]), "between two pictures");
        assert_eq!(numbers(&[edit(0, 90)]), Ok(vec![7, 8, 9]), "no duration: to the end");
        assert_eq!(numbers(&[edit(200, 20), edit(200, 90)]), Ok(vec![0, 1, 7, 8]));
        let late = shown(&[edit(250, -1), edit(200, 50)], &TIMES, SCALES, false);
        assert_eq!(late, Ok(vec![(3, 0.25), (4, 0.35)]));
        let fragments = shown(&[edit(100, 90)], &TIMES, SCALES, true);
        assert_eq!(fragments.map(|pictures| pictures.len()), Ok(3));
        assert_eq!(shown(&[], &[], SCALES, false), Ok(Vec::new()));
    }

    #[test]
    fn lists_that_repeat_reorder_stretch_or_interrupt_are_refused_by_name() {
        let cases = [
            (vec![edit(200, 20), edit(200, 20)], "twice"),
            (vec![edit(200, 60), edit(200, 20)], "another order"),
            (vec![edit(200, 20), edit(200, -1), edit(200, 60)], "a gap"),
            (vec![edit(0, 20), edit(200, 60)], "without an end"),
            (vec![edit(200, -1)], "an empty edit alone"),
            (vec![edit(200, -7)], "a gap"),
            (vec![Edit { rate: 2 << 16, ..edit(200, 20) }], "speed"),
            (vec![Edit { rate: 0, ..edit(200, 20) }], "speed"),
        ];
        for (edits, got) in cases {
            let error = numbers(&edits).unwrap_err();
            assert!(error.contains(got), "{error}");
        }
        let extreme = [edit(u64::MAX, i64::MAX)];
        assert_eq!(shown(&extreme, &[i64::MIN, i64::MAX], SCALES, false).map(|shown| shown.len()), Ok(1));
    }

    #[test]
    fn both_versions_of_the_list_are_read_and_cut_ones_refused() {
        let version_0 = [0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 9, 255, 255, 255, 255, 0, 1, 0, 0];
        assert_eq!(read(&version_0), Ok(vec![edit(9, -1)]));
        let version_1 = [&[1, 0, 0, 0, 0, 0, 0, 1][..], &9u64.to_be_bytes(), &(-1i64).to_be_bytes(), &[0, 1, 0, 0]];
        let version_1 = version_1.concat();
        assert_eq!(read(&version_1), Ok(vec![edit(9, -1)]));
        assert_eq!(read(&version_1[..27]), Err(Fault::broken("elst")));
        assert_eq!(read(&[0, 0, 0, 0, 255, 255, 255, 255]), Err(Fault::broken("elst")));
    }
}
