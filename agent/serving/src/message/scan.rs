//! Counts the values of a message before anything is allocated for them.

use rmp::Marker;

use super::{MAX_DEPTH, MAX_MESSAGE_BYTES, MAX_VALUES};

/// What follows a marker.
struct Following {
    /// Bytes of the value itself.
    bytes: usize,
    /// Values within it.
    values: usize,
}

/// Refuses bytes that are not one whole message within the limits.
pub(super) fn scan(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() > MAX_MESSAGE_BYTES {
        return Err(format!("expected at most {MAX_MESSAGE_BYTES} bytes, got {}", bytes.len()));
    }
    let (mut at, mut seen) = (0, 0);
    let mut left = vec![1];
    while let Some(open) = left.last_mut() {
        if *open == 0 {
            left.pop();
            continue;
        }
        *open -= 1;
        seen += 1;
        if seen > MAX_VALUES {
            return Err(format!("expected at most {MAX_VALUES} values, got more"));
        }
        let following = following(bytes, &mut at)?;
        let rest = bytes.len() - at;
        // Every value takes a byte at least: what is promised beyond the end is not waited for.
        if following.bytes > rest || following.values > rest {
            return Err(format!("it ends early: expected {} more, got {rest}", following.bytes.max(following.values)));
        }
        at += following.bytes;
        if following.values > 0 {
            if left.len() > MAX_DEPTH {
                return Err(format!("expected at most {MAX_DEPTH} maps and lists within each other, got more"));
            }
            left.push(following.values);
        }
    }
    if at == bytes.len() { Ok(()) } else { Err(format!("expected its end at byte {at}, got {} bytes", bytes.len())) }
}

/// Reads the marker at `at` and the length after it.
fn following(bytes: &[u8], at: &mut usize) -> Result<Following, String> {
    let marker = *bytes.get(*at).ok_or("it ends early")?;
    *at += 1;
    let mut length = |size: usize| -> Result<usize, String> {
        let digits = bytes.get(*at..*at + size).ok_or("it ends within a length")?;
        *at += size;
        Ok(digits.iter().fold(0, |length, digit| (length << 8) | usize::from(*digit)))
    };
    let (mut own, mut values) = (0, 0);
    match Marker::from_u8(marker) {
        Marker::FixPos(_) | Marker::FixNeg(_) | Marker::Null | Marker::True | Marker::False => {}
        Marker::U8 | Marker::I8 => own = 1,
        Marker::U16 | Marker::I16 => own = 2,
        Marker::U32 | Marker::I32 | Marker::F32 => own = 4,
        Marker::U64 | Marker::I64 | Marker::F64 => own = 8,
        Marker::FixStr(bytes) => own = usize::from(bytes),
        Marker::Str8 | Marker::Bin8 => own = length(1)?,
        Marker::Str16 | Marker::Bin16 => own = length(2)?,
        Marker::Str32 | Marker::Bin32 => own = length(4)?,
        Marker::FixArray(count) => values = usize::from(count),
        Marker::Array16 => values = length(2)?,
        Marker::Array32 => values = length(4)?,
        Marker::FixMap(count) => values = 2 * usize::from(count),
        Marker::Map16 => values = 2 * length(2)?,
        Marker::Map32 => values = 2 * length(4)?,
        other => return Err(format!("expected msgpack without extensions, got {other:?} at byte {}", *at - 1)),
    }
    Ok(Following { bytes: own, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_that_promise_more_than_there_is_cost_nothing() {
        for bytes in [&b"\xdd\xff\xff\xff\xff\xc0"[..], b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff\x00", b"\xdb"] {
            assert!(scan(bytes).unwrap_err().contains("it ends"), "{bytes:?}");
        }
        let mut many = vec![0xdd];
        many.extend((MAX_VALUES as u32).to_be_bytes());
        many.resize(many.len() + MAX_VALUES, 0xc0);
        assert!(scan(&many).unwrap_err().contains("values"));
    }

    #[test]
    fn depth_the_end_and_extensions_are_checked() {
        let nested = |depth: usize| [vec![0x91; depth], vec![0xc0]].concat();
        assert!(scan(&nested(MAX_DEPTH)).is_ok());
        assert!(scan(&nested(MAX_DEPTH + 1)).unwrap_err().contains("within each other"));
        assert!(scan(&nested(1_000_000)).is_err());
        assert!(scan(b"\xc0\xc0").unwrap_err().contains("expected its end"));
        assert!(scan(b"").is_err() && scan(b"\xd4\x00\x00").is_err() && scan(b"\xc1").is_err());
    }
}
