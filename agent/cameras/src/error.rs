//! Errors of cameras: which camera, what was expected, what came.

use mindseye_interface::text::{one_line, printable};

use crate::health::State;

/// Result of this crate's operations.
pub type Result<T> = std::result::Result<T, Error>;

/// Why there is no camera, or no frame of it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// An address or a setting that makes no sense.
    #[error("{}: expected {}, got {}", printable(field), printable(expected), printable(got))]
    Argument {
        /// The setting, or the part of the address.
        field: String,
        /// What it can be.
        expected: String,
        /// What it was.
        got: String,
    },
    /// A camera grants another format than was asked for.
    #[error(
        "camera {}: {field}: asked for {}, granted {} (best_effort=true takes it)",
        printable(camera),
        printable(requested),
        printable(granted)
    )]
    Format {
        /// The camera.
        camera: String,
        /// What differs: `width`, `height`, `fps`, `fourcc`, `exposure`, ...
        field: &'static str,
        /// The value asked for.
        requested: String,
        /// The value of the camera.
        granted: String,
    },
    /// No frame came in time.
    #[error("camera {}: expected a frame within {waited_secs:.3} s, got none ({state})", printable(camera))]
    Timeout {
        /// The camera.
        camera: String,
        /// How long it was waited for, seconds.
        waited_secs: f64,
        /// State of the camera, with its reason.
        state: String,
    },
    /// The newest frame is too old to act on.
    #[error(
        "camera {}: expected a frame of at most {max_age_secs:.3} s, got one of {age_secs:.3} s ({state})",
        printable(camera)
    )]
    TooOld {
        /// The camera.
        camera: String,
        /// Age of the newest frame, seconds.
        age_secs: f64,
        /// The oldest that was allowed, seconds.
        max_age_secs: f64,
        /// State of the camera, with its reason.
        state: String,
    },
    /// The camera cannot be read now: no frame yet, frozen, lost.
    #[error("camera {}: {state}: {}", printable(camera), printable(reason))]
    NotLive {
        /// The camera.
        camera: String,
        /// Its state.
        state: State,
        /// Why.
        reason: String,
    },
    /// A data set cannot be written.
    #[error("{}", one_line(.0))]
    Episodes(String),
    /// A file cannot be read or written.
    #[error("{}: {}", printable(path), one_line(reason))]
    File {
        /// The file.
        path: String,
        /// Why.
        reason: String,
    },
}

impl From<mindseye_episodes::Error> for Error {
    fn from(error: mindseye_episodes::Error) -> Self {
        Self::Episodes(error.to_string())
    }
}

impl From<mindseye_interface::Error> for Error {
    fn from(error: mindseye_interface::Error) -> Self {
        Self::Episodes(error.to_string())
    }
}

impl Error {
    /// Makes the error of a scheme whose place cannot be had out of why.
    pub fn place<E: std::fmt::Display>(scheme: &'static str) -> impl Fn(E) -> Self {
        move |why| Self::argument(scheme, "a place that there is", why)
    }

    /// Shorthand for [`Error::Argument`].
    pub(crate) fn argument(field: impl Into<String>, expected: impl Into<String>, got: impl ToString) -> Self {
        Self::Argument { field: field.into(), expected: expected.into(), got: got.to_string() }
    }
}

/// Why a source gives no frame; decides whether it is tried again.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Fault {
    /// It may work the next time: a server that is away, a cable that is out.
    #[error("{}", one_line(.0))]
    Passing(String),
    /// It works only with other settings, or another address.
    #[error("{}", one_line(.0))]
    Lasting(String),
    /// There are no more frames: the end of a file.
    #[error("the end of {}", one_line(.0))]
    End(String),
}
