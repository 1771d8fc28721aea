//! Where the files that come with mindseye are: tasks, planners, recipes and trained models.

mod carried;
mod tasks;

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

pub use tasks::{load_task, task, tasks};

/// Environment variable that names an `assets` folder.
pub const VARIABLE: &str = "MINDSEYE_ASSETS";

/// Path of the asset `relative` (`tasks/two_room.toml`, `checkpoints/push_t`), in this order: `$MINDSEYE_ASSETS`,
/// `assets` in the current folder, the source tree this program was built from while the asset there is the one that
/// was built in, the copy inside the program (written to the user's cache folder).
///
/// # Errors
/// When it is in none of them, with the places that were searched; when the cache folder cannot be written.
pub fn find(relative: &str) -> Result<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE).map(PathBuf::from).filter(|named| !named.is_dir()) {
        bail!("{VARIABLE}: expected a folder, got {}", named.display());
    }
    let folders = folders(relative);
    if let Some(found) = folders.iter().map(|folder| folder.join(relative)).find(|path| path.exists()) {
        return Ok(found);
    }
    if let Some(extracted) = carried::extract(relative)? {
        return Ok(extracted);
    }
    let searched: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
    bail!(
        "{relative}: expected it in an assets folder ({VARIABLE} names another), got none in {} or in this program",
        searched.join(", ")
    )
}

/// A path that a person gave: as it is if something is there; `assets/...` also where [`find`] looks, from any folder.
/// A path that leads nowhere is given back: whoever reads it reports it.
pub fn resolve(path: &Path) -> PathBuf {
    let relative = path.strip_prefix("assets").ok().map(|relative| relative.to_string_lossy().replace('\\', "/"));
    let found = relative.filter(|_| !path.exists()).and_then(|relative| find(&relative).ok());
    found.unwrap_or_else(|| path.to_path_buf())
}

/// A command of `--world` whose words `assets/...` are where [`resolve`] finds them.
pub fn resolve_words(command: &str) -> String {
    let word = |word: &str| {
        let found = if word.starts_with("assets/") { resolve(Path::new(word)) } else { PathBuf::from(word) };
        let found = found.display().to_string();
        if found.contains(' ') { format!("'{found}'") } else { found }
    };
    command.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// Where `relative` is looked for.
fn folders(relative: &str) -> Vec<PathBuf> {
    let named = std::env::var_os(VARIABLE).map(PathBuf::from);
    let source = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().ok();
    // A tree that has moved on has files that this program may not understand.
    let source = source.map(|root| root.join("assets")).filter(|assets| carried::is_unchanged(assets, relative));
    named.into_iter().chain([PathBuf::from("assets")]).chain(source).collect()
}

/// The training recipe that comes with `scene`; of other scenes and robots the one for recordings,
/// `recipes/recorded.toml`.
///
/// # Errors
/// When there is neither.
pub fn recipe(scene: &str) -> Result<PathBuf> {
    find(&format!("recipes/{scene}.toml")).or_else(|error| find("recipes/recorded.toml").map_err(|_| error))
}

/// The trained model that comes with `scene`.
///
/// # Errors
/// When there is none.
pub fn checkpoint(scene: &str) -> Result<PathBuf> {
    find(&format!("checkpoints/{scene}"))
}

/// The folder that a person gave for a checkpoint, or the trained model that comes with `scene`.
///
/// # Errors
/// When none is given and none comes with `scene`.
pub fn checkpoint_or(given: Option<&Path>, scene: &str) -> Result<PathBuf> {
    given.map_or_else(|| checkpoint(scene), |path| Ok(resolve(path)))
}
