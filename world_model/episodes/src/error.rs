//! Errors of recorded episodes: which file, which field, what was expected, what was there.

use std::path::PathBuf;

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of reading and writing episodes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is missing or broken, or has unexpected content.
    #[error("{}: {field}: expected {expected}, got {got}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Field, column or part of the file.
        field: String,
        /// The valid content.
        expected: String,
        /// The content of the file.
        got: String,
    },
    /// The operating system or a codec failed.
    #[error("{}: {operation}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The operation that failed.
        operation: &'static str,
        /// The reason, on one line.
        reason: String,
    },
    /// An episode does not fit the data set it is added to, or the windows asked for.
    #[error("episode {episode}: {feature}: expected {expected}, got {got}")]
    Episode {
        /// Index of the episode.
        episode: usize,
        /// The feature that does not fit.
        feature: String,
        /// The valid value.
        expected: String,
        /// The value of the episode.
        got: String,
    },
    /// An operation would exceed the memory allowed.
    #[error(
        "{what}: expected at most {} MiB of memory, needs {} MiB",
        limit_bytes >> 20,
        needed_bytes.div_ceil(1 << 20)
    )]
    Memory {
        /// What was to be held in memory, and what would make it smaller.
        what: &'static str,
        /// Bytes allowed.
        limit_bytes: u64,
        /// Bytes needed.
        needed_bytes: u64,
    },
    /// An argument is out of its range, or does not fit the other arguments.
    #[error("{argument}: expected {expected}, got {got}")]
    Argument {
        /// Name of the argument.
        argument: &'static str,
        /// The valid values.
        expected: String,
        /// The value given.
        got: String,
    },
    /// The rate of a data set is neither recorded nor given.
    #[error("{}: frames per second: expected a rate in the data or as an argument, got neither", path.display())]
    UnknownRate {
        /// The data set.
        path: PathBuf,
    },
    /// The caller's progress listener stopped the operation.
    #[error("{operation}: stopped")]
    Stopped {
        /// The operation that was stopped.
        operation: &'static str,
    },
    /// A value of the interface crate (an image size, an action) is invalid.
    #[error(transparent)]
    Interface(#[from] mindseye_interface::Error),
}

impl Error {
    /// Shorthand for [`Error::Content`].
    pub(crate) fn content(
        path: &std::path::Path,
        field: impl Into<String>,
        expected: impl ToString,
        got: impl ToString,
    ) -> Self {
        let one_line = |text: String| text.replace('\n', " ");
        Self::Content {
            path: path.to_path_buf(),
            field: field.into(),
            expected: one_line(expected.to_string()),
            got: one_line(got.to_string()),
        }
    }

    /// Shorthand for [`Error::Episode`].
    pub(crate) fn episode(
        episode: usize,
        feature: impl Into<String>,
        expected: impl ToString,
        got: impl ToString,
    ) -> Self {
        Self::Episode { episode, feature: feature.into(), expected: expected.to_string(), got: got.to_string() }
    }

    /// Shorthand for [`Error::File`].
    pub(crate) fn file(path: &std::path::Path, operation: &'static str, reason: impl ToString) -> Self {
        Self::File { path: path.to_path_buf(), operation, reason: reason.to_string().replace('\n', " ") }
    }

    /// Shorthand for [`Error::Argument`].
    pub(crate) fn argument(argument: &'static str, expected: impl ToString, got: impl ToString) -> Self {
        Self::Argument { argument, expected: expected.to_string(), got: got.to_string() }
    }
}
