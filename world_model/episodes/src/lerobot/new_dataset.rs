//! The start of a new data set: its empty description, and the handling of a folder that exists.

use std::collections::BTreeMap;
use std::fs::DirEntry;
use std::path::{Component, Path, PathBuf};

use mindseye_interface::files;
use mindseye_interface::lock::LOCK_FILE;

use super::frames_table::features;
use super::info::{
    Feature, Info, VERSION, default_chunks_size, default_data_files_size, default_video_files_size, info_path,
};
use crate::spec::{DatasetSpec, ImageStorage, WriteMode};
use crate::video::SHORTEST_SIDE;
use crate::{Error, Result};

/// The description of a data set without episodes.
pub(super) fn fresh_info(path: &Path, spec: &DatasetSpec) -> Result<Info> {
    spec.check(path)?;
    let (height, width) = (spec.image_size.height(), spec.image_size.width());
    if spec.image_storage == ImageStorage::Av1 && height.min(width) < SHORTEST_SIDE {
        let expected = format!("sides of at least {SHORTEST_SIDE} pixels for video");
        return Err(Error::content(path, "image_size", expected, format!("{height}x{width}")));
    }
    let (camera, video_path) = match spec.image_storage {
        ImageStorage::Png => (Feature::image(spec.image_size), None),
        ImageStorage::Av1 => {
            let path = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4";
            (Feature::video(spec.image_size, spec.frames_per_second), Some(path.into()))
        }
    };
    let (proprioception, state, action) = (&spec.proprioception_names, &spec.state_names, &spec.action_names);
    Ok(Info {
        codebase_version: VERSION.into(),
        fps: f64::from(spec.frames_per_second),
        features: features(spec.cameras(), &camera, proprioception, state, action),
        total_episodes: 0,
        total_frames: 0,
        total_tasks: 0,
        chunks_size: default_chunks_size(),
        data_files_size_in_mb: default_data_files_size(),
        video_files_size_in_mb: default_video_files_size(),
        data_path: "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet".into(),
        video_path,
        robot_type: spec.robot.clone(),
        splits: BTreeMap::from([("train".into(), "0:0".into())]),
        other: BTreeMap::new(),
    })
}

