//! Checks shared by the formats that store columns over all episodes: ranges of rows, widths, finite values.

use std::ops::Range;
use std::path::Path;

use crate::columns::ColumnSlice;
use crate::{Error, Result};

/// Largest width of a vector; a wider one is taken for a broken file.
pub(crate) const MAX_WIDTH: u64 = 1 << 16;
/// Largest number of timesteps of a data set; more are taken for a broken file.
pub(crate) const MAX_FRAMES: usize = u32::MAX as usize;

/// The error that none of the `alternatives` is among the columns `names`.
pub(crate) fn missing(path: &Path, alternatives: &[&str], names: &[String]) -> Error {
    let got = if names.is_empty() { "none".into() } else { format!("only {}", names.join(", ")) };
    Error::content(path, alternatives.join(" or "), "a column", got)
}

/// The rows of each episode, from `ep_len` and `ep_offset`. All ranges lie within `rows`.
///
/// # Errors
/// [`Error::Content`] when a range is empty, exceeds `rows`, or overlaps another.
pub(crate) fn episodes(path: &Path, lengths: &[i64], offsets: &[i64], rows: u64) -> Result<Vec<Range<usize>>> {
    if lengths.len() != offsets.len() {
        return Err(Error::content(path, "ep_offset", format!("{} episodes", lengths.len()), offsets.len()));
    }
    let rows = usize::try_from(rows).unwrap_or(usize::MAX).min(MAX_FRAMES);
    let range = |(episode, (&length, &offset)): (usize, (&i64, &i64))| {
        let (first, count) = (usize::try_from(offset).ok(), usize::try_from(length).ok().filter(|count| *count > 0));
        let range = first.zip(count).and_then(|(first, count)| Some(first..first.checked_add(count)?));
        range.filter(|range| range.end <= rows).ok_or_else(|| {
            let got = format!("{length} rows from {offset}");
            Error::content(path, format!("episode {episode}"), format!("rows below {rows}"), got)
        })
    };
    let ranges: Vec<Range<usize>> = lengths.iter().zip(offsets).enumerate().map(range).collect::<Result<_>>()?;
    let mut order: Vec<usize> = (0..ranges.len()).collect();
    order.sort_by_key(|episode| ranges[*episode].start);
    for (&first, &second) in order.iter().zip(order.iter().skip(1)) {
        if ranges[first].end > ranges[second].start {
            let got = format!("rows {:?} and {:?}", ranges[first], ranges[second]);
            return Err(Error::content(path, "ep_offset", format!("episodes {first} and {second} apart"), got));
        }
    }
    Ok(ranges)
}

/// The width of a row of column `name` of `shape`: `[rows, width]`, or `[rows]` with one number each.
///
/// # Errors
/// [`Error::Content`] for another shape.
pub(crate) fn width(path: &Path, name: &str, shape: &[u64], rows: u64) -> Result<usize> {
    match *shape {
        [own, width] if own == rows && (1..=MAX_WIDTH).contains(&width) => Ok(width as usize),
        [own] if own == rows => Ok(1),
        _ => Err(Error::content(path, name, format!("[{rows}, width]"), format!("{shape:?}"))),
    }
}

/// Returns `values [count, width]` of column `name`, which `slice` is of, after checking that they are complete, and
/// that those of `slice` are finite.
///
/// # Errors
/// [`Error::Content`] that names the episode and the frame.
pub(crate) fn finite(
    path: &Path,
    episode: usize,
    (name, slice): (&str, &ColumnSlice),
    count: usize,
    values: Vec<f32>,
) -> Result<Vec<f32>> {
    check(path, episode, (name, slice), count, &values, count)?;
    Ok(values)
}

/// [`finite`] for actions: in the last row, all of `slice` may be NaN. Nothing is done after the last image, and
/// stable-worldmodel's recorder says so.
///
/// # Errors
/// As [`finite`].
pub(crate) fn finite_but_last(
    path: &Path,
    episode: usize,
    (name, slice): (&str, &ColumnSlice),
    count: usize,
    values: Vec<f32>,
) -> Result<Vec<f32>> {
    let last = values.len().checked_sub(slice.width).and_then(|last| values[last..].get(slice.elements.clone()));
    let none = last.is_some_and(|last| last.iter().all(|value| value.is_nan()));
    check(path, episode, (name, slice), count, &values, count - usize::from(none))?;
    Ok(values)
}

