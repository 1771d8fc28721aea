//! What can go wrong in an evaluation.

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of another crate or of a caller.
pub type BoxedError = Box<dyn std::error::Error + Send + Sync>;

/// Errors of evaluation and collection.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value that makes no sense here.
    #[error("{operation}: expected {expected}, got {got}")]
    Value {
        /// The operation that refused.
        operation: String,
        /// What it needs.
        expected: String,
        /// What it was given.
        got: String,
    },
    /// A method cannot run a task: it would hold still in every tick.
    #[error("{field}: expected a task that the method {method} can run ({expected}), got {got}")]
    UnsupportedTask {
        /// Name of the method.
        method: String,
        /// The field of the task.
        field: &'static str,
        /// What the method supports.
        expected: String,
        /// What the task asks for.
        got: String,
    },
    /// An episode failed.
    #[error("{method}, seed {seed}, pair {index}")]
    Episode {
        /// Name of the method.
        method: String,
        /// Root seed of the pair.
        seed: u64,
        /// Number of the pair under its seed.
        index: usize,
        /// Why.
        source: Box<Error>,
    },
    /// An agent held still because of an error where that makes the measurement worthless.
    #[error("{method}: expected ticks without an error, got {ticks} with one, the first: {first}")]
    HeldStill {
        /// Name of the method.
        method: String,
        /// Ticks with an error.
        ticks: usize,
        /// Text of the first error.
        first: String,
    },
    /// The progress listener asked to stop before the result was complete.
    #[error("stopped after {done} of {of} episodes")]
    Stopped {
        /// Episodes that are done.
        done: usize,
        /// Episodes in all.
        of: usize,
    },
    /// The operating system did not start the threads.
    #[error("starting threads: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
    /// A simulator failed, or data from it make no sense.
    #[error(transparent)]
    Interface(#[from] mindseye_interface::Error),
    /// The agent failed.
    #[error(transparent)]
    Agent(#[from] mindseye_agent::Error),
    /// The learned model failed.
    #[error(transparent)]
    Model(#[from] mindseye_world_model::Error),
    /// Episodes could not be written.
    #[error(transparent)]
    Episodes(#[from] mindseye_episodes::Error),
    /// A method could not set up its agent, or its agent failed.
    #[error(transparent)]
    Method(BoxedError),
    /// A caller's function that is called at every tick failed.
    #[error(transparent)]
    Listener(BoxedError),
}

impl Error {
    /// The same error of work that is a part of more: `before` episodes of `of` were done before it began.
    pub(crate) fn within(self, before: usize, of: usize) -> Self {
        match self {
            Self::Stopped { done, .. } => Self::Stopped { done: before + done, of },
            other => other,
        }
    }

    /// Shorthand for [`Error::Value`].
    pub(crate) fn value(operation: impl Into<String>, expected: impl Into<String>, got: impl ToString) -> Self {
        Self::Value { operation: operation.into(), expected: expected.into(), got: got.to_string() }
    }
}
