//! Outputs of many files that appear whole or not at all.
//!
//! The files are written to a hidden folder beside the output's place, which is renamed when everything is there. What
//! a killed process leaves is therefore never at the place itself, and the next start removes it.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::files;
use crate::lock::{FolderLock, LOCK_FILE};
use crate::{Error, Result};

/// Longest part of the place's name in the name of the hidden folder, bytes (a name has at most 255).
const MAX_STEM: usize = 160;
/// Deepest nesting of folders in an output.
const MAX_DEPTH: usize = 16;

/// A folder of files that is not at its place yet. Dropped without [`StagedFolder::commit`], it is removed.
#[derive(Debug)]
pub struct StagedFolder {
    /// `None` once committed.
    lock: Option<FolderLock>,
    hidden: PathBuf,
    place: PathBuf,
    named: PathBuf,
    /// Folders above the place that were missing, outermost first.
    made: Vec<PathBuf>,
}

impl StagedFolder {
    /// Begins an output of command `verb` (for example `data convert`) at `place`, which must be missing or an empty
    /// folder; a link to an empty folder stays a link. What dead processes left of the same output is removed.
    ///
    /// # Errors
    /// [`Error::File`] on one line: something is at the place, another process writes the same output, or the folders
    /// cannot be made.
    pub fn begin(place: &Path, verb: &str) -> Result<Self> {
        let named = place.to_path_buf();
        let refused = |reason: String| Error::File { path: named.clone(), reason };
        let failed = |error: std::io::Error| Error::File { path: place.to_path_buf(), reason: error.to_string() };
        let empty = require_free(place)?;
        let (place, made) = if empty {
            (std::fs::canonicalize(place).map_err(failed)?, Vec::new())
        } else {
            (place.to_path_buf(), make_parents(place).map_err(failed)?)
        };
        // An empty folder may be one that cannot be replaced (another file system is mounted there).
        let parent = if empty && !can_be_replaced(&place) { place.clone() } else { parent_of(&place) };
        let mut staged = Self { lock: None, hidden: PathBuf::new(), place: place.clone(), named: named.clone(), made };
        let prefix = prefix(&place);
        loop {
            static COUNTER: AtomicU64 = AtomicU64::new(0);
            let mut name = prefix.clone();
            name.push(format!("{}-{}", std::process::id(), COUNTER.fetch_add(1, Ordering::Relaxed)));
            let hidden = parent.join(name);
            match std::fs::create_dir(&hidden) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => continue,
                made => made.map_err(failed)?,
            }
            match FolderLock::acquire(&hidden, verb) {
                Ok(lock) => {
                    (staged.lock, staged.hidden) = (Some(lock), hidden);
                    break;
                }
                // Another process took the folder, which had no lock yet, for a left-over.
                Err(_) if !hidden.exists() => (),
                Err(error) => {
                    let _ = std::fs::remove_dir(&hidden);
                    return Err(error);
                }
            }
        }
        staged
            .remove_left_overs(&parent, &prefix, verb)
            .map_err(failed)?
            .map_or(Ok(staged), |writer| Err(refused(writer)))
    }

    /// The folder to write to.
    pub fn path(&self) -> &Path {
        &self.hidden
    }

    /// Checks that the folder to write to was not removed or moved.
    ///
    /// # Errors
    /// [`Error::File`] that names it.
    pub fn still_here(&self) -> Result<()> {
        self.lock.as_ref().map_or(Ok(()), FolderLock::still_here)
    }

    /// What the user should know: that this file system has no locks.
    pub fn note(&self) -> Option<String> {
        self.lock.as_ref()?.note()
    }

    /// Flushes everything to the disk and renames it to its place.
    ///
    /// Where the place is a folder that cannot be replaced, its files are moved one by one, `last` (the one that makes
    /// the output readable, for example `meta`) at the end.
    ///
    /// # Errors
    /// [`Error::File`] when something is at the place by now, or the disk refuses. Nothing is there then.
    pub fn commit(mut self, last: &str) -> Result<()> {
        let failed = |error: std::io::Error| Error::File {
            path: self.named.clone(),
            reason: format!("putting the finished output there: {error}"),
        };
        self.still_here()?;
        sync_tree(&self.hidden, 0).map_err(failed)?;
        let parent = parent_of(&self.place);
        if self.hidden.starts_with(&self.place) {
            self.move_entries(last).map_err(failed)?;
            return Ok(()); // the empty hidden folder goes with its lock
        }
        if let Ok(replaced) = std::fs::metadata(&self.place) {
            std::fs::set_permissions(&self.hidden, replaced.permissions()).map_err(failed)?;
            if !cfg!(unix) {
                std::fs::remove_dir(&self.place).map_err(failed)?; // elsewhere a folder replaces nothing
            }
        }
        std::fs::rename(&self.hidden, &self.place).map_err(failed)?;
        files::sync_folder(&parent).map_err(failed)?;
        self.made.clear();
        if let Some(mut lock) = self.lock.take() {
            lock.moved_to(&self.place);
        }
        Ok(())
    }

    fn move_entries(&self, last: &str) -> std::io::Result<()> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.hidden)? {
            names.push(entry?.file_name());
        }
        names.retain(|name| name != LOCK_FILE);
        names.sort_by_key(|name| (name == last, name.clone()));
        for name in names {
            std::fs::rename(self.hidden.join(&name), self.place.join(&name))?;
        }
        files::sync_folder(&self.place)
    }

    /// Removes the hidden folders of dead processes. Returns what a living one says about itself, if there is one.
    fn remove_left_overs(&self, parent: &Path, prefix: &OsString, verb: &str) -> std::io::Result<Option<String>> {
        for entry in std::fs::read_dir(parent)? {
            let (entry, prefix) = (entry?, prefix.as_encoded_bytes());
            let hidden = entry.path();
            let matches = entry.file_name().as_encoded_bytes().starts_with(prefix);
            if !matches || hidden == self.hidden || !entry.file_type()?.is_dir() {
                continue;
            }
            match FolderLock::acquire(&hidden, verb) {
                Ok(lock) if lock.note().is_none() => std::fs::remove_dir_all(&hidden)?,
                Ok(_) => (), // without locks nobody knows whose it is
                Err(Error::File { reason, .. }) if hidden.exists() => return Ok(Some(reason)),
                Err(_) => (),
            }
        }
        Ok(None)
    }
}

