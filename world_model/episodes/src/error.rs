//! Errors of recorded episodes: which file, which field, what was expected, what was there.

use std::path::PathBuf;

use mindseye_interface::text::{one_line, printable, printable_path};

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of reading and writing episodes.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is missing or broken, or has unexpected content.
    #[error("{}: {field}: expected {expected}, got {got}", printable_path(path))]
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
    #[error("{}: {operation}: {reason}", printable_path(path))]
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
    /// An episode of a source is broken in a way that does not name it.
    #[error("episode {episode} of {}: {reason}", printable_path(path))]
    Unreadable {
        /// The data set.
        path: PathBuf,
        /// Index of the episode.
        episode: usize,
        /// The error of the reader, on one line.
        reason: String,
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
    #[error("{}: frames per second: expected a rate in the data or as an argument, got neither", printable_path(path))]
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
        Self::Content {
            path: path.to_path_buf(),
            field: printable(&field.into()).into_owned(),
            expected: one_line(&expected.to_string()),
            got: one_line(&got.to_string()),
        }
    }

    /// Shorthand for [`Error::Episode`].
    pub(crate) fn episode(
        episode: usize,
        feature: impl Into<String>,
        expected: impl ToString,
        got: impl ToString,
    ) -> Self {
        Self::Episode {
            episode,
            feature: printable(&feature.into()).into_owned(),
            expected: one_line(&expected.to_string()),
            got: one_line(&got.to_string()),
        }
    }

    /// Shorthand for [`Error::File`].
    pub(crate) fn file(path: &std::path::Path, operation: &'static str, reason: impl ToString) -> Self {
        Self::File { path: path.to_path_buf(), operation, reason: one_line(&reason.to_string()) }
    }

    /// This error with the episode of the data set at `path` that it is about, unless it names it.
    pub(crate) fn in_episode(self, path: &std::path::Path, episode: usize) -> Self {
        let reason = self.to_string();
        let is_named =
            reason.contains(&format!("episode {episode} ")) || reason.contains(&format!("episode {episode}:"));
        match self {
            Self::Stopped { .. } | Self::Memory { .. } => self,
            Self::Episode { feature, expected, got, .. } => {
                let reason = format!("{feature}: expected {expected}, got {got}");
                Self::Unreadable { path: path.to_path_buf(), episode, reason }
            }
            _ if is_named => self,
            _ => Self::Unreadable { path: path.to_path_buf(), episode, reason },
        }
    }

    /// This error with files of folder `from` named as those of `to`.
    pub(crate) fn moved(mut self, from: &std::path::Path, to: &std::path::Path) -> Self {
        if let Self::Content { path, .. } | Self::File { path, .. } = &mut self
            && let Ok(inside) = path.strip_prefix(from)
        {
            *path = to.join(inside);
        }
        self
    }

    /// Shorthand for [`Error::Argument`].
    pub(crate) fn argument(argument: &'static str, expected: impl ToString, got: impl ToString) -> Self {
        Self::Argument { argument, expected: one_line(&expected.to_string()), got: one_line(&got.to_string()) }
    }
}
