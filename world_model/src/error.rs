//! Errors of training and using a world model. Names and values from files are escaped when an error is shown (see
//! [`mindseye_interface::text`]).

use std::path::PathBuf;

use mindseye_interface::text::{one_line, printable, printable_path};

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors: the operation, the expected and the actual value.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A tensor operation failed.
    #[error("tensor operation: {}", one_line(&.0.to_string()))]
    Tensor(#[from] candle_core::Error),
    /// A config, image or action is invalid.
    #[error(transparent)]
    Interface(#[from] mindseye_interface::Error),
    /// Recorded episodes could not be read.
    #[error(transparent)]
    Episodes(#[from] mindseye_episodes::Error),
    /// A shape or size that does not fit the model.
    #[error("{operation}: expected {}, got {}", printable(expected), printable(got))]
    Shape {
        /// The operation that failed.
        operation: &'static str,
        /// What it needs.
        expected: String,
        /// What it got.
        got: String,
    },
    /// A file of a checkpoint or a training run is missing, broken or of another kind.
    #[error("{}: {}", printable_path(path), printable(reason))]
    File {
        /// The file.
        path: PathBuf,
        /// Why, naming the field, on one line.
        reason: String,
    },
    /// Threads could not be started.
    #[error("starting {threads} threads: {}", printable(reason))]
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
    /// A rollout was cancelled by its caller (see [`Cancel`](crate::Cancel)).
    #[error("rollout: cancelled by its caller")]
    Cancelled,
    /// A checkpoint lacks a head.
    #[error("{file}: expected this head beside the model, got none")]
    MissingHead {
        /// File of the head.
        file: &'static str,
    },
    /// The data cannot train this model.
    #[error("data set: {field}: expected {}, got {}", printable(expected), printable(got))]
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
        Self::File { path: path.to_path_buf(), reason: one_line(&reason.to_string()) }
    }
}
