//! What can go wrong when an image is made.

use std::path::{Path, PathBuf};

/// Errors of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Data that cannot be drawn.
    #[error("{operation}: expected {expected}, got {got}")]
    Data {
        /// What was to be drawn.
        operation: &'static str,
        /// What the data had to be.
        expected: String,
        /// What they were.
        got: String,
    },
    /// A chart that could not be laid out or drawn.
    #[error("{chart}: expected a chart that can be drawn, got: {reason}")]
    Drawing {
        /// Name of the chart.
        chart: &'static str,
        /// What the drawing library says.
        reason: String,
    },
    /// An image that could not be encoded.
    #[error("{}: expected to encode it as {format}, got: {reason}", path.display())]
    Encode {
        /// File that was to be written.
        path: PathBuf,
        /// Name of the image format.
        format: &'static str,
        /// What the encoder says.
        reason: String,
    },
    /// A file that could not be written.
    #[error("{}: writing: {source}", path.display())]
    Write {
        /// File that was to be written.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// A data set that does not fit the model that is measured on it.
    #[error("{}: {field}: expected {expected}, got {got}", path.display())]
    Dataset {
        /// The data set.
        path: PathBuf,
        /// What does not fit.
        field: &'static str,
        /// What the model needs.
        expected: String,
        /// What the data set has.
        got: String,
    },
    /// Episodes could not be read.
    #[error(transparent)]
    Episodes(#[from] mindseye_episodes::Error),
    /// The learned model failed.
    #[error(transparent)]
    Model(#[from] mindseye_world_model::Error),
    /// An agent's part failed.
    #[error(transparent)]
    Agent(#[from] mindseye_agent::Error),
    /// An episode that is filmed failed.
    #[error(transparent)]
    Evaluation(#[from] mindseye_evaluation::Error),
    /// An image size beyond what is allowed.
    #[error(transparent)]
    Interface(#[from] mindseye_interface::Error),
}

/// Result of this crate.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub(crate) fn write(path: &Path, source: std::io::Error) -> Self {
        Self::Write { path: path.to_path_buf(), source }
    }

    pub(crate) fn dataset(path: &Path, field: &'static str, expected: impl ToString, got: impl ToString) -> Self {
        Self::Dataset { path: path.to_path_buf(), field, expected: expected.to_string(), got: got.to_string() }
    }

    pub(crate) fn encode(path: &Path, format: &'static str, error: impl std::fmt::Display) -> Self {
        Self::Encode { path: path.to_path_buf(), format, reason: error.to_string() }
    }
}
