//! Messages: msgpack with numpy arrays in it, as `openpi-client` writes and reads them.
//!
//! Bytes from outside are counted before anything is allocated for them: a list of nothing takes one byte in a message
//! and dozens in memory. An array is `{b"__ndarray__": true, b"data": bytes, b"dtype": "<f4", b"shape": [2, 3]}`, with
//! binary keys; nothing in a message can name code.

mod array;
mod read;
mod scan;
mod write;

use std::collections::BTreeMap;

pub use array::{Array, Dtype};

use crate::{Error, Result};

/// Most bytes of a message: some uncompressed images of full HD.
pub const MAX_MESSAGE_BYTES: usize = 32 << 20;
/// Most values of a message; the numbers of an array count as one.
pub const MAX_VALUES: usize = 1 << 17;
/// Most numbers that a list or an array has where numbers are asked for: beside images nothing is longer.
pub const MAX_NUMBERS: usize = 1 << 16;
/// Most maps and lists within each other.
pub const MAX_DEPTH: usize = 12;

/// A value of a message.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing.
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A number.
    Float(f64),
    /// Text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Numbers with a shape.
    Array(Array),
    /// Values in order.
    List(Vec<Value>),
    /// Values by name.
    Map(Map),
}

/// Values by name.
pub type Map = BTreeMap<String, Value>;

impl Value {
    /// The message in `bytes`.
    ///
    /// # Errors
    /// [`Error::Message`] for bytes that are no message, or too large or too deep a one.
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        scan::scan(bytes).map_err(Error::message)?;
        read::value(bytes)
    }

    /// The bytes of this message.
    pub fn encode(&self) -> Vec<u8> {
        write::value(self)
    }

    /// What kind of value it is, in words, for errors.
    pub fn kind(&self) -> String {
        match self {
            Self::Nil => "nothing".into(),
            Self::Bool(_) => "true or false".into(),
            Self::Int(value) => format!("the number {value}"),
            Self::Float(value) => format!("the number {value}"),
            Self::Text(_) => "text".into(),
            Self::Bytes(bytes) => format!("{} bytes", bytes.len()),
            Self::Array(array) => format!("an array of {} {:?}", array.dtype(), array.shape()),
            Self::List(values) => format!("a list of {}", values.len()),
            Self::Map(map) => format!("a map of {}", map.len()),
        }
    }

    /// The number that this is, or the only one of an array.
    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            Self::Array(array) if array.len() == 1 => array.numbers().next(),
            _ => None,
        }
    }

    /// The numbers of a list, of nested lists, or of an array of any shape, in order; `None` for an array of more than
    /// [`MAX_NUMBERS`].
    pub fn numbers(&self) -> Option<Vec<f64>> {
        match self {
            Self::Array(array) if array.shape().iter().product::<usize>() > MAX_NUMBERS => None,
            Self::Array(array) => Some(array.numbers().collect()),
            Self::List(values) => {
                let parts: Option<Vec<Vec<f64>>> = values.iter().map(Self::numbers).collect();
                parts.map(|parts| parts.concat())
            }
            other => other.number().map(|number| vec![number]),
        }
    }

    /// The rows of `width` numbers of a list of lists or of an array `[N, width]`; numbers in one line are cut into
    /// rows.
    ///
    /// # Errors
    /// [`Error::Field`] naming `field`.
    pub fn rows(&self, field: &str, width: usize) -> Result<Vec<Vec<f64>>> {
        let wrong = |got: String| Error::field(field, format!("an array [N, {width}] of numbers"), got);
        let last = match self {
            Self::Array(array) => array.shape().last().copied().filter(|_| array.shape().len() > 1),
            Self::List(values) => {
                values.iter().filter(|row| row.number().is_none()).find_map(Self::numbers).map(|row| row.len())
            }
            _ => None,
        };
        let numbers = self.numbers().ok_or_else(|| wrong(self.kind()))?;
        let divides = width > 0 && numbers.len() % width == 0 && last.is_none_or(|last| last == width);
        if !divides {
            return Err(wrong(self.kind()));
        }
        Ok(numbers.chunks(width).map(<[f64]>::to_vec).collect())
    }

    /// The map that this is.
    pub fn as_map(&self) -> Option<&Map> {
        if let Self::Map(map) = self { Some(map) } else { None }
    }

    /// The text that this is.
    pub fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<f64> for Value {
    fn from(number: f64) -> Self {
        Self::Float(number)
    }
}

impl From<usize> for Value {
    fn from(number: usize) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::Int(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

impl From<bool> for Value {
    fn from(is_true: bool) -> Self {
        Self::Bool(is_true)
    }
}

impl From<Array> for Value {
    fn from(array: Array) -> Self {
        Self::Array(array)
    }
}

impl<T: Into<Value>> From<Vec<T>> for Value {
    fn from(values: Vec<T>) -> Self {
        Self::List(values.into_iter().map(Into::into).collect())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Nil, Into::into)
    }
}

impl<const N: usize> From<[(&str, Value); N]> for Value {
    fn from(pairs: [(&str, Value); N]) -> Self {
        Self::Map(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }
}
