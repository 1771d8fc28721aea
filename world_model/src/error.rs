//! What can go wrong while learning or using a world model.

use std::path::PathBuf;

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors that say the operation, what was expected and what came.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What judges a policy's plans refused.
    #[error("judging a policy's plan: {0}")]
    Teacher(String),
    /// A tensor operation failed.
    #[error("tensor operation: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A config, image or action that makes no sense.
    #[error(transparent)]
    Border(#[from] mindseye_interface::Error),
    /// Recorded episodes could not be read.
    #[error(transparent)]
    Episodes(#[from] mindseye_episodes::Error),
    /// A shape or size that does not fit the model.
    #[error("{operation}: expected {expected}, got {got}")]
    Shape {
        /// The operation that refused.
        operation: &'static str,
        /// What it needs.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// A file of a checkpoint or a training run is missing, broken or of another kind.
    #[error("{}: {reason}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why, naming the field, on one line.
        reason: String,
    },
    /// Training left the rails (a loss that is not finite).
    #[error("training step {step}: {what} is not finite; the last good state is kept")]
    Diverged {
        /// The step at which it happened.
        step: usize,
        /// Which number.
        what: &'static str,
    },
    /// The data cannot train this model.
    #[error("data set: {field}: expected {expected}, got {got}")]
    Data {
        /// What does not fit.
        field: &'static str,
        /// What the model needs.
        expected: String,
        /// What the data has.
        got: String,
    },
}

impl Error {
    /// Shorthand for [`Error::File`], on one line.
    pub fn file(path: &std::path::Path, reason: impl ToString) -> Self {
        Self::File { path: path.to_path_buf(), reason: reason.to_string().replace('\n', " ") }
    }
}
