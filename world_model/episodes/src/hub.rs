//! Data sets by their Hugging Face name, `user/name`, in the caches on this machine: of LeRobot, and of the hub.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use mindseye_interface::inputs;

use crate::{Error, Result};

/// Where the data set at `path` is: there, or in a cache if `path` does not exist and is a name.
///
/// # Errors
/// [`Error::File`] when there is nothing; [`Error::Content`] for a name, with the command that downloads it.
pub(crate) fn find(path: &Path) -> Result<PathBuf> {
    find_with(path, &|name| std::env::var_os(name))
}

/// [`find`], with the environment as an argument.
fn find_with(path: &Path, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf> {
    let missing = match std::fs::metadata(path) {
        Ok(_) => return Ok(path.to_path_buf()),
        Err(error) => error,
    };
    let name = name(path).filter(|_| missing.kind() == std::io::ErrorKind::NotFound);
    let Some([user, name]) = name else { return Err(Error::file(path, "opening", missing)) };
    let Some(Caches { lerobot, hubs }) = Caches::from(variable) else {
        return Err(Error::file(path, "opening", missing));
    };
    let own = lerobot.join(user).join(name);
    if has_data(&own) {
        return Ok(own);
    }
    let folder = format!("datasets--{user}--{name}");
    if let Some(found) = hubs.iter().find_map(|hub| snapshot(&hub.join(&folder))) {
        return Ok(found);
    }
    let expected = format!("a file, a folder, or a data set of this name in {}", hubs[0].display());
    let got = format!("none (hf download {user}/{name} --repo-type dataset)");
    Err(Error::content(path, "data set", expected, got))
}

/// User and name, where `path` has this form.
fn name(path: &Path) -> Option<[&str; 2]> {
    let mut parts = path.components();
    let (Some(Component::Normal(user)), Some(Component::Normal(name)), None) =
        (parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let (user, name) = (user.to_str()?, name.to_str()?);
    let is_plain = |text: &str| {
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        text.chars().all(plain) && !text.starts_with(['.', '-'])
    };
    let is_file = is_hdf5_name(Path::new(name)) || name.ends_with(".zst") || name.ends_with(".lance");
    (is_plain(user) && is_plain(name) && !is_file).then_some([user, name])
}

/// The folders of the caches, as `huggingface_hub` and `lerobot` find them.
struct Caches {
    lerobot: PathBuf,
    hubs: Vec<PathBuf>,
}

impl Caches {
    fn from(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<Self> {
        let folder = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let default = || {
            let cache = folder("XDG_CACHE_HOME").or_else(|| Some(folder("HOME")?.join(".cache")));
            Some(cache?.join("huggingface"))
        };
        let home = folder("HF_HOME").or_else(default)?;
        let lerobot = folder("HF_LEROBOT_HOME").unwrap_or_else(|| home.join("lerobot"));
        let hub =
            folder("HF_HUB_CACHE").or_else(|| folder("HUGGINGFACE_HUB_CACHE")).unwrap_or_else(|| home.join("hub"));
        let of_lerobot = lerobot.join("hub");
        Some(Self { lerobot, hubs: vec![hub, of_lerobot] })
    }
}

/// The snapshot of `main` of a data set's folder in the hub's cache, else the newest one, of those with data.
fn snapshot(folder: &Path) -> Option<PathBuf> {
    let snapshots = folder.join("snapshots");
    let main = inputs::read_text(&folder.join("refs").join("main"), 256).ok();
    let main = main.map(|revision| revision.trim().to_owned()).filter(|name| Path::new(name).components().count() == 1);
    if let Some(found) = main.map(|revision| snapshots.join(revision)).filter(|found| has_data(found)) {
        return Some(found);
    }
    let folders = std::fs::read_dir(&snapshots).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let changed =
        |path: &PathBuf| std::fs::metadata(path).and_then(|found| found.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    folders.filter(|path| has_data(path)).max_by_key(|path| (changed(path), path.clone()))
}

/// Whether `folder` has what the formats of this crate begin with; downloads may be incomplete.
pub(crate) fn has_data(folder: &Path) -> bool {
    folder.join("meta").join("info.json").is_file()
        || folder.join("ep_len.npz").is_file()
        || hdf5_files(folder).is_ok_and(|files| !files.is_empty())
}

/// The files in `folder` that are called like HDF5 files, sorted.
pub(crate) fn hdf5_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if is_hdf5_name(&path) && path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn is_hdf5_name(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str()).map(str::to_lowercase);
    matches!(extension.as_deref(), Some("h5" | "hdf5"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_up_in_the_caches_and_else_the_download_is_named() {
        let root = tempfile::tempdir().unwrap();
        let make = |path: &str| {
            let path = root.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "abc\n").unwrap();
        };
        let home = root.path().to_path_buf();
        let find = |id: &str, variables: &[(&str, PathBuf)]| {
            let variable = |name: &str| {
                let found = variables.iter().find(|(own, _)| *own == name);
                found.map(|(_, value)| value.clone().into_os_string())
            };
            find_with(Path::new(id), &variable).map_err(|error| error.to_string())
        };
        let default = [("HOME", home.clone())];
        let error = find("some/robot", &default).unwrap_err();
        assert!(
            error.contains("hf download some/robot --repo-type dataset") && error.contains("huggingface/hub"),
            "{error}"
        );

        let hub = ".cache/huggingface/hub/datasets--some--robot";
        make(&format!("{hub}/snapshots/old/meta/info.json"));
        assert_eq!(find("some/robot", &default), Ok(home.join(hub).join("snapshots/old")));
        make(&format!("{hub}/snapshots/abc/data.h5"));
        make(&format!("{hub}/refs/main"));
        assert_eq!(find("some/robot", &default), Ok(home.join(hub).join("snapshots/abc")), "what main says");
        make(".cache/huggingface/lerobot/some/robot/meta/info.json");
        assert_eq!(find("some/robot", &default), Ok(home.join(".cache/huggingface/lerobot/some/robot")));

        make("mine/other/set/ep_len.npz");
        assert_eq!(
            find("other/set", &[("HF_LEROBOT_HOME", home.join("mine")), ("HOME", home.clone())]),
            Ok(home.join("mine/other/set"))
        );
        make("hub/datasets--a--b/snapshots/1/meta/info.json");
        assert_eq!(find("a/b", &[("HF_HOME", home.clone())]), Ok(home.join("hub/datasets--a--b/snapshots/1")));
        assert_eq!(
            find("a/b", &[("HF_HUB_CACHE", home.join("hub")), ("HOME", home.clone())]),
            Ok(home.join("hub/datasets--a--b/snapshots/1"))
        );

        for path in ["some/robot.h5", "some", "a/b/c", "../a", "/some/robot", "some/ro bot", "some/.robot"] {
            assert!(find(path, &default).unwrap_err().contains("opening"), "{path} is no name");
        }
        assert_eq!(find(&home.to_string_lossy(), &default), Ok(home.clone()), "what exists is taken as it is");
    }
}
