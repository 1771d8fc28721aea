//! Errors of training and using a world model.

use std::path::PathBuf;

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors: the operation, the expected and the actual value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor operation failed.
    #[error("tensor operation: {0}")]
    Tensor(#[from] candle_core::Error),
    /// A config, image or action is invalid.
    #[error(transparent)]
    Interface(#[from] mindseye_interface::Error),
    /// Recorded episodes could not be read.
    #[error(transparent)]
    Episodes(#[from] mindseye_episodes::Error),
    /// A shape or size that does not fit the model.
    #[error("{operation}: expected {expected}, got {got}")]
    Shape {
        /// The operation that failed.
        operation: &'static str,
        /// What it needs.
        expected: String,
        /// What it got.
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
    /// Threads could not be started.
    #[error("starting {threads} threads: {reason}")]
    Threads {
        /// How many.
        threads: usize,
        /// The message of the operating system.
        reason: String,
    },
    /// Another worker of a joint training has gone.
    #[error("training with {workers} workers: worker {rank} expected the others to answer, but one has ended")]
    Worker {
        /// The worker that waited.
        rank: usize,
        /// Number of workers.
        workers: usize,
    },
    /// A loss or gradient is not finite.
    #[error("training step {step}: {what} is not finite; the last good state is kept")]
    Diverged {
        /// The step at which it happened.
        step: usize,
        /// Name of the number.
        what: &'static str,
    },
    /// Gradients are needed where there are none.
    #[error("{part}: expected dynamics with gradients, got some that can only be sampled")]
    NotDifferentiable {
        /// The part without gradients.
        part: &'static str,
    },
    /// A checkpoint lacks a head.
    #[error("{file}: expected this head beside the model, got none")]
    MissingHead {
        /// File of the head.
        file: &'static str,
    },
    /// The data cannot train this model.
    #[error("data set: {field}: expected {expected}, got {got}")]
    Data {
        /// Field of the data set.
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
