//! Decoded frames in a file, mapped into memory: what was decoded once is there at once the next time.
//!
//! ```text
//! "mindseye frames" + version   16 + 8 bytes
//! length of the header          8 bytes, little-endian
//! header                        JSON, see [`Header`]
//! pictures                      bytes, from the next multiple of 4096 on
//! actions, states, proprioception   f32, little-endian, one after the other
//! ```
//!
//! A file is named after what it was made from: the bytes of the data set's files, the size and the choice of pictures. Changed data are
//! decoded anew, into another file.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use memmap2::Mmap;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// First bytes of a file of frames.
const MAGIC: [u8; 24] = *b"mindseye frames\0version1";
/// Pictures begin at a multiple of a page.
const PAGE: u64 = 4096;
/// Folders of a data set in one another.
const DEEPEST: usize = 16;
/// Longest header that is believed, bytes.
const MAX_HEADER: u64 = 1 << 30;

/// What a file of frames says of itself.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// Height and width of the pictures, pixels.
    pub image_size: [usize; 2],
    /// Widths of actions, states and proprioception.
    pub widths: [usize; 3],
    /// Names of the state's dimensions.
    pub state_names: Vec<String>,
    pub stride: usize,
    /// Moments of each episode.
    pub lengths: Vec<usize>,
    /// Number of pictures.
    pub kept: usize,
}

impl Header {
    fn picture_bytes(&self) -> u64 {
        (self.kept as u64).saturating_mul(3 * (self.image_size[0] as u64).saturating_mul(self.image_size[1] as u64))
    }

    fn moments(&self) -> u64 {
        self.lengths.iter().map(|&length| length as u64).sum()
    }

    fn number_bytes(&self) -> u64 {
        4 * self.widths.iter().map(|&width| self.moments().saturating_mul(width as u64)).sum::<u64>()
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::content(Path::new("frame cache"), "header", "JSON", error))
    }
}

/// The pictures of a file of frames, mapped.
#[derive(Debug)]
pub(super) struct Mapped {
    map: Mmap,
    start: usize,
    length: usize,
}

impl Mapped {
    pub fn bytes(&self) -> &[u8] {
        &self.map[self.start..self.start + self.length]
    }
}

/// A file of frames that is being written, under another name until it is whole.
pub(super) struct Store {
    path: PathBuf,
    unfinished: PathBuf,
    file: Mutex<File>,
    header: Header,
    start: u64,
}

impl Store {
    /// Begins the file `path` of what `header` describes.
    pub fn begin(path: &Path, header: &Header) -> Result<Self> {
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder).map_err(|error| Error::file(folder, "creating", error))?;
        let unfinished = path.with_extension(format!("unfinished-{}", std::process::id()));
        let text = header.bytes()?;
        let mut file = File::create(&unfinished).map_err(|error| Error::file(&unfinished, "creating", error))?;
        let start = (MAGIC.len() as u64 + 8 + text.len() as u64).next_multiple_of(PAGE);
        let mut write = || -> std::io::Result<()> {
            file.write_all(&MAGIC)?;
            file.write_all(&(text.len() as u64).to_le_bytes())?;
            file.write_all(&text)
        };
        let written = write();
        let store =
            Self { path: path.to_path_buf(), unfinished, file: Mutex::new(file), header: header.clone(), start };
        store.checked(written)?;
        Ok(store)
    }

    fn checked<T>(&self, result: std::io::Result<T>) -> Result<T> {
        result.map_err(|error| Error::file(&self.unfinished, "writing", error))
    }

    /// Puts `pictures` where picture number `first` belongs, from any thread.
    pub fn put(&self, first: usize, pictures: &[u8]) -> Result<()> {
        let picture = (3 * self.header.image_size[0] * self.header.image_size[1]) as u64;
        self.write_at(self.start + first as u64 * picture, pictures)
    }

    fn write_at(&self, place: u64, bytes: &[u8]) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.checked(file.seek(SeekFrom::Start(place)).and_then(|_| file.write_all(bytes)))
    }

    /// Adds the numbers of all moments and gives the file its name.
    pub fn finish(self, numbers: [&[f32]; 3]) -> Result<()> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|values| values.iter()).flat_map(|v| v.to_le_bytes()).collect();
        self.write_at(self.start + self.header.picture_bytes(), &bytes)?;
        let file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.checked(file.sync_all())?;
        drop(file);
        std::fs::rename(&self.unfinished, &self.path).map_err(|error| Error::file(&self.path, "renaming", error))
    }
}

