//! What can go wrong with encoders at work.

use std::path::{Path, PathBuf};

use mindseye_interface::text::{one_line, printable, printable_path};

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors: the operation or file, the expected and the actual value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that is missing, broken or of another kind.
    #[error("{}: {}", printable_path(path), printable(reason))]
    File {
        /// The file.
        path: PathBuf,
        /// Why, on one line.
        reason: String,
    },
    /// A folder lacks the part of a model that is needed.
    #[error("{}: expected {part}, got a model without one", printable_path(path))]
    MissingPart {
        /// The folder.
        path: PathBuf,
        /// The part.
        part: &'static str,
    },
    /// Outputs that differ from those of another implementation.
    #[error("{}: expected all outputs to agree, got {differing} of {all} that differ", printable_path(path))]
    Parity {
        /// The folder.
        path: PathBuf,
        /// How many differ.
        differing: usize,
        /// How many there are.
        all: usize,
    },
    /// The operating system did not start the threads.
    #[error("starting threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A setting is out of its range, or needs more memory than there is.
    #[error(transparent)]
    Interface(#[from] mindseye_interface::Error),
    /// A video could not be read.
    #[error(transparent)]
    Episodes(#[from] mindseye_episodes::Error),
    /// The model could not be read or run.
    #[error(transparent)]
    Model(#[from] mindseye_world_model::Error),
    /// An asset that comes with the program was not found.
    #[error("{}", one_line(&.0.to_string()))]
    Asset(Box<dyn std::error::Error + Send + Sync>),
    /// The work was stopped before its end.
    #[error("stopped: nothing was written")]
    Stopped,
    /// A report has no JSON.
    #[error("writing JSON")]
    Json(#[from] serde_json::Error),
}

impl Error {
    /// Shorthand for [`Error::File`], on one line.
    pub(crate) fn file(path: &Path, reason: impl ToString) -> Self {
        Self::File { path: path.to_path_buf(), reason: one_line(&reason.to_string()) }
    }
}
