//! What can go wrong in an interactive run.

use std::path::{Path, PathBuf};

use mindseye_interface::printable;

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of interactive runs.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value that makes no sense here.
    #[error("{}: expected {}, got {}", printable(operation), printable(expected), printable(got))]
    Value {
        /// The operation or field that refused.
        operation: String,
        /// What it needs.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// A tick that was repeated has other bits than before: the world, a head of the model, or the program is another.
    #[error("tick {tick}: expected the same bits as before ({expected}), got others ({got})")]
    Diverged {
        /// The first such tick.
        tick: u64,
        /// SHA-256 of the tick as it was.
        expected: String,
        /// SHA-256 of the tick as it is now.
        got: String,
    },
    /// A repetition of ticks was stopped before its end; nothing has changed.
    #[error("going back: stopped after {done} of {of} ticks")]
    Stopped {
        /// Ticks that were repeated.
        done: u64,
        /// Ticks to be repeated.
        of: u64,
    },
    /// A saved run cannot be read or written.
    #[error("{}: {}", path.display(), printable(reason))]
    File {
        /// The file.
        path: PathBuf,
        /// Why, on one line.
        reason: String,
    },
    /// What a program was to supply is not there.
    #[error(transparent)]
    Supplied(Box<dyn std::error::Error + Send + Sync>),
    /// Data that make no sense to the interface, or a world that failed.
    #[error(transparent)]
    Interface(#[from] mindseye_interface::Error),
    /// The agent cannot do what it is asked to.
    #[error(transparent)]
    Agent(#[from] mindseye_agent::Error),
    /// The model failed.
    #[error(transparent)]
    Model(#[from] mindseye_world_model::Error),
}

impl Error {
    /// Shorthand for [`Error::Value`].
    pub(crate) fn value(operation: impl Into<String>, expected: impl Into<String>, got: impl ToString) -> Self {
        Self::Value { operation: operation.into(), expected: expected.into(), got: got.to_string() }
    }

    /// Shorthand for [`Error::File`].
    pub(crate) fn file(path: &Path, reason: impl ToString) -> Self {
        Self::File { path: path.to_path_buf(), reason: reason.to_string() }
    }
}
