//! The columns that are read from a data set, and rows of several columns side by side.

use std::ops::Range;
use std::path::Path;

use mindseye_interface::printable;

use crate::cameras::{RecordedCamera, stack_size};
use crate::episode::EpisodeShape;
use crate::{Error, Result};

/// Some elements of a column of vectors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ColumnSlice {
    pub column: String,
    /// Width of the whole column.
    pub width: usize,
    pub elements: Range<usize>,
    /// Names of the elements; empty where the column has none.
    pub names: Vec<String>,
}

impl ColumnSlice {
    /// Whether this is all of the column.
    pub fn is_whole(&self) -> bool {
        self.elements == (0..self.width)
    }
}

/// The columns that are read. An action, proprioception and the true state are the listed slices, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Columns {
    /// At least one.
    pub cameras: Vec<RecordedCamera>,
    pub action: Vec<ColumnSlice>,
    pub proprioception: Vec<ColumnSlice>,
    pub state: Vec<ColumnSlice>,
}

impl Columns {
    /// Widths and image size of an episode that is read from these columns.
    ///
    /// # Errors
    /// [`crate::Error::Interface`] when the stack of all cameras is larger than an image may be.
    pub fn shape(&self) -> Result<EpisodeShape> {
        let width = |slices: &[ColumnSlice]| slices.iter().map(|slice| slice.elements.len()).sum();
        Ok(EpisodeShape {
            image_size: stack_size(self.cameras[0].size, self.cameras.len())?,
            action: width(&self.action),
            proprioception: width(&self.proprioception),
            state: width(&self.state),
        })
    }

    /// Whether an action is the whole of `column` and nothing else. Only then does the recorded action space describe
    /// it.
    pub fn action_is(&self, column: &str) -> bool {
        matches!(&self.action[..], [only] if only.column == column && only.is_whole())
    }

    /// The slices of actions, proprioception and the true state.
    pub fn slices(&self) -> impl Iterator<Item = &ColumnSlice> {
        [&self.action, &self.proprioception, &self.state].into_iter().flatten()
    }
}

/// Longest name of an element that is kept whole, characters.
const LONGEST_NAME: usize = 150;

/// Names of the elements of `slices`, one after the other; empty where one slice has none. They are labels for people:
/// one with control characters gets escapes for them, a very long one is cut short.
pub(crate) fn element_names(slices: &[ColumnSlice]) -> Vec<String> {
    if slices.iter().any(|slice| slice.names.is_empty()) {
        return Vec::new();
    }
    let label = |name: &String| printable(&name.chars().take(LONGEST_NAME).collect::<String>()).into_owned();
    slices.iter().flat_map(|slice| &slice.names).map(label).collect()
}

/// `slices` with `names` for their elements, one after the other.
///
/// # Errors
/// [`Error::Content`] when there are not as many names as elements.
pub(crate) fn with_names(
    path: &Path,
    field: &str,
    slices: Vec<ColumnSlice>,
    names: &[String],
) -> Result<Vec<ColumnSlice>> {
    let width: usize = slices.iter().map(|slice| slice.elements.len()).sum();
    if names.len() != width {
        let expected = format!("{width} names, one for each element");
        return Err(Error::content(path, format!("{field}_names"), expected, names.len()));
    }
    let mut left = names;
    let named = slices.into_iter().map(|slice| {
        let (own, rest) = left.split_at(slice.elements.len());
        left = rest;
        ColumnSlice { names: own.to_vec(), ..slice }
    });
    Ok(named.collect())
}

/// Rows of `slices` side by side, `[T, sum of their widths]`; `column` gives the rows `[T, width]` of a whole column.
///
/// # Errors
/// The error of `column`.
pub(crate) fn side_by_side(
    slices: &[ColumnSlice],
    mut column: impl FnMut(&ColumnSlice) -> Result<Vec<f32>>,
) -> Result<Vec<f32>> {
    if let [only] = slices
        && only.is_whole()
    {
        return column(only);
    }
    let columns: Vec<Vec<f32>> = slices.iter().map(&mut column).collect::<Result<_>>()?;
    let rows = slices.iter().zip(&columns).map(|(slice, values)| values.len() / slice.width).min().unwrap_or(0);
    let mut joined = Vec::new();
    for row in 0..rows {
        for (slice, values) in slices.iter().zip(&columns) {
            let first = row * slice.width;
            joined.extend_from_slice(&values[first + slice.elements.start..first + slice.elements.end]);
        }
    }
    Ok(joined)
}

/// [`side_by_side`] for actions. Where one slice has no value in the last row (NaN), the whole row becomes NaN: no
/// action was taken there.
///
/// # Errors
/// The error of `column`.
pub(crate) fn actions_side_by_side(
    slices: &[ColumnSlice],
    column: impl FnMut(&ColumnSlice) -> Result<Vec<f32>>,
) -> Result<Vec<f32>> {
    let mut actions = side_by_side(slices, column)?;
    let width = slices.iter().map(|slice| slice.elements.len()).sum::<usize>();
    let last = actions.len().saturating_sub(width);
    if actions[last..].iter().any(|value| value.is_nan()) {
        actions[last..].fill(f32::NAN);
    }
    Ok(actions)
}
