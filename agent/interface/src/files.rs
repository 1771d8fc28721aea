//! Outputs are written whole or not at all.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Ending of a file that is still being written; readers ignore such files.
pub const PARTIAL_ENDING: &str = "partial";

/// Writes `bytes` to `path`: to a temporary name beside it, flushed to the disk, then renamed. Missing folders are
/// made.
///
/// # Errors
/// The operating system's; an existing file at `path` is then untouched.
pub fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let partial = partial_name(path);
    let written = File::create(&partial).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    finish(path, &partial, written)
}

/// Renames a complete file from [`partial_name`] of `path` to `path`, after flushing it to the disk.
///
/// # Errors
/// The operating system's; an existing file at `path` is then untouched, and the temporary one is gone.
pub fn publish(path: &Path) -> std::io::Result<()> {
    let partial = partial_name(path);
    let written = File::open(&partial).and_then(|file| file.sync_all());
    finish(path, &partial, written)
}

fn finish(path: &Path, partial: &Path, written: std::io::Result<()>) -> std::io::Result<()> {
    let result = written.and_then(|()| std::fs::rename(partial, path)).and_then(|()| sync_folder(path));
    if result.is_err() {
        let _ = std::fs::remove_file(partial); // best effort: the first error is the one to report
    }
    result
}

/// Makes the new name itself durable; only Unix opens folders.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    match path.parent() {
        Some(folder) if cfg!(unix) => {
            let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
            File::open(folder)?.sync_all()
        }
        _ => Ok(()),
    }
}

/// The temporary name of a file on its way to `path`.
pub fn partial_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(PARTIAL_ENDING);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_and_nothing_is_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep/down/file.txt");
        write_whole(&path, b"one").unwrap();
        write_whole(&path, b"two").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        std::fs::create_dir_all(path.join("by a folder")).unwrap();
        assert!(write_whole(&path, b"one").is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
