//! Assets inside the binary, written to the user's cache folder when they are first needed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use mindseye_interface::files;

include!(concat!(env!("OUT_DIR"), "/carried_assets.rs"));

/// Names of the carried files below `folder`, which ends with a slash.
pub(super) fn names(folder: &'static str) -> impl Iterator<Item = &'static str> {
    FILES.iter().filter_map(move |(name, _)| name.strip_prefix(folder))
}

/// Path of the carried asset `relative` in the cache folder; none if the binary does not carry it.
///
/// A folder of assets that belong together (all tasks, one checkpoint) is written whole or not at all, once per
/// version.
///
/// # Errors
/// When there is no cache folder, or it cannot be written.
pub(super) fn extract(relative: &str) -> Result<Option<PathBuf>> {
    let cache = dirs::cache_dir().context("assets: expected a cache folder (XDG_CACHE_HOME or HOME), got none")?;
    let version = format!("{}-{}", env!("CARGO_PKG_VERSION"), &FINGERPRINT[..8]);
    extract_to(&cache.join("mindseye").join(version), relative)
}

/// Whether the carried files of `relative` are in the folder `assets` as they are in the program; true if it carries
/// none of them.
pub(super) fn is_unchanged(assets: &Path, relative: &str) -> bool {
    let mut carried = FILES.iter().filter(|(name, _)| is_inside(name, relative.trim_end_matches('/')));
    carried.all(|(name, bytes)| {
        let path = assets.join(name);
        let is_as_long = std::fs::metadata(&path).is_ok_and(|found| found.len() == bytes.len() as u64);
        is_as_long && std::fs::read(&path).is_ok_and(|found| found == *bytes)
    })
}

fn is_inside(name: &str, relative: &str) -> bool {
    name.strip_prefix(relative).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// [`extract`] below `root`.
fn extract_to(root: &Path, relative: &str) -> Result<Option<PathBuf>> {
    let relative = relative.trim_end_matches('/');
    if !FILES.iter().any(|(name, _)| is_inside(name, relative)) {
        return Ok(None);
    }
    for group in groups(relative) {
        write_group(root, &group)?;
    }
    Ok(Some(root.join(relative)))
}

/// The folders that are written together and hold `relative`: `tasks`, or one of `checkpoints`.
fn groups(relative: &str) -> Vec<String> {
    let parts: Vec<&str> = relative.split('/').collect();
    match parts[..] {
        ["checkpoints"] => {
            let names = FILES.iter().filter_map(|(name, _)| name.strip_prefix("checkpoints/")?.split('/').next());
            let mut groups: Vec<String> = names.map(|name| format!("checkpoints/{name}")).collect();
            groups.dedup();
            groups
        }
        ["checkpoints", name, ..] => vec![format!("checkpoints/{name}")],
        [folder, ..] => vec![folder.to_owned()],
        [] => Vec::new(),
    }
}

/// Writes all files of `group` below `root` under a temporary name, then renames the folder.
fn write_group(root: &Path, group: &str) -> Result<()> {
    let target = root.join(group);
    if target.is_dir() {
        return Ok(());
    }
    let parent = target.parent().unwrap_or(root);
    let failed = || format!("{}: writing the assets that come with mindseye", target.display());
    std::fs::create_dir_all(parent).with_context(failed)?;
    let partial = tempfile::Builder::new().prefix(".partial-").tempdir_in(parent).with_context(failed)?;
    let folder = partial.path().join("files");
    for (name, bytes) in FILES {
        if let Some(rest) = name.strip_prefix(group).and_then(|rest| rest.strip_prefix('/')) {
            files::write_whole_with_folders(&folder.join(rest), bytes).with_context(failed)?;
        }
    }
    match std::fs::rename(&folder, &target) {
        Err(_) if target.is_dir() => Ok(()), // another process was faster
        result => result.with_context(failed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// More than this makes the binary too large to hand around; today's weights come to 20.2 MB.
    const MOST_BYTES: usize = 21_000_000;

    #[test]
    fn what_the_defaults_need_is_carried_and_small_enough_to_hand_around() {
        let names: Vec<&str> = FILES.iter().map(|(name, _)| *name).collect();
        for scene in ["two_room", "push_t", "bridge"] {
            for file in ["config.json", "model.safetensors", "decoder.safetensors"] {
                assert!(names.contains(&format!("checkpoints/{scene}/{file}").as_str()), "{scene} {file}");
            }
            assert!(names.contains(&format!("tasks/{scene}.toml").as_str()), "{scene}");
            assert!(names.contains(&format!("recipes/{scene}.toml").as_str()), "{scene}");
        }
        let bytes: usize = FILES.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(bytes <= MOST_BYTES, "{bytes}");
    }

    #[test]
    fn a_group_is_written_whole_and_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = extract_to(folder.path(), "tasks/two_room.toml").unwrap().unwrap();
        assert!(path.is_file() && folder.path().join("tasks/push_t.toml").is_file());
        std::fs::write(&path, "changed").unwrap();
        extract_to(folder.path(), "tasks/two_room.toml").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "changed", "what is there is not written again");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
        assert_eq!(extract_to(folder.path(), "tasks/nowhere.toml").unwrap(), None);
    }

    /// Symptom: an installed program failed on a field of a recipe that it did not know. Cause: it read the recipe of
    /// the source tree that it was built from, which had moved on. Fix: only while they are equal.
    #[test]
    fn a_source_tree_that_has_moved_on_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_unchanged(folder.path(), "tasks/two_room.toml"), "it is not there");
        let path = extract_to(folder.path(), "tasks/two_room.toml").unwrap().unwrap();
        assert!(is_unchanged(folder.path(), "tasks/two_room.toml") && is_unchanged(folder.path(), "tasks"));
        std::fs::write(&path, "changed").unwrap();
        assert!(!is_unchanged(folder.path(), "tasks/two_room.toml") && !is_unchanged(folder.path(), "tasks/"));
        assert!(is_unchanged(folder.path(), "tasks/push_t.toml") && is_unchanged(folder.path(), "nothing/carried"));
    }

    #[test]
    fn a_folder_of_checkpoints_is_written_one_by_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = extract_to(folder.path(), "checkpoints/bridge").unwrap().unwrap();
        assert!(path.join("model.safetensors").is_file());
        assert!(!folder.path().join("checkpoints/push_t").exists());
        assert_eq!(groups("checkpoints"), ["checkpoints/bridge", "checkpoints/push_t", "checkpoints/two_room"]);
    }
}
