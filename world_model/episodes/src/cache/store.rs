//! Decoded frames in a file that is mapped into memory, so that they are decoded only once.
//!
//! ```text
//! "mindseye frames" + version   16 + 8 bytes
//! length of the header          8 bytes, little-endian
//! header                        JSON, see [`Header`]
//! images                      bytes, from the next multiple of 4096 on
//! actions, states, proprioception   f32, little-endian, one after the other
//! ```
//!
//! The name of a file is a hash of its input: the bytes of the data set's files, the image size and the choice of
//! images. Changed data are decoded into another file.

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
/// Images begin at a multiple of a page.
const PAGE: u64 = 4096;
/// Deepest nesting of a data set's folders.
const MAX_DEPTH: usize = 16;
/// Longest header, bytes; a longer one is taken for a broken file.
const MAX_HEADER: u64 = 1 << 30;

/// Description of a file of frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Header {
    /// Height and width of the images, pixels.
    pub image_size: [usize; 2],
    /// Widths of actions, states and proprioception.
    pub widths: [usize; 3],
    /// Names of the state's dimensions.
    pub state_names: Vec<String>,
    pub stride: usize,
    /// Timesteps of each episode.
    pub lengths: Vec<usize>,
    /// Number of images.
    pub kept: usize,
}

impl Header {
    fn image_bytes(&self) -> u64 {
        (self.kept as u64).saturating_mul(3 * (self.image_size[0] as u64).saturating_mul(self.image_size[1] as u64))
    }

    fn timesteps(&self) -> u64 {
        self.lengths.iter().map(|&length| length as u64).sum()
    }

    fn number_bytes(&self) -> u64 {
        4 * self.widths.iter().map(|&width| self.timesteps().saturating_mul(width as u64)).sum::<u64>()
    }

    fn bytes(&self) -> Result<Vec<u8>> {
        serde_json::to_vec(self).map_err(|error| Error::content(Path::new("frame cache"), "header", "JSON", error))
    }
}

/// The images of a file of frames, mapped.
#[derive(Debug)]
pub(super) struct MappedImages {
    map: Mmap,
    start: usize,
    length: usize,
}

impl MappedImages {
    pub fn bytes(&self) -> &[u8] {
        &self.map[self.start..self.start + self.length]
    }
}

/// A file of frames that is being written, under a temporary name until it is complete.
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

    /// Puts `images` where image number `first` belongs, from any thread.
    pub fn put(&self, first: usize, images: &[u8]) -> Result<()> {
        let image = (3 * self.header.image_size[0] * self.header.image_size[1]) as u64;
        self.write_at(self.start + first as u64 * image, images)
    }

    fn write_at(&self, place: u64, bytes: &[u8]) -> Result<()> {
        let mut file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.checked(file.seek(SeekFrom::Start(place)).and_then(|_| file.write_all(bytes)))
    }

    /// Writes the numbers of all timesteps and renames the file to its final name.
    pub fn finish(self, numbers: [&[f32]; 3]) -> Result<()> {
        let bytes: Vec<u8> = numbers.iter().flat_map(|values| values.iter()).flat_map(|v| v.to_le_bytes()).collect();
        self.write_at(self.start + self.header.image_bytes(), &bytes)?;
        let file = self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        self.checked(file.sync_all())?;
        drop(file);
        std::fs::rename(&self.unfinished, &self.path).map_err(|error| Error::file(&self.path, "renaming", error))
    }
}

impl Drop for Store {
    /// Deletes an unfinished file. After [`Store::finish`] there is none under the temporary name.
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.unfinished);
    }
}

/// Content of a file of frames.
pub(super) struct Stored {
    pub header: Header,
    pub images: MappedImages,
    /// Actions, states and proprioception of all timesteps.
    pub numbers: [Vec<f32>; 3],
}

/// Content of the file at `path`; `None` when it is missing or incomplete, and has to be written again.
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
    let whole = start.saturating_add(header.image_bytes()).saturating_add(header.number_bytes());
    if size != whole {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(start + header.image_bytes()))?;
    let mut numbers = [Vec::new(), Vec::new(), Vec::new()];
    for (values, width) in numbers.iter_mut().zip(header.widths) {
        let mut bytes = vec![0; 4 * header.timesteps() as usize * width];
        file.read_exact(&mut bytes)?;
        *values = bytes.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
    }
    // SAFETY: a file of frames is never changed under its final name (it is replaced by renaming), and its size was
    // checked above. If another process truncates the file while it is mapped, access to it ends this process (SIGBUS),
    // as with every mapped file.
    let map = unsafe { Mmap::map(&*file)? };
    let images = MappedImages { map, start: start as usize, length: header.image_bytes() as usize };
    Ok(Some(Stored { header, images, numbers }))
}

/// Key of the data at `path` (a file, or all files of a folder except hidden ones) and `more`: 16 bytes of the SHA-256
/// of names and bytes, in hex.
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
        let mut buffer = vec![0; 1 << 20];
        loop {
            match file.read(&mut buffer).map_err(broken)? {
                0 => return Ok(hasher.finalize().to_vec()),
                count => hasher.update(&buffer[..count]),
            }
        }
    };
    let digests: Vec<Vec<u8>> = files.par_iter().map(digest).collect::<Result<_>>()?;
    let mut hasher = Sha256::new();
    digests.iter().for_each(|digest| hasher.update(digest));
    hasher.update(more.as_bytes());
    Ok(hasher.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect())
}

/// Adds the file at `path`, or all files of the folder. Links are followed, because downloaded data sets are folders of
/// links; the depth is limited, because links may form circles.
fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<()> {
    let broken = |error| Error::file(path, "reading", error);
    if !std::fs::metadata(path).map_err(broken)?.is_dir() {
        files.push(path.to_path_buf());
        return Ok(());
    }
    if depth == MAX_DEPTH {
        return Err(Error::content(path, "folders", format!("at most {MAX_DEPTH} in one another"), "more"));
    }
    for entry in std::fs::read_dir(path).map_err(broken)? {
        let entry = entry.map_err(broken)?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            collect(&entry.path(), depth + 1, files)?;
        }
    }
    Ok(())
}
