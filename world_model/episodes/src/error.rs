//! What can be wrong with recorded episodes: which file, which field, what was expected, what came.

use std::path::PathBuf;

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of reading and writing episodes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is missing, broken, or holds what it should not.
    #[error("{}: {field}: expected {expected}, got {got}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Field, column or part of the file.
        field: String,
        /// What would have been right.
        expected: String,
        /// What was there.
        got: String,
    },
    /// The operating system or a codec refused.
    #[error("{}: {operation}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was being done.
        operation: &'static str,
        /// Why it failed, on one line.
        reason: String,
    },
    /// An episode does not fit the data set it is written to, or the windows asked for.
    #[error("episode {episode}: {feature}: expected {expected}, got {got}")]
    Episode {
        /// Index of the episode.
        episode: usize,
        /// The feature that does not fit.
        feature: String,
        /// What would have been right.
        expected: String,
        /// What came.
        got: String,
    },
    /// A cache would not fit into the memory allowed.
    #[error("{what}: expected at most {} MiB of memory, needs {} MiB", limit_bytes >> 20, needed_bytes.div_ceil(1 << 20))]
    Memory {
        /// What was to be held in memory, and what would make it smaller.
        what: &'static str,
        /// Bytes allowed.
        limit_bytes: u64,
        /// Bytes needed.
        needed_bytes: u64,
    },
    /// Data from the border (an image size, an action) that makes no sense.
    #[error(transparent)]
    Border(#[from] mindseye_interface::Error),
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
}
