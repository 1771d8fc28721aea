//! Values out of bytes that were counted before.

use rmpv::ValueRef;
use rmpv::decode::read_value_ref_with_max_depth;

use super::{Array, Dtype, MAX_DEPTH, Map, Value};
use crate::{Error, Result};

/// The message in `bytes`.
pub(super) fn value(mut bytes: &[u8]) -> Result<Value> {
    // rmpv counts a list or map twice, and the bytes of a value once.
    let depth = 2 * MAX_DEPTH + 4;
    let read = read_value_ref_with_max_depth(&mut bytes, depth);
    converted(read.map_err(|error| Error::message(error.to_string()))?)
}

fn converted(value: ValueRef<'_>) -> Result<Value> {
    Ok(match value {
        ValueRef::Nil => Value::Nil,
        ValueRef::Boolean(is_true) => Value::Bool(is_true),
        ValueRef::Integer(number) => match (number.as_i64(), number.as_u64()) {
            (Some(number), _) => Value::Int(number),
            (None, number) => Value::Float(number.unwrap_or(u64::MAX) as f64),
        },
        ValueRef::F32(number) => Value::Float(f64::from(number)),
        ValueRef::F64(number) => Value::Float(number),
        ValueRef::String(text) => match text.as_str() {
            Some(text) => Value::Text(text.to_owned()),
            None => return Err(Error::message("expected text of UTF-8, got other bytes")),
        },
        ValueRef::Binary(bytes) => Value::Bytes(bytes.to_vec()),
        ValueRef::Array(values) => Value::List(values.into_iter().map(converted).collect::<Result<_>>()?),
        ValueRef::Map(pairs) => map(pairs)?,
        ValueRef::Ext(..) => return Err(Error::message("expected msgpack without extensions, got one")),
    })
}

fn map(pairs: Vec<(ValueRef<'_>, ValueRef<'_>)>) -> Result<Value> {
    let has = |wanted: &str| pairs.iter().any(|(key, _)| name(key) == Some(wanted));
    if has(NDARRAY) {
        return array(&pairs);
    }
    if has(NPGENERIC) {
        return generic(&pairs);
    }
    let mut map = Map::new();
    for (key, value) in pairs {
        let Some(name) = name(&key).map(ToOwned::to_owned) else {
            return Err(Error::message(format!("key: expected text, got {}", converted(key)?.kind())));
        };
        if let Some(_twice) = map.insert(name.clone(), converted(value)?) {
            return Err(Error::message(format!("key {name:?}: expected it once, got it twice")));
        }
    }
    Ok(Value::Map(map))
}

const NDARRAY: &str = "__ndarray__";
const NPGENERIC: &str = "__npgeneric__";

/// The text of a key: Python's clients write keys as text, those of arrays as bytes.
fn name<'a>(key: &'a ValueRef<'_>) -> Option<&'a str> {
    match key {
        ValueRef::String(text) => text.as_str(),
        ValueRef::Binary(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

/// The field `wanted` of an array.
fn part<'a, 'v>(pairs: &'v [(ValueRef<'a>, ValueRef<'a>)], wanted: &str) -> Result<&'v ValueRef<'a>> {
    let found = pairs.iter().find(|(key, _)| name(key) == Some(wanted)).map(|(_, value)| value);
    found.ok_or_else(|| Error::message(format!("array: expected the key {wanted}, got none")))
}

fn dtype(pairs: &[(ValueRef<'_>, ValueRef<'_>)]) -> Result<Dtype> {
    match part(pairs, "dtype")? {
        ValueRef::String(text) => Dtype::of_numpy(text.as_str().unwrap_or_default()),
        other => Err(Error::message(format!("dtype: expected text, got {}", converted(other.clone())?.kind()))),
    }
}

fn array(pairs: &[(ValueRef<'_>, ValueRef<'_>)]) -> Result<Value> {
    let ValueRef::Binary(data) = part(pairs, "data")? else {
        return Err(Error::message("array: expected bytes as its data, got something else"));
    };
    let wrong = || Error::message("array: expected whole numbers as its shape, got something else");
    let ValueRef::Array(sides) = part(pairs, "shape")? else { return Err(wrong()) };
    let side = |side: &ValueRef<'_>| match side {
        ValueRef::Integer(side) => side.as_u64().and_then(|side| usize::try_from(side).ok()),
        _ => None,
    };
    let shape = sides.iter().map(side).collect::<Option<Vec<usize>>>().ok_or_else(wrong)?;
    Ok(Value::Array(Array::new(dtype(pairs)?, shape, data.to_vec())?))
}

/// A number of numpy: its value as msgpack has it.
fn generic(pairs: &[(ValueRef<'_>, ValueRef<'_>)]) -> Result<Value> {
    dtype(pairs)?;
    match converted(part(pairs, "data")?.clone())? {
        number @ (Value::Bool(_) | Value::Int(_) | Value::Float(_)) => Ok(number),
        other => Err(Error::message(format!("number of numpy: expected a number, got {}", other.kind()))),
    }
}