impl Drop for StagedFolder {
    fn drop(&mut self) {
        let Some(lock) = self.lock.take() else { return };
        let _ = std::fs::remove_dir_all(&self.hidden); // best effort: the next start removes the rest
        drop(lock);
        for folder in self.made.iter().rev() {
            let _ = std::fs::remove_dir(folder); // fails where something else was written, as it should
        }
    }
}

/// Checks that nothing is at `place`, or an empty folder; returns whether there is one.
fn require_free(place: &Path) -> Result<bool> {
    let refused = |got: String| Error::File {
        path: place.to_path_buf(),
        reason: format!("expected a new or empty folder, got {got}"),
    };
    let mut entries = match std::fs::read_dir(place) {
        Ok(entries) => entries,
        Err(_) if std::fs::symlink_metadata(place).is_err() => return Ok(false),
        Err(error) => return Err(refused(format!("something else ({error})"))),
    };
    let foreign = entries.find(|entry| match entry {
        Ok(entry) => entry.file_name() != LOCK_FILE && !is_hidden_folder(&entry.file_name(), place),
        Err(_) => true,
    });
    foreign.map_or(Ok(true), |_| Err(refused("one with files".into())))
}

/// Whether `name` is that of a folder that was staged inside of `place`.
fn is_hidden_folder(name: &OsString, place: &Path) -> bool {
    let place = std::fs::canonicalize(place).unwrap_or_else(|_| place.to_path_buf());
    name.as_encoded_bytes().starts_with(prefix(&place).as_encoded_bytes())
}

/// The start of the names of hidden folders for `place`.
fn prefix(place: &Path) -> OsString {
    let name = place.file_name().unwrap_or_default().to_string_lossy();
    let stem: String =
        name.char_indices().take_while(|(start, _)| *start < MAX_STEM).map(|(_, letter)| letter).collect();
    OsString::from(format!(".{stem}.unfinished-"))
}

fn parent_of(place: &Path) -> PathBuf {
    match place.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_path_buf(),
        _ => PathBuf::from("."),
    }
}

/// Makes the folders above `place` that are missing; returns them, outermost first.
fn make_parents(place: &Path) -> std::io::Result<Vec<PathBuf>> {
    let parent = parent_of(place);
    let missing: Vec<&Path> =
        parent.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()).collect();
    std::fs::create_dir_all(&parent)?;
    Ok(missing.into_iter().rev().map(Path::to_path_buf).collect())
}

/// Whether the empty folder `place` can be replaced by renaming: it is on the file system of the folder above it, which
/// can be written to, and this process does not work in it.
fn can_be_replaced(place: &Path) -> bool {
    let parent = parent_of(place);
    if std::env::current_dir().and_then(std::fs::canonicalize).is_ok_and(|current| current.starts_with(place)) {
        return false;
    }
    // The names of probes are those of temporary files, so that a left-over is removed like one.
    let probe = files::Partial::create(&parent.join("probe"));
    probe.is_ok() && place.parent().is_some() && same_device(place, &parent)
}

#[cfg(unix)]
fn same_device(one: &Path, other: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| std::fs::metadata(path).map(|metadata| metadata.dev()).ok();
    device(one) == device(other)
}

#[cfg(not(unix))]
fn same_device(_one: &Path, _other: &Path) -> bool {
    true
}

/// Flushes all files and folders below `folder` to the disk.
fn sync_tree(folder: &Path, depth: usize) -> std::io::Result<()> {
    if depth > MAX_DEPTH {
        return Err(std::io::Error::other(format!("folders: expected at most {MAX_DEPTH} in one another, got more")));
    }
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            sync_tree(&path, depth + 1)?;
        } else if kind.is_file() && entry.file_name() != LOCK_FILE {
            File::open(&path)?.sync_all()?;
        }
    }
    files::sync_folder(folder)
}
