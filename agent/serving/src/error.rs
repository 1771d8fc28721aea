//! What can go wrong between an agent or a watcher and what is outside of it: the field, what was expected, what came.

use mindseye_interface::text::{one_line, printable};

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors of servers, clients, bodies and watchers. Each is shown on one line, with text from outside escaped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Bytes that are no message.
    #[error("message: {}", printable(reason))]
    Message {
        /// Why.
        reason: String,
    },
    /// A key of a message, or an argument, that makes no sense.
    #[error("{}: expected {}, got {}", printable(field), printable(expected), printable(got))]
    Field {
        /// The key.
        field: String,
        /// What it can be.
        expected: String,
        /// What it was.
        got: String,
    },
    /// A connection that could not be made, or ended.
    #[error("{}: {}", printable(address), one_line(reason))]
    Connection {
        /// Who was talked to.
        address: String,
        /// Why.
        reason: String,
    },
    /// The other side answered with an error.
    #[error("{}: {}", printable(address), printable(reason))]
    Remote {
        /// The other side.
        address: String,
        /// Its words.
        reason: String,
    },
    /// A file, or an address to listen at.
    #[error("{}: {}", printable(place), one_line(reason))]
    Place {
        /// The file or address.
        place: String,
        /// Why.
        reason: String,
    },
    /// The agent refused, or failed.
    #[error("{}", printable(&.0.to_string()))]
    Agent(#[from] mindseye_agent::Error),
    /// An arm cannot be connected, or must not move.
    #[error(transparent)]
    Arm(#[from] mindseye_arms::Error),
    /// A camera failed.
    #[error(transparent)]
    Camera(#[from] mindseye_cameras::Error),
    /// The model.
    #[error(transparent)]
    Model(#[from] mindseye_world_model::Error),
    /// Recorded episodes.
    #[error(transparent)]
    Episodes(#[from] mindseye_episodes::Error),
    /// Data that make no sense, or a body that failed.
    #[error(transparent)]
    Interface(#[from] mindseye_interface::Error),
    /// What the program supplies (a task, a scene) is not there.
    #[error("{}", one_line(&.0.to_string()))]
    Supplied(Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Shorthand for [`Error::Field`].
    pub fn field(field: impl Into<String>, expected: impl Into<String>, got: impl ToString) -> Self {
        Self::Field { field: field.into(), expected: expected.into(), got: got.to_string() }
    }

    /// Shorthand for [`Error::Place`].
    pub(crate) fn place(place: impl ToString, reason: impl ToString) -> Self {
        Self::Place { place: place.to_string(), reason: reason.to_string() }
    }

    /// Shorthand for [`Error::Message`].
    pub(crate) fn message(reason: impl Into<String>) -> Self {
        Self::Message { reason: reason.into() }
    }

    /// Shorthand for [`Error::Connection`].
    pub(crate) fn connection(address: impl Into<String>, reason: impl ToString) -> Self {
        Self::Connection { address: address.into(), reason: reason.to_string() }
    }
}
