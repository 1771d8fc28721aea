//! Which file of a folder holds a LeWM's weights: people keep the published `weights.pt`, the `weights_epoch_N.pt` that
//! the authors' training leaves, a `.ckpt` with a state dict, or safetensors.

use std::path::{Path, PathBuf};

use super::config::parts_in;
use super::network::Lewm;
use crate::families::config_in;
use crate::pickle::pickled_object;
use crate::{Error, Result};

/// The model as safetensors; it comes first where there are several kinds.
const SAFETENSORS: &str = "model.safetensors";
/// The published name.
const PUBLISHED: &str = "weights.pt";
/// End of the names of pickled Python objects.
const OBJECT: &str = "object.ckpt";

impl Lewm {
    /// Whether `path` is a LeWM: a folder with a `config.json` that says so, or with PyTorch's files alone, or one of
    /// its files of weights.
    pub fn is_in(path: &Path) -> bool {
        if path.is_file() {
            let of_folder = || is_folder_of_lewm(&folder_of(path));
            return is_pytorch(path) || is_safetensors(path) && of_folder();
        }
        is_folder_of_lewm(path)
            || !path.join("config.json").exists() && files_in(path).iter().any(|file| is_pytorch(file))
    }

    /// Whether `folder` has a `config.json` that says so. PyTorch's files without a config may be of any family.
    pub(crate) fn has_config_in(folder: &Path) -> bool {
        is_folder_of_lewm(folder)
    }

    /// The file with the weights of the LeWM at `path`: `path` itself where it is a file; else, of a folder,
    /// `model.safetensors`, `weights.pt`, or the only other file of weights.
    ///
    /// # Errors
    /// [`Error::File`] when there is none, or several to choose from, or only a pickled object.
    pub fn weights_file(path: &Path) -> Result<PathBuf> {
        if path.is_file() {
            return Ok(path.to_path_buf());
        }
        if let Some(known) = [SAFETENSORS, PUBLISHED].map(|name| path.join(name)).into_iter().find(|file| file.exists())
        {
            return Ok(known);
        }
        let (objects, weights): (Vec<PathBuf>, Vec<PathBuf>) = files_in(path)
            .into_iter()
            .filter(|file| is_weights(file))
            .partition(|file| name_of(file).ends_with(OBJECT));
        match (weights.as_slice(), objects.as_slice()) {
            ([one], _) => Ok(one.clone()),
            ([], [object, ..]) => Err(Error::file(object, pickled_object("a pickled Python object"))),
            ([], []) => {
                let expected = "expected weights here (or model.safetensors, or one weights_epoch_N.pt), got none";
                Err(Error::file(&path.join(PUBLISHED), expected))
            }
            (several, _) => {
                let names: Vec<String> = several.iter().map(|file| name_of(file)).collect();
                let got = names.join(", ");
                Err(Error::file(path, format!("expected one of its files of weights instead of the folder: {got}")))
            }
        }
    }
}

/// The folder of a file of weights, or `path` itself.
pub(crate) fn folder_of(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    match path.is_file() {
        true => parent.unwrap_or(Path::new(".")).to_path_buf(),
        false => path.to_path_buf(),
    }
}

/// Whether the `config.json` is a LeWM's, by its parts, whatever its `_target_` is called where it was trained; or by
/// its `_target_`, so that one that lacks a part is refused by that part's name.
fn is_folder_of_lewm(folder: &Path) -> bool {
    let config = config_in(folder);
    let target = config["_target_"].as_str().unwrap_or_default().to_lowercase();
    let is_named = ["lewm", "jepa.jepa"].iter().any(|known| target.ends_with(known));
    is_named || config["format"].is_null() && parts_in(&config).is_some()
}

fn is_weights(file: &Path) -> bool {
    let name = name_of(file);
    is_pytorch(file) || is_safetensors(file) && ["model", "weights"].iter().any(|start| name.starts_with(start))
}

fn is_pytorch(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ["pt", "pth", "ckpt"].iter().any(|known| ending == *known))
}

fn is_safetensors(file: &Path) -> bool {
    file.extension().is_some_and(|ending| ending == "safetensors")
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The files in `folder`, by name; none where it cannot be listed.
fn files_in(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_file()).collect();
    files.sort();
    files
}
