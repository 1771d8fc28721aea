//! What a checkpoint's folder holds, as one number.

use std::fs::File;
use std::path::{Path, PathBuf};

use mindseye_interface::Error as InterfaceError;
use sha2::{Digest, Sha256};

use crate::Result;

/// Endings of files that a model or one of its heads is read from.
const ENDINGS: [&str; 5] = ["ckpt", "json", "pt", "pth", "safetensors"];

/// SHA-256, 64 hexadecimal digits, of the names and bytes of the model's and the heads' files in `folder`: two folders
/// with equal digests plan alike.
///
/// # Errors
/// When a file cannot be read.
pub(crate) fn digest(folder: &Path) -> Result<String> {
    let failed = |path: &Path, error: std::io::Error| InterfaceError::File {
        path: path.to_path_buf(),
        reason: error.to_string(),
    };
    let mut paths: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| failed(folder, error))? {
        paths.push(entry.map_err(|error| failed(folder, error))?.path());
    }
    let is_read = |path: &PathBuf| path.extension().is_some_and(|ending| ENDINGS.iter().any(|known| ending == *known));
    paths.retain(|path| is_read(path) && path.is_file());
    paths.sort();
    let mut all = Sha256::new();
    for path in paths {
        let mut file = Sha256::new();
        let opened = File::open(&path).and_then(|mut opened| std::io::copy(&mut opened, &mut file));
        opened.map_err(|error| failed(&path, error))?;
        all.update(path.file_name().unwrap_or_default().as_encoded_bytes());
        all.update([0]);
        all.update(file.finalize());
    }
    Ok(all.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}
