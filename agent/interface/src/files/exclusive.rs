//! Locks on files, which the operating system releases when their process ends, however it ends.

use std::fs::{File, TryLockError};
use std::path::Path;

/// The outcome of [`lock_file`].
#[derive(Debug)]
pub enum Exclusive {
    /// Locked by this handle until it is closed.
    Held(File),
    /// Another process, or another handle of this one, holds the lock.
    Busy,
    /// The file system has no locks.
    NotSupported,
}

/// Opens the file at `path`, creates it if it is missing, and locks it.
///
/// # Errors
/// The operating system's; something else than a regular file is at `path` (a link would be written through).
pub fn lock_file(path: &Path) -> std::io::Result<Exclusive> {
    loop {
        if std::fs::symlink_metadata(path).is_ok_and(|there| !there.is_file()) {
            return Err(std::io::Error::other("expected a lock file, got something else"));
        }
        let file = File::options().read(true).write(true).create(true).truncate(false).open(path)?;
        match file.try_lock() {
            // Its holder may have removed the file between the two lines above: then it locks nothing.
            Ok(()) if is_open_file_at(&file, path) => return Ok(Exclusive::Held(file)),
            Ok(()) => (),
            Err(TryLockError::WouldBlock) => return Ok(Exclusive::Busy),
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Interrupted => (),
            Err(TryLockError::Error(_)) => return Ok(Exclusive::NotSupported),
        }
    }
}

/// Locks `file`, just created at `path`. `false` when another process took it for a left-over.
pub(super) fn holds(file: &File, path: &Path) -> std::io::Result<bool> {
    loop {
        match file.try_lock() {
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Interrupted => (),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Ok(()) => return Ok(is_open_file_at(file, path)),
            Err(TryLockError::Error(_)) => return Ok(true), // no locks here: nobody takes it for a left-over
        }
    }
}

/// Whether `file` is what is at `path` now. Only Unix tells; elsewhere an open file cannot be removed.
pub fn is_open_file_at(file: &File, path: &Path) -> bool {
    match (identity(file.metadata()), identity(std::fs::metadata(path))) {
        (Some(own), Some(there)) => own == there,
        (None, _) => path.exists(),
        (_, None) => false,
    }
}

/// Device and number of a file or folder; `None` when it is missing, and where the system has none.
#[cfg(unix)]
fn identity(metadata: std::io::Result<std::fs::Metadata>) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt as _;
    metadata.ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(_metadata: std::io::Result<std::fs::Metadata>) -> Option<(u64, u64)> {
    None
}
