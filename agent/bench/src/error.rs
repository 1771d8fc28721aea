//! What can go wrong in a measurement.

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of measurements.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Data that cannot be measured.
    #[error("{operation}: expected {expected}, got {got}")]
    Data {
        /// What was to be measured.
        operation: String,
        /// What it needs.
        expected: String,
        /// What there is.
        got: String,
    },
    /// The operating system did not start the threads.
    #[error("starting threads")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// There is no temporary folder.
    #[error("a temporary folder")]
    TemporaryFolder(#[source] std::io::Error),
    /// A setting is out of its range, or a simulator failed.
    #[error(transparent)]
    Interface(#[from] mindseye_interface::Error),
    /// Episodes could not be read or written.
    #[error(transparent)]
    Episodes(#[from] mindseye_episodes::Error),
    /// The learned model failed.
    #[error(transparent)]
    Model(#[from] mindseye_world_model::Error),
    /// The agent failed.
    #[error(transparent)]
    Agent(#[from] mindseye_agent::Error),
    /// An episode failed.
    #[error(transparent)]
    Evaluation(#[from] mindseye_evaluation::Error),
    /// A chart could not be drawn or written.
    #[error(transparent)]
    Plots(#[from] mindseye_plots::Error),
    /// A file that a measurement needs was not supplied.
    #[error(transparent)]
    Files(Box<dyn std::error::Error + Send + Sync>),
    /// A report has no JSON.
    #[error("writing JSON")]
    Json(#[from] serde_json::Error),
}
