//! Outputs are written whole or not at all, and by one process at a time.
//!
//! A file that is being written has a temporary name of its own (see [`Partial`]), which no other process shares and
//! which readers ignore. The temporary file is locked while its writer lives: what a killed process left behind is told
//! from what another one is writing by that lock, see [`remove_left_overs`].

mod exclusive;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::inputs;

pub use exclusive::{Exclusive, is_open_file_at, lock_file};

/// Ending of a file that is still being written; readers ignore such files.
pub const PARTIAL_ENDING: &str = "partial";
/// Beginning of the names of temporary files and of lock files.
const PREFIX: &str = ".mindseye-";
/// Endings of files whose temporary name was once `<name>.partial`.
const FORMER_ENDINGS: [&str; 6] = [".safetensors", ".json", ".jsonl", ".parquet", ".mp4", ".h5"];

/// Writes `bytes` to `path`: to a temporary name beside it, flushed to the disk, then renamed. The folder must exist:
/// one that was removed while a command writes to it is an error, and not a new folder with half of the output.
///
/// # Errors
/// The operating system's; an existing file at `path` is then untouched.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut partial = Partial::create(path)?;
    partial.file.write_all(bytes)?;
    partial.publish()
}

/// [`write_whole`], after making the folders that are missing and removing what dead processes left beside the file:
/// for an output of one file.
///
/// # Errors
/// As [`write_whole`].
pub fn write_whole_with_folders(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
        remove_left_overs_beside(path);
    }
    write_whole(path, bytes)
}

/// A file on its way to its final name. Dropped without [`Partial::publish`], it is removed.
#[derive(Debug)]
pub struct Partial {
    file: File,
    temporary: PathBuf,
    path: PathBuf,
    published: bool,
}

impl Partial {
    /// Creates the temporary file of `path` in the same folder, under a name that no other writer has.
    ///
    /// # Errors
    /// [`std::io::ErrorKind::InvalidInput`] where something else than a regular file has that name (renaming would put
    /// a file in the place of a device); else the operating system's, for example that there is no such folder.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        if let Ok(found) = std::fs::metadata(path) {
            inputs::require_regular(&found)?;
        }
        let process = std::process::id();
        loop {
            let number = COUNTER.fetch_add(1, Ordering::Relaxed);
            let temporary = path.with_file_name(format!("{PREFIX}{process}-{number}.{PARTIAL_ENDING}"));
            // A name is taken where a process of the same number was killed, or on another machine.
            let created = File::options().read(true).write(true).create_new(true).open(&temporary);
            let file = match created {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                created => created?,
            };
            // Between its creation and its lock, another process may take the file for a left-over.
            if exclusive::holds(&file, &temporary)? {
                return Ok(Self { file, temporary, path: path.to_path_buf(), published: false });
            }
        }
    }

    /// The open temporary file.
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Its name, for libraries that open files themselves.
    pub fn temporary(&self) -> &Path {
        &self.temporary
    }

    /// Flushes the file to the disk and renames it to its final name.
    ///
    /// # Errors
    /// The operating system's; an existing file is then untouched, and the temporary one is gone.
    pub fn publish(mut self) -> std::io::Result<()> {
        self.file.sync_all()?;
        std::fs::rename(&self.temporary, &self.path)?;
        self.published = true;
        // Closing would not do: a process that is being started has a copy of the handle until it runs.
        let _ = self.file.unlock(); // fails where there are no locks
        sync_folder(self.path.parent().unwrap_or(Path::new("")))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.published {
            let _ = std::fs::remove_file(&self.temporary); // best effort: the first error is the one to report
        }
    }
}

/// Makes the names in `folder` durable; only Unix opens folders.
///
/// # Errors
/// The operating system's.
pub fn sync_folder(folder: &Path) -> std::io::Result<()> {
    if !cfg!(unix) {
        return Ok(());
    }
    File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all()
}

/// Removes the temporary files in `folder` that dead processes left behind, and returns their number. Files of living
/// ones are locked, and stay.
///
/// # Errors
/// When the folder cannot be listed.
pub fn remove_left_overs(folder: &Path) -> std::io::Result<usize> {
    remove_unlocked(folder, &|start| start.starts_with(PREFIX))
}

/// [`remove_left_overs`] in the folder of `path`, the place of an output of one file, as far as that is possible.
pub fn remove_left_overs_beside(path: &Path) {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _ = remove_left_overs(folder); // best effort: they only take room
}

/// [`remove_left_overs`], and those of earlier versions, which were not locked: only for the holder of the folder's
/// lock.
///
/// # Errors
/// As [`remove_left_overs`].
pub fn remove_former_left_overs(folder: &Path) -> std::io::Result<usize> {
    let is_former = |start: &str| FORMER_ENDINGS.iter().any(|ending| start.ends_with(ending));
    remove_unlocked(folder, &|start| start.starts_with(PREFIX) || is_former(start))
}

fn remove_unlocked(folder: &Path, is_ours: &dyn Fn(&str) -> bool) -> std::io::Result<usize> {
    let mut removed = 0;
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        let start = name.to_str().and_then(|name| name.strip_suffix(PARTIAL_ENDING)?.strip_suffix('.'));
        if !start.is_some_and(is_ours) || !entry.file_type()?.is_file() {
            continue;
        }
        let path = entry.path();
        let Ok(file) = File::options().read(true).write(true).open(&path) else { continue };
        // Without locks on this file system nobody knows whose it is.
        if file.try_lock().is_ok() && is_open_file_at(&file, &path) && std::fs::remove_file(&path).is_ok() {
            removed += 1;
        }
    }
    Ok(removed)
}

/// Whether `path`, which need not exist, is `folder` or lies in it; links are followed.
pub fn is_within(path: &Path, folder: &Path) -> bool {
    let Ok(folder) = folder.canonicalize() else { return false };
    let Ok(whole) = std::path::absolute(path) else { return false };
    // What does not exist yet lies where the nearest folder above it does.
    let existing = whole.ancestors().find_map(|ancestor| ancestor.canonicalize().ok());
    folder.is_dir() && existing.is_some_and(|existing| existing.starts_with(&folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_in_a_folder_is_found_before_it_exists() {
        let root = tempfile::tempdir().unwrap();
        let data = root.path().join("data");
        std::fs::create_dir_all(data.join("meta")).unwrap();
        for inside in ["data", "data/run", "data/meta/new/run", "data/../data/run"] {
            assert!(is_within(&root.path().join(inside), &data), "{inside}");
        }
        for outside in ["data2", "run", "."] {
            assert!(!is_within(&root.path().join(outside), &data), "{outside}");
        }
        let file = root.path().join("data.hdf5");
        std::fs::write(&file, "").unwrap();
        assert!(!is_within(&file, &file) && !is_within(&data, &root.path().join("none")));
    }
}
