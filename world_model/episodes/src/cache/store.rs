//! Writing of a file of decoded frames, by one process at a time.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use mindseye_interface::files::{Exclusive, lock_file};
use rayon::prelude::*;

use super::header::{Header, MAGIC};
use super::positioned::write_all_at;
use crate::{Error, Result};

/// Ending of a file that is being written, and locked meanwhile.
const UNFINISHED: &str = "unfinished";

/// A file of frames that is being written, under a temporary name until it is complete.
pub(super) struct Store {
    path: PathBuf,
    unfinished: PathBuf,
    /// Locked while it is open.
    file: File,
    header: Header,
    text: Vec<u8>,
    start: u64,
    /// Checksum of each image.
    checksums: Vec<AtomicU32>,
}

/// The outcome of [`Store::begin`].
pub(super) enum Begun {
    /// The file is to be written.
    Here(Box<Store>),
    /// Another process writes it.
    Elsewhere,
}

impl Store {
    /// Begins the file `path` of what `header` describes, and removes what killed processes left unfinished in its
    /// folder.
    pub fn begin(path: &Path, header: &Header) -> Result<Begun> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, "creating", error))?;
        let mut unfinished = path.with_extension(UNFINISHED);
        let failed = |error| Error::file(&unfinished, "creating", error);
        let file = match lock_file(&unfinished).map_err(failed)? {
            Exclusive::Held(file) => file,
            Exclusive::Busy => return Ok(Begun::Elsewhere),
            Exclusive::NotSupported => {
                unfinished = path.with_extension(format!("{UNFINISHED}-{}", std::process::id()));
                File::create(&unfinished).map_err(|error| Error::file(&unfinished, "creating", error))?
            }
        };
        remove_left_overs(folder, &unfinished);
        let text = header.bytes()?;
        let store = Self {
            path: path.to_path_buf(),
            unfinished,
            file,
            header: header.clone(),
            start: Header::images_start(text.len() as u64),
            checksums: std::iter::repeat_with(AtomicU32::default).take(header.kept).collect(),
            text,
        };
        // Of a killed process there may be a beginning.
        store.checked(store.file.set_len(0))?;
        let front = [&MAGIC[..], &(store.text.len() as u64).to_le_bytes(), &store.text].concat();
        store.checked((&store.file).write_all(&front))?;
        Ok(Begun::Here(Box::new(store)))
    }

    fn checked<T>(&self, result: std::io::Result<T>) -> Result<T> {
        result.map_err(|error| Error::file(&self.unfinished, "writing", error))
    }

    /// Puts `images` where image number `first` belongs, from any thread.
    pub fn put(&self, first: usize, images: &[u8]) -> Result<()> {
        let image = self.header.image_bytes();
        let checksums = self.checksums.get(first..).unwrap_or_default();
        images.par_chunks_exact(image as usize).zip(checksums).for_each(|(image, checksum)| {
            checksum.store(crc32c::crc32c(image), Ordering::Relaxed);
        });
        self.checked(write_all_at(&self.file, images, self.start + first as u64 * image))
    }

    /// Writes the numbers of all timesteps and the checksums, and renames the file to its final name.
    pub fn finish(self, numbers: [&[f32]; 3]) -> Result<()> {
        let mut bytes: Vec<u8> =
            numbers.iter().flat_map(|values| values.iter()).flat_map(|value| value.to_le_bytes()).collect();
        bytes.extend(self.checksums.iter().flat_map(|checksum| checksum.load(Ordering::Relaxed).to_le_bytes()));
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&self.text), &bytes);
        bytes.extend(checksum.to_le_bytes());
        self.checked(write_all_at(&self.file, &bytes, self.start + self.header.images_bytes()))?;
        self.checked(self.file.sync_all())?;
        std::fs::rename(&self.unfinished, &self.path).map_err(|error| Error::file(&self.path, "renaming", error))
    }
}

impl Drop for Store {
    /// Deletes an unfinished file, while it is locked. After [`Store::finish`] there is none under the temporary name,
    /// or that of another process.
    fn drop(&mut self) {
        if mindseye_interface::files::is_open_file_at(&self.file, &self.unfinished) {
            let _ = std::fs::remove_file(&self.unfinished);
        }
    }
}

/// Removes what killed processes left unfinished in `folder`, but for `own`. Best effort: what stays costs room alone.
fn remove_left_overs(folder: &Path, own: &Path) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path != own) {
        let dead = match path.extension().and_then(|extension| extension.to_str()) {
            Some(UNFINISHED) => matches!(lock_file(&path), Ok(Exclusive::Held(_))),
            // Earlier versions did not lock them, but named the process.
            Some(extension) => {
                let process = extension.strip_prefix(UNFINISHED).and_then(|rest| rest.strip_prefix('-')?.parse().ok());
                process.is_some_and(is_dead)
            }
            None => false,
        };
        if dead {
            let _ = std::fs::remove_file(&path);
        }
    }
}

/// Whether there is no process of this number; only Linux tells.
fn is_dead(process: u32) -> bool {
    Path::new("/proc/self").exists() && !Path::new("/proc").join(process.to_string()).exists()
}
