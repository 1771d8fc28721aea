//! The name of a file of frames: a hash of what they are decoded from.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use mindseye_interface::inputs;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{Error, Result};

/// Deepest nesting of a data set's folders.
const MAX_DEPTH: usize = 16;

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
        let mut file = inputs::open(file, u64::MAX).map_err(broken)?;
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
