//! What keeps a watcher from watching.

use mindseye_interface::text::{one_line, printable};

/// Result of watching.
pub type Result<T> = std::result::Result<T, Error>;

/// Errors: what was expected, what came.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An argument that makes no sense.
    #[error("{}: expected {}, got {}", printable(field), printable(expected), printable(got))]
    Argument {
        /// The argument.
        field: String,
        /// What it can be.
        expected: String,
        /// What it was.
        got: String,
    },
    /// A file, or a listener of the network.
    #[error("{}: {}", printable(place), one_line(reason))]
    Place {
        /// The file or address.
        place: String,
        /// Why.
        reason: String,
    },
    /// A camera.
    #[error(transparent)]
    Camera(#[from] mindseye_cameras::Error),
    /// The model.
    #[error(transparent)]
    Model(#[from] mindseye_world_model::Error),
    /// Recorded episodes.
    #[error(transparent)]
    Episodes(#[from] mindseye_episodes::Error),
    /// Data of the interface.
    #[error(transparent)]
    Interface(#[from] mindseye_interface::Error),
}

impl Error {
    /// Shorthand for [`Error::Argument`].
    pub(crate) fn argument(field: impl Into<String>, expected: impl Into<String>, got: impl ToString) -> Self {
        Self::Argument { field: field.into(), expected: expected.into(), got: got.to_string() }
    }

    /// Shorthand for [`Error::Place`].
    pub(crate) fn place(place: impl ToString, reason: impl ToString) -> Self {
        Self::Place { place: place.to_string(), reason: reason.to_string() }
    }
}
