//! Checks shared by the formats that store columns over all episodes: ranges of rows, widths, finite values.

use std::ops::Range;
use std::path::Path;

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
/// [`Error::Content`] when a range is empty or exceeds `rows`.
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
    lengths.iter().zip(offsets).enumerate().map(range).collect()
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

/// Returns `values [count, width]` of column `name` after checking that they are complete and finite.
///
/// # Errors
/// [`Error::Content`] that names the episode and the frame.
pub(crate) fn finite(
    path: &Path,
    episode: usize,
    name: &str,
    [count, width]: [usize; 2],
    values: Vec<f32>,
) -> Result<Vec<f32>> {
    if values.len() != count * width {
        let field = format!("episode {episode} {name}");
        return Err(Error::content(path, field, format!("{} values", count * width), values.len()));
    }
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(bad) => {
            let field = format!("episode {episode} frame {} {name}[{}]", bad / width, bad % width);
            Err(Error::content(path, field, "a finite number", values[bad]))
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
        ] {
            assert!(episodes(path, lengths, offsets, 5).is_err(), "{lengths:?} {offsets:?}");
        }
    }

    #[test]
    fn values_that_are_not_finite_are_located() {
        let poisoned = finite(Path::new("file"), 3, "action", [2, 2], vec![0.0, 1.0, 2.0, f32::NAN]);
        let error = poisoned.map_err(|error| error.to_string());
        assert_eq!(error, Err("file: episode 3 frame 1 action[1]: expected a finite number, got NaN".into()));
    }
}
