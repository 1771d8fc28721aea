//! One writer per folder: an advisory lock that ends with its process.
//!
//! ```
//! use mindseye_interface::FolderLock;
//!
//! # let parent = tempfile::tempdir()?;
//! # let folder = parent.path().join("recording");
//! let lock = FolderLock::acquire(&folder, "record")?; // makes the folder if it is missing
//! let refused = FolderLock::acquire(&folder, "record").unwrap_err().to_string();
//! assert!(refused.contains("is being written by process"));
//! lock.still_here()?; // before every checkpoint: the folder was not removed or moved
//! drop(lock);
//! assert!(!folder.exists(), "an empty folder that the lock made goes with it");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::files::{self, Exclusive, is_open_file_at, lock_file};
use crate::{Error, Result};

/// Name of the lock file in a folder. Readers and tools of formats ignore it. A killed process leaves it behind,
/// without a lock; the next writer takes it over.
pub const LOCK_FILE: &str = ".mindseye.lock";

/// Longest text in a lock file, bytes.
const MAX_TEXT: u64 = 200;

/// The right to write to a folder, until it is dropped or the process ends.
#[derive(Debug)]
pub struct FolderLock {
    folder: PathBuf,
    verb: String,
    /// The open folder: while it is open, no other one can have its identity.
    handle: Option<File>,
    /// The locked file; `None` where the file system has no locks.
    file: Option<File>,
    /// Folders that were missing, outermost first: removed with the lock if nothing was written to them.
    made: Vec<PathBuf>,
}

impl FolderLock {
    /// Locks `folder` for the command `verb` (for example `record`), and removes what dead writers left half written in
    /// it. Missing folders are made.
    ///
    /// # Errors
    /// [`Error::File`] on one line: who writes to the folder and since when, or that it cannot be made or written to.
    pub fn acquire(folder: &Path, verb: &str) -> Result<Self> {
        let refused = |reason: String| Error::File { path: folder.to_path_buf(), reason };
        let failed = |error: std::io::Error| refused(format!("locking the folder: {error}"));
        let mut lock =
            Self { folder: folder.to_path_buf(), verb: verb.to_owned(), handle: None, file: None, made: Vec::new() };
        loop {
            lock.make_folders().map_err(|error| refused(format!("making the folder: {error}")))?;
            match lock_file(&folder.join(LOCK_FILE)) {
                Ok(Exclusive::Held(mut file)) => {
                    sign(&mut file, verb).map_err(failed)?;
                    lock.file = Some(file);
                    break;
                }
                Ok(Exclusive::NotSupported) => break,
                Ok(Exclusive::Busy) => {
                    lock.made.clear(); // whoever writes there needs them
                    return Err(refused(holder(&folder.join(LOCK_FILE))));
                }
                // Whoever had the lock removed the folder, which it had made.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => (),
                Err(error) => return Err(failed(error)),
            }
        }
        lock.handle = if cfg!(unix) { Some(File::open(folder).map_err(failed)?) } else { None };
        if lock.file.is_some() {
            files::remove_former_left_overs(folder).map_err(failed)?;
        }
        Ok(lock)
    }

    /// The folder, as it was named.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What the user should know: that this file system has no locks.
    pub fn note(&self) -> Option<String> {
        let folder = self.folder.display();
        self.file.is_none().then(|| {
            format!("{folder}: this file system has no locks: nothing keeps a second command from writing there") //
        })
    }

    /// Checks that the folder is still the one that was locked. To be called before every checkpoint, episode or other
    /// part that is written.
    ///
    /// # Errors
    /// [`Error::File`] when the folder was removed or moved.
    pub fn still_here(&self) -> Result<()> {
        let here = match &self.handle {
            Some(handle) => is_open_file_at(handle, &self.folder),
            None => self.folder.exists(),
        };
        if here {
            return Ok(());
        }
        let reason = format!("the folder was removed or moved while mindseye {} was writing to it", self.verb);
        Err(Error::File { path: self.folder.clone(), reason })
    }

    /// The folder has been renamed to `folder` by this process.
    pub(crate) fn moved_to(&mut self, folder: &Path) {
        self.folder = folder.to_path_buf();
        self.made.clear();
    }

    fn make_folders(&mut self) -> std::io::Result<()> {
        let mut missing: Vec<&Path> = Vec::new();
        for folder in self.folder.ancestors().take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists()) {
            missing.push(folder);
        }
        for folder in missing.into_iter().rev() {
            match std::fs::create_dir(folder) {
                Ok(()) => self.made.push(folder.to_path_buf()),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists && folder.is_dir() => (),
                Err(error) => return Err(error),
            }
        }
        if self.folder.is_dir() { Ok(()) } else { Err(std::io::ErrorKind::NotADirectory.into()) }
    }
}

impl Drop for FolderLock {
    /// Removes the lock file while it is still locked: whoever waits with it open sees that it is gone. Where the
    /// folder was moved away, the file there stays.
    fn drop(&mut self) {
        let path = self.folder.join(LOCK_FILE);
        if self.file.as_ref().is_some_and(|file| is_open_file_at(file, &path)) {
            let _ = std::fs::remove_file(&path); // best effort: a lock file without a lock is taken over
        }
        // Closing would not do: a process that is being started has a copy of the handle until it runs.
        let _ = self.file.as_ref().map(File::unlock);
        for folder in self.made.iter().rev() {
            let _ = std::fs::remove_dir(folder); // fails where something was written, as it should
        }
    }
}

/// Writes who holds the lock.
fn sign(file: &mut File, verb: &str) -> std::io::Result<()> {
    let verb: String = verb.chars().filter(|letter| letter.is_ascii_graphic() || *letter == ' ').take(60).collect();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(format!("{} {since} {verb}\n", std::process::id()).as_bytes())
}

/// Who holds the lock, by the text in the lock file.
fn holder(path: &Path) -> String {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(MAX_TEXT).read_to_string(&mut text));
    let parts: Vec<&str> = text.trim_end().splitn(3, ' ').collect();
    let (&[process, since, verb], Ok(_)) = (&parts[..], read) else {
        return "is being written by another process".into();
    };
    let verb: String = verb.chars().filter(|letter| letter.is_ascii_graphic() || *letter == ' ').collect();
    match (process.parse::<u32>(), since.parse::<u64>()) {
        (Ok(process), Ok(since)) => {
            format!("is being written by process {process} (mindseye {verb}, since {})", time_of_day(since))
        }
        _ => "is being written by another process".into(),
    }
}

/// `12:03 UTC` of seconds since 1970; of another day with the days that have passed.
fn time_of_day(since: u64) -> String {
    const DAY: u64 = 86_400;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(since, |time| time.as_secs());
    let time = format!("{:02}:{:02} UTC", since % DAY / 3600, since % 3600 / 60);
    match (now / DAY).saturating_sub(since / DAY) {
        0 => time,
        1 => format!("{time} yesterday"),
        days => format!("{time} {days} days ago"),
    }
}