/// Checks that there are `count` rows, and that `slice` is finite in the first `finite` of them.
fn check(
    path: &Path,
    episode: usize,
    (name, slice): (&str, &ColumnSlice),
    count: usize,
    values: &[f32],
    finite: usize,
) -> Result<()> {
    let (width, elements) = (slice.width, &slice.elements);
    if values.len() != count * width {
        let field = format!("episode {episode} {name}");
        return Err(Error::content(path, field, format!("{} values", count * width), values.len()));
    }
    let is_bad = |(index, value): &(usize, &f32)| {
        !value.is_finite() && (slice.is_whole() || elements.contains(&(index % width)))
    };
    match values[..finite * width].iter().enumerate().find(is_bad) {
        None => Ok(()),
        Some((bad, value)) => {
            let field = format!("episode {episode} frame {} {name}[{}]", bad / width, bad % width);
            Err(Error::content(path, field, "a finite number", value))
        }
    }
}

/// The entry of episode `index`.
///
/// # Errors
/// [`Error::Content`] when there is no such episode.
pub(crate) fn episode<'a, T>(path: &Path, episodes: &'a [T], index: usize) -> Result<&'a T> {
    let missing = || Error::content(path, "episode", format!("below {}", episodes.len()), index);
    episodes.get(index).ok_or_else(missing)
}

/// `episodes`, cut at `count`, as parts of one episode each: for formats in which every episode is read separately.
pub(crate) fn one_by_one(episodes: Range<usize>, count: usize) -> Vec<Range<usize>> {
    (episodes.start..episodes.end.min(count)).map(|episode| episode..episode + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn episodes_that_lie_outside_the_rows_are_refused() {
        let path = Path::new("file");
        let good = episodes(path, &[3, 2], &[0, 3], 5);
        assert!(matches!(good.as_deref(), Ok([first, second]) if *first == (0..3) && *second == (3..5)));
        for (lengths, offsets) in [
            (&[3, 3][..], &[0, 3][..]),
            (&[0], &[0]),
            (&[-1], &[2]),
            (&[1], &[-1]),
            (&[i64::MAX], &[i64::MAX]),
            (&[1, 1], &[0]),
            (&[2, 2], &[0, 0]),
            (&[2, 3], &[3, 1]),
        ] {
            assert!(episodes(path, lengths, offsets, 5).is_err(), "{lengths:?} {offsets:?}");
        }
    }

    fn slice(elements: Range<usize>) -> ColumnSlice {
        ColumnSlice { column: "action".into(), width: 2, elements, names: Vec::new() }
    }

    #[test]
    fn values_that_are_not_finite_are_located() {
        let path = Path::new("file");
        let poisoned = |elements| finite(path, 3, ("action", &slice(elements)), 2, vec![0.0, 1.0, 2.0, f32::NAN]);
        let error = poisoned(0..2).map_err(|error| error.to_string());
        assert_eq!(error, Err("file: episode 3 frame 1 action[1]: expected a finite number, got NaN".into()));
        assert!(poisoned(0..1).is_ok(), "an element that nobody asked for");
    }

    #[test]
    fn the_last_row_of_actions_may_be_nan_as_a_whole() {
        const NAN: f32 = f32::NAN;
        let read = |elements, values: &[f32]| {
            finite_but_last(Path::new("file"), 0, ("action", &slice(elements)), 2, values.to_vec())
                .map_err(|error| error.to_string())
        };
        assert!(read(0..2, &[0.0, 1.0, NAN, NAN]).is_ok());
        assert!(read(0..2, &[0.0, 1.0, 2.0, NAN]).is_err_and(|error| error.contains("frame 1 action[1]")));
        assert!(read(0..1, &[0.0, 1.0, NAN, 3.0]).is_ok());
        assert!(read(0..2, &[NAN, NAN, 0.0, 1.0]).is_err_and(|error| error.contains("frame 0 action[0]")));
        assert!(read(0..2, &[NAN, NAN, NAN, NAN]).is_err_and(|error| error.contains("frame 0 action[0]")));
        assert!(read(0..2, &[0.0, 1.0, f32::INFINITY, NAN]).is_err());
        assert!(finite_but_last(Path::new("file"), 0, ("action", &slice(0..2)), 0, Vec::new()).is_ok());
    }
}
