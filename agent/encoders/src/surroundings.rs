//! What verbs need of the program that has them.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use mindseye_interface::Progress;

/// A file that was found, or why none was.
pub type Found = std::result::Result<PathBuf, Box<dyn std::error::Error + Send + Sync>>;

/// What a verb needs of the program.
pub struct Surroundings<'a> {
    /// Raised when the work has to end.
    pub stop: &'static AtomicBool,
    /// Shows how far it is.
    pub progress: &'a dyn Progress,
    /// The file of an asset that comes with the program.
    pub find: &'a dyn Fn(&str) -> Found,
    /// Prints a line beside the results.
    pub note: &'a dyn Fn(&str),
}

/// Threads used by default: as many as there are cores.
pub(crate) fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
