//! Where the files that come with mindseye are: tasks, recipes and trained models.

use std::path::PathBuf;

use anyhow::{Result, bail};

/// Names an `assets` folder that goes before all others.
pub const VARIABLE: &str = "MINDSEYE_ASSETS";

/// Path of `relative` in the first assets folder that has it: `$MINDSEYE_ASSETS`, `assets` here, that of the source tree this
/// program was built from.
///
/// # Errors
/// When no folder has it; the error lists where it was looked for.
pub fn find(relative: &str) -> Result<PathBuf> {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    let built_from = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets"));
    let folders: Vec<PathBuf> = named.into_iter().chain([PathBuf::from("assets"), built_from]).collect();
    if let Some(found) = folders.iter().map(|folder| folder.join(relative)).find(|path| path.exists()) {
        return Ok(found);
    }
    let looked: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    bail!("{relative}: expected it in an assets folder, found it in none of {}", looked.join(", "))
}

/// The task that is shipped for `scene`.
///
/// # Errors
/// When there is none.
pub fn task(scene: &str) -> Result<PathBuf> {
    find(&format!("tasks/{scene}.toml"))
}

/// The training recipe that is shipped for `scene`.
///
/// # Errors
/// When there is none.
pub fn recipe(scene: &str) -> Result<PathBuf> {
    find(&format!("recipes/{scene}.toml"))
}

/// The trained model that is shipped for `scene`.
///
/// # Errors
/// When there is none.
pub fn checkpoint(scene: &str) -> Result<PathBuf> {
    find(&format!("checkpoints/{scene}"))
}
