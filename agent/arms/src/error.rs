//! What can go wrong between a program and an arm.

use mindseye_interface::text::{one_line, printable};

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of arms. Each is shown on one line, with text from outside escaped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A field of an address, of settings or of a calibration, or an argument, that makes no sense.
    #[error("{}: expected {}, got {}", printable(field), printable(expected), printable(got))]
    Field {
        /// The field.
        field: String,
        /// What it can be.
        expected: String,
        /// What it was.
        got: String,
    },
    /// A serial line that cannot be opened, or is gone.
    #[error("{}: {}", printable(port), one_line(reason))]
    Line {
        /// The port.
        port: String,
        /// Why.
        reason: String,
    },
    /// A servo that gives no answer, or a wrong one.
    #[error("{}: {operation}: {}", printable(port), one_line(reason))]
    Servo {
        /// The port.
        port: String,
        /// What was asked.
        operation: String,
        /// What came instead.
        reason: String,
    },
    /// The arm must not be moved as it is: what was measured.
    #[error("{}", printable(.0))]
    Fault(String),
    /// A file that cannot be read or written.
    #[error("{}: {}", printable(file), one_line(reason))]
    File {
        /// The file.
        file: String,
        /// Why.
        reason: String,
    },
    /// Settings or values that make no sense.
    #[error(transparent)]
    Interface(#[from] mindseye_interface::Error),
}

impl Error {
    /// Shorthand for [`Error::Field`].
    pub fn field(field: impl Into<String>, expected: impl Into<String>, got: impl ToString) -> Self {
        Self::Field { field: field.into(), expected: expected.into(), got: got.to_string() }
    }

    /// Shorthand for [`Error::File`].
    pub(crate) fn file(file: &std::path::Path, reason: impl ToString) -> Self {
        Self::File { file: file.display().to_string(), reason: reason.to_string() }
    }

    /// The same as an error of an environment.
    pub(crate) fn of_environment(self, operation: &'static str) -> mindseye_interface::Error {
        match self {
            Self::Interface(error) => error,
            other => mindseye_interface::Error::Environment { operation, reason: other.to_string() },
        }
    }
}
