//! One link of a group of the new layout.

use super::bytes::{Bytes, Parsed};

/// Where a link leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// An object header.
    Hard(u64),
    /// A path in the same file.
    Soft(String),
    /// A path in another file.
    External { file: String, path: String },
    /// A kind of link that only some programs know.
    Other(u8),
}

/// Parses a link message; returns the name of the link as well.
pub(super) fn parse(body: &mut Bytes<'_>) -> Parsed<(String, Target)> {
    let flags = body.take(2)?[1];
    let kind = if flags & 8 != 0 { body.take(1)?[0] } else { 0 };
    body.take(if flags & 4 != 0 { 8 } else { 0 })?;
    body.take(if flags & 16 != 0 { 1 } else { 0 })?;
    let length = body.number(1 << (flags & 3))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let name = text(body.take(usize::try_from(length).map_err(|error| error.to_string())?)?);
    if kind == 0 {
        return Ok((name, Target::Hard(body.address()?)));
    }
    let length = body.number(2)? as usize;
    let value = body.take(length)?;
    let target = match kind {
        1 => Target::Soft(text(value)),
        64 => {
            let mut parts = value.get(1..).unwrap_or_default().split(|byte| *byte == 0).map(text);
            let mut part = || parts.next().unwrap_or_default();
            Target::External { file: part(), path: part() }
        }
        other => Target::Other(other),
    };
    Ok((name, target))
}
