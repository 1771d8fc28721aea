//! What a writer has put into its folder. Where somebody takes it away, the writing ends.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::info::FilePlace;
use super::new_dataset::make_folder;
use crate::{Error, Result};

/// Files and folders that one writer has made.
#[derive(Debug, Default)]
pub(super) struct Outputs(Vec<PathBuf>);

impl Outputs {
    /// Remembers a file with finished episodes.
    pub fn add(&mut self, file: PathBuf) {
        self.0.push(file);
    }

    /// Checks that nobody removed a file with finished episodes.
    ///
    /// # Errors
    /// [`Error::Content`] naming the first that is missing.
    pub fn require(&self) -> Result<()> {
        match self.0.iter().find(|file| !file.is_file()) {
            None => Ok(()),
            Some(file) => Err(Error::content(file, "episodes", "the file that was written", "none: it was removed")),
        }
    }
}

/// Makes the folder of `file` in the data set `root`, where it is the first of a chunk. A folder that was there
/// (`is_new` is false) and is not there any more was removed under way, with finished episodes: it is not made anew.
///
/// # Errors
/// [`Error::File`] when it cannot be made.
pub(super) fn make_folder_of(root: &Path, file: &Path, place: FilePlace, is_new: bool) -> Result<()> {
    let Some(folder) = file.parent().filter(|_| place.file == 0) else { return Ok(()) };
    if is_new {
        return make_folder(root, folder);
    }
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(Error::file(folder, "making the folder", error)),
        _ => Ok(()),
    }
}