/// Checks that a new data set can begin in `path`; an old one stays until the new one has an episode.
pub(super) fn check_room(path: &Path, mode: WriteMode, recorded: bool) -> Result<()> {
    let empty = match std::fs::read_dir(path) {
        Ok(mut entries) => !entries.any(|entry| !entry.is_ok_and(|entry| is_nothing(&entry))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => true,
        Err(error) => return Err(Error::file(path, "listing", error)),
    };
    match mode {
        _ if empty => Ok(()),
        WriteMode::Overwrite if recorded => Ok(()),
        WriteMode::Error if recorded => {
            let expected = "a new or empty folder, or --overwrite or --append (WriteMode)";
            Err(Error::content(path, "folder", expected, "a data set"))
        }
        _ => Err(Error::content(path, "folder", "a new or empty folder", "files that are no data set")),
    }
}

/// Whether an entry of a folder is none of anybody's data: our lock, or a folder for descriptions in which a writer
/// that was killed had not yet written any.
fn is_nothing(entry: &DirEntry) -> bool {
    if entry.file_name() == LOCK_FILE {
        return true;
    }
    let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
    if !is_folder || entry.file_name() != "meta" || files::remove_left_overs(&entry.path()).is_err() {
        return false;
    }
    std::fs::read_dir(entry.path()).is_ok_and(|mut entries| entries.next().is_none())
}

/// Folder inside a data set that is being replaced, with what was there before.
const ASIDE: &str = ".replaced";
/// What belongs to a data set. The description is the first to go: without it there is no data set.
const PARTS: [&str; 8] = [
    "meta/info.json",
    "data",
    "videos",
    "images",
    "meta/episodes",
    "meta/stats.json",
    "meta/tasks.parquet",
    "meta/mindseye.json",
];

/// Moves the data set in `root` aside, in a few renames.
pub(super) fn set_aside(root: &Path) -> Result<()> {
    let aside = root.join(ASIDE);
    std::fs::create_dir(&aside).map_err(|error| Error::file(&aside, "making the folder", error))?;
    move_parts(|part| (root.join(part), aside.join(part.replace('/', "+"))), PARTS.iter())
}

/// Removes a data set that was set aside, or puts it back where the one that was to replace it has no episode yet.
pub(super) fn clear_aside(root: &Path) -> Result<()> {
    let aside = root.join(ASIDE);
    if !std::fs::symlink_metadata(&aside).is_ok_and(|found| found.is_dir()) {
        return Ok(());
    }
    // The description is the first to be moved aside and the first of the new one: without it nothing new is there.
    let begun = if info_path(root).exists() { Some(Info::read(root)?) } else { None };
    if begun.as_ref().is_none_or(|begun| begun.total_episodes == 0) {
        if begun.is_some() {
            delete_dataset(root)?;
        }
        make_folder(root, &root.join("meta"))?;
        move_parts(|part| (aside.join(part.replace('/', "+")), root.join(part)), PARTS.iter().rev())?;
    }
    std::fs::remove_dir_all(&aside).map_err(|error| Error::file(&aside, "deleting", error))
}

/// Renames what is there of `parts`.
fn move_parts<'a>(
    places: impl Fn(&str) -> (PathBuf, PathBuf),
    mut parts: impl Iterator<Item = &'a &'static str>,
) -> Result<()> {
    parts.try_for_each(|part| {
        let (from, to) = places(part);
        match std::fs::rename(&from, &to) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(&from, "moving", error)),
            _ => Ok(()),
        }
    })
}

/// Deletes the files of a data set. `info.json` is deleted last, so that an interrupted deletion can be repeated.
pub(super) fn delete_dataset(path: &Path) -> Result<()> {
    let delete = |target: &Path, folder: bool| -> Result<()> {
        let result = if folder { std::fs::remove_dir_all(target) } else { std::fs::remove_file(target) };
        match result {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::file(target, "deleting", error)),
            _ => Ok(()),
        }
    };
    for folder in ["data", "videos", "images", "meta/episodes"] {
        delete(&path.join(folder), true)?;
    }
    for file in ["stats.json", "tasks.parquet", "mindseye.json", "info.json"] {
        delete(&path.join("meta").join(file), false)?;
    }
    Ok(())
}

/// Makes `folder` inside of `root`, which must exist: where it was removed under way, it is not made anew.
pub(super) fn make_folder(root: &Path, folder: &Path) -> Result<()> {
    let mut made = root.to_path_buf();
    for part in folder.strip_prefix(root).unwrap_or(Path::new("")).components() {
        let Component::Normal(name) = part else { continue };
        made.push(name);
        match std::fs::create_dir(&made) {
            Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
                return Err(Error::file(&made, "making the folder", error));
            }
            _ => (),
        }
    }
    Ok(())
}

/// Removes the temporary files that killed writers left in the data set at `root`, whose lock this process holds.
pub(super) fn remove_left_overs(root: &Path) -> Result<()> {
    ["data", "meta", "videos"].iter().try_for_each(|name| remove_below(&root.join(name), 0))
}

/// Deepest nesting of a data set's folders.
const MAX_DEPTH: usize = 4;

fn remove_below(folder: &Path, depth: usize) -> Result<()> {
    let failed = |error| Error::file(folder, "removing what killed recordings left", error);
    if depth > MAX_DEPTH || !std::fs::symlink_metadata(folder).is_ok_and(|found| found.is_dir()) {
        return Ok(());
    }
    files::remove_former_left_overs(folder).map_err(failed)?;
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            remove_below(&entry.path(), depth + 1)?;
        }
    }
    Ok(())
}
