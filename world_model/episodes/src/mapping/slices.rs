//! Parts of columns.

use std::ops::Range;
use std::path::Path;

use super::{AvailableColumn, ColumnKind};
use crate::columns::ColumnSlice;
use crate::{Error, Result};

/// `name` and the range of `name[first..end]`.
pub(super) fn split(text: &str) -> Option<(&str, Option<Range<usize>>)> {
    let Some((name, range)) = text.rsplit_once('[') else { return Some((text, None)) };
    let range = range.strip_suffix(']')?;
    let (first, end) = range.split_once("..")?;
    Some((name, Some(first.trim().parse().ok()?..end.trim().parse().ok()?)))
}

/// The `elements` of `column`, or all of them.
pub(super) fn slice(path: &Path, column: &AvailableColumn, elements: Option<Range<usize>>) -> Result<ColumnSlice> {
    let name = &column.name;
    let width = match &column.kind {
        ColumnKind::Vector(width) => *width,
        ColumnKind::Image(_) => return Err(Error::content(path, name, "numbers", "images")),
        ColumnKind::Unread(what) => return Err(Error::content(path, name, "numbers", what)),
    };
    let elements = elements.unwrap_or(0..width);
    if elements.is_empty() || elements.end > width {
        let got = format!("{}..{}", elements.start, elements.end);
        return Err(Error::content(path, format!("elements of {name}"), format!("a part of 0..{width}"), got));
    }
    let names = column.elements.get(elements.clone()).filter(|_| column.elements.len() == width);
    Ok(ColumnSlice { column: name.clone(), width, names: names.map(<[String]>::to_vec).unwrap_or_default(), elements })
}
