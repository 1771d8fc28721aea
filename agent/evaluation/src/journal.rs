//! Finished work on disk: what an interrupted evaluation does not repeat.
//!
//! A journal is one file: a line that says what it is, then a record per finished unit of work (an episode of a method
//! on a pair), each with a checksum and with a key that names everything that the result follows from. A record that a
//! crash cut off is dropped; results of another setting have other keys and are never found.

mod records;

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mindseye_interface::MemoryLimit;
use mindseye_interface::text::printable_path;
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use records::{Records, read_records};

use crate::{Error, Result};

/// First line of every journal.
const HEADER: &[u8] = b"mindseye journal 1\n";
/// Ending of the names of journals.
const ENDING: &str = "journal";
/// How long a named journal is kept: 30 days.
const KEPT_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// Copies of a journal in memory while it is read.
const COPIES: u128 = 2;
/// Bytes of one record at most: an episode with three large images is far smaller.
const MAX_RECORD: usize = 256 << 20;

/// Name of a unit of work by everything that its result follows from: a SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Key([u8; 32]);

impl Key {
    /// The key of `parts` under the key of their surroundings.
    pub fn of(around: Option<Self>, parts: &impl Serialize) -> Result<Self> {
        let parts = serde_json::to_vec(parts).map_err(|error| Error::value("key of an episode", "numbers", error))?;
        let mut hasher = Sha256::new();
        hasher.update(around.map_or([0; 32], |key| key.0));
        hasher.update(&parts);
        Ok(Self(hasher.finalize().into()))
    }
}

/// Results of finished work in a file. They are found again by the same setting, the same methods and the same program.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    program: String,
    found: HashMap<Key, Vec<u8>>,
    used: Mutex<HashSet<Key>>,
    appended: AtomicUsize,
    damaged: usize,
    file: Mutex<File>,
}

impl Journal {
    /// Opens or begins the journal at `path`; its folder must exist. `program` stands for the code that computes
    /// results: a journal of another program is as good as empty.
    ///
    /// # Errors
    /// When the file is no journal (it is left as it is), another process writes to it, or it cannot be read or
    /// written.
    pub fn open(path: &Path, program: &str) -> Result<Self> {
        let failed = |error: std::io::Error| file_error(path, &error.to_string());
        // A link, a pipe or a device is not ours to write to; one that could be would end with the journal.
        match std::fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => return Err(file_error(path, "expected a regular file, got another kind")),
            Ok(found) => {
                let field = format!("{}: finished episodes", printable_path(path));
                MemoryLimit::of_this_machine().require(&field, COPIES * u128::from(found.len()))?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => (),
            Err(error) => return Err(failed(error)),
        }
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).clone();
        let mut file = options.open(path).map_err(failed)?;
        // The lock ends with the process. A file system without locks has only this check to lose.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            return Err(file_error(path, "expected a journal that no other process writes to, got one that is in use"));
        }
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(failed)?;
        let mut damaged = 0;
        let (found, valid) = match bytes.strip_prefix(HEADER) {
            Some(records) => {
                let Records { found, length, damaged: lost } = read_records(records);
                damaged = lost;
                (found, HEADER.len() + length)
            }
            None if HEADER.starts_with(&bytes) => {
                file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(HEADER)).map_err(failed)?;
                (HashMap::new(), HEADER.len())
            }
            None => return Err(file_error(path, "expected a journal of mindseye, got another file")),
        };
        file.set_len(valid as u64).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        let (path, program) = (path.to_path_buf(), program.to_owned());
        let (used, appended) = (Mutex::default(), AtomicUsize::new(0));
        Ok(Self { path, program, found, used, appended, damaged, file: Mutex::new(file) })
    }

    /// The journal in `folder` (which is made) of a work named by `words`, for example a command's. Journals there that
    /// nobody went on with for 30 days are removed.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_named(folder: &Path, words: &[OsString], program: &str) -> Result<Self> {
        std::fs::create_dir_all(folder).map_err(|error| file_error(folder, &error.to_string()))?;
        remove_old(folder);
        let mut name = Sha256::new();
        for word in words {
            name.update(word.as_encoded_bytes());
            name.update([0]);
        }
        let name: String = name.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        Self::open(&folder.join(name).with_extension(ENDING), program)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of damaged records, whose work is done again.
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// Whether there is no result in it.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty() && self.appended.load(Ordering::Relaxed) == 0
    }

    /// Removes the file if everything in it was asked for: it is in a report now. Results of other work stay; whether
    /// there are any.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn finish(self) -> Result<bool> {
        let used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if self.found.keys().any(|key| !used.contains(key)) {
            return Ok(true);
        }
        self.remove().map(|()| false)
    }

    fn remove(&self) -> Result<()> {
        std::fs::remove_file(&self.path).map_err(|error| file_error(&self.path, &error.to_string()))
    }

    /// The key of `parts` in this program.
    pub(crate) fn key(&self, parts: &impl Serialize) -> Result<Key> {
        Key::of(None, &(&self.program, parts))
    }

    /// The result under `key`, where it is in the file. A record of another form (of another version) is none.
    pub(crate) fn kept<T: DeserializeOwned>(&self, key: Key) -> Option<T> {
        self.used.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        self.found.get(&key).and_then(|bytes| postcard::from_bytes(bytes).ok())
    }

    /// The result of `work`, from the file if it is there; else it is computed and kept.
    pub(crate) fn result<T: Serialize + DeserializeOwned>(
        &self,
        key: Key,
        work: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        if let Some(kept) = self.kept(key) {
            return Ok(kept);
        }
        let result = work()?;
        let payload = postcard::to_stdvec(&result).map_err(|error| file_error(&self.path, &error.to_string()))?;
        self.append(&[&key.0[..], &payload].concat())?;
        Ok(result)
    }

    fn append(&self, record: &[u8]) -> Result<()> {
        let length = u32::try_from(record.len()).unwrap_or(u32::MAX);
        if record.len() > MAX_RECORD {
            return Err(Error::value("journal", format!("records of at most {MAX_RECORD} bytes"), record.len()));
        }
        let bytes = [&length.to_le_bytes()[..], &crc32c::crc32c(record).to_le_bytes(), record].concat();
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_at(&file, &self.path) {
            return Err(file_error(
                &self.path,
                "expected the journal that was opened, got none or another: it was moved",
            ));
        }
        file.write_all(&bytes).map_err(|error| file_error(&self.path, &error.to_string()))?;
        self.appended.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// Removes journals in `folder` that nobody went on with.
fn remove_old(folder: &Path) {
    let is_old = |path: &Path| {
        let changed = path.metadata().and_then(|metadata| metadata.modified());
        changed.is_ok_and(|changed| changed.elapsed().is_ok_and(|age| age > KEPT_FOR))
    };
    let paths = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    for path in paths.filter(|path| path.extension().is_some_and(|ending| ending == ENDING) && is_old(path)) {
        let _ = std::fs::remove_file(path); // best effort: it only takes room
    }
}

/// Whether `path` still names `file`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let identity = |metadata: std::fs::Metadata| (metadata.dev(), metadata.ino());
    let both = (file.metadata().map(identity), std::fs::metadata(path).map(identity));
    matches!(both, (Ok(own), Ok(there)) if own == there)
}

