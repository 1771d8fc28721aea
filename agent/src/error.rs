//! What can go wrong in a tick: which operation, what was expected, what came.

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of the six modules.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Sizes that do not fit together.
    #[error("{operation}: expected {expected}, got {got}")]
    Shape {
        /// The operation that refused.
        operation: &'static str,
        /// What it needs.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// A name that nothing here has.
    #[error("{field}: expected one of {expected}, got {got}")]
    Unknown {
        /// What the name is for, for example `weights`.
        field: &'static str,
        /// The names there are.
        expected: String,
        /// The name that came.
        got: String,
    },
    /// A task was assigned to an agent that does not listen.
    #[error("assigning task {task}: expected an agent that listens, but {reason}")]
    Unheard {
        /// Name of the task.
        task: String,
        /// Why it is not heard.
        reason: &'static str,
    },
    /// A task speaks of the state by name where nothing can read it.
    #[error("{field}: expected a checkpoint with a readout (mindseye teach readout makes one), got none")]
    NoReadout {
        /// The part of the task.
        field: &'static str,
    },
    /// There is neither a picture nor a prediction of it.
    #[error("perception: expected an image or a prediction of it, got neither")]
    Blind,
    /// Every imagined future has an energy that is not finite.
    #[error("planning: expected a finite energy among {candidates} plans, got none")]
    NoFiniteEnergy {
        /// Number of plans tried.
        candidates: usize,
    },
    /// A planner needs slopes where there are none.
    #[error("{part}: expected something with slopes for planning by gradients, got something that can only be sampled")]
    NoSlopes {
        /// The world model or cost term.
        part: &'static str,
    },
    /// A memory file is broken.
    #[error("{}: line {line}: {reason}", path.display())]
    MemoryFile {
        /// The file.
        path: std::path::PathBuf,
        /// Line at which it ends or breaks.
        line: usize,
        /// Why, on one line.
        reason: String,
    },
    /// Data from the border that makes no sense, or a body that failed.
    #[error(transparent)]
    Border(#[from] mindseye_interface::Error),
    /// The learned model failed.
    #[error(transparent)]
    Model(#[from] mindseye_world_model::Error),
}
