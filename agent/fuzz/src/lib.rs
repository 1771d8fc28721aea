//! What the targets share: a panic hook, a folder for files, and data sets of which one file is replaced.

use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{env, fs, process};

use mindseye_episodes::open;

/// Bytes that the episodes of one input may have; more is a data set that is large and not broken.
const MAX_BYTES: usize = 64 << 20;

/// What every target begins with. A panic that the readers catch and report as an error is no fault: libFuzzer's hook,
/// which ends the process, sees the others. All work is done on one thread, for equal inputs to take equal paths.
pub fn begin() {
    let end = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if !mindseye_episodes::is_guarded() {
            end(panic);
        }
    }));
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread();
    pool.build_global().expect("no other pool is there yet");
}

/// The folder of this process, in memory where the system has `/dev/shm`. Folders of processes that have ended are
/// removed.
pub static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| {
    const NAME: &str = "mindseye_fuzz_";
    let parent = Some(PathBuf::from("/dev/shm")).filter(|memory| memory.is_dir()).unwrap_or_else(env::temp_dir);
    for entry in fs::read_dir(&parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.strip_prefix(NAME).is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    let folder = parent.join(format!("{NAME}{}", process::id()));
    fs::create_dir_all(&folder).expect("a folder for files");
    folder
});

/// A data set in this process's folder, of which one file at a time is replaced.
pub struct DataSet {
    /// Its folder.
    pub path: PathBuf,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl DataSet {
    /// A copy of a fixture of the readers' tests; `files` can be replaced.
    pub fn of_fixture(name: &str, files: &[&str]) -> Self {
        let fixture =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../world_model/episodes/tests/fixtures").join(name);
        let path = FOLDER.join(name);
        copy(&fixture, &path);
        let content = |file: &&str| (path.join(file), fs::read(path.join(file)).expect("a file of the fixture"));
        Self { files: files.iter().map(content).collect(), path }
    }

    /// Reads the data set with file `number` (modulo their count) replaced by `bytes`.
    pub fn read_with(&self, number: u8, bytes: &[u8]) {
        let (file, original) = &self.files[usize::from(number) % self.files.len()];
        fs::write(file, bytes).expect("a file in memory");
        read_all(&self.path);
        fs::write(file, original).expect("a file in memory");
    }
}

/// Opens the data set at `path` and reads its episodes.
pub fn read_all(path: &Path) {
    let Some(source) = accepted(open(path)) else { return };
    accepted(source.summary());
    let shape = *source.shape();
    let step_bytes = shape.image_size.rgb_len() + 4 * (shape.action + shape.state + shape.proprioception);
    for index in 0..source.len().min(8) {
        let length = accepted(source.episode(index)).map_or(0, |episode| episode.length);
        if length.saturating_mul(step_bytes) <= MAX_BYTES {
            accepted(source.read_episode(index));
        }
    }
}

/// What was read; a refusal has to be one line.
pub fn accepted<T, E: Display>(read: Result<T, E>) -> Option<T> {
    read.inspect_err(|error| {
        let reason = error.to_string();
        assert!(!reason.is_empty() && !reason.contains('\n'), "{reason:?}");
    })
    .ok()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder in memory");
    for entry in fs::read_dir(from).expect("the fixture") {
        let (from, name) = entry.map(|entry| (entry.path(), entry.file_name())).expect("an entry of the fixture");
        if from.is_dir() {
            copy(&from, &to.join(name));
        } else {
            fs::copy(&from, to.join(name)).expect("a file in memory");
        }
    }
}
