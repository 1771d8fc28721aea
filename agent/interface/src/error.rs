//! Errors of this crate: which operation, what it expected, what it got. Names and values from files are escaped when
//! an error is shown (see [`crate::text`]).

use std::path::PathBuf;

use crate::text::{printable, printable_path};

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// What can be wrong with data that an environment, an agent or a config file hands over.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value does not have the size that the operation needs.
    #[error("{operation}: expected {expected} values, got {got}")]
    Length {
        /// The operation that refused.
        operation: &'static str,
        /// Number of values it needs.
        expected: usize,
        /// Number of values it was given.
        got: usize,
    },
    /// A number is NaN or infinite.
    #[error("{operation}: value {index} is not finite (got {got})")]
    NotFinite {
        /// The operation that refused.
        operation: &'static str,
        /// Index of the first bad value.
        index: usize,
        /// The bad value.
        got: f64,
    },
    /// An image size that no camera or model can have.
    #[error("image size: expected 1 to {max} pixels a side, got {height}x{width}")]
    ImageSize {
        /// Largest side allowed, pixels.
        max: usize,
        /// Height asked for, pixels.
        height: usize,
        /// Width asked for, pixels.
        width: usize,
    },
    /// A value outside its range, or a name that is not known.
    #[error("{}: expected {}, got {}", printable(field), printable(expected), printable(got))]
    Field {
        /// Path of the field, for example `planner.horizon_chunks`.
        field: String,
        /// The range, or the known names.
        expected: String,
        /// The value that was given.
        got: String,
    },
    /// A config file cannot be read or parsed.
    #[error("{}: {}", printable_path(path), printable(reason))]
    File {
        /// The file.
        path: PathBuf,
        /// Why: the message of the parser or the operating system, on one line.
        reason: String,
    },
    /// An environment could not carry out an operation.
    #[error("{operation}: {}", printable(reason))]
    Environment {
        /// The operation that failed.
        operation: &'static str,
        /// Why, with expected and got.
        reason: String,
    },
}

impl Error {
    /// Shorthand for [`Error::Field`].
    pub fn field(field: impl Into<String>, expected: impl Into<String>, got: impl ToString) -> Self {
        Self::Field { field: field.into(), expected: expected.into(), got: got.to_string() }
    }
}

/// Refuses NaN and infinities, naming the first.
///
/// # Errors
/// [`Error::NotFinite`].
pub fn require_finite(operation: &'static str, values: &[f32]) -> Result<()> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::NotFinite { operation, index, got: f64::from(values[index]) }),
    }
}
