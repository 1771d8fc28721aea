//! What can go wrong: which operation, what was expected, what came.

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of the six modules, of their assembly and of the control loop.
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
        /// What the name is for, for example `weights.curiosity`.
        field: String,
        /// The names there are.
        expected: String,
        /// The name that came.
        got: String,
    },
    /// A task that this agent cannot pursue.
    #[error("{field}: expected {expected}, got {got}")]
    Task {
        /// The field of the task.
        field: String,
        /// What would be right for this agent.
        expected: String,
        /// What the task says.
        got: String,
    },
    /// A task names dimensions of the state where nothing can read them.
    #[error("{field}: expected a checkpoint with a state probe (mindseye train state-probe makes one), got none")]
    NoStateProbe {
        /// The part of the task.
        field: &'static str,
    },
    /// A model of recordings without actions is to plan.
    #[error("planning: expected a model of recordings with actions, got one without any: it can watch, not plan")]
    NoActions,
    /// The agent has no goal yet.
    #[error("goal: expected one, got none")]
    NoGoal,
    /// There is neither an image nor a prediction of it.
    #[error("perception: expected an image or a prediction of it, got neither")]
    Blind,
    /// Every predicted plan has an energy that is not finite.
    #[error("planning: expected a finite energy among {candidates} plans, got none")]
    NoFiniteEnergy {
        /// Number of plans tried.
        candidates: usize,
    },
    /// Imagining took longer than there was time.
    #[error("imagining: cancelled, the time was up")]
    Cancelled,
    /// A planner needs gradients where there are none.
    #[error("{part}: expected something with gradients for planning by gradients, got something without")]
    NotDifferentiable {
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
    /// A tick that had to hold still.
    #[error("planning: {reason}")]
    Tick {
        /// Why, on one line.
        reason: String,
    },
    /// A line that is no request of a session.
    #[error("{}", mindseye_interface::text::printable(reason))]
    Request {
        /// The field, what was expected, what came.
        reason: String,
    },
    /// An image cannot be read.
    #[error("{field}: {}: {reason}", path.display())]
    GoalFile {
        /// The field that names the file.
        field: &'static str,
        /// The file.
        path: std::path::PathBuf,
        /// Why, on one line.
        reason: String,
    },
    /// The environment did not answer in time.
    #[error("{operation}: expected an answer within {limit_secs} s, got one after {took_secs:.3} s")]
    Watchdog {
        /// The call that took so long.
        operation: &'static str,
        /// The watchdog's limit, seconds.
        limit_secs: f64,
        /// How long it took, seconds.
        took_secs: f64,
    },
    /// The body is held still, and nobody can resume it.
    #[error("held still: {reason}")]
    Held {
        /// Why.
        reason: String,
    },
    /// The environment failed in a way that is no error of its own (it panicked).
    #[error("{operation}: expected an answer of the environment, but it panicked")]
    EnvironmentLost {
        /// The call that did not return.
        operation: &'static str,
    },
    /// Data from the interface that makes no sense, or a body that failed.
    #[error(transparent)]
    Interface(#[from] mindseye_interface::Error),
    /// The learned model failed.
    #[error(transparent)]
    Model(mindseye_world_model::Error),
}

impl From<mindseye_world_model::Error> for Error {
    fn from(error: mindseye_world_model::Error) -> Self {
        use mindseye_world_model::Error as Model;
        match error {
            Model::Shape { operation, expected, got } => Self::Shape { operation, expected, got },
            Model::NotDifferentiable { part } => Self::NotDifferentiable { part },
            Model::Cancelled => Self::Cancelled,
            Model::Interface(error) => Self::Interface(error),
            other => Self::Model(other),
        }
    }
}

impl Error {
    /// Shorthand for [`Error::Task`].
    pub(crate) fn task(field: impl Into<String>, expected: impl Into<String>, got: impl ToString) -> Self {
        Self::Task { field: field.into(), expected: expected.into(), got: got.to_string() }
    }
}
