//! Reading of a file of decoded frames.
//!
//! Images are read when they are asked for, each into memory of its own and compared with its checksum. A mapped file
//! would be as fast, but a file that is cut off while it is mapped ends the process (SIGBUS), and changed bytes would
//! be trained on.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use mindseye_interface::{MemoryLimit, inputs};

use super::header::{Header, MAGIC, MAX_HEADER};
use super::positioned::read_exact_at;
use crate::{Error, Result};

/// The images of a file of frames.
#[derive(Debug)]
pub(super) struct StoredImages {
    path: PathBuf,
    file: File,
    start: u64,
    image_bytes: usize,
    checksums: Vec<u32>,
}

impl StoredImages {
    /// Reads image `number` into `target`.
    ///
    /// # Errors
    /// [`Error::Content`] when the file was changed, [`Error::File`] when it was cut off or cannot be read. A file with
    /// changed bytes is deleted, so that the next command decodes it anew.
    pub fn read(&self, number: usize, target: &mut [u8]) -> Result<()> {
        let place = self.start + (number * self.image_bytes) as u64;
        if let Err(error) = read_exact_at(&self.file, target, place) {
            let cut = error.kind() == std::io::ErrorKind::UnexpectedEof;
            let reason = if cut { "it was cut off while it was in use".to_owned() } else { error.to_string() };
            return Err(Error::file(&self.path, "reading decoded frames", reason));
        }
        if self.checksums.get(number) == Some(&crc32c::crc32c(target)) {
            return Ok(());
        }
        let _ = std::fs::remove_file(&self.path); // best effort: it would be refused again
        let expected = "the bytes that were decoded (the file is deleted, the next start decodes them again)";
        Err(Error::content(&self.path, format!("decoded frame {number}"), expected, "others: the file was changed"))
    }

    /// Bytes of an image.
    pub fn image_bytes(&self) -> usize {
        self.image_bytes
    }
}

/// Content of a file of frames.
pub(super) struct Stored {
    pub header: Header,
    pub images: StoredImages,
    /// Actions, states and proprioception of all timesteps.
    pub numbers: [Vec<f32>; 3],
}

/// What is at the path of a file of frames.
pub(super) enum Found {
    Nothing,
    Whole(Box<Stored>),
    /// Something incomplete, changed, or of an earlier version, that has to be written again.
    Unusable,
}

/// Opens the file at `path` and reads all but its images.
///
/// # Errors
/// [`Error::File`] when it cannot be read; [`Error::Interface`] when its numbers need more memory than there is.
pub(super) fn open(path: &Path) -> Result<Found> {
    let Ok(file) = inputs::open(path, u64::MAX) else { return Ok(Found::Nothing) }; // writing it says why
    let failed = |error| Error::file(path, "reading", error);
    let Some((header, start, text)) = read_header(&file).map_err(failed)? else { return Ok(Found::Unusable) };
    let rest = header.numbers_bytes() + header.checksums_bytes();
    MemoryLimit::of_this_machine().require("numbers of decoded frames", 2 * u128::from(rest))?;
    let mut bytes = vec![0; rest as usize];
    read_exact_at(&file, &mut bytes, start + header.images_bytes()).map_err(failed)?;
    let Some((bytes, checksum)) = bytes.split_last_chunk::<4>() else { return Ok(Found::Unusable) };
    if crc32c::crc32c_append(crc32c::crc32c(&text), bytes) != u32::from_le_bytes(*checksum) {
        return Ok(Found::Unusable);
    }
    let (mut rest, mut numbers) = (bytes, [Vec::new(), Vec::new(), Vec::new()]);
    for (values, width) in numbers.iter_mut().zip(header.widths) {
        let (own, after) = rest.split_at(header.number_bytes(width) as usize);
        *values = own.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        rest = after;
    }
    let checksums = rest.as_chunks().0.iter().map(|bytes| u32::from_le_bytes(*bytes)).collect();
    let image_bytes = header.image_bytes() as usize;
    let images = StoredImages { path: path.to_path_buf(), file, start, image_bytes, checksums };
    Ok(Found::Whole(Box::new(Stored { header, images, numbers })))
}

/// The header, where the images begin, and the header's text; `None` where the file has another size than it states.
fn read_header(mut file: &File) -> std::io::Result<Option<(Header, u64, Vec<u8>)>> {
    let size = file.metadata()?.len();
    let mut front = [0; MAGIC.len() + 8];
    if size < front.len() as u64 {
        return Ok(None);
    }
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut front)?;
    let (magic, length) = front.split_at(MAGIC.len());
    let length = length.iter().rev().fold(0u64, |sum, &byte| (sum << 8) | u64::from(byte));
    if magic != MAGIC || length > MAX_HEADER.min(size - front.len() as u64) {
        return Ok(None);
    }
    let mut text = vec![0; length as usize];
    file.read_exact(&mut text)?;
    let Ok(header) = serde_json::from_slice::<Header>(&text) else { return Ok(None) };
    let start = Header::images_start(length);
    let parts = [header.images_bytes(), header.numbers_bytes(), header.checksums_bytes()];
    let whole = parts.iter().fold(start, |sum, &part| sum.saturating_add(part));
    Ok((size == whole && whole < u64::MAX).then_some((header, start, text)))
}
