//! The zip archive of a PyTorch file.

use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use mindseye_interface::inputs;
use zip::ZipArchive;

use super::machine::MAX_LIST_BYTES;
use super::pickled_object;

/// Most entries: one per storage, and a few more. Listing an entry takes ten times its bytes in the file.
const MAX_ENTRIES: u64 = 100_000;
/// Most bytes that a file's storages may unpack to, per byte of the file: weights are stored as they are, and hardly
/// become smaller where a tool compresses them.
const MAX_RATIO: u64 = 32;
/// Bytes that storages may unpack to in any case: a model whose weights are zeros is small.
const ALWAYS: u64 = 64 << 20;
/// The list of tensors; storages lie in a folder of the same name beside it.
const LIST: &str = "data.pkl";

/// The archive.
#[derive(Debug)]
pub(super) struct Archive {
    zip: ZipArchive<BufReader<File>>,
    file_bytes: u64,
    /// Name of the entry with the list.
    list: String,
}

impl Archive {
    pub fn open(path: &Path, max_bytes: u64) -> Result<Self, String> {
        let mut file = inputs::open(path, max_bytes).map_err(|error| error.to_string())?;
        let file_bytes = file.metadata().map_err(|error| error.to_string())?.len();
        let entries = number_of_entries(&mut file, file_bytes).map_err(|error| error.to_string())?;
        if entries > MAX_ENTRIES {
            return Err(format!("expected at most {MAX_ENTRIES} entries, got {entries}"));
        }
        let is_pickle = starts_as_pickle(&mut file).map_err(|error| error.to_string())?;
        let zip = ZipArchive::new(BufReader::new(file)).map_err(|error| match is_pickle {
            true => pickled_object("a pickle as PyTorch before 1.6 wrote it"),
            false => error.to_string(),
        })?;
        let names = zip.file_names().flatten();
        let lists: Vec<String> = names
            .filter(|name| *name == LIST || name.ends_with("/data.pkl") && name.matches('/').count() == 1)
            .map(|name| name.into_owned())
            .collect();
        match <[String; 1]>::try_from(lists) {
            Ok([list]) => Ok(Self { zip, file_bytes, list }),
            Err(lists) => Err(format!("expected one entry {LIST}, the list of tensors, got {}", lists.len())),
        }
    }

    /// The pickled list of tensors.
    pub fn list(&mut self) -> Result<Vec<u8>, String> {
        let named = |reason: String| format!("{LIST}: {reason}");
        let entry = self.zip.by_name(&self.list).map_err(|error| named(error.to_string()))?;
        let mut bytes = Vec::new();
        let read = entry.take(MAX_LIST_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| named(error.to_string()))?;
        if bytes.len() as u64 > MAX_LIST_BYTES {
            return Err(named(format!("expected at most {MAX_LIST_BYTES} bytes unpacked, got more")));
        }
        Ok(bytes)
    }

    /// Refuses storages that unpack to more than weights can.
    pub fn require_plausible(&self, bytes: u64) -> Result<(), String> {
        let most = self.file_bytes.saturating_mul(MAX_RATIO).max(ALWAYS);
        if bytes > most {
            return Err(format!("expected storages of at most {most} bytes in such a file, got {bytes}"));
        }
        Ok(())
    }

    /// The `bytes` bytes of the storage called `key`.
    pub fn storage(&mut self, key: &str, bytes: u64) -> Result<Vec<u8>, String> {
        let named = |reason: String| format!("storage {key:?}: {reason}");
        let name = format!("{}/{key}", self.list.trim_end_matches(".pkl"));
        let entry = self.zip.by_name(&name).map_err(|error| named(error.to_string()))?;
        if entry.size() != bytes {
            return Err(named(format!("expected {bytes} bytes, got {}", entry.size())));
        }
        let mut storage = Vec::with_capacity(usize::try_from(bytes).map_err(|error| named(error.to_string()))?);
        entry.take(bytes).read_to_end(&mut storage).map_err(|error| named(error.to_string()))?;
        if storage.len() as u64 != bytes {
            return Err(named(format!("expected {bytes} bytes, got {}", storage.len())));
        }
        Ok(storage)
    }
}

/// Whether the file begins as pickles do, and no zip archive.
fn starts_as_pickle(file: &mut File) -> std::io::Result<bool> {
    let mut start = Vec::new();
    file.take(1).read_to_end(&mut start)?;
    file.rewind()?;
    Ok(start == [0x80])
}

/// Entries that the end of the archive promises, before they are listed; 0 where there is no such end.
fn number_of_entries(file: &mut File, file_bytes: u64) -> std::io::Result<u64> {
    const END: &[u8] = b"PK\x05\x06";
    const END_64: &[u8] = b"PK\x06\x06";
    const TAIL: u64 = (1 << 16) + 200; // the longest comment, and the records of both kinds before it
    file.seek(SeekFrom::Start(file_bytes.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    file.rewind()?;
    // The largest number of any record that looks like one: comments may hold false ones.
    let numbers = |signature: &'static [u8], at: usize, width: usize| {
        let records = tail.windows(signature.len()).enumerate().filter(move |(_, window)| *window == signature);
        let field = |start: usize| tail.get(start + at..start + at + width);
        let little = |bytes: &[u8]| bytes.iter().rev().fold(0, |number: u64, &byte| number << 8 | u64::from(byte));
        records.filter_map(move |(start, _)| field(start).map(little)).max().unwrap_or(0)
    };
    Ok(match numbers(END, 10, 2) {
        0xffff => numbers(END_64, 32, 8).max(0xffff),
        number => number,
    })
}