impl Drop for Store {
    /// What was not finished is of no use. After [`Store::finish`] there is nothing under the other name.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.unfinished);
    }
}

/// What a file of frames holds.
pub(super) struct Stored {
    pub header: Header,
    pub pictures: Mapped,
    /// Actions, states and proprioception of all moments.
    pub numbers: [Vec<f32>; 3],
}

/// What is in the file at `path`: `None` when there is none, or none that is whole (it is then made again).
pub(super) fn open(path: &Path) -> Result<Option<Stored>> {
    let Ok(mut file) = File::open(path) else { return Ok(None) };
    match read(&mut file) {
        Ok(found) => Ok(found),
        Err(error) => Err(Error::file(path, "reading", error)),
    }
}

#[allow(unsafe_code, reason = "a file is mapped into memory")]
fn read(file: &mut File) -> std::io::Result<Option<Stored>> {
    let size = file.metadata()?.len();
    let mut front = [0; MAGIC.len() + 8];
    if size < front.len() as u64 {
        return Ok(None);
    }
    file.read_exact(&mut front)?;
    let (magic, length) = front.split_at(MAGIC.len());
    let length = length.iter().rev().fold(0u64, |sum, &byte| (sum << 8) | u64::from(byte));
    if magic != MAGIC || length > MAX_HEADER.min(size) {
        return Ok(None);
    }
    let mut text = vec![0; length as usize];
    file.read_exact(&mut text)?;
    let Ok(header) = serde_json::from_slice::<Header>(&text) else { return Ok(None) };
    let start = (front.len() as u64 + length).next_multiple_of(PAGE);
    let whole = start.saturating_add(header.picture_bytes()).saturating_add(header.number_bytes());
    if size != whole {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(start + header.picture_bytes()))?;
    let mut numbers = [Vec::new(), Vec::new(), Vec::new()];
    for (values, width) in numbers.iter_mut().zip(header.widths) {
        let mut bytes = vec![0; 4 * header.moments() as usize * width];
        file.read_exact(&mut bytes)?;
        *values = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    }
    // SAFETY: files of frames are never changed once they have their name (they are replaced by renaming), and this one is as long as
    // it says. Whoever shortens it while it is in use ends this process, as with every mapped file.
    let map = unsafe { Mmap::map(&*file)? };
    let pictures = Mapped { map, start: start as usize, length: header.picture_bytes() as usize };
    Ok(Some(Stored { header, pictures, numbers }))
}

/// A name for what lies at `path` (a file, or all files of a folder but hidden ones) together with `more`: the SHA-256 of names and bytes.
pub(super) fn key(path: &Path, more: &str) -> Result<String> {
    let mut files = Vec::new();
    collect(path, 0, &mut files)?;
    files.sort();
    let digest = |file: &PathBuf| -> Result<Vec<u8>> {
        let mut hasher = Sha256::new();
        hasher.update(file.strip_prefix(path).unwrap_or(file).to_string_lossy().as_bytes());
        hasher.update([0]);
        let broken = |error| Error::file(file, "reading", error);
        let mut file = File::open(file).map_err(broken)?;
        let mut some = vec![0; 1 << 20];
        loop {
            match file.read(&mut some).map_err(broken)? {
                0 => return Ok(hasher.finalize().to_vec()),
                count => hasher.update(&some[..count]),
            }
        }
    };
    let digests: Vec<Vec<u8>> = files.par_iter().map(digest).collect::<Result<_>>()?;
    let mut hasher = Sha256::new();
    digests.iter().for_each(|digest| hasher.update(digest));
    hasher.update(more.as_bytes());
    Ok(hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// Adds the file at `path`, or all files of the folder. Links are followed (downloaded data sets are folders of links), but not in circles.
fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let broken = |error| Error::file(path, "reading", error);
    if !std::fs::metadata(path).map_err(broken)?.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    if depth == DEEPEST {
        return Err(Error::content(path, "folders", format!("at most {DEEPEST} in one another"), "more"));
    }
    for entry in std::fs::read_dir(path).map_err(broken)? {
        let entry = entry.map_err(broken)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            collect(&entry.path(), depth + 1, files)?;
        }
    }
    Ok(())
}