/// Whether there still is a file at `path`.
#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> bool {
    path.is_file()
}

fn file_error(path: &Path, reason: &str) -> Error {
    mindseye_interface::Error::File { path: path.to_path_buf(), reason: reason.to_owned() }.into()
}

/// Images as PNG in a record.
pub(crate) mod png {
    use mindseye_episodes::image_codec::{decode_image, encode_png, encoded_image_size};
    use mindseye_interface::Image;
    use serde::de::Error as _;
    use serde::ser::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<S: Serializer>(images: &[Image; 3], serializer: S) -> Result<S::Ok, S::Error> {
        let encoded: Result<Vec<Vec<u8>>, String> = images.iter().map(encode_png).collect();
        encoded.map_err(S::Error::custom)?.serialize(serializer)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<[Image; 3], D::Error> {
        let encoded: Vec<Vec<u8>> = Vec::deserialize(deserializer)?;
        let decode = |bytes: &Vec<u8>| encoded_image_size(bytes).and_then(|size| decode_image(bytes, size));
        let images: Result<Vec<Image>, String> = encoded.iter().map(decode).collect();
        let images = images.map_err(D::Error::custom)?;
        <[Image; 3]>::try_from(images).map_err(|images| D::Error::custom(format!("{} images", images.len())))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The results for `names`, and how many had to be computed.
    fn results(journal: &Journal, names: &[&str]) -> (Vec<String>, usize) {
        let computed = Cell::new(0);
        let result = |name: &&str| {
            let work = || {
                computed.set(computed.get() + 1);
                Ok(format!("result of {name}"))
            };
            journal.result(journal.key(name).unwrap(), work).unwrap()
        };
        (names.iter().map(result).collect(), computed.get())
    }

    #[test]
    fn a_result_is_computed_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("episodes.journal");
        let first = results(&Journal::open(&path, "1").unwrap(), &["a", "b"]);
        let again = results(&Journal::open(&path, "1").unwrap(), &["a", "b", "c"]);
        assert_eq!((first.1, again.1), (2, 1));
        assert_eq!(first.0[..], again.0[..2]);
        assert_eq!(results(&Journal::open(&path, "2").unwrap(), &["a"]).1, 1, "of another program");
    }

    #[test]
    fn a_journal_that_a_crash_cut_off_or_a_disk_damaged_keeps_what_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("episodes.journal");
        results(&Journal::open(&path, "1").unwrap(), &["a", "b", "c"]);
        let whole = std::fs::read(&path).unwrap();
        let record = (whole.len() - HEADER.len()) / 3;
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let kept = length.saturating_sub(HEADER.len()) / record;
            assert_eq!(results(&Journal::open(&path, "1").unwrap(), &["a", "b", "c"]).1, 3 - kept);
            assert_eq!(std::fs::read(&path).unwrap(), whole, "what follows a cut is written over it");
        }
        let mut damaged = whole.clone();
        damaged[HEADER.len() + record + 50] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        // Symptom: one damaged byte in the first record lost all episodes, without a word. Cause: reading ended there,
        // and the rest was cut off. Fix: it is left out and counted.
        let journal = Journal::open(&path, "1").unwrap();
        assert_eq!((journal.damaged(), results(&journal, &["a", "b", "c"]).1), (1, 1));
        drop(journal);
        assert_eq!(results(&Journal::open(&path, "1").unwrap(), &["a", "b", "c"]).1, 0);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_a_socket_and_a_file_beyond_the_memory_are_refused() {
        // Symptom: a named pipe in the journal's place was waited for, for ever; a link to /dev/zero took all memory; a
        // link to a file of the user was written through, and removed. Cause: it was opened without a look at it.
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("mine.txt"), "").unwrap();
        std::os::unix::fs::symlink(path("mine.txt"), path("link")).unwrap();
        std::os::unix::fs::symlink("/dev/zero", path("zero")).unwrap();
        // No process is started for it: it would inherit the locks of other tests.
        let _socket = std::os::unix::net::UnixListener::bind(path("socket")).unwrap();
        File::create(path("sparse")).unwrap().set_len(1 << 42).unwrap();
        for (name, reason) in [("link", "regular"), ("zero", "regular"), ("socket", "regular"), ("sparse", "memory")] {
            let error = Journal::open(&path(name), "1").unwrap_err().to_string();
            assert!(error.contains(name) && error.contains(reason), "{error}");
        }
        assert_eq!(std::fs::read(path("mine.txt")).unwrap(), b"");
    }

    #[test]
    fn a_journal_goes_when_all_of_it_was_asked_for_and_stays_with_results_of_other_work() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("episodes.journal");
        results(&Journal::open(&path, "1").unwrap(), &["a", "b"]);
        let journal = Journal::open(&path, "1").unwrap();
        results(&journal, &["a", "c"]);
        assert!(journal.finish().unwrap() && path.exists());
        let journal = Journal::open(&path, "1").unwrap();
        assert_eq!(results(&journal, &["a", "b", "c"]).1, 0);
        assert!(!journal.finish().unwrap() && !path.exists());
    }

    #[test]
    fn a_named_journal_is_that_of_the_same_words_and_an_old_one_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let named = |word: &str| Journal::open_named(&folder.path().join("cache"), &[word.into()], "1").unwrap();
        let old = folder.path().join("cache/old.journal");
        assert_eq!(results(&named("one"), &["a"]).1, 1);
        File::create(&old).unwrap().set_modified(std::time::SystemTime::now() - KEPT_FOR * 2).unwrap();
        assert_eq!((results(&named("one"), &["a"]).1, results(&named("two"), &["a"]).1), (0, 1));
        assert!(!old.exists());
    }

    #[test]
    fn a_journal_in_use_is_refused_and_one_whose_folder_is_moved_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let (before, after) = (folder.path().join("before"), folder.path().join("after"));
        std::fs::create_dir(&before).unwrap();
        let journal = Journal::open(&before.join("episodes.journal"), "1").unwrap();
        let error = Journal::open(&before.join("episodes.journal"), "1").unwrap_err().to_string();
        assert!(error.contains("episodes.journal") && error.contains("in use"), "{error}");
        std::fs::rename(&before, &after).unwrap();
        let error = journal.result(journal.key(&1).unwrap(), || Ok(1)).unwrap_err().to_string();
        assert!(error.contains("before") && error.contains("moved"), "{error}");
    }

    #[test]
    fn another_file_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notes.txt");
        std::fs::write(&path, "mine").unwrap();
        let error = Journal::open(&path, "1").unwrap_err().to_string();
        assert!(error.contains("notes.txt") && error.contains("journal"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), b"mine");
    }
}
