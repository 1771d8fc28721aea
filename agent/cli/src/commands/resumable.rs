//! What evaluate (and its branches), compare and ablate share: episodes are kept as they finish, until the result is
//! written.

use std::ffi::OsString;
use std::path::Path;
use std::time::UNIX_EPOCH;

use anyhow::Result;
use mindseye_evaluation::{Error, Journal};
use mindseye_interface::FolderLock;

use super::lock_folder;
use crate::progress::{Interrupted, TerminalProgress, stop_on_ctrl_c};
use crate::streams::note;

/// The journal in the folder of a result.
const JOURNAL: &str = "episodes.journal";

/// A study under way. One that ends before it is complete leaves its journal, and nothing where there is nothing to
/// keep.
pub struct ResumableStudy {
    /// How far it is; Ctrl-C stops it between two episodes.
    pub progress: TerminalProgress,
    journal: Option<Journal>,
    _lock: Option<FolderLock>,
}

impl ResumableStudy {
    /// The study of command `verb` with results in `out`, which is made before the work so that a wrong folder does not
    /// cost its result. Without a folder the journal is in the user's cache, under the command's own name.
    ///
    /// # Errors
    /// When the folder cannot be made, or another process writes to it.
    pub fn begin(verb: &str, out: Option<&Path>) -> Result<Self> {
        let progress = TerminalProgress::stopped_by(stop_on_ctrl_c()?);
        let (journal, lock) = match out {
            Some(out) => {
                let lock = lock_folder(out, verb)?;
                (Some(Journal::open(&out.join(JOURNAL), &program())?), Some(lock))
            }
            None => (cached_journal(), None),
        };
        if let Some(journal) = journal.as_ref().filter(|journal| !journal.is_empty()) {
            note!("going on with the episodes in {}", journal.path().display());
            if journal.damaged() > 0 {
                note!("{} of them are damaged on disk and are done again", journal.damaged());
            }
        }
        Ok(Self { progress, journal, _lock: lock })
    }

    /// Where episodes are kept.
    pub fn journal(&self) -> Option<&Journal> {
        self.journal.as_ref()
    }

    /// The result is written: the journal goes, unless it holds episodes of another study.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn finish(mut self) -> Result<()> {
        let Some(journal) = self.journal.take() else { return Ok(()) };
        let path = journal.path().to_path_buf();
        if journal.finish()? {
            note!("{}: episodes of another study are left in it", path.display());
        }
        Ok(())
    }

    /// The error of the command when the study ended with `error`.
    pub fn failed(&self, error: Error) -> anyhow::Error {
        match error {
            Error::Stopped { done, of } => self.interrupted(done, of),
            other => other.into(),
        }
    }

    /// The error of a study that was stopped after `done` of its `of` episodes.
    pub fn interrupted(&self, done: usize, of: usize) -> anyhow::Error {
        let kept = match &self.journal {
            Some(journal) => format!("kept in {}: the same command goes on from there", journal.path().display()),
            None => "lost (--out FOLDER would keep them)".to_owned(),
        };
        Interrupted(format!("stopped after {done} of {of} episodes, {kept}")).into()
    }
}

impl Drop for ResumableStudy {
    fn drop(&mut self) {
        if self.journal.as_ref().is_some_and(Journal::is_empty) {
            let _ = self.journal.take().map(Journal::finish); // best effort: an empty journal harms nobody
        }
    }
}

/// The journal of this very command in the user's cache folder; `None` where there is no such folder, or where the same
/// command is running.
fn cached_journal() -> Option<Journal> {
    let folder = dirs::cache_dir()?.join("mindseye").join("evaluations");
    let here = std::env::current_dir().ok()?.into_os_string();
    let command: Vec<OsString> = std::env::args_os().skip(1).chain([here]).collect();
    Journal::open_named(&folder, &command, &program()).ok()
}

/// What stands for the code that computes results: the version, and the size and date of the program's file.
fn program() -> String {
    let metadata = std::env::current_exe().and_then(std::fs::metadata);
    let changed = metadata.as_ref().ok().and_then(|metadata| metadata.modified().ok());
    let secs = changed.and_then(|changed| changed.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_nanos());
    format!("{} {:?} {secs:?}", env!("CARGO_PKG_VERSION"), metadata.map(|metadata| metadata.len()).ok())
}
